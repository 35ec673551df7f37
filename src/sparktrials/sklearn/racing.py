"""Trials that are far behind after their first folds are ended: which these are.

A pipeline is compared with the best one on the same folds. How far such a comparison may still turn
is known from the pipelines that were judged by all folds.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["Race", "race_of"]

#: Folds above which it is not worth to look after each of them: one leaves out a few samples.
_MOST_FOLDS = 20
#: Folds after which a pipeline may be ended: one alone says too little.
_ASKED_FROM = 2
#: Pipelines that are judged by all folds before one is ended early.
_FIRST = 8
#: How many times the root mean square of earlier turns a pipeline must be behind.
_TIMES = 2.0

Losses = tuple[float, ...]


class Race:
    """What one process knows of the pipelines that it has judged; it travels without that.

    A trial asks after each fold, with its losses by the first fold, by the first two, and so on.
    Whether it is ended depends on the trials that ran in this process before, and on `known`.

    Parameters
    ----------
    known
        Losses of pipelines that were judged by all folds before.
    """

    def __init__(self, known: Iterable[Sequence[float]] = ()) -> None:
        self._known = tuple(tuple(losses) for losses in known)
        self._judged: list[tuple[float, Losses]] = []
        for losses in self._known:
            self.ended(losses)

    def __reduce__(self) -> tuple[Callable[..., Race], tuple[Any, ...]]:
        return type(self), (self._known,)

    def ended(self, losses: Sequence[float]) -> None:
        """Take note of a pipeline that was judged by all folds."""
        if all(map(math.isfinite, losses)):
            bisect.insort(self._judged, (losses[-1], tuple(losses)))

    def hopeless(self, losses: Sequence[float]) -> float | None:
        """Return the loss that a pipeline would come to, if it is far behind; else None.

        That is the best loss, and how far it is behind by the folds so far: it is never the best.

        Parameters
        ----------
        losses
            By the folds so far; there are more.
        """
        if len(losses) < _ASKED_FROM or len(self._judged) < _FIRST:
            return None
        if not math.isfinite(losses[-1]):
            return None
        judged = self._judged[: (len(self._judged) + 1) // 2]  # those that are like the best
        k = len(losses) - 1
        best, of_best = judged[0]
        behind = losses[k] - of_best[k]
        turns = [(loss - best) - (of[k] - of_best[k]) for loss, of in judged[1:]]
        turn = math.sqrt(math.fsum(t * t for t in turns) / len(turns))
        return best + behind if behind > max(_TIMES * turn, 0.0) else None


def race_of(results: Iterable[Any], n_folds: int) -> Race | None:
    """Return a race that begins with what earlier trials' results have kept.

    None if there is nothing to win by it: no fold is left when it is asked, or there are so many
    that each says next to nothing.
    """
    if not _ASKED_FROM < n_folds <= _MOST_FOLDS:
        return None
    kept = (result.get("losses") for result in results if result)
    return Race(losses for losses in kept if losses and len(losses) == n_folds)
