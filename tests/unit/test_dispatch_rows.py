"""What the rows of the dispatch benchmark are judged by."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # a script's modules

from dispatch_rows import ROWS, Span, ideal_seconds


@pytest.mark.parametrize(
    ("durations", "slots", "seconds"),
    [([1, 1, 1, 1], 2, 2), ([3, 1, 1, 1], 2, 3), ([1, 1, 1, 3], 2, 4), ([2], 4, 2), ([], 1, 0)],
)
def test_an_ideal_scheduler_starts_trials_in_order(durations, slots, seconds) -> None:
    assert ideal_seconds(durations, slots) == seconds


def test_rows() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    rows = {row.name: row for row in ROWS}
    assert rows["pull"].met(0.99)
    assert not rows["pull"].met(0.97)
    assert rows["prompt"].met(1.5)
    assert not rows["prompt"].met(2.5)
    assert rows["push"].met(0.1)
    assert not rows["pull"].met(float("nan"))


def test_spans(tmp_path) -> None:
    (tmp_path / "3-1").write_text("77 10.5")
    (tmp_path / "4-2").write_text("77 10.5 13.5")
    (tmp_path / "5-1").write_text("")
    found = sorted(Span.all(tmp_path), key=lambda s: s.trial)
    assert found == [Span(3, 1, 77, 10.5), Span(4, 2, 77, 10.5, 13.5)]
