"""Signals that end a run: deferred where a step must not be half done, raised once, never lost."""

from __future__ import annotations

import os
import signal

import pytest
from tests.fakes import FakeClock

from sparktrials.api.signals import orderly_signals
from sparktrials.study import interrupts
from sparktrials.study.interrupts import PROMPT_S, Grace, held


@pytest.fixture(autouse=True)
def _defaults():
    """Have Python's handlers, and put back what there was."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_an_interrupt_is_raised_at_the_end_of_what_is_held() -> None:
    done = []

    def run():
        with orderly_signals(), held():
            interrupt()
            with held():
                done.append("inside")
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["inside", "whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_more_interrupts_do_not_disturb_a_run_on_its_way_out() -> None:
    ended = []

    def run():
        with orderly_signals():
            try:
                interrupt()
            finally:
                interrupt()
                interrupt()
                ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert ended == [True]


def test_a_termination_that_follows_an_interrupt_is_raised_in_the_end() -> None:
    def run():
        with orderly_signals():
            try:
                interrupt()
            finally:
                interrupt(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 128 + signal.SIGTERM


def test_where_something_is_stuck_one_more_gets_through(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    reached = []

    def run():
        with orderly_signals(), held():
            interrupt()
            reached.append("stuck")
            now[0] += 10.0
            interrupt()
            reached.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert reached == ["stuck"]


def test_a_handler_of_the_users_is_left_alone() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    with orderly_signals(), held():
        interrupt()
    assert seen == [1]


def test_one_deadline_is_shared() -> None:
    clock = FakeClock()
    grace = Grace(clock.monotonic)
    assert grace.left(60.0) == 60.0
    grace.begin()
    clock.now += 1.0
    grace.begin()
    assert grace.left(60.0) == pytest.approx(PROMPT_S - 1.0)
    assert grace.left(0.1) == 0.1
    clock.now += 5.0
    assert grace.left(60.0) == 0.0
