"""Everything that can break, at random and for real, in one study that must come out right.

Its objectives crash, hang in C, ask for too much memory, return what nobody can carry. Meanwhile
Python workers, executors and the driver are killed, and the same script is run again until it ends.
Each start of the objective is noted in a file: the history is compared with what was done.
"""

from __future__ import annotations

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
from tests.conftest import spark_environment
from tests.processes import command_of, descendants, is_alive, parent_of

from sparktrials import Trials
from sparktrials.study.trial import FailureKind, TrialState

pytest.importorskip("pyspark")

#: Retries of a trial whose worker is lost, as the script has it.
MAX_RETRIES = 2
#: Seconds after which a driver counts as hung.
PATIENCE = 300

DRIVER = """
import ctypes, os, signal, subprocess, sys, threading, time
from sparktrials import SparkTrials, fmin, hp, rand

url, log, number, max_evals, channel = sys.argv[1:]

def note(*words):
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (" ".join(map(str, words)) + "\\n").encode())
    os.close(handle)

def objective(x):
    note(number, repr(x), os.getpid())
    time.sleep(0.05 + x / 4)
    match KIND(x):
        case "raises":
            raise ValueError(x)
        case "ends its process":
            os._exit(3)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs in C":
            child = subprocess.Popen(["sleep", "1000"])
            note("child", child.pid)
            ctypes.PyDLL(None).sleep(1000)
        case "memory":
            return bytearray(1 << 60)
        case "interrupts":
            raise KeyboardInterrupt
        case "no loss":
            return float("nan")
        case "unpicklable":
            return {"loss": x, "status": "ok", "lock": threading.Lock()}
        case "large":
            return {"loss": x, "status": "ok", "attachments": {"large": bytes(3_000_000)}}
    return x

trials = SparkTrials(store=url, exp_key="study", trial_timeout=8, max_retries=RETRIES,
                     channel=None if channel == "pull" else False)
fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=int(max_evals), trials=trials,
     rstate=17, show_progressbar=False)
print("finished")
"""

KINDS = (
    "raises", "ends its process", "segfault", "killed", "hangs in C", "memory", "interrupts",
    "no loss", "unpicklable", "large",
)  # fmt: skip

#: How a trial ends that nothing from outside has hit: its state, and what its failure is.
ENDS = {
    "raises": (TrialState.FAILED, FailureKind.RAISED),
    "ends its process": (TrialState.FAILED, FailureKind.WORKER_LOST),
    "segfault": (TrialState.FAILED, FailureKind.WORKER_LOST),
    "killed": (TrialState.FAILED, FailureKind.WORKER_LOST),
    "hangs in C": (TrialState.FAILED, FailureKind.TIMEOUT),
    "memory": (TrialState.FAILED, FailureKind.RAISED),
    "interrupts": (TrialState.FAILED, FailureKind.RAISED),
    "no loss": (TrialState.FAILED, FailureKind.REPORTED),
}

# One trial in three has something the matter with it.
KIND = f"(lambda x: {KINDS!r}[int(x * 1e7) % 30] if int(x * 1e7) % 30 < {len(KINDS)} else None)"
kind_of = eval(KIND)


@dataclass
class Campaign:
    """One study, its drivers, and what is done to them."""

    directory: Path
    rng: random.Random
    max_evals: int
    channel: str
    number: int = 0
    hits: Counter = field(default_factory=Counter)

    @property
    def url(self):
        return f"sqlite:///{self.directory}/runs.db"

    def noted(self):
        """Return ``(run, x, worker)`` of each start of the objective, and the children it had."""
        log = self.directory / "log"
        rows = [r.split() for r in log.read_text().splitlines()] if log.exists() else []
        starts = [(int(r[0]), float(r[1]), int(r[2])) for r in rows if r[0] != "child"]
        return starts, [int(r[1]) for r in rows if r[0] == "child"]

    def start(self):
        self.number += 1
        script = self.directory / "driver.py"
        script.write_text(DRIVER.replace("KIND", KIND).replace("RETRIES", str(MAX_RETRIES)))
        environment = spark_environment("local-cluster")
        environment["PYSPARK_SUBMIT_ARGS"] = "--master local-cluster[2,2,1024] pyspark-shell"
        arguments = [self.url, self.directory / "log", self.number, self.max_evals, self.channel]
        with (self.directory / "err").open("w") as err:
            return subprocess.Popen(
                [sys.executable, script, *map(str, arguments)],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )

    def victim(self, driver):
        """Choose what is killed next: a process that runs a trial, an executor, or the driver."""
        kind = self.rng.choices(["worker", "executor", "driver"], [5, 3, 2])[0]
        if kind == "driver":
            return kind, driver.pid
        below = {pid: command_of(pid) for pid in descendants(driver.pid)}
        executors = [p for p, c in below.items() if "CoarseGrainedExecutorBackend" in c]
        workers = [p for p, c in below.items() if "pyspark.daemon" in c and parent_of(p) in below]
        workers = [p for p in workers if "pyspark.daemon" in command_of(parent_of(p))]
        found = sorted(executors if kind == "executor" else workers)
        return (kind, self.rng.choice(found)) if found else (None, None)

    def go_on(self, kills):
        """Run the script, and kill things until there were `kills`; return whether it ended."""
        driver = self.start()
        deadline = time.monotonic() + PATIENCE
        try:
            while driver.poll() is None:
                goal = len(self.noted()[0]) + self.rng.randint(3, 12)
                while driver.poll() is None and (
                    len(self.noted()[0]) < goal or self.hits.total() >= kills
                ):
                    assert time.monotonic() < deadline, f"no end\n{self.said()}"
                    time.sleep(0.02)
                if driver.poll() is None:
                    kind, pid = self.victim(driver)
                    if kind is not None and is_alive(pid):
                        self.hits[kind] += 1
                        os.kill(pid, signal.SIGKILL)
            ended = driver.returncode == 0
            assert ended or driver.returncode == -signal.SIGKILL, self.said()
            return ended
        finally:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()

    def said(self):
        return (self.directory / "err").read_text()[-6000:]

    def check(self):
        """Compare the history with what was done."""
        kept = Trials(self.url, "study")
        history = {t.id: t for t in kept.history}
        attached = {i: dict(kept.trial_attachments(i)) for i in history}
        kept.store.close()
        assert sorted(history) == list(range(self.max_evals)), "exactly max_evals"
        starts = Counter(x for _, x, _ in self.noted()[0])
        assert len({t.point["x"] for t in history.values()}) == self.max_evals
        for trial in history.values():
            x = trial.point["x"]
            kind = kind_of(x)
            told = f"trial {trial.id}, {kind}: {trial}"
            assert trial.state in {TrialState.OK, TrialState.FAILED}, told
            # An attempt may be lost before its objective starts, none starts twice.
            assert 1 <= starts[x] <= trial.attempt, told
            lost = trial.failure is not None and trial.failure.kind is FailureKind.WORKER_LOST
            if trial.state is TrialState.OK:
                assert kind not in ENDS, told
                assert trial.loss == x, told
            elif lost and kind not in {"ends its process", "segfault", "killed"}:
                # It was hit again and again: once each time, and by one beside it in a pack.
                hits = self.hits["worker"] + self.hits["executor"]
                assert MAX_RETRIES < trial.attempt <= hits + self.hits["driver"] + 2, told
            else:
                assert (trial.state, trial.failure.kind) == ENDS[kind], told
                assert trial.failure.message or trial.failure.traceback, told
            if kind == "large" and trial.state is TrialState.OK:
                assert len(attached[trial.id]["large"]) == 3_000_000, told
        return history

    def nothing_is_left(self):
        """Wait until no process of the study runs any more."""
        starts, children = self.noted()
        ours = {pid for _, _, pid in starts} | set(children)
        deadline = time.monotonic() + 60
        while left := [
            (pid, said)
            for pid in ours
            if "pyspark" in (said := command_of(pid)) or said.startswith("sleep 1000")
        ]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


def run(directory, seed, *, kills, max_evals):
    rng = random.Random(seed)
    campaign = Campaign(directory, rng, max_evals, ("pull", "push")[seed % 2])
    while not campaign.go_on(kills):
        assert campaign.number <= kills + 1
    history = campaign.check()
    campaign.nothing_is_left()
    states = Counter(
        t.state.value if t.failure is None else t.failure.kind.value for t in history.values()
    )
    print(f"seed {seed}, {campaign.channel}: killed {dict(campaign.hits)}; ended {dict(states)}")


@pytest.mark.spark
@pytest.mark.slow
def test_a_study_in_which_everything_breaks(tmp_path):
    run(tmp_path, 0, kills=3, max_evals=40)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_studies_in_which_everything_breaks(tmp_path, seed):
    run(tmp_path, seed, kills=10, max_evals=150)
