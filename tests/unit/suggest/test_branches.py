from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sparktrials.suggest.branches import Records, next_branch, shares


def test_shares_fall_with_the_rank_of_the_best():
    owed = shares(np.array([2.0, 0.0, 1.0]), 4, np.full(3, 1 / 3))
    np.testing.assert_allclose(owed, np.array([1 / 3, 1, 1 / 2]) / (11 / 6))


def test_untried_branches_are_taken_for_average_ones():
    owed = shares(np.array([0.0, np.inf, 1.0, 2.0]), 4, np.full(4, 1 / 4))
    np.testing.assert_allclose(owed, np.array([1, 1 / 2, 1 / 2, 1 / 4]) / 2.25)


def test_what_goes_on_improving_is_owed_more():
    prior, best = np.full(2, 1 / 2), np.array([0.0, 1.0])
    owed = shares(best, 40, prior, np.array([0.0, 1.0]))
    np.testing.assert_allclose(owed, 0.5)
    most = shares(best, 40, prior, np.array([0.0, 3.0]))
    np.testing.assert_allclose(most, np.array([1, 2]) / 3)
    np.testing.assert_allclose(shares(best, 40, prior, np.array([0.0, 30.0])), most)


def test_impossible_branches_are_owed_nothing():
    owed = shares(np.array([0.0, np.inf, np.inf]), 2, np.array([0.5, 0.5, 0.0]))
    assert owed[2] == 0
    assert owed.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares(np.full(2, np.inf), 0, np.array([0.5, 0.5])), 0.5)


def test_the_furthest_behind_is_next():
    owed = np.array([0.5, 0.3, 0.2])
    counts = np.zeros(3)
    for _ in range(100):
        counts[next_branch(owed, counts)] += 1
    np.testing.assert_allclose(counts, [50, 30, 20], atol=1)


@given(st.lists(st.floats(0, 3).map(round) | st.just(np.inf), min_size=1, max_size=12), st.data())
def test_records_are_the_same_in_whatever_order_results_came(losses, data):
    rows = np.arange(len(losses)) * 2
    made = Records(rows, np.array(losses))
    grown = Records()
    for i in data.draw(st.permutations(range(len(losses)))):
        grown.add(int(rows[i]), losses[i])
    assert (made.rows, made.best, made.recent) == (grown.rows, grown.best, grown.recent)
    lowest = min(losses)
    assert made.best == (lowest, rows[losses.index(lowest)])
    later = range(len(losses) // 2, len(losses))
    assert made.recent == sum(i == 0 or losses[i] < min(losses[:i]) for i in later)


def test_a_branch_without_trials_has_no_record():
    assert Records().best == (np.inf, np.inf)
    assert Records().recent == 0
