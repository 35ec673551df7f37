"""Objectives that run Spark jobs of their own, from threads of the driver."""

from __future__ import annotations

import threading

import pytest

from sparktrials import Trials, fmin, hp, rand
from sparktrials.study.trial import TrialState

pytest.importorskip("pyspark")
PATIENCE = 60


def run(fn, trials, **keywords):
    defaults = {"algo": rand.suggest, "max_evals": 4, "rstate": 0, "verbose": False}
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials


@pytest.mark.spark35
def test_objectives_run_jobs_with_what_their_caller_set(spark_local):
    context = spark_local.sparkContext
    together = threading.Barrier(2)

    def objective(x):
        together.wait(PATIENCE)
        n = spark_local.range(100).filter(f"rand() <= {x}").count()
        found = context.getLocalProperty("spark.scheduler.pool")
        return {"loss": n / 100, "status": "ok", "pool": found}

    context.setLocalProperty("spark.scheduler.pool", "ours")
    try:
        trials = run(objective, Trials(n_jobs=2, threads=True))
    finally:
        context.setLocalProperty("spark.scheduler.pool", None)
    assert {result["pool"] for result in trials.results} == {"ours"}


def test_jobs_of_a_trial_end_with_it(spark_local):
    context = spark_local.sparkContext
    begun, ended = threading.Event(), threading.Event()

    def forever(rows):
        import time

        time.sleep(600)
        return rows

    def objective(x):
        if x == 0.5:
            assert begun.wait(PATIENCE)
            return x
        begun.set()
        try:
            return context.parallelize([0], 1).mapPartitions(forever).count()
        finally:
            ended.set()

    points = [{"x": 0.25}, {"x": 0.5}]
    trials = Trials(n_jobs=2, threads=True)
    run(objective, trials, points_to_evaluate=points, max_evals=0,
        early_stop_fn=lambda *args: (True, []))  # fmt: skip
    assert [t.state for t in trials.history] == [TrialState.CANCELLED, TrialState.OK]
    assert ended.wait(PATIENCE)  # by Spark's word that its job was cancelled
    assert context.parallelize([1], 1).count() == 1
