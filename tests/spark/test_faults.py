"""What objectives and clusters do wrong, one fault at a time, on real Spark."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sparktrials import STATUS_FAIL, STATUS_OK, SparkTrials, fmin, hp, rand
from sparktrials.errors import AllTrialsFailed, ObjectiveNotPicklable
from sparktrials.study.trial import FailureKind, TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = hp.uniform("x", 0, 1)
#: The point that goes wrong; it is evaluated first, beside others that do not.
BAD = 2.0


def run(fn, trials, *, bad=BAD, siblings=6, **keywords):
    """Run a study whose first point is the bad one."""
    defaults = {
        "algo": rand.suggest,
        "max_evals": siblings,
        "rstate": 0,
        "verbose": False,
        "points_to_evaluate": [{"x": bad}],
    }
    return fmin(fn, X, trials=trials, **{**defaults, **keywords})


def note(path, text):
    with Path(path).open("a") as file:  # one short write with O_APPEND: whole lines
        file.write(f"{text}\n")


def executions(path, x):
    return path.read_text().splitlines().count(str(x))


def the_bad_one(trials, siblings=6):
    """Check that one trial failed and no sibling was harmed; return the one that failed."""
    bad, *others = trials.history
    assert bad.state is TrialState.FAILED
    assert len(others) == siblings
    assert [t.state for t in others] == [TrialState.OK] * siblings
    assert [t.loss for t in others] == [t.point["x"] for t in others]
    return bad


# --------------------------------------------------------------------- odd exceptions


class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class RaisesBase(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Base(BaseException):
    pass


def recurse(n=0):
    return recurse(n + 1)


def chained():
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def raise_(error):
    raise error


ODD = {
    "two arguments": (lambda: raise_(TwoArguments(1, 2)), "TwoArguments", "1 and 2"),
    "unpicklable": (lambda: raise_(Unpicklable("locked")), "Unpicklable", "locked"),
    "no text": (lambda: raise_(NoText()), "NoText", ""),
    "text raises": (lambda: raise_(RaisesBase()), "RaisesBase", ""),
    "base exception": (lambda: raise_(Base("base")), "Base", "base"),
    "SystemExit": (lambda: sys.exit(3), "SystemExit", "3"),
    "SystemExit 0": (lambda: sys.exit(0), "SystemExit", "0"),
    "KeyboardInterrupt": (lambda: raise_(KeyboardInterrupt()), "KeyboardInterrupt", ""),
    "GeneratorExit": (lambda: raise_(GeneratorExit()), "GeneratorExit", ""),
    "StopIteration": (lambda: raise_(StopIteration(3)), "StopIteration", "3"),
    "recursion": (recurse, "RecursionError", "recursion"),
    "memory": (lambda: raise_(MemoryError()), "MemoryError", ""),
    "chained": (chained, "ValueError", "second"),
    "huge text": (lambda: raise_(ValueError("x" * 10_000_000)), "ValueError", "xxx"),
    "half a surrogate": (lambda: raise_(ValueError("\ud800")), "ValueError", ""),
    "group": (lambda: raise_(OSError(2, "No such file", "name")), "FileNotFoundError", "name"),
    "none": (lambda: None, "MissingLoss", "NoneType"),
    "text": (lambda: "0.5", "MissingLoss", "str"),
    "no status": (lambda: {"loss": 1.0}, "InvalidResultStatus", "status"),
    "no loss": (lambda: {"status": STATUS_OK}, "InvalidLoss", "loss"),
    "failed": (lambda: {"status": STATUS_FAIL, "failure": "why"}, "StatusFail", "why"),
    "nan": (lambda: np.float32("nan"), "NonFiniteLoss", "nan"),
}


@pytest.mark.parametrize("name", ODD)
def test_whatever_an_objective_raises_or_returns_is_one_failed_trial(spark_local, tmp_path, name):
    act, kind, text = ODD[name]
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        return act() if x == BAD else x

    trials = SparkTrials(store=f"sqlite:///{tmp_path}/runs.db")
    run(objective, trials)
    failed = the_bad_one(trials)
    assert failed.failure.type == kind
    assert text in failed.failure.message
    assert len(failed.failure.message) < 10_000
    assert failed.attempt == 1
    assert executions(log, BAD) == 1


# --------------------------------------------------------------------- odd values


class NotReducible:
    def __reduce__(self):
        raise RuntimeError("not to be reduced")


class LoadsBadly:
    def __reduce__(self):
        return raise_, (ValueError("only on loading"),)


class EvilMapping(dict):
    def items(self):
        raise RuntimeError("evil")


def looped():
    values = []
    values.append(values)
    return values


VALUES = {
    "lock": threading.Lock,
    "generator": lambda: (i for i in range(3)),
    "not reducible": NotReducible,
    "loads badly": LoadsBadly,
    "contains itself": looped,
    "100 MB": lambda: b"x" * 100_000_000,
    "100 MB array": lambda: np.zeros(12_500_000),
    "100 MB of an object": lambda: {b"y" * 100_000_000},
    "evil": EvilMapping,
}


@pytest.mark.parametrize("name", VALUES)
def test_values_that_cannot_travel_cost_themselves_only(spark_local, tmp_path, name, capsys):
    make = VALUES[name]
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        return {"loss": x, "status": STATUS_OK, "good": 1, "odd": make() if x == BAD else 2}

    trials = SparkTrials(store=f"sqlite:///{tmp_path}/runs.db")
    run(objective, trials, siblings=3, verbose=True, show_progressbar=False)
    assert [t.state for t in trials.history] == [TrialState.OK] * 4
    assert trials.history[0].loss == BAD
    assert trials.results[0]["good"] == 1
    assert trials.results[1]["odd"] == 2
    assert executions(log, BAD) == 1
    assert "'odd'" in capsys.readouterr().err


def test_many_large_values_do_not_exceed_what_spark_takes(spark_local, tmp_path):
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        return {"loss": x, "status": STATUS_OK} | {
            str(i): bytes(20_000_000) for i in range(60 if x == BAD else 0)
        }

    trials = SparkTrials()
    run(objective, trials, siblings=2)
    assert [t.state for t in trials.history] == [TrialState.OK] * 3
    assert executions(log, BAD) == 1


# --------------------------------------------------------------------- lost workers


def null_pointer():
    ctypes.string_at(0)


DEATHS = {
    "os._exit": lambda: os._exit(1),
    "os._exit 0": lambda: os._exit(0),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": null_pointer,
    "abort": os.abort,
}


@pytest.mark.parametrize("name", DEATHS)
def test_an_objective_that_kills_its_worker_is_one_failed_trial(spark_local, tmp_path, name):
    act, log = DEATHS[name], tmp_path / "log"

    def objective(x):
        note(log, x)
        if x == BAD:
            act()
        return x

    trials = SparkTrials(max_retries=1)
    run(objective, trials)
    failed = the_bad_one(trials)
    assert failed.failure.kind is FailureKind.WORKER_LOST
    assert failed.failure.type == "WorkerLost"
    assert "process ended" in failed.failure.message
    assert "lost 2 times" in failed.failure.message
    assert executions(log, BAD) == 2
    assert trials.count_lost_trials() == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_max_retries(spark_local, tmp_path, retries):
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        if x == BAD:
            os._exit(1)
        return x

    trials = SparkTrials(max_retries=retries)
    run(objective, trials, siblings=4)
    failed = the_bad_one(trials, 4)
    assert failed.attempt == executions(log, BAD) == 1 + retries


@pytest.mark.spark35
def test_a_worker_that_is_lost_once_costs_nothing(spark_local, tmp_path):
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        if x == BAD and executions(log, BAD) == 1:
            os._exit(1)
        return x

    trials = SparkTrials()
    run(objective, trials)
    assert [t.state for t in trials.history] == [TrialState.OK] * 7
    assert trials.history[0].attempt == 2
    assert executions(log, BAD) == 2


def test_a_crash_within_a_pack_charges_the_guilty_one_only(spark_local, tmp_path):
    log = tmp_path / "log"

    def objective(x):
        note(log, x)
        if x == BAD:
            os._exit(1)
        return x

    trials = SparkTrials(max_retries=1)
    run(lambda x: x, trials, points_to_evaluate=None, max_evals=300)
    run(objective, trials, points_to_evaluate=[{"x": BAD}], max_evals=900)
    failed = [t for t in trials.history if t.state is not TrialState.OK]
    assert [t.point["x"] for t in failed] == [BAD]
    assert executions(log, BAD) <= 2
    counts = [executions(log, t.point["x"]) for t in trials.history[300:] if t not in failed]
    assert set(counts) <= {1, 2}  # those in its pack ran again


def test_when_all_workers_die_the_error_says_why(spark_local):
    with pytest.raises(AllTrialsFailed, match="WorkerLost"):
        run(lambda x: os._exit(1), SparkTrials(max_retries=0), siblings=2)


TWICE = """
    import os, signal, sys, time
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    log, *master = sys.argv[1:]
    builder = SparkSession.builder.master(master[0]) if master else SparkSession.builder
    session = builder.getOrCreate()

    def parent(pid):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])

    def objective(x):
        with open(log, "a") as file:
            file.write(f"{x}\\n")
        if x == 2.0:
            os.kill(os.getpid(), signal.SIGKILL)
        if x == 3.0:
            os._exit(3)
        if x == 4.0 and not master and open(log).read().split().count("4.0") == 1:
            os.kill(parent(parent(os.getpid())), signal.SIGKILL)  # daemon, executor
            time.sleep(600)
        return x

    trials = SparkTrials(max_retries=1)
    fmin(
        objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=8, trials=trials,
        points_to_evaluate=[{"x": 2.0}, {"x": 3.0}, {"x": 4.0}], verbose=False, rstate=1,
    )
    for trial in trials.history:
        kind = trial.failure.kind.value if trial.failure else "-"
        print(trial.id, trial.state.value, kind, trial.attempt)
    session.stop()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "master",
    [
        pytest.param("local[2,4]", id="local[2,4]", marks=pytest.mark.soak),
        pytest.param(None, id="local-cluster"),
    ],
)
def test_spark_does_not_blindly_run_a_crashing_trial_again(spark_script, tmp_path, master):
    log = tmp_path / "log"
    done = spark_script(TWICE, log, *filter(None, [master]), conf="local" if master else None)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["0", "failed", "worker_lost", "2"]
    assert rows[1] == ["1", "failed", "worker_lost", "2"]
    assert [row[1] for row in rows[2:]] == ["ok"] * 9
    assert executions(log, 2.0) == executions(log, 3.0) == 2
    # A lost executor takes its trial along and no other, and that one runs again.
    again = 1 if master else 2
    assert executions(log, 4.0) == int(rows[2][3]) == again


# --------------------------------------------------------------------- time


def busy():
    while True:
        pass


def swallow_everything():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(600)


def sleep_in_c():
    ctypes.PyDLL(None).sleep(600)  # holds the GIL


OVERTIME = {
    "sleep": lambda: time.sleep(600),
    "busy loop": busy,
    "subprocess": lambda: subprocess.run(["sleep", "600"], check=False),
    "swallows everything": swallow_everything,
    "C code": sleep_in_c,
}


@pytest.mark.parametrize("name", OVERTIME)
def test_trial_timeout(spark_local, tmp_path, name):
    act, log = OVERTIME[name], tmp_path / "log"

    def objective(x):
        note(log, x)
        if x == BAD:
            act()
        return x

    trials = SparkTrials(trial_timeout=4)  # far beyond what the others need
    start = time.monotonic()
    run(objective, trials)
    assert time.monotonic() - start < 60
    failed = the_bad_one(trials)
    assert failed.failure.kind is FailureKind.TIMEOUT
    assert failed.failure.type == "TrialTimeout"
    assert "trial_timeout=4" in failed.failure.message
    assert executions(log, BAD) == 1  # time-outs are not tried again


def test_trials_within_their_time_do_not_notice_it(spark_local):
    trials = SparkTrials(trial_timeout=30)
    run(lambda x: x, trials, siblings=100)
    assert len(trials) == 101
    # Nothing that was wound up for them goes off later.
    run(lambda x: x, SparkTrials(), siblings=20)


def test_a_timeout_ends_trials_in_c_code(spark_local):
    trials = SparkTrials(timeout=1)
    start = time.monotonic()
    run(lambda x: sleep_in_c(), trials, return_argmin=False)
    assert time.monotonic() - start < 60
    assert {t.state for t in trials.history} == {TrialState.CANCELLED}
    run(lambda x: x, SparkTrials())  # and the slots are free again


# --------------------------------------------------------------------- what cannot be sent


class Holder:
    def __init__(self, held):
        self.held = held

    def objective(self, x):
        return x

    def __call__(self, x):
        return x


LOCK = threading.Lock()


def uses_global(x):
    with LOCK:
        return x


def uses_global_deep(x):
    def inner():
        return [LOCK for _ in range(3)]

    return len(inner()) + x


@pytest.fixture
def unpicklable(spark_local, tmp_path):
    spark, lock = spark_local, threading.Lock()
    table = {"a": [1, (2, lock)]}
    with (tmp_path / "open").open("w") as file:
        yield {
            "session": (lambda x: spark.range(3).count(), "'spark'"),
            "context": (lambda x, sc=spark.sparkContext: sc, "SparkContext"),
            "lock": (lambda x: lock.locked(), "'lock'"),
            "file": (lambda x: file.write("x"), "'file'"),
            "nested": (lambda x: table, "'table'"),
            "global": (uses_global, "'LOCK'"),
            "deep global": (uses_global_deep, "'LOCK'"),
            "self": (Holder(lock).objective, "'held'"),
            "callable": (Holder(lock), "'held'"),
            "partial": (partial(lambda a, x: x, lock), "argument 0"),
            "partial keyword": (partial(lambda x, a: x, a=lock), "argument 'a'"),
            "default": (lambda x, a=lock: x, "default argument"),
            "keyword default": (lambda x, *, a=lock: x, "'a'"),
        }


@pytest.mark.parametrize(
    "kind",
    [
        "session", "context", "lock", "file", "nested", "global", "deep global", "self",
        "callable", "partial", "partial keyword", "default", "keyword default",
    ],
)  # fmt: skip
def test_an_objective_that_cannot_be_pickled_names_the_variable(unpicklable, kind):
    objective, name = unpicklable[kind]
    trials = SparkTrials()
    with pytest.raises(ObjectiveNotPicklable) as caught:
        run(objective, trials)
    assert name in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert not trials.history
    run(lambda x: x, trials)  # nothing is left locked or open
    assert len(trials) == 7


def test_a_constant_of_the_space_that_cannot_be_pickled(spark_local):
    space = {"x": X, "resource": {"lock": threading.Lock()}}
    with pytest.raises(ObjectiveNotPicklable, match="search space") as caught:
        fmin(
            lambda p: p["x"],
            space,
            algo=rand.suggest,
            max_evals=1,
            trials=SparkTrials(),
            verbose=False,
        )
    assert "lock" in str(caught.value)
