"""Packs, driven by hand: no Spark."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest

from sparktrials import hp
from sparktrials.dispatch import spark_lease, spark_packs, worker
from sparktrials.dispatch.spark_backend import Attempt
from sparktrials.dispatch.spark_endings import Endings
from sparktrials.dispatch.spark_errors import judge
from sparktrials.dispatch.spark_jobs import JobEnd
from sparktrials.dispatch.spark_packs import Packs
from sparktrials.dispatch.spark_study import SparkStudy
from sparktrials.dispatch.worker import Complaint, Report
from sparktrials.errors import ExecutorEnvironmentError
from sparktrials.space import compile_space
from sparktrials.study.protocols import Crashed, Finished, Returned, Task
from sparktrials.study.trial import Outcome, Trial, TrialState

SPACE = compile_space(hp.uniform("x", 0, 1))


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose one entry is the time."""
    now = [1000.0]
    monkeypatch.setattr(spark_packs.time, "monotonic", lambda: now[0])
    return now


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
        self.endings = Endings(self, lambda: self.n, lambda: len(self.jobs))
        self.packs = Packs(study, self.endings, packing=True)
        self.submitted = 0
        self.attempt = None

    def submit(self, n, alone=()):
        trials = [
            Trial(id=self.submitted + i, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1)
            for i in range(n)
        ]
        self.submitted += n
        self.packs.submit(trials, alone)

    def stopped(self):
        return False

    def end(self, at=0, report=None, seconds=1.0):
        """End the job that was submitted as number `at` of those that run."""
        job = self.jobs.running.pop(at)
        end = JobEnd(job, seconds, None if report is None else pickle.dumps(report))
        return self.packs.ended(end, self.endings.of(end))

    def fail(self, error, seconds):
        """End the first job with an error of Spark's."""
        end = JobEnd(self.jobs.running.pop(0), seconds, None, error)
        return self.packs.ended(end, self.endings.of(end))

    def judge(self, error):
        return judge(error)

    def first_attempt(self, stage):
        return self.attempt

    def complain(self, host, at=0):
        found = Complaint(host, "3.11.1", "ModuleNotFoundError", "No module named 'x'", "")
        return self.end(at, Report(host, complaint=found))


def finished(trial, host="good"):
    outcome = Outcome(trial_id=trial, attempt=1, state=TrialState.OK, loss=1.0, duration_s=9.0)
    return Report(host, outcomes=(pickle.dumps(outcome),))


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


# --------------------------------------------------------------------- hosts that cannot run trials


def test_trials_that_a_bad_host_did_not_run_come_back_uncharged(clock, caplog):
    bench = Bench(slots=4)
    bench.submit(4)
    assert isinstance(bench.end(0, finished(0))[0], Finished)
    for trial in (1, 2, 3):
        assert bench.complain("bad") == [Returned(trial, 1)]
    assert caplog.text.count("cannot run trials, which go to others") == 1
    assert "on bad" in caplog.text
    assert bench.packs.room() == 1  # the bad host's three slots are left alone for a while
    clock[0] += 1.1
    assert bench.packs.room() == 4


def test_no_slot_is_asked_for_while_all_have_just_failed(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.end(0, finished(0))
    bench.submit(1)
    assert bench.complain("bad") == [Returned(1, 1)]
    assert bench.packs.room() == 0
    assert bench.endings.hosts.until(clock[0]) == clock[0] + 1.0
    clock[0] += 1.0
    assert bench.packs.room() == 1


def test_a_complaint_before_anything_worked_ends_the_study_when_nothing_else_is_under_way(clock):
    bench = Bench(slots=2)
    bench.submit(2)
    assert bench.complain("bad") == [Returned(0, 1)]
    (event,) = bench.complain("bad")
    assert isinstance(event, Crashed)
    assert isinstance(event.exception, ExecutorEnvironmentError)


# ---------------------------------------------------------- workers that do not end their trials


def test_a_stopped_worker_that_others_went_past_is_ended(clock):
    bench = Bench(slots=2, trial_timeout=10)
    bench.submit(2)
    bench.end(1, finished(1))  # submitted later, so trial 0 runs by now
    bench.submit(1)
    clock[0] += 10 + worker.TIMEOUT_GRACE_S + spark_lease.OVERDUE_S
    bench.packs.look_up()
    assert not bench.jobs.cancelled
    clock[0] += 0.1
    bench.packs.look_up()
    bench.packs.look_up()
    assert [job.subject.trials[0].id for job in bench.jobs.cancelled] == [0]
    (lost,) = bench.end(0)
    assert (lost.trial_id, lost.alone, lost.timed_out) == (0, True, True)
    assert "trial_timeout=10 s" in lost.reason


def test_the_last_trials_may_wait_for_slots_that_other_jobs_hold(clock):
    bench = Bench(slots=2, trial_timeout=10)
    bench.submit(2)
    bench.end(0, finished(0))
    clock[0] += 70
    bench.packs.look_up()
    assert not bench.jobs.cancelled
    clock[0] += 10 + worker.TIMEOUT_GRACE_S + spark_lease.OVERDUE_S + 0.1
    bench.packs.look_up()
    assert len(bench.jobs.cancelled) == 1


@pytest.mark.parametrize("overdue", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_an_executor_that_is_lost_is_no_time_out_however_late_spark_says_so(clock, lost, overdue):
    """Spark starts the task again elsewhere, which says that it is repeated."""
    bench = Bench(slots=2, trial_timeout=10)
    bench.submit(2)
    if overdue:
        bench.end(1, finished(1))
        clock[0] += 100
        bench.packs.look_up()
        assert len(bench.jobs.cancelled) == 1
    bench.attempt = Attempt(90.0, executor_lost=lost)
    (event,) = bench.end(0, Report("good", repeated=True, stage=3), seconds=100.0)
    assert (event.alone, event.timed_out) == (True, not lost)


def test_a_job_that_fails_with_its_executor_is_no_time_out():
    text = "(TID 1) (h executor 3): ExecutorLostFailure (executor 3 exited) Reason: code 137"
    assert judge(RuntimeError(text)).executor_lost
    bench = Bench(slots=1, trial_timeout=10)
    bench.submit(1)
    (event,) = bench.fail(RuntimeError(text), seconds=100.0)
    assert (event.alone, event.timed_out) == (True, False)


def test_an_outcome_that_comes_while_its_job_is_cancelled_counts(clock):
    bench = Bench(slots=2, trial_timeout=10)
    bench.submit(2)
    bench.end(1, finished(1))
    clock[0] += 100
    bench.packs.look_up()
    assert len(bench.jobs.cancelled) == 1
    assert isinstance(bench.end(0, finished(0))[0], Finished)


def test_without_a_time_out_nothing_is_overdue(clock):
    bench = Bench(slots=2)
    bench.submit(2)
    bench.end(1, finished(1))
    clock[0] += 1e6
    bench.packs.look_up()
    assert not bench.jobs.cancelled
