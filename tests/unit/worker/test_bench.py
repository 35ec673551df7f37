from __future__ import annotations

import os
import signal

import pytest

from sparktrials.dispatch.naming import Allowed, encode_argument
from sparktrials.study.protocols import Crashed, Finished, Lost
from sparktrials.study.values import dumps
from sparktrials.worker.bench import Bench
from sparktrials.worker.specification import Specification, named_task

MODULES = {
    "sound": "def f(x): return x + 1",
    "deadly": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "broken": "raise ValueError('no')",
}


@pytest.fixture
def bench():
    found = Bench()
    yield found
    found.close()


@pytest.fixture
def give(bench, tmp_path, monkeypatch):
    """Return a function that has ``f`` of a module evaluated, and returns what becomes of it."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in MODULES.items():
        (tmp_path / f"{name}_module.py").write_text(text)
    content = {"point": {}, "seed": 1, "timeout_s": None, "imports": []}
    found = Specification.of(dumps({**content, "argument": encode_argument(2)}).encode())

    def give(name):
        task = named_task(f"{name}_module:f", found, None, Allowed())
        bench.give(name, lambda: task, found.trial(3, 1))
        events = []
        while not events:
            events = bench.wait(60)
        return events[0]

    return give


def test_one_process_evaluates_trial_after_trial(give, bench):
    event = give("sound")
    assert isinstance(event, Finished)
    assert event.outcome.loss == 3.0
    before = bench._child.pid
    assert give("sound").outcome.loss == 3.0
    assert bench._child.pid == before
    assert bench.stop() is False


def test_a_process_that_died_meanwhile_is_replaced(give, bench):
    give("sound")
    before = bench._child.pid
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert isinstance(give("sound"), Finished)
    assert bench._child.pid != before


def test_an_objective_that_cannot_be_loaded_is_told_from_a_process_that_died(give, bench):
    event = give("deadly")
    assert isinstance(event, Lost)
    assert (event.trial_id, "SIGKILL" in event.reason) == (3, True)
    event = give("broken")
    assert isinstance(event, Crashed)
    assert "ValueError: no" in str(event.exception)
    assert isinstance(give("sound"), Finished), "the next one gets a process of its own"
    assert bench.kill() == []
