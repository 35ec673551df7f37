"""A process that evaluates trials, and dies of some."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import time

import cloudpickle
import numpy as np
import pytest
from tests.contract.dispatcher_suite import trial
from tests.processes import is_alive

from sparktrials import broadcast, current_trial, hp
from sparktrials.dispatch.child import Child
from sparktrials.dispatch.child_study import ChildStudy
from sparktrials.errors import ObjectiveNotPicklable, WorkerProcessError
from sparktrials.space import compile_space
from sparktrials.study.protocols import Crashed, Finished, Lost, Reported, Returned, Task
from sparktrials.study.trial import FailureKind

PATIENCE = 60
SPACE = compile_space({"x": hp.uniform("x", 0, 1)})

# A child has no tests: what objectives here refer to travels with them.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def data():
    return broadcast(np.arange(1000.0))


@pytest.fixture(scope="module")
def objective(data):
    """Return one that does what the trial's number says."""

    def told(params):
        number = current_trial().id
        if number == 1:
            ctypes.string_at(0)
        if number == 2:
            os._exit(3)
        if number == 3:
            while True:
                pass
        if number == 4:
            return sum(range(10**13))  # keeps the interpreter's lock, and hears no signal
        if number == 5:
            current_trial().report(3, 0.5)
            current_trial().log("a line")
            while not current_trial().should_stop():
                time.sleep(0.001)
        if number == 6:
            os.closerange(3, 256)
            time.sleep(PATIENCE)
        if number == 7:
            return {"loss": float(data.value.sum()), "status": "ok", "pid": os.getpid()}
        if number == 8:
            return {
                "loss": 0.0,
                "status": "ok",
                "threads": os.environ["OMP_NUM_THREADS"],
                "path": sys.path,
                "argv": sys.argv,
                "session": os.getsid(0),
            }
        return params["x"]

    return told


@pytest.fixture(scope="module")
def study(objective):
    made = ChildStudy(Task(objective=objective, space=SPACE), cloudpickle)
    yield made
    made.close()


@pytest.fixture(scope="module")
def lasting(study):
    """Return a child that is not killed by what tests do with it."""
    child = Child(study, threads=3)
    yield child
    child.close(PATIENCE)


@pytest.fixture
def mortal(study):
    child = Child(study)
    yield child
    child.close()


@pytest.fixture
def hurried(objective):
    """Return a child whose trials may take 0.3 s, which on a busy machine any of them may."""
    made = ChildStudy(Task(objective=objective, space=SPACE, trial_timeout=0.3), cloudpickle)
    child = Child(made)
    yield child
    child.close()
    made.close()


def until(child, kind):
    """Return what a child says, up to the first event of a kind."""
    events = []
    deadline = time.monotonic() + PATIENCE
    while not any(isinstance(e, kind) for e in events):
        assert time.monotonic() < deadline, events
        events += child.wait(PATIENCE)
    return events


def test_trials_run_one_after_the_other_in_one_process(lasting):
    lasting.give(trial(0))
    lasting.give(trial(10))
    events = until(lasting, Finished)
    if len(events) < 2:
        events += until(lasting, Finished)
    assert [e.outcome.loss for e in events] == [0.0, 0.1]
    assert lasting.ready
    assert lasting.trials == ()


def test_a_broadcast_is_read_from_a_file(lasting, data):
    lasting.give(trial(7))
    (event,) = until(lasting, Finished)
    assert event.outcome.loss == data.value.sum()
    assert event.outcome.result["pid"] == lasting.pid


def test_it_finds_what_this_process_has(lasting):
    lasting.give(trial(8))
    (event,) = until(lasting, Finished)
    result = event.outcome.result
    assert result["threads"] == os.environ.get("OMP_NUM_THREADS", "3")
    assert result["path"] == sys.path
    assert result["argv"] == sys.argv
    assert result["session"] == lasting.pid  # Ctrl-C at a terminal does not reach it


def test_a_trial_speaks_and_listens(lasting):
    lasting.give(trial(5))
    events = until(lasting, Reported)
    deadline = time.monotonic() + PATIENCE
    while not lasting.asks:  # before it does, it would end by the first word, and ask no more
        assert time.monotonic() < deadline
        events += lasting.wait(0.01)
    assert lasting.stop()
    events += until(lasting, Finished)
    said = [e for e in events if isinstance(e, Reported)]
    assert said[0].reports == ((3, 0.5),)
    outcome = events[-1].outcome
    assert (outcome.reports, outcome.log) == (((3, 0.5),), "a line")


def test_waiting_ends_in_time_and_nothing_is_made_up(lasting):
    assert lasting.wait(0.01) == []


def test_a_trial_that_takes_too_long_ends_and_the_process_goes_on(hurried):
    hurried.give(trial(3))
    (event,) = until(hurried, Finished)
    assert event.outcome.failure.kind is FailureKind.TIMEOUT
    assert hurried.alive


@pytest.mark.parametrize(
    ("number", "words"), [(1, "SIGSEGV"), (2, "exit code 3"), (6, "was killed by SIGKILL")]
)
def test_a_trial_that_kills_it_is_lost_and_the_next_comes_back(mortal, number, words):
    mortal.give(trial(number, attempt=2))
    mortal.give(trial(0))
    lost, returned = until(mortal, Lost)
    assert isinstance(lost, Lost)
    assert (lost.trial_id, lost.attempt, lost.alone, lost.timed_out) == (number, 2, True, False)
    assert words in lost.reason
    assert lost.host
    assert returned == Returned(0, 1)
    assert not mortal.alive
    assert (mortal.take(), mortal.kill(), mortal.descriptors) == ([], [], ())
    mortal.give(trial(0))  # too late, and harmless
    assert not mortal.alive


def test_c_code_that_takes_too_long_ends_with_the_process(hurried):
    hurried.give(trial(4))
    (lost,) = until(hurried, Lost)
    assert lost.timed_out
    assert lost.reason == "the trial took longer than trial_timeout=0.3 s"


def test_a_result_that_arrived_before_the_kill_counts():
    def objective(params):
        return time.sleep(100 * params["x"]) or 0.5

    study = ChildStudy(Task(objective=objective, space=SPACE), cloudpickle)
    child = Child(study)
    child.give(trial(0))
    child.give(trial(90))
    while len(child.trials) == 2:
        events = child.wait(PATIENCE)
    events += child.kill()
    study.close()
    assert isinstance(events[0], Finished)
    assert isinstance(events[1], Lost)
    assert "SIGKILL" in events[1].reason


def test_one_that_is_killed_while_it_starts_gives_its_trials_back(study):
    child = Child(study)
    child.give(trial(0))
    os.kill(child.pid, signal.SIGKILL)
    crashed, returned = until(child, Crashed)
    assert isinstance(crashed.exception, WorkerProcessError)
    assert "could not begin a trial: it was killed by SIGKILL" in str(crashed.exception)
    assert returned == Returned(0, 1)


def test_a_trial_that_is_given_to_one_that_is_dead_comes_back(mortal):
    while not mortal.ready:
        mortal.wait(PATIENCE)
    os.kill(mortal.pid, signal.SIGKILL)
    os.waitid(os.P_PID, mortal.pid, os.WEXITED | os.WNOWAIT)
    mortal.give(trial(0))
    assert mortal.wait(PATIENCE) == [Returned(0, 1)]
    assert not mortal.alive


def test_an_objective_that_does_not_load_there_says_why():
    class Bad:
        def __reduce__(self):
            return exec, ("raise LookupError('not here')",)

    bad = Bad()
    study = ChildStudy(Task(objective=lambda x: bad, space=SPACE), cloudpickle)
    child = Child(study)
    events = until(child, Crashed)
    assert "cannot load the objective: LookupError: not here" in str(events[0].exception)
    while child.alive:
        events += child.wait(PATIENCE)
    assert len(events) == 1
    study.close()


def test_an_objective_that_cannot_be_pickled_is_refused():
    with pytest.raises(ObjectiveNotPicklable, match="lock"):
        ChildStudy(Task(objective=lambda x, lock=sys.stdout: x, space=SPACE), cloudpickle)


def test_a_python_that_is_not_there_is_an_error(study, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerProcessError, match=r"sys\.executable='/nowhere/python'"):
        Child(study)


PARENT = """
    import os, signal, sys, time
    import cloudpickle
    from sparktrials import hp
    from sparktrials.dispatch.child import Child
    from sparktrials.dispatch.child_study import ChildStudy
    from sparktrials.space import compile_space
    from sparktrials.study.protocols import Reported, Task
    from sparktrials.study.trial import Trial, TrialState

    def objective(x):
        import subprocess
        from sparktrials import current_trial

        started = subprocess.Popen(["sleep", "600"], start_new_session=True)
        current_trial().log(f"{os.getpid()} {started.pid}")
        sum(range(10**13))

    study = ChildStudy(Task(objective=objective, space=compile_space(hp.uniform("x", 0, 1))),
                       cloudpickle)
    child = Child(study)
    child.give(Trial(id=0, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1, seed=0))
    events = []
    while not events:
        events = child.wait(None)
    print(events[0].lines[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends it also in C code")
def test_it_ends_with_its_parent_and_so_does_what_a_trial_started():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    pids = done.stdout.split()
    assert len(pids) == 2
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
