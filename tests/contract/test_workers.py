"""Workers that live on a store: real processes, really killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import servers
from tests.processes import children_of, is_alive, killed_after, line_of
from tests.workers import ROOT, kill, program, worker

from sparktrials import Trials
from sparktrials.dispatch.jobs import JOBS, WORKERS
from sparktrials.store import board_of, open_store
from sparktrials.study.trial import FailureKind, TrialState

#: Seconds after which something counts as hung.
PATIENCE = 240

OBJECTIVES = """
import ctypes, os, signal, time
from pathlib import Path
from sparktrials import current_trial

HERE = Path(os.environ["HERE"])

def started():
    trial = current_trial()
    handle = os.open(HERE / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{trial.id} {trial.attempt} {os.getpid()}\\n".encode())
    os.close(handle)

def quick(x):
    started()
    return {"loss": x, "status": "ok", "array": [x] * 10, "attachments": {"a": str(x)}}

def slow(x):
    started()
    time.sleep(0.05)
    return x

def held(x):
    started()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    (HERE / f"ended-{x}").touch()
    return x

def talking(x):
    current_trial().report(1, 0.5)
    current_trial().log("hello")
    return held(x)

def polite(x):
    started()
    while not current_trial().should_stop():
        time.sleep(0.01)
    return x

def crashing(x):
    started()
    os._exit(3)

def in_c(x):
    started()
    ctypes.PyDLL(None).sleep(1000)

def large(x):
    return {"loss": x, "status": "ok", "attachments": {"a": os.urandom(3_000_000)}, "model": HERE}

def moody(x):
    raise ValueError(f"no {x}")

def closure():
    return lambda x: quick(x)
"""

DRIVER = """
import signal, sys
from sparktrials import WorkerTrials, fmin, hp, rand
import objectives

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
url, name, max_evals, retries, timeout, trial_timeout = sys.argv[1:]
objective = objectives.closure() if name == "closure" else getattr(objectives, name)
trials = WorkerTrials(
    url, "study", max_retries=int(retries), trial_timeout=eval(trial_timeout)
)
fmin(
    objective, hp.uniform("x", 0, 1), rand.suggest, int(max_evals), timeout=eval(timeout),
    trials=trials, rstate=11, show_progressbar=False, return_argmin=False, max_queue_len=2,
)
print("finished", flush=True)
"""


def until(condition, what):
    """Return what a condition comes to, once it is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"no end of waiting for {what}")


@dataclass
class Field:
    """A directory with a driver's program, its objectives, and a store."""

    directory: Path
    url: str
    stack: contextlib.ExitStack
    numbers: int = 0
    workers: list = field(default_factory=list)

    def __post_init__(self):
        (self.directory / "objectives.py").write_text(OBJECTIVES)
        (self.directory / "driver.py").write_text(DRIVER)

    def worker(self, *options):
        self.numbers += 1
        log = self.directory / f"worker{self.numbers}.log"
        found = self.stack.enter_context(
            worker(self.url, *options, cwd=self.directory, log=log, HERE=str(self.directory))
        )
        found.log = log
        self.workers.append(found)
        return found

    def driver(self, name, max_evals=1, retries=2, timeout=None, trial_timeout=None):
        arguments = ["driver.py", self.url, name, max_evals, retries, timeout, trial_timeout]
        log = self.directory / "driver.log"
        found = program(arguments, cwd=self.directory, log=log, HERE=str(self.directory))
        return self.stack.enter_context(found)

    def go(self):
        (self.directory / "go").touch()

    def started(self):
        """Return ``(id, attempt, pid)`` of each start of the objective."""
        log = self.directory / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [tuple(map(int, line.split())) for line in lines]

    def wait_for_starts(self, n):
        return until(lambda: (found := self.started()) and len(found) >= n and found, f"{n} starts")

    def trials(self):
        with open_store(self.url) as store:
            return Trials(store, "study").history

    def ended(self, process):
        """Return the exit code of a process, when it has ended."""
        try:
            return process.wait(PATIENCE)
        except Exception:
            texts = [p.read_text() for p in sorted(self.directory.glob("*.log"))]
            pytest.fail("no end of a process\n" + "\n---\n".join(texts))

    def notes(self, prefix=JOBS):
        with open_store(self.url) as store:
            return board_of(store).find(prefix)


def fresh(kind, request, tmp_path):
    """Return the URL of a store that is not there yet: a file, or what a server has for it."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    return request.getfixturevalue(kind).fresh()


@pytest.fixture
def on_sqlite(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Field(tmp_path, f"sqlite:///{tmp_path}/runs.db", stack)


@pytest.fixture(params=["sqlite", "postgres_server"])
def place(request, tmp_path):
    url = fresh(request.param, request, tmp_path)
    with contextlib.ExitStack() as stack:
        yield Field(tmp_path, url, stack)


@pytest.mark.parametrize("kind", ["sqlite", "postgres_server", "mariadb_server"])
def test_workers_evaluate_a_study(kind, request, tmp_path):
    url = fresh(kind, request, tmp_path)
    with contextlib.ExitStack() as stack:
        place = Field(tmp_path, url, stack)
        workers = [place.worker("--max-jobs", "8"), place.worker()]
        assert place.ended(place.driver("quick", 20)) == 0
        trials = place.trials()
        assert [t.id for t in trials] == [*range(20)]
        assert {t.state for t in trials} == {TrialState.OK}
        assert all(t.result["array"] == [t.loss] * 10 for t in trials)
        assert sorted(n for n, _, _ in place.started()) == [*range(20)]
        assert len({pid for _, _, pid in place.started()} & {w.pid for w in workers}) == 0
        with open_store(url) as store:
            assert Trials(store, "study").trial_attachments(3)["a"] == str(trials[3].loss).encode()
        assert place.notes() == []
        workers[1].send_signal(signal.SIGTERM)
        assert place.ended(workers[1]) == 0
        if workers[0].poll() is None:  # it got fewer than eight
            workers[0].send_signal(signal.SIGTERM)
        assert place.ended(workers[0]) == 0
        assert place.notes(WORKERS) == []


HYPEROPT = """
import sys
import sparktrials.compat
sparktrials.compat.install()
from hyperopt import fmin, hp, tpe
from hyperopt.mongoexp import MongoTrials

trials = MongoTrials(sys.argv[1], exp_key="exp1")
best = fmin(lambda x: (x - 1) ** 2, hp.uniform("x", -2, 2), algo=tpe.suggest, max_evals=10,
            trials=trials, show_progressbar=False, rstate=3)
assert set(best) == {"x"} and len(trials.losses()) == 10 and None not in trials.losses()
"""


def test_hyperopts_program_with_its_worker(mongo_server, tmp_path):
    """As its page on MongoDB has it, but that the worker is told to trust pickles."""
    address = mongo_server.fresh().replace("mongodb://", "")
    (tmp_path / "program.py").write_text(HYPEROPT)
    start = "from sparktrials.console import mongo_worker; mongo_worker()"
    options = [f"--mongo={address}", "--poll-interval=0.1", "--trust-pickle"]
    with program(["-c", start, *options], cwd=tmp_path, log=tmp_path / "worker.log") as one:
        url = f"mongo://{address}/jobs"
        with program(["program.py", url], cwd=tmp_path, log=tmp_path / "log") as driver:
            assert driver.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
        one.send_signal(signal.SIGTERM)
        assert one.wait(PATIENCE) == 0


def test_a_worker_to_whom_nobody_gives_a_trial_ends_if_it_is_told_so(on_sqlite):
    one = on_sqlite.worker("--idle-timeout", "0.1")
    assert on_sqlite.ended(one) == 0
    assert "no trial came for 0.1 s" in one.log.read_text()
    assert on_sqlite.notes(WORKERS) == []


def test_a_server_that_is_away_while_trials_run(tmp_path):
    """Workers wait for it with what they have."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(servers.postgres(durable=True))
        except servers.Missing as error:
            pytest.skip(f"NOT TESTED: {error}")
        place = Field(tmp_path, server.fresh(), stack)
        workers = [place.worker(), place.worker()]
        driver = place.driver("held", 4)
        place.wait_for_starts(2)
        server.kill()
        place.go()
        until(lambda: len(list(tmp_path.glob("ended-*"))) == 2, "the ends of both")
        server.start()
        server.wait()
        assert place.ended(driver) == 0
        assert {t.state for t in place.trials()} == {TrialState.OK}
        assert sorted(n for n, _, _ in place.started()) == [*range(4)], "nothing twice"
        assert all(w.poll() is None for w in workers)


def test_a_worker_that_is_killed(place):
    first = place.worker()
    driver = place.driver("held", 2)
    ((number, attempt, pid),) = place.wait_for_starts(1)
    kill(first.pid)
    until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), "the child's end")
    place.worker()
    place.wait_for_starts(2)
    place.go()
    assert place.ended(driver) == 0
    trials = place.trials()
    assert [t.state for t in trials] == [TrialState.OK] * 2
    assert trials[number].attempt == attempt + 1


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_an_evaluation_that_is_killed(on_sqlite):
    one = on_sqlite.worker()
    driver = on_sqlite.driver("held", 1)
    ((_, _, pid),) = on_sqlite.wait_for_starts(1)
    assert pid in children_of(one.pid)
    kill(pid)
    on_sqlite.wait_for_starts(2)
    on_sqlite.go()
    assert on_sqlite.ended(driver) == 0
    (trial,) = on_sqlite.trials()
    assert (trial.state, trial.attempt) == (TrialState.OK, 2)
    assert one.poll() is None


def test_an_objective_that_crashes_again_and_again(on_sqlite):
    one = on_sqlite.worker()
    assert on_sqlite.ended(on_sqlite.driver("crashing", 1, retries=1)) == 0
    (trial,) = on_sqlite.trials()
    assert trial.state is TrialState.FAILED
    assert (trial.failure.kind, trial.failure.type) == (FailureKind.WORKER_LOST, "WorkerLost")
    assert "exit code 3" in trial.failure.message
    assert "lost 2 times" in trial.failure.message
    assert len(on_sqlite.started()) == 2
    assert one.poll() is None


def test_a_driver_that_is_killed(place):
    """What workers do meanwhile is taken up: nothing is lost, and nothing evaluated twice."""
    workers = [place.worker(), place.worker()]
    first = place.driver("held", 6)
    place.wait_for_starts(2)
    kill(first.pid)
    first.wait()
    place.go()
    until(lambda: sum(n.tag == "done" for n in place.notes()) >= 2, "the workers' outcomes")
    assert all(w.poll() is None for w in workers)
    assert {t.state for t in place.trials()} == {TrialState.RUNNING}
    assert place.ended(place.driver("held", 6)) == 0
    trials = place.trials()
    assert [t.id for t in trials] == [*range(6)]
    assert {t.state for t in trials} == {TrialState.OK}
    assert sorted(n for n, _, _ in place.started()) == [*range(6)]
    assert place.notes() == []


def test_a_driver_that_is_killed_while_trials_run_on(on_sqlite):
    """The next driver waits for the evaluations that run, rather than starting them anew."""
    on_sqlite.worker()
    first = on_sqlite.driver("held", 2)
    on_sqlite.wait_for_starts(1)
    kill(first.pid)
    first.wait()
    second = on_sqlite.driver("held", 2)
    until(lambda: "continuing" in (on_sqlite.directory / "driver.log").read_text(), "it")
    on_sqlite.go()
    assert on_sqlite.ended(second) == 0
    assert sorted(n for n, _, _ in on_sqlite.started()) == [0, 1]
    assert {t.state for t in on_sqlite.trials()} == {TrialState.OK}


def test_a_worker_that_is_told_to_end_hands_its_trial_back(on_sqlite):
    one = on_sqlite.worker("--grace", "0")
    driver = on_sqlite.driver("held", 1)
    ((_, _, pid),) = on_sqlite.wait_for_starts(1)
    one.send_signal(signal.SIGTERM)
    assert on_sqlite.ended(one) == 0
    assert is_zombie(pid)
    on_sqlite.worker()
    on_sqlite.wait_for_starts(2)
    on_sqlite.go()
    assert on_sqlite.ended(driver) == 0
    (trial,) = on_sqlite.trials()
    assert (trial.state, trial.attempt) == (TrialState.OK, 1), "that costs no retry"


def test_a_worker_that_is_told_to_end_lets_its_trial_finish(on_sqlite):
    one = on_sqlite.worker("--grace", "100")
    driver = on_sqlite.driver("polite", 1)
    on_sqlite.wait_for_starts(1)
    one.send_signal(signal.SIGTERM)
    assert on_sqlite.ended(one) == 0
    assert on_sqlite.ended(driver) == 0
    assert [t.state for t in on_sqlite.trials()] == [TrialState.OK]
    assert len(on_sqlite.started()) == 1


def test_a_worker_that_is_told_to_finish_waits_for_its_trial(on_sqlite):
    one = on_sqlite.worker("--grace", "0", "--workdir", "some/where")
    driver = on_sqlite.driver("held", 1)
    on_sqlite.wait_for_starts(1)
    one.send_signal(signal.SIGUSR1)
    on_sqlite.go()
    assert on_sqlite.ended(one) == 0
    assert on_sqlite.ended(driver) == 0
    assert (on_sqlite.directory / "some/where").is_dir()
    assert len(on_sqlite.started()) == 1


def test_a_trial_that_takes_too_long_in_c(on_sqlite):
    one = on_sqlite.worker()
    assert on_sqlite.ended(on_sqlite.driver("in_c", 1, trial_timeout=0.5)) == 0
    (trial,) = on_sqlite.trials()
    assert trial.failure.type == "TrialTimeout"
    assert len(on_sqlite.started()) == 1
    assert one.poll() is None


def test_a_driver_that_is_interrupted_takes_its_trials_back(on_sqlite):
    one = on_sqlite.worker()
    driver = on_sqlite.driver("held", 3)
    ((_, _, pid),) = on_sqlite.wait_for_starts(1)
    driver.send_signal(signal.SIGINT)
    assert on_sqlite.ended(driver) != 0
    until(lambda: is_zombie(pid), "the evaluation's end")
    assert {t.state for t in on_sqlite.trials()} == {TrialState.CANCELLED}
    assert on_sqlite.notes() == []
    on_sqlite.go()
    assert on_sqlite.ended(on_sqlite.driver("held", 3)) == 0
    assert one.poll() is None


def test_a_study_whose_time_is_up_lets_trials_end(on_sqlite):
    on_sqlite.worker()
    driver = on_sqlite.driver("polite", 1, timeout=1)
    assert on_sqlite.ended(driver) == 0
    (trial,) = on_sqlite.trials()
    assert trial.state in {TrialState.OK, TrialState.CANCELLED}


def test_what_a_running_trial_says_is_in_the_history(on_sqlite):
    on_sqlite.worker()
    driver = on_sqlite.driver("talking", 1)
    trial = until(
        lambda: next((t for t in on_sqlite.trials() if t.reports and t.log), None), "its report"
    )
    assert (trial.state, trial.reports, trial.log) == (TrialState.RUNNING, ((1, 0.5),), "hello")
    on_sqlite.go()
    assert on_sqlite.ended(driver) == 0
    (trial,) = on_sqlite.trials()
    assert (trial.reports, trial.log) == (((1, 0.5),), "hello")


@pytest.mark.parametrize("kind", ["sqlite", "mariadb_server", "mongo_server"])
def test_what_is_large_or_no_plain_data_comes_whole_and_unread(kind, request, tmp_path):
    url = fresh(kind, request, tmp_path)
    with contextlib.ExitStack() as stack:
        place = Field(tmp_path, url, stack)
        place.worker()
        assert place.ended(place.driver("large", 1)) == 0
        (trial,) = place.trials()
        assert trial.result.keys() == {"loss", "status"}
        with open_store(url) as store:
            assert len(store.attachment("study", 0, "a")) == 3_000_000
            assert store.attachment("study", 0, "object:model").startswith(b"\x80")
            assert board_of(store).find("data/") == []


def test_objectives_that_raise_fail_their_trials_only(on_sqlite):
    on_sqlite.worker()
    on_sqlite.ended(on_sqlite.driver("moody", 2))
    assert [t.failure.type for t in on_sqlite.trials()] == ["ValueError"] * 2
    assert "moody" in on_sqlite.trials()[0].failure.traceback


# --------------------------------------------------------------------------- what workers refuse


def test_pickles_are_left_to_workers_that_trust_them(on_sqlite):
    one = on_sqlite.worker()
    driver = on_sqlite.driver("closure", 2)
    until(lambda: "left to other workers" in one.log.read_text(), "the refusal")
    assert "--trust-pickle" in one.log.read_text()
    driver_log = on_sqlite.directory / "driver.log"
    until(lambda: "--trust-pickle" in driver_log.read_text(), "the driver's word")
    assert "closure" in driver_log.read_text()
    assert on_sqlite.started() == []
    on_sqlite.worker("--trust-pickle")
    assert on_sqlite.ended(driver) == 0
    assert [t.state for t in on_sqlite.trials()] == [TrialState.OK] * 2
    assert one.poll() is None


def test_an_objective_that_a_worker_cannot_import_is_left_to_others(on_sqlite, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    log = elsewhere / "log"
    with worker(on_sqlite.url, cwd=elsewhere, log=log) as one:
        driver = on_sqlite.driver("quick", 2)
        until(lambda: "no module 'objectives' here" in log.read_text(), "the refusal")
        on_sqlite.worker()
        assert on_sqlite.ended(driver) == 0
        assert one.poll() is None
    assert "refuses this experiment's trials" in (on_sqlite.directory / "driver.log").read_text()


# --------------------------------------------------------------------------- the campaign


def campaign(place, seed, n_rounds, n_workers=4, max_evals=None):
    """Kill a random process, again and again, and start it anew; return the trials in the end."""
    rng = random.Random(seed)
    max_evals = max_evals or 20 + 8 * n_rounds
    driver = place.driver("slow", max_evals, retries=10_000)
    crew = [place.worker() for _ in range(n_workers)]
    place.wait_for_starts(1)
    for _ in range(n_rounds):
        n_before = len(place.started())
        until(
            lambda n=n_before, d=driver: len(place.started()) > n or d.poll() is not None,
            "progress",
        )
        time.sleep(rng.uniform(0, 0.1))  # any moment
        victim = rng.randrange(2 * n_workers + 1)
        if victim == 2 * n_workers:
            kill(driver.pid)
            driver.wait()
            driver = place.driver("slow", max_evals, retries=10_000)
        elif victim >= n_workers:
            for pid in children_of(crew[victim - n_workers].pid):
                kill(pid)
        else:
            kill(crew[victim].pid)
            crew[victim].wait()
            crew[victim] = place.worker()
    code = place.ended(driver)
    assert code == 0, (place.directory / "driver.log").read_text()[-3000:]
    return max_evals, place.trials()


def check(place, max_evals, trials):
    assert [t.id for t in trials] == [*range(max_evals)], "none lost, none twice"
    assert Counter(t.state for t in trials) == {TrialState.OK: max_evals}, "none stuck"
    assert all(t.loss == t.point["x"] for t in trials)
    assert {n for n, _, _ in place.started()} == set(range(max_evals))
    assert place.notes() == []


def test_a_test_run_that_is_killed_leaves_no_worker(tmp_path):
    """What runs here ends with it."""
    script = """
import sys, time
from tests.workers import program
with program(["-c", "import time; time.sleep(1000)"], cwd=".") as process:
    print(process.pid, flush=True)
    process.wait()
"""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with killed_after(run):
        pid = int(line_of(run))
        assert is_alive(pid)
        # the shell that starts what looks after it is one for a moment
        until(lambda: children_of(pid) == [], "what looks after it to be no child of it")
        run.kill()
        until(lambda: not is_alive(pid), "its end")


def test_random_kills(place):
    check(place, *campaign(place, seed=5, n_rounds=5, n_workers=3))


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "postgres_server", "mariadb_server", "mongo_server"])
def test_two_hundred_random_kills(kind, request, tmp_path):
    seed = int(os.environ.get("SPARKTRIALS_SEED", "1"))
    n_rounds = int(os.environ.get("SPARKTRIALS_ROUNDS", "200"))
    url = fresh(kind, request, tmp_path)
    with contextlib.ExitStack() as stack:
        place = Field(tmp_path, url, stack)
        check(place, *campaign(place, seed, n_rounds))
