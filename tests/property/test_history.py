"""Properties of the history: what order transitions come in makes no difference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.property.strategies import spaces, trials

from sparktrials.errors import InvalidTrial
from sparktrials.study.history import CODE, History
from sparktrials.study.trial import TERMINAL, TrialState

few = settings(max_examples=40, deadline=None)


def columns(history: History) -> list[np.ndarray]:
    return [history.ids, history.states, history.losses, history.X, history.active]


def assert_same(a: History, b: History) -> None:
    for x, y in zip(columns(a), columns(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert list(a) == list(b)
    assert a.best == b.best
    assert a.next_id == b.next_id
    assert [a.count(s) for s in TrialState] == [b.count(s) for s in TrialState]


@few
@given(st.data())
def test_the_order_of_later_states_makes_no_difference(data):
    space = data.draw(spaces(depth=2))
    final = data.draw(trials(space, max_size=80))
    new = [dataclasses.replace(t, state=TrialState.NEW, loss=None, failure=None) for t in final]
    live = History(space, new)
    for trial in data.draw(st.permutations(final)):
        attempts = data.draw(st.integers(0, 2))
        for attempt in range(attempts):  # runs that came to nothing
            for state in (TrialState.RUNNING, TrialState.NEW):
                again = dataclasses.replace(new[trial.id], state=state, attempt=attempt)
                live.put(again)
        live.put(trial)
    assert_same(live, History(space, final))


@few
@given(st.data())
def test_what_is_terminal_stays(data):
    space = data.draw(spaces(depth=1))
    final = data.draw(trials(space))
    history = History(space, final)
    before = [np.array(c) for c in columns(history)]
    for trial in final:
        if trial.state in TERMINAL:
            late = dataclasses.replace(trial, state=TrialState.OK, loss=-1e9)
            with pytest.raises(InvalidTrial, match=f"trial {trial.id} is {trial.state.value}"):
                history.put(late)
    for x, y in zip(columns(history), before, strict=True):
        np.testing.assert_array_equal(x, y)
    assert list(history) == final


@few
@given(st.data())
def test_columns_say_what_the_trials_say(data):
    space = data.draw(spaces(depth=2))
    final = data.draw(trials(space))
    history = History(space, final)
    assert history.ids.tolist() == [t.id for t in final]
    assert history.states.tolist() == [CODE[t.state] for t in final]
    for row, trial in zip(history.active, final, strict=True):
        assert [c for c, on in zip(space.labels, row, strict=True) if on] == list(trial.point)
    ok = [t for t in final if t.state is TrialState.OK]
    assert history.best == min(ok, key=lambda t: (t.loss, t.id), default=None)
    assert np.isfinite(history.losses).sum() == len(ok) == history.count(TrialState.OK)
