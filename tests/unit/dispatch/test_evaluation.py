"""One trial, from point to outcome; what objectives may return is in tests/unit/api."""

from __future__ import annotations

import threading
import time

import pytest

from sparktrials import hp
from sparktrials.dispatch.evaluation import (
    MESSAGE_LIMIT,
    TRACEBACK_LIMIT,
    TrialTimeout,
    evaluate,
    failure_of,
)
from sparktrials.space import compile_space
from sparktrials.study.trial import FailureKind, TrialState

SPACE = compile_space({"x": hp.uniform("x", 0, 1), "c": hp.choice("c", [1, 2])})


def one(objective, point=None, **settings):
    point = {"x": 0.5, "c": 1} if point is None else point
    return evaluate(objective, SPACE, point, trial_id=3, attempt=2, host="h", **settings)


def test_the_objective_gets_what_the_space_builds():
    outcome, error = one(lambda p: p["x"] + p["c"])
    assert error is None
    assert outcome.loss == 2.5
    assert (outcome.trial_id, outcome.attempt, outcome.host) == (3, 2, "h")
    assert outcome.state is TrialState.OK


def test_seconds_are_those_in_the_objective():
    outcome, _ = one(lambda p: time.sleep(0.05) or 1.0)
    assert 0.05 <= outcome.duration_s < 30


def test_a_point_that_cannot_be_built_is_a_failed_trial():
    outcome, _ = one(lambda p: 1.0, {"x": 0.5})
    assert outcome.failure.type == "InvalidPoint"


def test_exceptions_to_be_let_through_are():
    def objective(p):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(objective, let_through=(KeyboardInterrupt,))
    outcome, error = one(objective)
    assert isinstance(error, KeyboardInterrupt)
    assert outcome.failure.kind is FailureKind.RAISED


def test_tracebacks_begin_in_the_objective():
    def the_objective(p):
        return helper()

    def helper():
        raise ValueError("boom")

    outcome, _ = one(the_objective)
    text = outcome.failure.traceback
    assert "in the_objective" in text
    assert "in helper" in text
    assert "in evaluate" not in text
    assert text.rstrip().endswith("ValueError: boom")


def test_messages_and_tracebacks_have_limits():
    failure = failure_of(ValueError("x" * 10**6))
    assert len(failure.message) == MESSAGE_LIMIT
    assert len(failure.traceback) < TRACEBACK_LIMIT + 100


class Silent(Exception):
    def __init__(self, kind):
        self.kind = kind

    def __str__(self):
        raise self.kind


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit, RecursionError])
def test_an_exception_that_cannot_be_read(kind):
    failure = failure_of(Silent(kind))
    assert failure.type == "Silent"
    assert "could not be read" in failure.message


def test_a_time_out_is_a_kind_of_its_own():
    failure = failure_of(TrialTimeout("too long"))
    assert failure.kind is FailureKind.TIMEOUT
    assert failure.type == "TrialTimeout"
    assert not issubclass(TrialTimeout, Exception)


def test_attachments_are_taken_out_and_checked():
    outcome, _ = one(
        lambda p: {
            "loss": 1,
            "status": "ok",
            "attachments": {"b": b"1", "s": "ä", "m": memoryview(b"2"), 3: b"3", "bad": 4},
        }
    )
    assert outcome.attachments == {"b": b"1", "s": "ä".encode(), "m": b"2", "3": b"3"}
    assert "attachments" not in outcome.result
    assert list(outcome.dropped) == ["attachments['bad']"]


def test_objects_stay_as_they_are():
    lock = threading.Lock()
    outcome, _ = one(lambda p: {"loss": 1, "status": "ok", "lock": lock})
    assert outcome.result["lock"] is lock
