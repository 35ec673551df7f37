"""Drivers that are killed or interrupted, and the same script run again.

The objective notes each start in a file that outlives its driver, so that what the history says
can be compared with what was done.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from tests.conftest import spark_environment
from tests.processes import killed_after, line_of

from sparktrials import Trials, fmin, hp, rand
from sparktrials.study.trial import TrialState

pytest.importorskip("pyspark")

MAX_EVALS = 40
#: Seconds after which a driver counts as hung.
PATIENCE = 150

DRIVER = """
import os, sys, time
from sparktrials import SparkTrials, Trials, fmin, hp, rand

url, log, number, where, max_evals = sys.argv[1:]

def objective(x):
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{number} {x!r}\\n".encode())
    os.close(handle)
    time.sleep(0.03)
    if int(x * 1e6) % 10 == 0:
        raise ValueError(x)
    return {"loss": x, "status": "ok", "array": [x] * 10, "attachments": {"a": str(x)}}

if where == "spark":
    trials = SparkTrials(store=url, exp_key="study")
else:
    trials = Trials(url, "study")
fmin(
    objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=int(max_evals), trials=trials,
    points_to_evaluate=[{"x": 0.25}, {"x": 0.75}], catch_eval_exceptions=True, rstate=11,
    show_progressbar=False,
)
print("finished")
"""


@dataclass
class Study:
    """A script that is started, and may be killed, again and again."""

    directory: object
    where: str
    conf: str = "local"
    number: int = 0

    @property
    def url(self):
        return f"sqlite:///{self.directory}/runs.db"

    @property
    def log(self):
        return self.directory / "log"

    def started(self):
        """Return ``(run, x)`` of each start of the objective."""
        if not self.log.exists():
            return []
        rows = [line.split() for line in self.log.read_text().splitlines()]
        return [(int(run), float(x)) for run, x in rows]

    @property
    def said(self):
        """What the script wrote to stderr, when it was last started."""
        return (self.directory / "stderr").read_text()

    @contextlib.contextmanager
    def running(self):
        """Start the script; if the test fails, nothing that it has started is left."""
        self.number += 1
        path = self.directory / "driver.py"
        path.write_text(DRIVER)
        arguments = [self.url, self.log, self.number, self.where, MAX_EVALS]
        with (self.directory / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, path, *map(str, arguments)],
                cwd=self.directory,
                env=spark_environment(self.conf),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        with process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def out(self, process):
        """Return what the script printed, when all that hold its stdout have ended."""
        try:
            return process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            pytest.fail(f"the driver hangs, or what it started\n{self.said}")

    def run_and_kill(self, after, pause):
        """Run the script until its objective was started `after` times more, then kill it."""
        goal = len(self.started()) + after
        with self.running() as process:
            deadline = time.monotonic() + PATIENCE
            while process.poll() is None and len(self.started()) < goal:
                assert time.monotonic() < deadline, f"the driver hangs\n{self.said}"
                time.sleep(0.005)
            time.sleep(pause)
            process.kill()  # the driver alone: what it leaves behind is Spark's to clear away
            self.out(process)

    def run_to_the_end(self):
        with self.running() as process:
            out = self.out(process)
        assert process.returncode == 0, self.said
        assert "finished" in out
        return self.said

    def terminal(self):
        """Return the trials that the history holds as ended, by id."""
        if not (self.directory / "runs.db").exists():
            return {}
        trials = Trials(self.url, "study")
        found = {t.id: t for t in trials.history if t.state.terminal}
        trials.store.close()
        return found


@pytest.fixture
def study(tmp_path, request):
    study = Study(tmp_path, request.param)
    yield study
    with contextlib.suppress(OSError):
        (tmp_path / "driver.py").unlink()


def reference():
    """Return the points of an undisturbed run."""
    trials = Trials()
    fmin(
        lambda x: x,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=MAX_EVALS,
        trials=trials,
        points_to_evaluate=[{"x": 0.25}, {"x": 0.75}],
        rstate=11,
        verbose=False,
    )
    return trials.vals["x"]


def check(study, rounds, seed):
    """Kill the driver `rounds` times at random moments; compare history and deeds in the end."""
    rng = random.Random(seed)
    ended_after = {}  # run → what had ended when it was killed
    for _ in range(rounds):
        study.run_and_kill(rng.randint(0, 2 * MAX_EVALS // rounds), rng.random() * 0.05)
        ended_after[study.number] = study.terminal()
    said = study.run_to_the_end()

    final = study.terminal()
    assert sorted(final) == list(range(MAX_EVALS + 2)), "exactly max_evals, and the given points"
    assert {t.state for t in final.values()} <= {TrialState.OK, TrialState.FAILED}
    assert [final[i].point["x"] for i in sorted(final)] == reference()
    for run, ended in ended_after.items():
        for number, trial in ended.items():
            assert final[number] == trial, f"trial {number} ended in run {run} and changed after"
            later = [r for r, x in study.started() if x == trial.point["x"] and r > run]
            assert not later, f"trial {number} had ended in run {run} and was run again"
    starts = Counter(x for _, x in study.started())
    for trial in final.values():
        x = trial.point["x"]
        assert trial.attempt >= starts[x] >= 1
        raised = int(x * 1e6) % 10 == 0
        assert trial.state is (TrialState.FAILED if raised else TrialState.OK)
        if not raised:
            assert trial.loss == x
            assert trial.result["array"] == [x] * 10
    if any(len(ended) for ended in ended_after.values()):
        assert "continuing the experiment" in said or "is complete" in said
    trials = Trials(study.url, "study")
    ok = [t for t in trials.history if t.state is TrialState.OK]
    assert all(trials.trial_attachments(t.id) == {"a": str(t.loss).encode()} for t in ok)
    trials.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("study", ["inline"], indirect=True)
def test_a_driver_killed_again_and_again(study):
    check(study, rounds=7, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("study", ["spark"], indirect=True)
def test_a_spark_driver_killed_again_and_again(study):
    check(study, rounds=2, seed=2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("study", ["inline", "spark"], indirect=True)
def test_many_drivers_killed_again_and_again(study, seed):
    check(study, rounds=8, seed=100 + seed)


# --------------------------------------------------------------------- interrupted

INTERRUPTED = """
import os, signal, sys, time
from sparktrials import SparkTrials, Trials, fmin, hp, rand

url, log, where = sys.argv[1:]

def slow(x):
    with open(log, "a") as file:
        file.write(f"{x!r}\\n")
    if x > 0:
        time.sleep(600)
    return x

trials = SparkTrials(store=url) if where == "spark" else Trials(url)
keywords = dict(algo=rand.suggest, trials=trials, verbose=False, rstate=1)
space = hp.uniform("x", 0, 1)
points = [{"x": -1.0}, {"x": -2.0}, {"x": -3.0}]
others = []
if where == "spark":
    import threading
    from pyspark import SparkContext

    context = SparkContext.getOrCreate()

    def other():
        others.extend(context.parallelize([log], 1).map(wait_for_the_end_of_the_run).collect())

    def wait_for_the_end_of_the_run(log):
        while not os.path.exists(log + ".ended"):
            time.sleep(0.01)
        return "untouched"

    another = threading.Thread(target=other)
    another.start()
try:
    fmin(slow, space, points_to_evaluate=points, max_evals=5, **keywords)
except (KeyboardInterrupt, SystemExit) as error:
    print("interrupted", getattr(error, "code", ""), flush=True)
    print(*sorted({t.state.value for t in trials.history}), flush=True)
    print(trials.argmin["x"], flush=True)
open(log + ".ended", "w").close()
assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
if where == "spark":
    another.join()
    assert others == ["untouched"]
    assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
    deadline = time.monotonic() + 60
    tracker = SparkContext.getOrCreate().statusTracker()
    while tracker.getActiveJobsIds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
fmin(lambda x: x, space, points_to_evaluate=points, max_evals=5, **keywords)
counts = [t.state.value for t in trials.history]
print(counts.count("ok"), counts.count("running"))
"""


@pytest.mark.parametrize(
    ("where", "handler", "number", "code"),
    [
        ("inline", "python", signal.SIGINT, ""),
        ("inline", "python", signal.SIGTERM, "143"),
        pytest.param("spark", "pyspark", signal.SIGINT, "", marks=pytest.mark.soak),
        ("spark", "notebook", signal.SIGINT, ""),
        ("spark", "pyspark", signal.SIGTERM, "143"),
    ],
)
def test_a_signal_ends_the_run_at_once_and_nothing_else(tmp_path, where, handler, number, code):
    log, script = tmp_path / "log", tmp_path / "driver.py"
    source = INTERRUPTED
    if handler == "notebook":  # Jupyter restores Python's own for each cell
        source = source.replace(
            "try:\n", "signal.signal(signal.SIGINT, signal.default_int_handler)\ntry:\n", 1
        )
    script.write_text(source)
    with (tmp_path / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, script, f"sqlite:///{tmp_path}/runs.db", log, where],
            cwd=tmp_path,
            env=spark_environment("local"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        watchdog = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            while not log.exists() or not any(
                not line.startswith("-") for line in log.read_text().splitlines()
            ):
                assert process.poll() is None, (tmp_path / "stderr").read_text()
                time.sleep(0.02)
            process.send_signal(number)
            start = time.monotonic()
            answer = process.stdout.readline()
            seconds = time.monotonic() - start
            rest = process.stdout.read()
            process.wait()
        finally:
            watchdog.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    assert answer == f"interrupted {code}\n"
    assert seconds < 60
    states, best, counts = rest.splitlines()
    assert states == "cancelled ok"
    assert float(best) < 0
    assert counts == "8 0"


# --------------------------------------------------------------------- two drivers


def test_a_second_driver_is_refused_while_the_first_is_alive(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    first = tmp_path / "first.py"
    first.write_text(
        textwrap.dedent(
            """
            import sys
            from sparktrials import Trials, fmin, hp, rand

            def objective(x):
                print("running", flush=True)
                sys.stdin.readline()
                return x

            fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=1,
                 trials=Trials(sys.argv[1]), verbose=False)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, first, url],
        env=spark_environment("local"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        assert line_of(process, PATIENCE) == "running\n"
        from sparktrials.errors import StoreInUse

        keywords = {"algo": rand.suggest, "verbose": False}
        with pytest.raises(StoreInUse, match=str(process.pid)):
            fmin(lambda x: x, hp.uniform("x", 0, 1), trials=Trials(url), max_evals=2, **keywords)
        process.communicate("\n", timeout=PATIENCE)
        trials = Trials(url)
        fmin(lambda x: x, hp.uniform("x", 0, 1), trials=trials, max_evals=2, **keywords)
        assert trials.tids == [0, 1]
