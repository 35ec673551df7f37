"""Hyperopt's programs on Spark: what executors see, and SparkTrials' public behaviour."""

from __future__ import annotations

import logging
import pickle
import textwrap

import numpy as np
import pytest

import sparktrials.compat as hyperopt
from sparktrials.compat import SparkTrials, fmin, hp, rand, tpe
from sparktrials.compat.early_stop import no_progress_loss
from sparktrials.compat.spark import FMIN_CANCELLED_REASON_EARLY_STOPPING
from sparktrials.study.loop import StopReason

#: Executors have numpy and pyspark, and a module `hyperopt` that is another one.
CLEAN = """\
import sys
sys.path[:] = [p for p in sys.path if not p.rstrip("/").endswith("/src")]
"""

PROGRAM = """
import os, sys
import sparktrials.compat
sparktrials.compat.install()

import hyperopt
import numpy as np
from hyperopt import STATUS_OK, SparkTrials, Trials, fmin, hp, rand, tpe
from hyperopt.pyll import rec_eval, scope
from pyspark.sql import SparkSession

session = SparkSession.builder.getOrCreate()
session.sparkContext.environment["PYTHONPATH"] = sys.argv[1]


@scope.define
def tripled(value):
    return np.multiply(3, value)


space = {
    "x": hp.uniform("x", -3, 3),
    "t": scope.tripled(hp.randint("i", 4)),
    "n": scope.int(hp.quniform("n", 1, 9, 1)),
    "k": hp.choice("k", [{"type": "a"}, {"type": "b", "c": 1 + hp.lognormal("c", 0, 1)}]),
}


def objective(point):
    from hyperopt.base import STATUS_STRINGS
    assert hyperopt.STATUS_OK in STATUS_STRINGS
    assert hyperopt.__name__ == "sparktrials.compat", hyperopt
    assert point["t"] % 3 == 0 and type(point["n"]) is int
    import sparktrials
    return {"loss": point["x"] ** 2, "status": STATUS_OK, "file": sparktrials.__file__}


trials = SparkTrials(parallelism=2)
best = fmin(objective, space, algo=tpe.suggest, max_evals=15, trials=trials,
            rstate=np.random.default_rng(0), verbose=False)
assert trials.count_successful_trials() == 15, trials._dynamic_trials[0]["misc"].get("error")
assert all(".zip" in r["file"] for r in trials.results)


@hyperopt.fmin_pass_expr_memo_ctrl
def raw(expr, memo, ctrl):
    point = rec_eval(expr, memo=memo)
    ctrl.attachments["where"] = str(ctrl.current_trial["tid"]).encode()
    return point["x"] ** 2 + point["t"]


trials = SparkTrials(parallelism=2)
fmin(raw, space, algo=rand.suggest, max_evals=5, trials=trials, verbose=False,
     trials_save_file="saved.pkl")
where = [trials.trial_attachments(d)["where"] for d in trials.trials]
assert where == [b"0", b"1", b"2", b"3", b"4"]

import pickle
with open("saved.pkl", "rb") as file:
    saved = pickle.load(file)
assert type(saved) is SparkTrials and len(saved) == 5
fmin(raw, space, algo=rand.suggest, max_evals=8, verbose=False, trials_save_file="saved.pkl")
with open("saved.pkl", "rb") as file:
    assert len(pickle.load(file)) == 8
print("OK")
"""


@pytest.mark.slow
def test_a_program_on_executors_that_have_neither(spark_script, tmp_path):
    path = tmp_path / "executor"
    path.mkdir()
    (path / "sitecustomize.py").write_text(CLEAN)
    (path / "hyperopt.py").write_text("raise RuntimeError('another hyperopt')")
    done = spark_script(textwrap.dedent(PROGRAM), path, PYTHONPATH="")
    assert done.stdout.split()[-1] == "OK"


def square(x):
    return x**2


def run(trials, n=6, fn=square, **settings):
    settings = {"algo": rand.suggest, "rstate": np.random.default_rng(0), **settings}
    return fmin(fn, hp.uniform("x", -3, 3), max_evals=n, trials=trials, verbose=False, **settings)


def test_counters_and_the_log(spark_local, caplog):
    def mixed(x):
        if x > 2:
            raise ValueError(x)
        return {"status": "fail"} if x < -2 else x**2

    caplog.set_level(logging.INFO, logger="hyperopt-spark")
    trials = SparkTrials(spark_session=spark_local)
    run(trials, 30, mixed)
    failed = trials.count_by_state_unsynced(hyperopt.JOB_STATE_ERROR)
    assert 0 < failed < 15
    assert "fail" in trials.statuses()
    assert trials.count_failed_trials() == failed
    assert trials.count_successful_trials() == len(trials) == 30 - failed
    assert trials.count_cancelled_trials() == 0
    assert trials.count_total_trials() == 30
    text = f"Total Trials: 30: {30 - failed} succeeded, {failed} failed, 0 cancelled."
    assert text in [r.getMessage() for r in caplog.records if r.name == "hyperopt-spark"]


def test_a_second_fmin_goes_on(spark_local):
    """Hyperopt's does nothing after a run that was ended early."""
    trials = SparkTrials(spark_session=spark_local)
    run(trials, 200, early_stop_fn=no_progress_loss(5))
    assert trials.fmin_cancelled_reason == FMIN_CANCELLED_REASON_EARLY_STOPPING
    done = trials.count_successful_trials()
    run(trials, done + 8, algo=tpe.suggest)
    assert trials.fmin_cancelled_reason is None
    assert trials.count_successful_trials() == done + 8
    trials.delete_all()
    assert trials.count_total_trials() == 0
    run(trials, 3)
    assert trials.tids == [0, 1, 2]


def test_an_algorithm_of_the_users_takes_one_id_at_a_time(spark_local):
    asked = []

    def mine(new_ids, domain, trials, seed):
        asked.append(len(new_ids))
        return tpe.suggest(new_ids, domain, trials, seed)

    trials = SparkTrials(spark_session=spark_local)
    run(trials, 12, algo=mine)
    assert asked == [1] * 12
    assert trials.tids == list(range(12))
    run(trials, 24, algo=mine, max_queue_len=2)
    assert 2 in asked
    assert len(trials) == 24


def test_of_two_limits_the_one_that_comes_first_holds_for_one_call(spark_local):
    def slow(x):
        import time

        time.sleep(30 if x > -10 else 0)
        return x

    trials = SparkTrials(timeout=600, spark_session=spark_local)
    with pytest.raises(hyperopt.exceptions.AllTrialsFailed):
        run(trials, 2, slow, timeout=1.5)
    assert trials.fmin_cancelled_reason == StopReason.TIMEOUT
    assert trials.timeout == 600
    run(trials, 4)
    assert trials.count_successful_trials() == 4
    assert trials.fmin_cancelled_reason is None

    trials = SparkTrials(loss_threshold=-1.0, spark_session=spark_local)
    run(trials, 50, loss_threshold=100.0)
    assert len(trials) < 50


def test_documents_and_pickles(spark_local):
    trials = SparkTrials(spark_session=spark_local)
    assert trials.asynchronous is True
    run(trials, 4, lambda x: {"loss": x, "status": "ok", "attachments": {"a": b"1"}})
    again = pickle.loads(pickle.dumps(trials))
    assert again.losses() == trials.losses()
    assert again.trial_attachments(again.trials[2])["a"] == b"1"
    run(again, 6)
    assert len(again) == 6
    assert str(again).startswith("SparkTrials(trials=[{'state': 2, ")
    points = [{"x": 1.0}, {"x": 2.0}]
    trials = SparkTrials(spark_session=spark_local)
    run(trials, 3, points_to_evaluate=points)
    assert trials.losses()[:2] == [1.0, 4.0]
    assert len(trials) == 5
