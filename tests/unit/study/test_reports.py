"""What running trials say is kept, and bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from sparktrials.study.reports import LOG_LIMIT, REPORTS_LIMIT, joined_log, joined_reports


def test_reports_are_joined_in_order():
    assert joined_reports(((0, 1.0),), [(1, 2.0), (1, 3.0)]) == ((0, 1.0), (1, 2.0), (1, 3.0))


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_reports_are_bounded_and_keep_their_ends_and_order(sizes):
    kept, step = (), 0
    for size in sizes:
        new = [(step + i, float(step + i)) for i in range(size)]
        step += size
        kept = joined_reports(kept, new)
        assert len(kept) <= REPORTS_LIMIT
        assert kept[0] == (0, 0.0)
        assert kept[-1] == (step - 1, float(step - 1))
        assert list(kept) == sorted(kept)


@pytest.mark.parametrize("n", [REPORTS_LIMIT + 1, 10 * REPORTS_LIMIT, 10 * REPORTS_LIMIT + 1])
def test_the_curve_keeps_its_shape(n):
    kept = joined_reports((), [(i, float(i)) for i in range(n)])
    assert REPORTS_LIMIT / 2 <= len(kept) <= REPORTS_LIMIT
    gaps = [b[0] - a[0] for a, b in pairwise(kept)]
    assert max(gaps) <= 4 * n / REPORTS_LIMIT


def test_lines_are_joined():
    assert joined_log("", ["a"]) == "a"
    assert joined_log("a", ["b", "c"]) == "a\nb\nc"
    assert joined_log("a", []) == "a"


@given(st.lists(st.text(max_size=9000), max_size=8))
def test_the_log_is_bounded_and_keeps_its_end(lines):
    log = ""
    for line in lines:
        log = joined_log(log, [line])
        assert len(log) <= LOG_LIMIT
    whole = "\n".join(lines)
    if len(whole) <= LOG_LIMIT:
        assert log.endswith(lines[-1] if lines else "")
    elif len(lines[-1]) < LOG_LIMIT - 100:
        assert log.startswith("[...]\n")
        assert log.endswith(lines[-1][-100:])


def test_one_endless_line_is_cut():
    log = joined_log("", ["x" * (2 * LOG_LIMIT)])
    assert len(log) == LOG_LIMIT
    assert log.startswith("[...]\nxxx")
