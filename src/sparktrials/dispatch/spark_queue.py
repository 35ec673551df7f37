"""Trials that wait for a slot to ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrials.study.trial import Trial

__all__ = ["TrialQueue"]

#: Bytes that a message with trials may take about, and those of a number in it.
_MESSAGE_BYTES = 2**18
_NUMBER_BYTES = 32


class TrialQueue:
    """First come, first served."""

    def __init__(self) -> None:
        self._trials: deque[Trial] = deque()
        self._alone: set[int] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._trials)

    @property
    def first(self) -> Trial | None:
        """The next one."""
        return self._trials[0] if self._trials else None

    def add(self, trials: Sequence[Trial], alone: Collection[int]) -> None:
        """Queue trials; those whose ids are in `alone` share a message with no other."""
        self._alone.update(alone)
        self._trials.extend(trials)

    def put_back(self, trials: Sequence[Trial]) -> None:
        """Queue trials before all others."""
        self._trials.extendleft(reversed(trials))

    def remove(self, ids: Collection[int]) -> list[Trial]:
        """Take these back; return those that waited."""
        found = [trial for trial in self._trials if trial.id in ids]
        for trial in found:
            self._trials.remove(trial)
            self._alone.discard(trial.id)
        return found

    def clear(self) -> tuple[list[Trial], frozenset[int]]:
        """Return all, and which are to run alone, and forget them."""
        left, alone = list(self._trials), frozenset(self._alone)
        self._trials.clear()
        self._alone.clear()
        return left, alone

    def take(self, size: int) -> list[Trial]:
        """Take trials: up to `size` that fit in one message, or one that is to run alone."""
        batch: list[Trial] = []
        room = _MESSAGE_BYTES
        while self._trials and len(batch) < size and room > 0:
            trial = self._trials[0]
            room -= sum(len(label) + _NUMBER_BYTES for label in trial.point)
            alone = trial.id in self._alone
            if alone and batch:
                break
            batch.append(self._trials.popleft())
            if alone:
                self._alone.discard(trial.id)
                break
        return batch
