"""Packs, driven by hand: no Spark."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from sparktrials import hp
from sparktrials.dispatch.spark_packs import Packs
from sparktrials.dispatch.spark_study import SparkStudy
from sparktrials.space import compile_space
from sparktrials.study.protocols import Task
from sparktrials.study.trial import Trial, TrialState

SPACE = compile_space(hp.uniform("x", 0, 1))


@dataclass
class Jobs:
    """Runs nothing."""

    running: list[Any] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)

    def __len__(self):
        return len(self.running)

    def __iter__(self):
        return iter(list(self.running))

    def submit(self, job):
        self.running.append(job)

    def cancel(self, jobs):
        for job in jobs:
            job.cancelled = True
            self.cancelled.append(job)


@dataclass
class Shipment:
    digest: str = "d"
    handle: Any = None


class Bench:
    """Packs on a cluster of `slots`."""

    def __init__(self, slots=2, parallelism=None, trial_timeout=None, grows_to=0):
        self.n = slots
        self.jobs = Jobs()
        task = Task(objective=abs, space=SPACE, name="study", trial_timeout=trial_timeout)
        study = SparkStudy(
            task, self, Shipment(), self.jobs, lambda: self.n, parallelism, grows_to=grows_to
        )
        self.packs = Packs(study, packing=True)
        self.submitted = 0

    def submit(self, n, alone=()):
        trials = [
            Trial(id=self.submitted + i, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1)
            for i in range(n)
        ]
        self.submitted += n
        self.packs.submit(trials, alone)


def test_as_many_jobs_as_there_are_slots():
    bench = Bench(slots=2)
    assert bench.packs.room() == 2
    bench.submit(2)
    assert len(bench.jobs) == 2
    assert bench.packs.room() == 0


def test_a_growing_cluster_sees_jobs_that_wait():
    bench = Bench(slots=2, grows_to=7)
    sizes = []
    for _ in range(4):
        bench.submit(bench.packs.room())
        sizes.append(len(bench.jobs))
        bench.n = len(bench.jobs)  # Spark has met what waited
    assert sizes == [4, 6, 7, 7]
    assert Bench(slots=2, parallelism=32, grows_to=math.inf).packs.room() == 32
    assert Bench(slots=4, parallelism=3, grows_to=math.inf).packs.room() == 3
