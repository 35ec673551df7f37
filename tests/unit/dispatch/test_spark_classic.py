"""Spark classic's backend on a context that runs nothing."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.protocols import Task

pyspark = pytest.importorskip("pyspark")


class Context(SimpleNamespace):
    """As much of a SparkContext as shipping a study takes."""

    __hash__ = object.__hash__  # as a SparkContext

    def __init__(self):
        jvm = SimpleNamespace(isStopped=lambda: False)
        super().__init__(
            _jsc=SimpleNamespace(sc=lambda: jvm),
            _pickled_broadcast_vars=set(),
            ids=itertools.count(),
        )

    def broadcast(self, value):
        return SimpleNamespace(value=value, destroy=lambda: None)

    def accumulator(self, value, param):
        return pyspark.Accumulator(next(self.ids), value, param)

    def parallelize(self, values, n):
        def collect():
            # A rank fails: Spark's thread for accumulators says so while others still run.
            token, failures = self.ranks
            known = pyspark.accumulators._accumulatorRegistry
            known[failures.aid].add([(token, b"failed")])
            raise RuntimeError("cancelled")

        rdd = SimpleNamespace(barrier=lambda: rdd, mapPartitions=lambda _: rdd, collect=collect)
        return rdd

    def addJobTag(self, tag):
        pass

    def removeJobTag(self, tag):
        pass

    def cancelJobsWithTag(self, tag):
        pass


def test_a_study_that_is_still_closing_leaves_the_barrier_jobs_of_the_next_alone():
    from sparktrials.dispatch.spark_classic import ClassicBackend

    context = Context()
    backend = ClassicBackend(context)
    task = Task(objective=abs, space=compile_space(hp.uniform("x", 0, 1)))
    first, second = backend.ship(task), backend.ship(task)
    first.handle.together()
    jobs = second.handle.together()
    backend.unship(first)

    def make(ranks):
        context.ranks = ranks

    assert jobs.run(make, 2) == b"failed"
    backend.unship(second)
