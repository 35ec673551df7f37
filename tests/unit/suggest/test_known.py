"""Rows by rank, kept while results come in."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest.known import Known, Ranking


@pytest.mark.parametrize("seed", range(5))
def test_ranking_is_a_stable_sort_whatever_the_order_of_arrival(seed) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.choice([0.0, -1.5, 2.0, np.nan, 1e308], 200)
    ranking = Ranking(np.arange(20), losses[:20])
    for row in rng.permutation(np.arange(20, 200)).tolist():
        ranking.add(row, losses[row])
    expected = np.argsort(losses, kind="stable")
    assert ranking.at(np.arange(200)).tolist() == expected.tolist()
    assert ranking.n_failed == np.isnan(losses).sum()
    assert len(ranking) == 200


def test_boards_know_what_is_theirs() -> None:
    space = compile_space(hp.choice("m", [hp.uniform("x", 0, 1), hp.uniform("y", 0, 1), 0]))
    history = History(space)
    known = history.follow(Known)
    points = [{"m": 0, "x": 0.5}, {"m": 1, "y": 0.5}, {"m": 0, "x": 0.7}, {"m": 2}]
    for i, point in enumerate(points):
        history.put(Trial(id=i, state=TrialState.RUNNING, point=point))
    root, x, _ = known.boards
    assert (root.latest(9), root.latest(2), x.latest(9)) == ([0, 1, 2, 3], [2, 3], [0, 2])
    history.put(Trial(id=2, state=TrialState.OK, point=points[2], loss=1.0))
    history.put(Trial(id=1, state=TrialState.CANCELLED, point=points[1]))
    assert (root.latest(9), x.latest(9)) == ([0, 3], [0])
    assert root.taken[0].tolist() == [2, 0, 1]
    assert known.n_finished == len(root.ranking) == len(x.ranking) == 1


def test_branches_in_which_all_failed_are_alike() -> None:
    space = compile_space(hp.choice("m", [hp.uniform("x", 0, 1), hp.uniform("y", 0, 1), 0]))
    ids = iter(range(10))
    trials = [
        Trial(id=next(ids), state=TrialState.FAILED, point={"m": 0, "x": 0.1}),
        Trial(id=next(ids), state=TrialState.FAILED, point={"m": 1, "y": 0.1}),
        Trial(id=next(ids), state=TrialState.OK, point={"m": 2}, loss=3.0),
    ]
    owed = Known(History(space, trials)).boards[0].owed(0)
    assert owed[0] == owed[1] < owed[2]
