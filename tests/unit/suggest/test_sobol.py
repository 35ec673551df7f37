from __future__ import annotations

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.suggest import sobol

SPACE = compile_space(
    {
        "x": hp.uniform("x", 0, 1),
        "n": hp.normal("n", 0, 1),
        "c": hp.choice("c", [0, {"r": hp.randint("r", 4)}]),
    }
)


def units(ids, d=3, seed=0):
    return sobol.unit_points(SuggestContext(seed=seed, ids=ids), ids, d)


def suggest(ids, seed=0):
    context = SuggestContext(seed=seed, ids=ids)
    return sobol.suggest.configured().suggest(SPACE, History(SPACE), len(ids), context)


def test_a_trials_point_depends_on_seed_and_id_alone():
    together = units(range(20))
    for ids in ([3], [7, 8, 9], [4, 2, 19, 0], [5, 6, 11, 12]):
        np.testing.assert_array_equal(units(ids), together[ids])
    assert (units(range(20), seed=1) != together).all()
    assert suggest([4]) == suggest(range(5))[4:]


@pytest.mark.parametrize("first", [0, 64, 4096])
def test_each_run_of_a_power_of_two_is_spread_evenly(first):
    U = units(range(first, first + 64), d=5)
    for column in U.T:
        assert sorted((column * 64).astype(int)) == list(range(64))


def test_another_sequence_begins_where_one_ends(monkeypatch):
    monkeypatch.setattr(sobol, "_LENGTH", 16)
    U = units(range(40))
    assert len(np.unique(U[:, 0])) == 40
    np.testing.assert_array_equal(units([15, 16, 33]), U[[15, 16, 33]])


def test_more_columns_than_sequences(monkeypatch):
    monkeypatch.setattr(sobol.Sobol, "MAXDIM", 3)
    U = units(range(8), d=5)
    assert len(np.unique(U[:, 3:])) == 16
    np.testing.assert_array_equal(U[:, :3], units(range(8)))


def test_points_lie_in_the_space():
    points = suggest(range(32))
    for point in points:
        assert SPACE.checked(point) == dict(point)
    assert sum(p["c"] for p in points) == 16
