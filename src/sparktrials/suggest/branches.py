"""Which branch of a choice to try next: a bandit on ranks, apart from the densities.

Density ratios lock onto the branch that is easiest to do well in: its trials crowd the best ranks
and the others are starved. Here every branch is owed a share of the trials that falls with the
rank of its best result among the branches and grows with what it has gained of late, and the one
furthest behind its share is next.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Records", "next_branch", "shares"]

#: Exponent of the rank in a branch's share: the second best of two gets a third.
DECAY = 1.0
#: A branch's share grows with the records among the later half of its trials, up to so many: one
#: that stands still gets a quarter of what one gets that goes on improving.
MOST_RECENT = 3.0
#: Trials after which the prior of a branch counts half.
PRIOR_TRIALS = 20.0


class Records:
    """The finished trials of one branch, and those of them that were better than all before.

    Before means by number: the order in which results came does not matter. A record is kept as
    long as no trial with a smaller number is as good, so that adding one costs little.

    Attributes
    ----------
    rows
        Of all its trials, in order.
    """

    def __init__(
        self, rows: NDArray[np.intp] | None = None, losses: NDArray[np.float64] | None = None
    ) -> None:
        self.rows: list[int] = []
        self._rows: list[int] = []
        self._losses: list[float] = []
        if rows is not None and losses is not None and len(rows):
            lowest = np.minimum.accumulate(losses)
            first = np.append(True, lowest[1:] < lowest[:-1])
            self.rows = rows.tolist()
            self._rows, self._losses = rows[first].tolist(), losses[first].tolist()

    def add(self, row: int, loss: float) -> None:
        """Count a trial."""
        insort(self.rows, row)
        place = bisect_left(self._rows, row)
        if place and self._losses[place - 1] <= loss:
            return
        end = place
        while end < len(self._rows) and self._losses[end] >= loss:
            end += 1
        self._rows[place:end] = [row]
        self._losses[place:end] = [loss]

    @property
    def best(self) -> tuple[float, float]:
        """The lowest loss and the row of the first trial that had it; infinities without trials."""
        return (self._losses[-1], self._rows[-1]) if self._rows else (np.inf, np.inf)

    @property
    def recent(self) -> int:
        """How many records are among the later half of the trials."""
        if not self.rows:
            return 0
        return len(self._rows) - bisect_left(self._rows, self.rows[len(self.rows) // 2])


def shares(
    best: NDArray[np.float64],
    n: int,
    prior: NDArray[np.float64],
    recent: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return (K,) the share of trials that each branch is owed, summing to 1.

    Parameters
    ----------
    best : (K,)
        What orders the branches by their best finished trials, lowest first; inf for untried ones.
    n
        Finished trials in which the choice is active.
    prior : (K,)
        Prior probabilities; a branch of probability 0 is never owed any.
    recent : (K,)
        See `Records.recent`; None: all alike.
    """
    tried = np.isfinite(best)
    # An untried branch is taken for an average one.
    best = np.where(tried, best, np.median(best[tried]) if tried.any() else 0.0)
    rank = 1.0 + np.searchsorted(np.sort(best), best)
    owed = rank**-DECAY
    if recent is not None:
        owed *= 1.0 + np.minimum(recent, MOST_RECENT)
    belief = prior ** (PRIOR_TRIALS / (PRIOR_TRIALS + n))
    owed = owed * belief
    if not owed.sum() > 0:
        owed = prior
    whole: NDArray[np.float64] = owed / owed.sum()
    return whole


def next_branch(owed: NDArray[np.float64], counts: NDArray[np.float64]) -> int:
    """Return the branch that is furthest behind its share (Webster's method).

    Parameters
    ----------
    owed : (K,)
        Shares; a branch with 0 is not taken.
    counts : (K,)
        Trials so far, pending ones included.
    """
    with np.errstate(divide="ignore"):
        behind = np.where(owed > 0, (counts + 0.5) / owed, np.inf)
    return int(np.argmin(behind))
