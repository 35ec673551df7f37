"""What every dispatcher promises: subclass `DispatcherContract` and give it a `make` fixture."""

from __future__ import annotations

import time

import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.protocols import (
    Cancelled,
    Crashed,
    Finished,
    Lost,
    Reported,
    Returned,
    Task,
)
from sparktrials.study.trial import FailureKind, Trial, TrialState

SPACE = compile_space({"x": hp.uniform("x", 0, 1), "c": hp.choice("c", ["left", "right"])})
#: Seconds after which a test gives up.
PATIENCE = 60


def trial(number, *, attempt=1, **point):
    """Return a trial as the runner submits it."""
    point = {"x": number / 100, "c": 0, **point}
    return Trial(
        id=number, state=TrialState.RUNNING, point=point, attempt=attempt, seed=1000 + number
    )


def drain(dispatcher, n):
    """Return `n` events."""
    found = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < n and time.monotonic() < deadline:
        found += [e for e in dispatcher.events(1.0) if not isinstance(e, Reported)]
    return found


def keys(events):
    """Return ``(id, attempt)`` of events, sorted."""
    return sorted(
        (e.outcome.trial_id, e.outcome.attempt)
        if isinstance(e, Finished)
        else (e.trial_id, e.attempt)
        for e in events
    )


class DispatcherContract:
    """One suite for the `Dispatcher` protocol.

    The fixture `make` returns a function that opens a dispatcher for an objective, and closes all
    of them in the end.
    """

    @pytest.fixture
    def make(self):
        raise NotImplementedError

    def test_it_has_slots_and_room(self, make):
        dispatcher = make(lambda p: p["x"])
        assert dispatcher.slots >= 1
        assert dispatcher.room() >= 1

    def test_every_trial_ends_in_one_event(self, make):
        dispatcher = make(lambda p: p["x"])
        trials = [trial(i) for i in range(20)]
        dispatcher.submit(trials)
        events = drain(dispatcher, 20)
        finished = [e for e in events if isinstance(e, Finished)]
        returned = [e for e in events if isinstance(e, Returned)]
        assert len(finished) + len(returned) == len(events)
        assert keys(events) == [(i, 1) for i in range(20)]
        assert {e.outcome.trial_id: e.outcome.loss for e in finished} == {
            t.id: t.point["x"] for t in trials if t.id not in {e.trial_id for e in returned}
        }
        assert dispatcher.events(0) == []

    def test_outcomes_say_where_and_how_long(self, make):
        dispatcher = make(lambda p: p["x"])
        dispatcher.submit([trial(3, attempt=2)])
        (event,) = drain(dispatcher, 1)
        outcome = event.outcome
        assert (outcome.trial_id, outcome.attempt) == (3, 2)
        assert outcome.state is TrialState.OK
        assert outcome.host
        assert outcome.duration_s >= 0
        assert outcome.result == {"loss": 0.03, "status": "ok"}

    def test_the_objective_gets_what_the_space_builds(self, make):
        dispatcher = make(lambda p: {"loss": p["x"], "status": "ok", "seen": p})
        dispatcher.submit([trial(5, c=1)])
        (event,) = drain(dispatcher, 1)
        assert event.outcome.result["seen"] == {"c": "right", "x": 0.05}

    def test_room_is_used_up_and_comes_back(self, make):
        dispatcher = make(lambda p: p["x"])
        room = dispatcher.room()
        dispatcher.submit([trial(i) for i in range(room)])
        assert dispatcher.room() < room
        drain(dispatcher, room)
        assert dispatcher.room() >= room

    def test_an_objective_that_raises_is_an_outcome(self, make):
        dispatcher = make(lambda p: 1 / 0)
        dispatcher.submit([trial(0)])
        (event,) = drain(dispatcher, 1)
        failure = event.outcome.failure
        assert event.outcome.state is TrialState.FAILED
        assert failure.kind is FailureKind.RAISED
        assert failure.type == "ZeroDivisionError"
        assert "ZeroDivisionError" in failure.traceback

    def test_an_objective_that_returns_rubbish_is_an_outcome(self, make):
        dispatcher = make(lambda p: "rubbish")
        dispatcher.submit([trial(0)])
        (event,) = drain(dispatcher, 1)
        assert event.outcome.failure.kind is FailureKind.REPORTED
        assert event.outcome.failure.type == "MissingLoss"

    def test_a_bad_trial_leaves_the_others_alone(self, make):
        dispatcher = make(lambda p: 1 / (p["x"] - 0.02) and p["x"])
        dispatcher.submit([trial(i) for i in range(5)])
        events = drain(dispatcher, 5)
        failed = [e for e in events if e.outcome.failure]
        assert [e.outcome.trial_id for e in failed] == [2]

    def test_attachments_come_along(self, make):
        dispatcher = make(
            lambda p: {"loss": 1.0, "status": "ok", "attachments": {"a": b"b"}, "more": [1, (2,)]}
        )
        dispatcher.submit([trial(0)])
        (event,) = drain(dispatcher, 1)
        assert event.outcome.attachments == {"a": b"b"}
        assert event.outcome.result["more"] == [1, (2,)]

    def test_the_current_trial_says_who_it_is(self, make):
        def objective(p):
            from sparktrials import current_trial

            here = current_trial()
            who = (here.id, here.attempt, here.seed, here.point["x"], bool(here.host))
            return {"loss": 0.0, "status": "ok", "who": who, "stop": here.should_stop()}

        dispatcher = make(objective)
        dispatcher.submit([trial(4, attempt=3)])
        (event,) = drain(dispatcher, 1)
        assert event.outcome.result["who"] == (4, 3, 1004, 0.04, True)
        assert event.outcome.result["stop"] is False

    def test_what_a_trial_said_comes_with_its_outcome(self, make):
        def objective(p):
            from sparktrials import current_trial

            for step in range(3):
                current_trial().report(step, p["x"] + step)
            current_trial().log("one")
            current_trial().log("two")
            return 1.0

        dispatcher = make(objective)
        dispatcher.submit([trial(0), trial(10)])
        outcomes = {e.outcome.trial_id: e.outcome for e in drain(dispatcher, 2)}
        assert outcomes[0].reports == ((0, 0.0), (1, 1.0), (2, 2.0))
        assert outcomes[10].reports == ((0, 0.1), (1, 1.1), (2, 2.1))
        assert outcomes[0].log == "one\ntwo"

    def test_a_trial_that_raises_keeps_what_it_said(self, make):
        def objective(p):
            from sparktrials import current_trial

            current_trial().report(7, 0.5)
            raise ValueError

        dispatcher = make(objective)
        dispatcher.submit([trial(0)])
        (event,) = drain(dispatcher, 1)
        assert event.outcome.reports == ((7, 0.5),)

    def test_stopping_what_is_not_there_does_nothing(self, make):
        dispatcher = make(lambda p: p["x"])
        assert dispatcher.stop([7, 8]) is False
        dispatcher.submit([trial(0)])
        dispatcher.stop([])
        assert isinstance(drain(dispatcher, 1)[0], Finished)

    def test_cancelled_trials_end_in_events(self, make):
        dispatcher = make(lambda p: p["x"])
        trials = [trial(i) for i in range(6)]
        dispatcher.submit(trials)
        dispatcher.cancel([t.id for t in trials])
        events = drain(dispatcher, 6)
        assert keys(events) == [(i, 1) for i in range(6)]
        assert all(isinstance(e, (Cancelled, Finished)) for e in events)

    def test_cancelling_what_is_not_there_does_nothing(self, make):
        dispatcher = make(lambda p: p["x"])
        dispatcher.cancel([7, 8])
        dispatcher.submit([trial(0)])
        dispatcher.cancel([])
        assert isinstance(drain(dispatcher, 1)[0], Finished)
        dispatcher.cancel([0])
        assert dispatcher.events(0) == []

    def test_waiting_for_nothing_returns_at_once(self, make):
        dispatcher = make(lambda p: p["x"])
        start = time.monotonic()
        assert dispatcher.events(PATIENCE) == []
        assert time.monotonic() - start < PATIENCE / 2

    def test_closing_twice_and_with_trials_in_flight(self, make):
        dispatcher = make(lambda p: p["x"])
        dispatcher.submit([trial(i) for i in range(4)])
        start = time.monotonic()
        dispatcher.close()
        dispatcher.close()
        assert time.monotonic() - start < PATIENCE

    def test_no_event_is_a_crash(self, make):
        dispatcher = make(lambda p: p["x"])
        dispatcher.submit([trial(i) for i in range(3)])
        assert not [e for e in drain(dispatcher, 3) if isinstance(e, (Crashed, Lost))]


def open_with(dispatcher, objective):
    """Open a dispatcher for an objective over `SPACE`."""
    dispatcher.open(Task(objective=objective, space=SPACE, name="contract"))
    return dispatcher
