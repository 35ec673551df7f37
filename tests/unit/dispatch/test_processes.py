"""Trials in processes: what the contract suite does not ask."""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import cloudpickle
import pytest
from tests.contract.dispatcher_suite import drain, open_with, trial
from tests.processes import is_alive, killed_after

from sparktrials import Trials, current_trial, fmin, hp, rand
from sparktrials.api import local
from sparktrials.api.local import cpus
from sparktrials.dispatch.processes import ProcessDispatcher
from sparktrials.errors import InvalidArgument, TrialFailed, WorkerProcessError
from sparktrials.study.protocols import Cancelled, Crashed, Finished, Lost, Reported
from sparktrials.study.trial import FailureKind, TrialState

PATIENCE = 60

# The processes have no tests: what objectives here refer to travels with them.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def opened():
    dispatchers = []

    def make(objective, n=2):
        dispatchers.append(ProcessDispatcher(n))
        return open_with(dispatchers[-1], objective)

    yield make
    for dispatcher in dispatchers:
        dispatcher.close()


def run(fn, trials, **keywords):
    """Run a study, mostly of points that are given."""
    if "points_to_evaluate" in keywords:
        keywords["points_to_evaluate"] = [{"x": x} for x in keywords["points_to_evaluate"]]
        keywords.setdefault("max_evals", 0)
    settings = {"algo": rand.suggest, "rstate": 0, "verbose": False, "return_argmin": False}
    return fmin(fn, hp.uniform("x", 0, 10), trials=trials, **{**settings, **keywords})


def wait_for(path):
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return path.read_text()


def note(path, text=""):
    """Write a file, at once and whole."""
    whole = path.with_suffix(".part")
    whole.write_text(text)
    whole.rename(path)


def test_a_trial_that_kills_its_process_is_run_again_and_leaves_its_siblings_alone(caplog):
    def objective(x):
        if x == 1:
            ctypes.string_at(0)
        if x == 2:
            os._exit(7)
        if x == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if x == 4 and current_trial().attempt == 1:
            os.abort()
        if x == 5:
            raise KeyError("objective")
        return {"loss": x, "status": "ok", "pid": os.getpid()}

    trials = Trials(n_jobs=2, max_retries=1)
    run(objective, trials, points_to_evaluate=[0, 1, 2, 3, 4, 5, 6, 7])
    told = {t.point["x"]: t for t in trials.history}
    lost = FailureKind.WORKER_LOST
    assert [told[x].failure.kind for x in (1, 2, 3)] == [lost] * 3
    assert [told[x].attempt for x in range(8)] == [1, 2, 2, 2, 2, 1, 1, 1]
    for x, words in ((1, "SIGSEGV"), (2, "exit code 7"), (3, "SIGKILL")):
        assert words in told[x].failure.message
        assert "(lost 2 times)" in told[x].failure.message
    assert told[5].failure.type == "KeyError"
    assert [told[x].loss for x in (0, 4, 6, 7)] == [0, 4, 6, 7]
    assert os.getpid() not in {told[x].result["pid"] for x in (0, 4, 6, 7)}


def test_with_two_processes_there_are_two_and_they_last():
    trials = Trials(n_jobs=2)
    run(lambda x: {"loss": x, "status": "ok", "pid": os.getpid()}, trials, max_evals=40)
    assert 1 <= len({r["pid"] for r in trials.results}) <= 2
    assert len(trials) == 40


def test_a_script_needs_no_main_guard_and_shows_what_trials_print(tmp_path):
    (tmp_path / "beside.py").write_text("def half(x):\n    return x / 2\n")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import sys
            import beside
            from sparktrials import Trials, fmin, hp, rand

            class Found:
                def __init__(self, x):
                    self.x = x

            def objective(x):
                sys.stdout.write("a trial of " + " ".join(sys.argv[1:]) + "\\n")  # in one piece
                return {"loss": beside.half(x), "status": "ok", "found": Found(x)}

            trials = Trials(n_jobs=2)
            fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=3, trials=trials,
                 rstate=0, verbose=False)
            assert all(isinstance(r["found"], Found) for r in trials.results)
            print("done", len(trials), all(r["loss"] == r["found"].x / 2 for r in trials.results))
        """)
    )
    done = subprocess.run(
        [sys.executable, script, "some", "arguments"],
        cwd=tmp_path.parent,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == ["a trial of some arguments"] * 3 + ["done 3 True"]


ENDING = """
    import os, subprocess, sys, time
    from pathlib import Path
    from sparktrials import Trials, fmin, hp, rand

    noted = Path(sys.argv[1])

    def objective(x):
        if x < 1:
            return x
        started = subprocess.Popen(["sleep", "600"], start_new_session=True)
        part = noted / f"{x}.part"
        part.write_text(f"{os.getpid()} {started.pid}")
        part.rename(noted / str(x))
        time.sleep(600)

    trials = Trials(n_jobs=2)
    points = [{"x": x} for x in (0.5, 2.0, 3.0)]
    try:
        fmin(objective, hp.uniform("x", 0, 10), algo=rand.suggest, max_evals=0, trials=trials,
             points_to_evaluate=points, verbose=False)
    finally:
        print(*(t.state.value for t in trials.history))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's limits and /proc")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_the_end_of_the_program_is_the_end_of_all_processes(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ENDING), tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        pids = [*wait_for(tmp_path / "2.0").split(), *wait_for(tmp_path / "3.0").split()]
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert out.split() == ["ok", "cancelled", "cancelled"]
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.005)


def test_a_trial_that_takes_too_long_fails_alone():
    def objective(x):
        if x > 5:
            time.sleep(600)
        return x

    trials = Trials(n_jobs=2, trial_timeout=2.0)
    run(objective, trials, points_to_evaluate=[6, 1, 2])
    assert [t.failure and t.failure.kind for t in trials.history] == [
        FailureKind.TIMEOUT,
        None,
        None,
    ]


def test_a_trial_is_heard_while_it_runs_and_ends_when_it_is_told(opened):
    def objective(p):
        assert not current_trial().should_stop()
        current_trial().report(1, 0.25)
        while not current_trial().should_stop():
            time.sleep(0.001)
        return p["x"]

    dispatcher = opened(objective)
    dispatcher.submit([trial(1), trial(2)])
    heard = []
    while len(heard) < 2:
        heard += dispatcher.events(PATIENCE)
    assert {(e.trial_id, e.reports) for e in heard if isinstance(e, Reported)} == {
        (1, ((1, 0.25),)),
        (2, ((1, 0.25),)),
    }
    assert dispatcher.stop([1])  # it had asked before it reported
    (finished,) = drain(dispatcher, 1)
    assert finished.outcome.trial_id == 1
    dispatcher.stop([2])
    (finished,) = drain(dispatcher, 1)
    assert finished.outcome.trial_id == 2


def test_one_trial_is_cancelled_and_the_others_go_on(opened, tmp_path):
    def objective(p):
        if p["x"] in {0.01, 0.02}:
            note(tmp_path / f"{p['x']}")
            wait_for(tmp_path / "go")
        return p["x"]

    dispatcher = opened(objective)
    dispatcher.submit([trial(1), trial(2), trial(3), trial(4)])
    wait_for(tmp_path / "0.01")
    wait_for(tmp_path / "0.02")
    dispatcher.cancel([1, 3])
    events = drain(dispatcher, 3)
    assert {e.trial_id for e in events if isinstance(e, Cancelled)} == {1, 3}
    assert [e.outcome.loss for e in events if isinstance(e, Finished)] == [0.04]
    note(tmp_path / "go")
    (event,) = drain(dispatcher, 1)
    assert event.outcome.loss == 0.02
    assert dispatcher.events(0) == []


def test_where_no_process_starts_the_study_ends(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerProcessError, match="could not begin a trial: it ended by itself"):
        run(lambda x: x, Trials(n_jobs=2), max_evals=5)


def test_a_process_that_does_not_start_is_tried_again_but_not_for_ever(opened, monkeypatch, caplog):
    dispatcher = opened(lambda p: os._exit(1) if p["x"] == 0.01 else p["x"], 1)
    dispatcher.submit([trial(0)])
    drain(dispatcher, 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    dispatcher.submit([trial(1)])
    assert isinstance(drain(dispatcher, 1)[0], Lost)
    dispatcher.submit([trial(2)])
    (event,) = drain(dispatcher, 1)
    assert isinstance(event, Crashed)
    assert len(re.findall("could not begin a trial.*another one is started", caplog.text)) == 2


def test_where_no_more_start_the_others_go_on(opened, monkeypatch, tmp_path):
    def objective(p):
        if p["x"] == 0.02:
            wait_for(tmp_path / "go")
            os._exit(1)
        return p["x"]

    dispatcher = opened(objective)
    dispatcher.submit([trial(0), trial(2)])
    drain(dispatcher, 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    note(tmp_path / "go")
    assert isinstance(drain(dispatcher, 1)[0], Lost)
    dispatcher.submit([trial(i) for i in range(10, 20)])
    assert len([e for e in drain(dispatcher, 10) if isinstance(e, Finished)]) == 10


def test_short_trials_that_depend_on_nothing_are_queued_ahead(opened):
    dispatcher = opened(lambda p: p["x"])
    dispatcher._adaptive = False
    dispatcher.submit([trial(0), trial(1)])
    drain(dispatcher, 2)
    room = dispatcher.room()
    assert room > 2
    dispatcher.submit([trial(i) for i in range(2, 2 + room)])
    assert dispatcher.room() == 0
    assert len(drain(dispatcher, room)) == room


def test_libraries_share_the_cpus(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    trials = Trials(n_jobs=2)

    def objective(x):
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {"loss": x, "status": "ok", "set": [os.environ[n] for n in names]}

    run(objective, trials, max_evals=1)
    share = str(max(1, cpus() // 2))
    assert trials.results[0]["set"] == [share, share, "5"]


def test_errors_do_not_end_fmin_unless_they_are_to():
    with pytest.raises(TrialFailed, match="ZeroDivisionError"):
        run(lambda x: 1 / 0, Trials(n_jobs=2), max_evals=9, catch_eval_exceptions=False)


def test_a_time_limit_ends_what_runs():
    trials = Trials(n_jobs=2)
    run(lambda x: time.sleep(600), trials, points_to_evaluate=[1, 6], timeout=0.5)
    assert [t.state for t in trials.history] == [TrialState.CANCELLED] * 2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, sys.maxsize),
        ({}, sys.maxsize),
    ],
)
def test_a_container_limits_the_cpus(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert local._quota(tmp_path) == expected


def test_they_pickle_with_how_they_run():
    trials = pickle.loads(pickle.dumps(Trials(n_jobs=3, trial_timeout=5)))
    assert (trials.local.n, trials.trial_timeout, trials.catch_by_default) == (3, 5.0, True)


def test_arguments():
    assert Trials(n_jobs=-1).local.n == cpus()
    for wrong in (0, -2, True, 1.5, "2", None):
        with pytest.raises(InvalidArgument, match="n_jobs must be a positive whole number, or -1"):
            Trials(n_jobs=wrong)
    for settings in ({}, {"n_jobs": 2, "threads": True}):
        with pytest.raises(InvalidArgument, match="trial_timeout=3 needs trials in processes"):
            Trials(trial_timeout=3, **settings)
    with pytest.raises(InvalidArgument, match="max_retries must be 0 or"):
        Trials(n_jobs=2, max_retries=-1)
    assert not Trials().catch_by_default
    assert Trials(n_jobs=2).catch_by_default
