"""Spark Connect: what `SparkTrials` promises holds where there is a session and nothing else.

The server is a process of its own; its executors have no sparktrials.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.conftest import connect, spark_environment
from tests.processes import killed_after

from sparktrials import SparkTrials, Trials, broadcast, fmin, hp, rand, tpe
from sparktrials.dispatch.spark_connect import ConnectBackend
from sparktrials.errors import (
    ExecutorEnvironmentError,
    InvalidArgument,
    ObjectiveNotPicklable,
    SparkContextStopped,
)
from sparktrials.study.trial import FailureKind, TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = hp.uniform("x", 0, 1)
#: The point that goes wrong; it is evaluated first, beside others that do not.
BAD = 2.0
#: Seconds after which something counts as hung.
PATIENCE = 240


@pytest.fixture
def trials_on(connect_session):
    """Return a function that makes `SparkTrials` on the Connect session."""
    return lambda **keywords: SparkTrials(spark_session=connect_session, **keywords)


def run(fn, trials, *, siblings=6, **keywords):
    """Run a study whose first point is the bad one."""
    defaults = {
        "algo": rand.suggest,
        "max_evals": siblings,
        "rstate": 0,
        "verbose": False,
        "points_to_evaluate": [{"x": BAD}],
    }
    return fmin(fn, X, trials=trials, **{**defaults, **keywords})


def the_bad_one(trials, siblings=6):
    """Check that one trial failed and no sibling was harmed; return the one that failed."""
    bad, *others = trials.history
    assert bad.state is TrialState.FAILED
    assert [t.state for t in others] == [TrialState.OK] * siblings
    assert [t.loss for t in others] == [t.point["x"] for t in others]
    return bad


def note(path, text):
    with Path(path).open("a") as file:  # one short write with O_APPEND: whole lines
        file.write(f"{text}\n")


def gone(pid):
    """Wait for a process to end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


# --------------------------------------------------------------------- results


def test_the_same_results_as_in_this_process(trials_on):
    def objective(x):
        return {"loss": (x - 0.3) ** 2, "status": "ok", "twice": 2 * x, "attachments": {"a": b"b"}}

    here, there = Trials(), trials_on()
    for trials in (here, there):
        fmin(objective, X, algo=rand.suggest, max_evals=12, trials=trials, rstate=3, verbose=False)
    assert there.losses() == here.losses()
    assert there.argmin == here.argmin
    assert [r["twice"] for r in there.results] == [r["twice"] for r in here.results]
    assert there.trial_attachments(there.trials[0])["a"] == b"b"
    assert there.parallelism == 2


def test_an_adaptive_search_finds_the_optimum(trials_on):
    trials = trials_on()
    best = fmin(
        lambda x: (x - 0.3) ** 2, X, algo=tpe.suggest, max_evals=40, trials=trials, rstate=0,
        verbose=False,
    )  # fmt: skip
    assert abs(best["x"] - 0.3) < 0.1
    assert len(trials) == 40


def test_short_trials_share_queries(trials_on, monkeypatch):
    sizes = []
    query = ConnectBackend.run

    def counted(self, shipment, pack, *more):
        sizes.append(len(pack.trials))
        return query(self, shipment, pack, *more)

    monkeypatch.setattr(ConnectBackend, "run", counted)
    trials = trials_on()
    fmin(lambda x: x, X, algo=rand.suggest, max_evals=300, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 300
    assert sum(sizes) >= 300
    assert max(sizes) > 10
    assert len(sizes) < 100


def test_a_pickle_of_the_history_finds_a_session_anew(trials_on, connect_session):
    import pickle

    trials = trials_on()
    fmin(lambda x: x, X, algo=rand.suggest, max_evals=4, trials=trials, rstate=0, verbose=False)
    copy = pickle.loads(pickle.dumps(trials))
    assert copy.losses() == trials.losses()
    copy._spark = connect_session
    fmin(lambda x: x, X, algo=rand.suggest, max_evals=6, trials=copy, rstate=0, verbose=False)
    assert len(copy) == 6


# --------------------------------------------------------------------- faults


def test_an_objective_that_raises_is_one_failed_trial(trials_on):
    def objective(x):
        if x == BAD:
            raise ZeroDivisionError("the bad one")
        return x

    trials = trials_on()
    run(objective, trials)
    failure = the_bad_one(trials).failure
    assert failure.kind is FailureKind.RAISED
    assert failure.type == "ZeroDivisionError"
    assert 'raise ZeroDivisionError("the bad one")' in failure.traceback


def test_a_crash_is_charged_to_the_trial_that_crashed(trials_on, tmp_path):
    log = str(tmp_path / "log")

    def objective(x):
        note(log, x)
        if x == BAD:
            os._exit(3)
        return x

    trials = trials_on(max_retries=1)
    run(objective, trials)
    bad = the_bad_one(trials)
    assert bad.failure.kind is FailureKind.WORKER_LOST
    assert "os._exit" in bad.failure.message
    assert Path(log).read_text().splitlines().count(str(BAD)) == 2


@pytest.mark.parametrize("way", ["python", "c"])
def test_a_trial_that_takes_too_long_is_ended(trials_on, way):
    def objective(x):
        import ctypes

        if x == BAD and way == "python":
            time.sleep(600)
        if x == BAD:
            ctypes.PyDLL(None).sleep(600)  # never lets go of the interpreter
        return x

    trials = trials_on(trial_timeout=5.0)  # far beyond what the others need
    run(objective, trials)
    failure = the_bad_one(trials).failure
    assert failure.kind is FailureKind.TIMEOUT
    assert "trial_timeout=5" in failure.message


def test_when_the_time_is_up_what_runs_is_cancelled_and_its_slots_are_free(trials_on, tmp_path):
    log = tmp_path / "log"

    def objective(x):
        note(log, os.getpid())
        time.sleep(600)
        return x

    run(lambda x: x, trials_on())  # what starts at first has started
    trials = trials_on()
    with contextlib.suppress(Exception):  # no trial has a loss
        run(objective, trials, timeout=12, points_to_evaluate=None)
    assert {t.state for t in trials.history} == {TrialState.CANCELLED}
    assert all(gone(int(pid)) for pid in log.read_text().split())
    after = trials_on()
    run(lambda x: x, after)
    assert all(t.state is TrialState.OK for t in after.history)


def test_cancelling_leaves_the_users_own_queries_alone(trials_on, connect_session, tmp_path):
    started = tmp_path / "started"
    go = tmp_path / "go"
    rows = []

    def wait(batches):
        started.touch()
        while not go.exists():
            time.sleep(0.01)
        yield from batches

    def query():
        rows.extend(connect_session.range(0, 3, 1, 1).mapInArrow(wait, "id long").collect())

    connect_session.addTag("mine")
    try:
        thread = threading.Thread(target=query)
        thread.start()
        while not started.exists() and thread.is_alive():
            time.sleep(0.01)
        with contextlib.suppress(Exception):
            run(lambda _: time.sleep(600), trials_on(), timeout=5)
        assert connect_session.getTags() == {"mine"}
    finally:
        connect_session.removeTag("mine")
        go.touch()
        thread.join()
    assert len(rows) == 3


def test_a_result_that_is_too_large_costs_itself_only(trials_on, capsys):
    def objective(x):
        more = {"array": b"x" * 100_000_000} if x == BAD else {}
        return {"loss": x, "status": "ok", **more}

    trials = trials_on()
    run(objective, trials, verbose=True, show_progressbar=False)
    first = trials.history[0]
    assert first.state is TrialState.OK
    assert first.loss == BAD
    assert "array" not in first.result
    out, err = capsys.readouterr()
    assert "'array' was dropped: too large" in out + err


def test_what_cannot_be_sent_is_said_before_anything_runs(trials_on, connect_session):
    lock = threading.Lock()

    def locked(x):
        return lock, x

    def sessioned(x):
        return connect_session.range(x)

    with pytest.raises(ObjectiveNotPicklable, match="variable 'lock' of locked"):
        run(locked, trials_on())
    with pytest.raises(ObjectiveNotPicklable, match="no Spark Connect session"):
        run(sessioned, trials_on())


def test_a_large_constant_is_sent_once(trials_on, connect_session):
    data = os.urandom(20_000_000)
    trials = trials_on()
    with pytest.warns(UserWarning, match="20 MB of it in variable .data"):
        run(lambda x: x + 0 * len(data), trials)
    assert len(trials.history) == 7
    assert all(t.loss == t.point["x"] for t in trials.history)


def test_modules_that_executors_lack_end_the_study_and_are_named(trials_on, tmp_path, monkeypatch):
    (tmp_path / "only_on_the_client.py").write_text("def loss(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_on_the_client

    with pytest.raises(ExecutorEnvironmentError, match="No module named 'only_on_the_client'"):
        run(only_on_the_client.loss, trials_on())


# --------------------------------------------------------------------- sessions and servers


def test_a_session_that_ends_keeps_the_history_and_another_goes_on(connect_server):
    """The server forgets the session, as it does with one that is idle for an hour."""
    session, other = connect(connect_server.url), None
    trials = SparkTrials(spark_session=session)

    def forget(trials, *args):
        if len(trials) == 4:
            session.client.release_session()
        return False, args

    with pytest.raises(SparkContextStopped, match="the Spark Connect session ended") as caught:
        fmin(
            lambda x: x, X, algo=rand.suggest, max_evals=500, trials=trials, rstate=0,
            verbose=False, early_stop_fn=forget,
        )  # fmt: skip
    assert "SESSION_CLOSED" in str(caught.value)
    assert "make a new one" in str(caught.value)
    kept = [t.loss for t in trials.history if t.state is TrialState.OK]
    assert len(kept) >= 4
    with pytest.raises(SparkContextStopped):
        trials.parallelism  # noqa: B018
    session.stop()
    with pytest.raises(SparkContextStopped, match="was stopped"):
        SparkTrials(spark_session=session)
    other = connect(connect_server.url)
    with pytest.raises(SparkContextStopped, match="was stopped"):
        trials.spark_session = session
    trials.spark_session = other
    fmin(lambda x: x, X, algo=rand.suggest, max_evals=len(kept) + 5, trials=trials, verbose=False)
    assert [t.loss for t in trials.history if t.state is TrialState.OK][: len(kept)] == kept
    other.stop()


RESUMED = """
import os, sys, time
from pyspark.sql import SparkSession
from sparktrials import SparkTrials, fmin, hp, rand

store, log = sys.argv[1:]
session = SparkSession.builder.getOrCreate()
assert "connect" in type(session).__module__

def objective(x):
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{x!r}\\n".encode())
    os.close(handle)
    time.sleep(0.2)
    return x

trials = SparkTrials(store=store)
print("before", len(trials.history))
fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=60, trials=trials, rstate=5,
     show_progressbar=False)
print("finished", len([t for t in trials.history if t.state.name == "OK"]))
"""


@pytest.mark.slow
def test_a_server_that_restarts_ends_the_run_and_the_same_script_resumes(
    start_connect_server, tmp_path
):
    log, store = tmp_path / "log", f"sqlite:///{tmp_path}/runs.db"
    script = tmp_path / "script.py"
    script.write_text(RESUMED)
    command = [sys.executable, str(script), store, str(log)]

    out_file, err_file = tmp_path / "out", tmp_path / "err"

    def start(server):
        environment = spark_environment("connect", SPARK_REMOTE=server.url)
        with out_file.open("w") as out, err_file.open("w") as err:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=out, stderr=err
            )
        return killed_after(process)

    first = start_connect_server()
    with start(first) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and (not log.exists() or log.read_text().count("\n") < 10):
            assert time.monotonic() < deadline, err_file.read_text()
            time.sleep(0.05)
        first.kill()
        second = start_connect_server(first.url.rpartition(":")[2])
        code = process.wait(PATIENCE)
    out, err = out_file.read_text(), err_file.read_text()
    assert code != 0, out
    assert "SparkContextStopped: the Spark Connect session ended" in err, err
    assert "make a new one" in err
    with start(second) as process:
        code = process.wait(PATIENCE)
    out, err = out_file.read_text(), err_file.read_text()
    assert code == 0, err
    before = int(out.split()[1])
    assert before >= 1
    assert "finished 60" in out
    losses = [t.loss for t in Trials(store).history if t.state is TrialState.OK]
    assert len(losses) == len(set(losses)) == 60


@pytest.mark.slow
def test_a_server_inside_the_process(spark_script):
    done = spark_script(
        """
        from pyspark.sql import SparkSession
        from sparktrials import SparkTrials, fmin, hp, rand
        session = SparkSession.builder.remote("local[2]").getOrCreate()
        trials = SparkTrials()
        fmin(lambda x: x, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=8, trials=trials,
             rstate=0, verbose=False)
        print(type(trials._found).__name__, trials.parallelism, len(trials))
        session.stop()
        """,
        conf="local",
    )
    assert done.stdout.split() == ["ConnectBackend", "2", "8"]


# --------------------------------------------------------------------- thin clients

THIN = """
import sys, threading
assert "py4j" not in sys.modules
from pyspark.sql import SparkSession
from sparktrials import SparkTrials, fmin, hp, rand

def run():
    trials = SparkTrials()  # in a thread, no session is active
    fmin(lambda x: x, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=8, trials=trials,
         rstate=0, verbose=False)
    print(type(trials._found).__name__, trials.parallelism, len(trials.losses()))

session = SparkSession.builder.getOrCreate()
run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
session.stop()
bad = [m for m in sys.modules if m.partition(".")[0] == "py4j" and sys.modules[m] is not None]
bad += [m for m in sys.modules if m.startswith("pyspark.core.")]
print("imported", *bad)
"""


@pytest.fixture
def thin_script(connect_server, tmp_path):
    """Return a function that runs `THIN` with a Python."""

    def run(python, source=THIN, **environment):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(source))
        environment = spark_environment("connect", SPARK_REMOTE=connect_server.url, **environment)
        done = subprocess.run(
            [python, str(path)], env=environment, cwd=tmp_path, text=True, timeout=240,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_pyspark_client_alone_is_enough(thin_script):
    python = os.environ.get("SPARKTRIALS_THIN", "")
    if not python or subprocess.run([python, "-c", "import pyspark"], check=False).returncode:
        pytest.skip("SPARKTRIALS_THIN names no Python with pyspark-client (make setup-thin)")
    lines = thin_script(
        python,
        """
        import importlib.util
        assert importlib.util.find_spec("py4j") is None
        assert importlib.util.find_spec("pyspark.core") is None
        """
        + textwrap.indent(textwrap.dedent(THIN), " " * 8),
    )
    assert lines == ["ConnectBackend 2 8", "ConnectBackend 2 8", "imported"]


def test_a_full_pyspark_that_may_not_use_py4j(thin_script):
    """Spark's own switch for such tests makes of a full pyspark a thin client."""
    lines = thin_script(
        sys.executable,
        "import sys\nsys.modules['py4j'] = None\n" + THIN.replace('assert "py4j"', "#"),
        SPARK_SKIP_CONNECT_COMPAT_TESTS="1",
    )
    assert lines == ["ConnectBackend 2 8", "ConnectBackend 2 8", "imported"]


def test_an_address_that_is_none_is_no_spark(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import sparktrials; sparktrials.SparkTrials()"],
        env=spark_environment("connect", SPARK_REMOTE="sc:/nowhere"), cwd=tmp_path, text=True,
        timeout=240, capture_output=True, check=False,
    )  # fmt: skip
    assert "SparkNotAvailable: Spark did not start: " in done.stderr
    assert "The URL must start with 'sc://'" in done.stderr


@pytest.mark.parametrize("files", [True, False], ids=["files", "with queries"])
def test_broadcast_values(trials_on, monkeypatch, files):
    import numpy as np

    if not files:
        monkeypatch.setattr(ConnectBackend, "_upload", lambda self, contents, names: False)
    data = broadcast({"array": np.arange(1000.0)})

    def objective(x):
        array = data.value["array"]
        return {"loss": array.sum() + 0 * x, "status": "ok", "own": bool(array.flags.owndata)}

    for _ in range(2):
        trials = trials_on()
        run(objective, trials, siblings=2)
        assert {r["loss"] for r in trials.results} == {499500.0}
        assert not any(r["own"] for r in trials.results)
    assert len(data._published) == (1 if files else 0)


def test_trials_of_several_tasks_are_refused_at_once(trials_on):
    trials = trials_on(nodes_per_trial=2)
    with pytest.raises(InvalidArgument, match="needs a classic Spark session"):
        run(lambda x: x, trials)
    assert not trials.history
