"""What an objective starts ends with its trial, however Spark or the trial itself ends."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.processes import is_alive

from sparktrials import SparkTrials, fmin, hp, rand
from sparktrials.study.trial import FailureKind, TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's limits and /proc")

#: Seconds after which a wait gives up; never waited for in full.
PATIENCE = 60


def run(fn, trials, **keywords):
    defaults = {"algo": rand.suggest, "max_evals": 1, "rstate": 0, "verbose": False}
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials


def start_some(path):
    """Start processes of several kinds, and note their pids."""
    child = subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True)
    child.returncode = 0  # nobody waits for it
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    forked.start()
    shell = "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!"
    orphan = subprocess.run(["/bin/sh", "-c", shell], stdout=subprocess.PIPE, check=True).stdout
    whole = path.with_suffix(".whole")
    whole.write_text(f"{child.pid} {forked.pid} {int(orphan)}")
    whole.rename(path)


def pids_in(path):
    """Wait for the pids that `start_some` notes; return them."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, "nothing was started"
        time.sleep(0.02)
    pids = [int(pid) for pid in path.read_text().split()]
    assert pids
    return pids


def gone(pids):
    """Wait until processes are gone; return those that never are."""
    deadline = time.monotonic() + PATIENCE
    while (left := [p for p in pids if is_alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def busy():
    while True:
        pass


def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(600)  # C code that does not let go of the GIL


WAITING = {"sleep": lambda: time.sleep(600), "busy": busy, "C code": hold_the_interpreter}


@pytest.mark.parametrize("channel", [True, False], ids=["channel", "pushed"])
@pytest.mark.parametrize("kind", WAITING)
def test_a_trial_that_takes_too_long(spark_local, tmp_path, kind, channel):
    wait, noted = WAITING[kind], tmp_path / "pids"

    def objective(x):
        start_some(noted)
        return wait()

    trials = run(objective, SparkTrials(trial_timeout=5, channel=channel), return_argmin=False)
    assert trials.history[0].failure.kind is FailureKind.TIMEOUT
    pids = pids_in(noted)
    assert len(pids) == 3
    assert not gone(pids)


@pytest.mark.parametrize("kind", WAITING)
def test_a_trial_that_is_cancelled(spark_local, tmp_path, kind):
    wait, noted = WAITING[kind], tmp_path / "pids"

    def objective(x):
        if x == 0.5:
            return len(pids_in(noted))
        start_some(noted)
        return wait()

    def stop(view, *args):
        return True, args

    points = [{"x": 0.25}, {"x": 0.5}]
    trials = run(
        objective, SparkTrials(), points_to_evaluate=points, max_evals=0, early_stop_fn=stop
    )
    assert [t.state for t in trials.history] == [TrialState.CANCELLED, TrialState.OK]
    assert not gone(pids_in(noted))


DEATHS = {
    "os._exit": lambda: os._exit(1),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_trial_whose_worker_dies(spark_local, tmp_path, name):
    die, noted = DEATHS[name], tmp_path / "pids"

    def objective(x):
        start_some(noted)
        return die()

    trials = run(objective, SparkTrials(max_retries=0), return_argmin=False, max_evals=1)
    assert trials.history[0].failure.kind is FailureKind.WORKER_LOST
    assert not gone(pids_in(noted))


def test_what_a_finished_trial_left_running_is_left_alone(spark_local, tmp_path):
    def objective(x):
        noted = tmp_path / str(x)
        start_some(noted)
        if x > 1:  # the last: in the same worker as one of the others, or beside it
            time.sleep(600)
        return x

    points = [{"x": 0.25}, {"x": 0.5}, {"x": 2.0}]
    trials = SparkTrials(trial_timeout=8, parallelism=1)
    run(objective, trials, points_to_evaluate=points, max_evals=0)
    assert [t.state for t in trials.history] == [TrialState.OK, TrialState.OK, TrialState.FAILED]
    assert not gone(pids_in(tmp_path / "2.0"))
    kept = pids_in(tmp_path / "0.25") + pids_in(tmp_path / "0.5")
    try:
        assert all(map(is_alive, kept))
    finally:
        for pid in kept:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


EXECUTOR = """
    import os, signal, subprocess, sys, threading, time
    from pathlib import Path
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    noted = Path(sys.argv[1])
    session = SparkSession.builder.getOrCreate()

    def parent(pid):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    def objective(x):
        child = subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True)
        whole = noted.with_suffix(".whole")
        whole.write_text(str(child.pid))
        whole.rename(noted)
        if x > 1:
            os.kill(parent(parent(os.getpid())), signal.SIGKILL)  # daemon, executor
        time.sleep(600)

    trials = SparkTrials(max_retries=0)
    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=0, verbose=False,
         points_to_evaluate=[{"x": 2.0}], trials=trials, return_argmin=False)
    print(trials.history[0].failure.kind.value)
    session.stop()
"""


@pytest.mark.slow
def test_a_trial_whose_executor_dies(spark_script, tmp_path):
    noted = tmp_path / "pids"
    done = spark_script(EXECUTOR, noted, timeout=390)
    assert done.stdout.split() == ["worker_lost"]
    assert not gone(pids_in(noted))


DRIVER = """
    import os, signal, subprocess, sys, threading, time
    from pathlib import Path
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    noted = Path(sys.argv[1])
    session = SparkSession.builder.getOrCreate()

    def objective(x):
        child = subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True)
        whole = noted.with_suffix(".whole")
        whole.write_text(str(child.pid))
        whole.rename(noted)
        time.sleep(600)

    def watch():
        while not noted.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch).start()
    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=1, verbose=False,
         trials=SparkTrials())
"""


@pytest.mark.slow
def test_a_driver_that_dies(spark_script, tmp_path):
    noted = tmp_path / "pids"
    done = spark_script(DRIVER, noted, check=False, timeout=390)
    assert done.returncode == -signal.SIGKILL
    assert not gone(pids_in(noted))


def test_trials_beside_one_another_end_their_own(spark_local, tmp_path):
    """Two workers of one executor: the one that is killed takes nothing of the other's along."""

    def objective(x):
        noted = tmp_path / str(x)
        start_some(noted)
        if x > 1:
            while not (tmp_path / "0.25").exists():
                time.sleep(0.02)
            os._exit(1)
        # The other's are gone, one's own are there.
        assert not gone(pids_in(tmp_path / "2.0"))
        assert all(map(is_alive, pids_in(noted)))
        return x

    trials = SparkTrials(max_retries=0)
    run(objective, trials, points_to_evaluate=[{"x": 0.25}, {"x": 2.0}], max_evals=0)
    assert [t.state for t in trials.history] == [TrialState.OK, TrialState.FAILED]
    for pid in pids_in(tmp_path / "0.25"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
