"""Several processes ask and tell on one store; some of them die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest
from tests.processes import PATIENCE, killed_after

from sparktrials import Study, hp, rand
from sparktrials.study.trial import TrialState

SPACE = {"x": hp.uniform("x", 0, 1)}

WORKER = """
import os, signal, sys
from sparktrials import Study, hp, rand

with Study({"x": hp.uniform("x", 0, 1)}, algo=rand.suggest, store=sys.argv[1], seed=7) as study:
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        trial = study.ask()
        study.tell(trial, trial.params["x"])
        print(trial.id, flush=True)
    if len(sys.argv) > 3:
        print(study.ask().id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=["sqlite", "postgres_server"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    return request.getfixturevalue(request.param).fresh()


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_an_experiment_without_duplicates_or_gaps(url):
    """On a fresh store, all at once; one of them is killed with a trial in its hands."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(killed_after(start(url, *arguments)))
            for arguments in [(3,), (3,), (1, "dies")]
        ]
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        said = [[int(n) for n in p.communicate(timeout=PATIENCE)[0].split()] for p in processes]
    assert [p.returncode for p in processes] == [0, 0, -signal.SIGKILL]
    ids = sorted(number for numbers in said for number in numbers)
    assert ids == list(range(8))
    with Study(SPACE, algo=rand.suggest, store=url) as study:
        history = study.trials.history
        assert len({t.point["x"] for t in history}) == 8
        (left,) = study.pending
        assert left.id == said[2][-1]
        study.tell(left.id, -1.0)
        assert study.best.id == left.id
        assert [t.state for t in study.trials.history] == [TrialState.OK] * 8
        # The same points as in one process, whoever asked for them.
        alone = Study(SPACE, algo=rand.suggest, seed=7)
        assert [t.point for t in alone.ask(8)] == [t.point for t in history]


def test_what_others_have_asked_for_is_known(url):
    """Two studies take turns: neither suggests what is pending in the other."""
    with Study(SPACE, store=url, seed=1) as first, Study(SPACE, store=url) as second:
        asked = [study.ask() for study in (first, second) * 3]
        assert [t.id for t in asked] == list(range(6))
        assert [t.id for t in first.pending] == [t.id for t in second.pending] == list(range(6))
        first.tell(asked[1], 2.0)
        second.tell(asked[0], 1.0)
        assert first.best.id == second.best.id == 0
        assert [t.id for t in second.pending] == [2, 3, 4, 5]
