"""How many trials go out, from measured durations."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from sparktrials.dispatch.pacing import (
    LONG_TRIAL,
    MAX_PACK,
    MAX_PACK_ADAPTIVE,
    TASK_TARGET_S,
    Pacer,
    divide,
)


def pacer(duration=None, *, n=50, overhead=0.05, **settings):
    """Return a pacer that saw `n` trials of one duration, each in a task of its own."""
    it = Pacer(**settings)
    for _ in range(n if duration is not None else 0):
        it.observe([duration], duration + overhead, queued_ahead=False)
    return it


def test_nothing_is_known_at_first():
    it = Pacer()
    assert it.trial_s is None
    assert it.pack(2) == 1
    assert it.tasks(8) == 8  # nothing ahead: the first suggestions know nothing


def test_long_trials_go_out_singly_when_a_slot_is_free():
    it = pacer(1.01 * LONG_TRIAL * 0.05)
    assert it.tasks(8) == 8
    assert it.pack(8) == 1


@pytest.mark.parametrize("slots", [1, 2, 8, 100])
def test_shorter_ones_are_queued_ahead(slots):
    it = pacer(0.5)
    assert slots + 2 <= it.tasks(slots) <= slots + 2 + slots // 4
    assert it.pack(slots) == 1


def test_very_short_ones_are_packed_into_tasks_of_a_fraction_of_a_second():
    it = pacer(0.01, adaptive=False, n=500)
    assert it.pack(2) == pytest.approx(TASK_TARGET_S / 0.01, abs=1)
    assert pacer(1e-6, adaptive=False, n=500).pack(2) == MAX_PACK
    assert pacer(1e-6, n=5000).pack(2) == MAX_PACK_ADAPTIVE


def test_where_results_steer_packs_stay_small_until_much_is_known():
    assert pacer(1e-6, n=4).pack(4) == 1
    assert 1 < pacer(1e-6, n=100).pack(8) < MAX_PACK_ADAPTIVE


def test_no_packing():
    assert pacer(1e-6, n=5000, packing=False, adaptive=False).pack(2) == 1


def test_one_short_trial_is_no_reason_for_hundreds():
    assert pacer(1e-6, n=1, adaptive=False).pack(2) <= 4


@pytest.mark.parametrize("wanted", [1, 2, 7])
@pytest.mark.parametrize("duration", [None, 1e-6, 0.1, 100])
def test_no_more_than_wanted_where_the_cluster_could_run_more_at_once(wanted, duration):
    assert pacer(duration).tasks(8, wanted) == wanted


def test_more_than_the_slots_may_be_wanted():
    assert pacer(100).tasks(2, 10) == 10


def test_tasks_that_waited_say_nothing_about_latency():
    it = pacer(1.0, overhead=0.1)
    it.observe([1.0], 500.0, queued_ahead=True)
    assert it.latency_s == pytest.approx(0.1)


@given(st.integers(-3, 500), st.integers(1, 64), st.integers(1, 64))
def test_divide_gives_all_in_even_packs(n, parts, most):
    sizes = divide(n, parts, most)
    assert sum(sizes) == max(n, 0)
    if sizes:
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 1
        assert len(sizes) <= max(parts, -(-n // most))
