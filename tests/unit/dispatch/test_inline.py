"""Trials in this process."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from sparktrials import current_trial, hp
from sparktrials.dispatch.inline import InlineDispatcher
from sparktrials.space import compile_space
from sparktrials.study.protocols import Cancelled, Finished, Task
from sparktrials.study.trial import Trial, TrialState

SPACE = compile_space(hp.uniform("x", 0, 1))


def trial(number):
    return Trial(id=number, state=TrialState.RUNNING, point={"x": number / 10}, attempt=1)


def opened(objective, queue_ahead=1):
    dispatcher = InlineDispatcher(queue_ahead)
    dispatcher.open(Task(objective=objective, space=SPACE))
    return dispatcher


def test_a_trial_runs_when_its_event_is_waited_for():
    calls = []
    dispatcher = opened(calls.append, 2)
    dispatcher.submit([trial(0), trial(1)])
    assert calls == []
    (event,) = dispatcher.events(0)
    assert calls == [0.0]
    assert isinstance(event, Finished)


def test_the_objectives_own_exception_comes_along():
    error = ValueError("mine")

    def objective(x):
        raise error

    dispatcher = opened(objective)
    dispatcher.submit([trial(0)])
    (event,) = dispatcher.events(0)
    assert event.exception is error
    assert event.outcome.failure.type == "ValueError"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_is_let_through(error):
    def objective(x):
        raise error

    dispatcher = opened(objective)
    dispatcher.submit([trial(0)])
    with pytest.raises(error):
        dispatcher.events(0)


@pytest.mark.parametrize("ahead", [1, 3])
def test_room_is_for_whole_batches(ahead):
    dispatcher = opened(lambda x: x, ahead)
    assert dispatcher.room() == ahead
    dispatcher.submit([trial(i) for i in range(ahead)])
    assert dispatcher.room() == 0
    dispatcher.events(0)
    assert dispatcher.room() == (ahead if ahead == 1 else 0)


def test_results_are_the_objects_that_were_returned():
    model = object()
    dispatcher = opened(lambda x: {"loss": x, "status": "ok", "model": model})
    dispatcher.submit([trial(0)])
    assert dispatcher.events(0)[0].outcome.result["model"] is model


def test_queued_trials_are_cancelled():
    dispatcher = opened(lambda x: x, 3)
    dispatcher.submit([trial(0), trial(1), trial(2)])
    dispatcher.cancel([1, 2, 99])
    assert dispatcher.events(0) == [Cancelled(1, 1), Cancelled(2, 1)]
    assert dispatcher.events(0)[0].outcome.trial_id == 0


@pytest.mark.parametrize(("ends_at", "stop"), [(None, False), (math.inf, False), (0.0, True)])
def test_a_trial_learns_whether_the_time_is_up_from_what_the_study_said_at_its_start(ends_at, stop):
    seen = []
    dispatcher = InlineDispatcher()
    dispatcher.open(
        Task(
            objective=lambda x: seen.append(current_trial().should_stop()) or x,
            space=SPACE,
            ends_at=ends_at,
        )
    )
    dispatcher.submit([trial(0)])
    dispatcher.events(0)
    assert seen == [stop]


def test_a_dispatcher_is_given_no_way_back_into_the_study():
    functions = [f.name for f in fields(Task) if "Callable" in f.type]
    assert functions == ["objective"]
