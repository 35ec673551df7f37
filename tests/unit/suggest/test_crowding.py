"""Pending points repel."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrials.suggest import crowding
from sparktrials.suggest.crowding import MISMATCH, REPULSION, Near, places_of, repulsion
from sparktrials.suggest.parzen import Axes

#: Two smooth columns, one nominal of three options, one of forty.
AXES = Axes(
    np.ones(2, dtype=bool),
    (None, None),
    (None, None),
    (np.full(3, 1 / 3), np.full(40, 1 / 40)),
)
REACH = np.array([0.1, 0.2, 1.0, 1.0])


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (n, 2)), np.column_stack(
        [rng.integers(0, 3, n), rng.integers(0, 2, n)]
    )


def naive(candidates, pending):
    (S, C), (T, D) = candidates, pending
    squared = (((S[:, None] - T) / REACH[:2]) ** 2).sum(axis=2) * len(T) ** (2 / 4)
    squared += MISMATCH * (C[:, None] != D).sum(axis=2)
    return np.log1p(-REPULSION * np.exp(-0.5 * squared)).sum(axis=1)


@pytest.mark.parametrize("p", [1, 7, 300])
def test_repulsion(p) -> None:
    candidates, pending = drawn(20, 0), drawn(p, 1)
    found = repulsion(places_of(AXES, REACH, *candidates), places_of(AXES, REACH, *pending))
    np.testing.assert_allclose(found, naive(candidates, pending), atol=1e-5)


def test_a_point_on_top_of_hundreds_has_a_finite_score() -> None:
    S, C = drawn(1, 0)
    crowd = np.repeat(S, crowding.MAX_PENDING, axis=0), np.repeat(C, crowding.MAX_PENDING, axis=0)
    found = repulsion(places_of(AXES, REACH, S, C), places_of(AXES, REACH, *crowd))
    assert found[0] == pytest.approx(crowding.MAX_PENDING * np.log(1 - REPULSION), rel=1e-5)


def test_the_latest_pending_points_count(monkeypatch) -> None:
    monkeypatch.setattr(crowding, "MAX_PENDING", 3)
    S, C = drawn(8, 0)
    T, D = drawn(6, 1)
    near = Near(AXES, REACH, (S, C), places_of(AXES, REACH, T[:2], D[:2]), 5)
    own = slice(2, 6)
    none = np.zeros(4)
    for k in range(2, 6):
        latest = slice(max(0, k - 3), k)
        expected = naive((S[own], C[own]), (T[latest], D[latest]))
        np.testing.assert_allclose(near.scored(none, own), expected, atol=1e-5)
        near.join(T[k : k + 1], D[k : k + 1])


def test_a_candidate_that_was_chosen_counts_as_any_other_point() -> None:
    S, C = drawn(8, 0)
    T, D = drawn(2, 1)
    first, second = (Near(AXES, REACH, (S, C), places_of(AXES, REACH, T, D), 2) for _ in range(2))
    first.take(3)
    second.join(S[3:4], C[3:4])
    own = slice(4, 8)
    np.testing.assert_array_equal(first.scored(np.zeros(4), own), second.scored(np.zeros(4), own))
