"""Trials that take several tasks at once, on real Spark."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

import pytest

from sparktrials import SparkTrials, current_trial, fmin, hp, rand
from sparktrials.errors import InvalidArgument
from sparktrials.study.trial import FailureKind, TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

#: Seconds after which a test that waits for something gives up; never waited for in full.
PATIENCE = 60


def run(fn, trials=None, **keywords):
    trials = SparkTrials(nodes_per_trial=2) if trials is None else trials
    defaults = {"algo": rand.suggest, "max_evals": 2, "rstate": 0, "verbose": False}
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials


def rank():
    return pyspark.BarrierTaskContext.get().partitionId()


@pytest.mark.spark35
def test_all_ranks_run_the_objective_and_rank_0_says_the_result(spark_local, tmp_path):
    def objective(x):
        context = pyspark.BarrierTaskContext.get()
        ranks = context.allGather(str(context.partitionId()))
        (tmp_path / f"{current_trial().id}-{context.partitionId()}").touch()
        return {
            "loss": x + context.partitionId(),
            "status": "ok",
            "ranks": ranks,
            "addresses": len(context.getTaskInfos()),
        }

    trials = SparkTrials(nodes_per_trial=2)
    assert trials.parallelism == 1
    run(objective, trials)
    assert [t.loss for t in trials.history] == [t.point["x"] for t in trials.history]
    assert {tuple(r["ranks"]) for r in trials.results} == {("0", "1")}
    assert {r["addresses"] for r in trials.results} == {2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0-0", "0-1", "1-0", "1-1"]


def wait_for_good():
    pyspark.BarrierTaskContext.get().barrier()


def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(600)


@pytest.mark.parametrize("other", [wait_for_good, hold_the_interpreter])
@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_raises_fails_the_trial_with_its_traceback(spark_local, failing, other):
    def break_down():
        raise ZeroDivisionError("of this rank")

    def objective(x):
        if x < 1:
            return x
        return break_down() if rank() == failing else other()

    start = time.monotonic()
    trials = run(objective, points_to_evaluate=[{"x": 2.0}], max_evals=1)
    assert time.monotonic() - start < PATIENCE
    bad, good = trials.history
    assert good.state is TrialState.OK
    assert bad.failure.kind is FailureKind.RAISED
    assert bad.failure.type == "ZeroDivisionError"
    assert f"rank {failing} of 2" in bad.failure.message
    assert "break_down" in bad.failure.traceback
    assert bad.attempt == 1


def test_what_other_ranks_return_does_not_count(spark_local):
    trials = run(lambda x: x if rank() == 0 else None)
    assert [t.state for t in trials.history] == [TrialState.OK] * 2
    trials = run(lambda x: None if rank() == 0 else x, return_argmin=False)
    assert {t.failure.type for t in trials.history} == {"MissingLoss"}


@pytest.mark.parametrize("retries", [0, 1])
def test_a_rank_that_dies_loses_the_trial_once_for_each_attempt(spark_local, tmp_path, retries):
    def objective(x):
        if x < 1:
            return x
        (tmp_path / f"{current_trial().attempt}-{rank()}-{os.getpid()}").touch()
        if rank() == 1:
            while len(list(tmp_path.glob(f"{current_trial().attempt}-*"))) < 2:
                time.sleep(0.02)
            os._exit(1)
        return wait_for_good()

    trials = SparkTrials(nodes_per_trial=2, max_retries=retries)
    run(objective, trials, points_to_evaluate=[{"x": 2.0}], max_evals=1)
    bad, good = trials.history
    assert good.state is TrialState.OK
    assert bad.failure.kind is FailureKind.WORKER_LOST
    assert bad.attempt == 1 + retries
    assert len(list(tmp_path.iterdir())) == 2 * (1 + retries)


def test_trial_timeout(spark_local):
    def objective(x):
        if x < 1:
            return x
        return time.sleep(600) if rank() == 1 else hold_the_interpreter()

    trials = SparkTrials(nodes_per_trial=2, trial_timeout=2)
    run(objective, trials, points_to_evaluate=[{"x": 2.0}], max_evals=1)
    bad, good = trials.history
    assert good.state is TrialState.OK
    assert bad.failure.kind is FailureKind.TIMEOUT


def test_a_study_that_times_out_frees_its_slots(spark_local, tmp_path):
    def objective(x):
        (tmp_path / str(rank())).touch()
        return hold_the_interpreter()

    trials = run(objective, SparkTrials(nodes_per_trial=2, timeout=5), return_argmin=False)
    assert {t.state for t in trials.history} == {TrialState.CANCELLED}
    assert run(lambda x: x).count_successful_trials() == 2


def test_more_than_the_cluster_holds_is_refused_at_once(spark_local):
    trials = SparkTrials(nodes_per_trial=3)
    with pytest.raises(InvalidArgument, match=r"needs 3 tasks at once.*can run 2"):
        run(lambda x: x, trials)
    assert not trials.history


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_number_of_nodes_that_makes_no_sense(spark_local, wrong):
    with pytest.raises(InvalidArgument, match="nodes_per_trial"):
        SparkTrials(nodes_per_trial=wrong)


CLUSTER = """
    import json, os, sys, time
    from pathlib import Path
    from pyspark import BarrierTaskContext
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    session = SparkSession.builder.getOrCreate()

    def objective(x):
        context = BarrierTaskContext.get()
        if x == 3.0 and context.partitionId() == 1:
            raise ValueError("rank 1 has had enough")
        if x > 1.0:
            context.barrier()
        pids = context.allGather(str(os.getppid()))
        return {"loss": x, "status": "ok", "executors": len(set(pids))}

    trials = SparkTrials(nodes_per_trial=2)
    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=2, trials=trials,
         verbose=False, points_to_evaluate=[{"x": 3.0}])
    print(json.dumps([[t.state.value, t.failure and t.failure.message,
                       dict(t.result).get("executors")] for t in trials.history]))
    session.stop()
"""


@pytest.mark.slow
def test_on_executors_of_their_own(spark_script):
    bad, *good = json.loads(spark_script(CLUSTER, timeout=390).stdout)
    assert bad[0] == "failed"
    assert "rank 1 of 2" in bad[1]
    assert good == [["ok", None, 2]] * 2
