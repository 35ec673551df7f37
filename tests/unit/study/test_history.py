"""The history: rows, columns, what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.errors import InvalidTrial
from sparktrials.space import compile_space
from sparktrials.study.history import CODE, History
from sparktrials.study.trial import Trial, TrialState

SPACE = compile_space(
    {"x": hp.uniform("x", 0, 1), "c": hp.choice("c", [hp.loguniform("y", -5, 0), "none"])}
)
NEW, RUNNING, OK, FAILED = TrialState.NEW, TrialState.RUNNING, TrialState.OK, TrialState.FAILED


def trial(i, state=NEW, loss=None, **point):
    return Trial(id=i, state=state, loss=loss, point=point or {"x": 0.5, "c": 1})


def test_an_empty_history():
    history = History(SPACE)
    assert len(history) == 0
    assert list(history) == []
    assert history.X.shape == history.active.shape == (0, 3)
    assert history.best is None
    assert history.next_id == 0
    assert 0 not in history
    with pytest.raises(KeyError):
        history[0]


def test_columns():
    history = History(SPACE)
    history.put(trial(0, x=0.25, c=0, y=math.exp(-2)))
    history.put(trial(3, OK, 1.5, x=0.75, c=1))
    assert history.codec.labels == ("c", "x", "y")
    np.testing.assert_allclose(history.X, [[0, 0.25, -2], [1, 0.75, np.nan]])
    assert history.active.tolist() == [[True, True, True], [True, True, False]]
    assert history.ids.tolist() == [0, 3]
    assert history.states.tolist() == [CODE[NEW], CODE[OK]]
    np.testing.assert_array_equal(history.losses, [np.nan, 1.5])
    assert (history.next_id, len(history), 3 in history, history[3].loss) == (4, 2, True, 1.5)
    assert history.count(NEW) == 1
    assert history.count(NEW, OK, FAILED) == 2


def test_columns_outgrow_their_first_allocation():
    history = History(SPACE)
    for i in range(1000):
        history.put(trial(i, x=i / 1000, c=1))
    assert history.X[:, 1].tolist() == [i / 1000 for i in range(1000)]
    assert np.isnan(history.losses).all()
    assert history.ids.tolist() == list(range(1000))


def test_a_history_from_trials_in_any_order():
    trials = [trial(2, OK, 1.0), trial(0), trial(1, FAILED)]
    assert [t.id for t in History(SPACE, trials)] == [0, 1, 2]


def test_a_trial_moves_on_and_back():
    history = History(SPACE, [trial(0)])
    for state in (RUNNING, NEW, RUNNING):
        history.put(dataclasses.replace(history[0], state=state))
        assert history.count(state) == 1
    history.put(dataclasses.replace(history[0], state=OK, loss=2.0))
    assert [history.count(s) for s in TrialState] == [0, 0, 1, 0, 0, 0]
    assert history.losses.tolist() == [2.0]


def test_the_best_is_the_lowest_loss_and_the_earliest_of_equals():
    history = History(SPACE, [trial(i) for i in range(4)])
    for i, loss in ((2, 1.0), (3, 1.0), (1, 1.0), (0, 5.0)):
        history.put(trial(i, OK, loss))
    assert history.best.id == 1


def test_a_failed_trial_is_never_the_best():
    history = History(SPACE, [trial(0, FAILED, -5.0), trial(1, OK, 5.0)])
    assert history.best.id == 1
    np.testing.assert_array_equal(history.losses, [np.nan, 5.0])


@pytest.mark.parametrize("loss", [None, math.nan, math.inf, -math.inf])
def test_an_ok_trial_has_a_finite_loss(loss):
    history = History(SPACE, [trial(0)])
    for refused in (trial(0, OK, loss), trial(1, OK, loss)):
        with pytest.raises(InvalidTrial, match="must be a finite number, got"):
            history.put(refused)
    assert len(history) == 1
    assert history.best is None
    assert history.count(NEW) == 1


def test_what_is_terminal_cannot_change():
    history = History(SPACE, [trial(0, OK, 1.0)])
    for state in TrialState:
        with pytest.raises(InvalidTrial, match="trial 0 is ok already"):
            history.put(trial(0, state, 0.0))
    assert history.best.loss == 1.0


def test_ids_grow():
    history = History(SPACE, [trial(5)])
    with pytest.raises(InvalidTrial, match="ids must grow, got 4 after 5"):
        history.put(trial(4))
    assert 4 not in history


def test_a_trial_keeps_its_point():
    history = History(SPACE, [trial(0, x=0.1, c=1)])
    history.put(trial(0, RUNNING, x=0.1, c=1))  # equal is enough: stores make dicts of their own
    with pytest.raises(InvalidTrial, match=r"trial 0 was suggested as .*0.1.* cannot become .*0.2"):
        history.put(trial(0, OK, 1.0, x=0.2, c=1))
    assert history[0].state is RUNNING


def test_a_point_that_cannot_be_encoded_leaves_no_trace():
    history = History(SPACE)
    with pytest.raises(ValueError, match="could not convert"):
        history.put(trial(0, x="half", c=0, y=0.5))
    with pytest.raises(TypeError):
        history.put(trial(0, x=0.5, c=0, y="half"))
    assert len(history) == 0
    history.put(trial(0, c=1))
    np.testing.assert_array_equal(history.X, [[1, np.nan, np.nan]])


def test_arrays_are_read_only():
    history = History(SPACE, [trial(0, OK, 1.0)])
    for array in (history.X, history.losses, history.states, history.ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    history.put(trial(1, OK, 2.0))  # the columns themselves are not
    assert history.losses.tolist() == [1.0, 2.0]


class Following:
    """Notes what it is told."""

    def __init__(self, history):
        self.told = [(row, None) for row in range(len(history))]

    def note(self, history, row, before):
        self.told.append((row, before))


def test_followers_are_made_once_and_told_of_every_change():
    history = History(SPACE, [trial(3)])
    follower = history.follow(Following)
    history.put(trial(5))
    history.put(trial(3, OK, 1.0))
    with pytest.raises(InvalidTrial):
        history.put(trial(3, OK, 2.0))
    with pytest.raises(InvalidTrial):
        history.put(trial(4))
    assert history.follow(Following) is follower
    assert follower.told == [(0, None), (1, None), (0, NEW)]
