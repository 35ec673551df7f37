"""Which branches a point is to have, by the shares that `branches` says they are owed.

Shapes: ``row`` (d,) latent, NaN where inactive; only its switches mean anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.branches import next_branch
from sparktrials.suggest.grouping import holds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.suggest.known import Known

__all__ = ["Branching"]


class Branching:
    """The branches of one point after the other."""

    def __init__(self, known: Known, d: int) -> None:
        self._boards = [board for board in known.boards if board.taken]
        self._taken = [{j: n.copy() for j, n in board.taken.items()} for board in self._boards]
        self._d = d

    def next(self) -> NDArray[np.float64]:
        """Return the row of the branches that are furthest behind their shares."""
        row = np.full((1, self._d), np.nan)
        for board, taken in zip(self._boards, self._taken, strict=True):
            group = board.group
            if not holds(group.condition, row)[0]:
                continue
            codes = np.zeros((1, len(group.coded)), dtype=np.intp)
            for j in group.switches:
                codes[0, j] = next_branch(board.owed(j), taken[j])
            filled = row.copy()
            group.fill(filled, np.zeros((1, len(group.smooth))), codes)
            columns = group.coded[list(group.switches)]
            row[0, columns] = filled[0, columns]
        only: NDArray[np.float64] = row[0]
        return only

    def join(self, row: NDArray[np.float64]) -> None:
        """Count a point as pending."""
        for board, taken in zip(self._boards, self._taken, strict=True):
            if holds(board.group.condition, row[None])[0]:
                codes = board.group.codes(row[None])[0]
                for j, counts in taken.items():
                    counts[codes[j]] += 1
