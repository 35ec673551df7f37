"""Which branch of a choice to try next: a bandit on ranks, apart from the densities.

Density ratios lock onto the branch that is easiest to do well in: its trials crowd the best ranks
and the others are starved. Here every branch is owed a share of the trials that falls with the
rank of its best result among the branches, and the one furthest behind its share is next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["next_branch", "shares"]

#: Exponent of the rank in a branch's share: the second best of two gets a third.
DECAY = 1.0
#: Trials after which the prior of a branch counts half.
PRIOR_TRIALS = 20.0


def shares(best: NDArray[np.float64], n: int, prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K,) the share of trials that each branch is owed, summing to 1.

    Parameters
    ----------
    best : (K,)
        What orders the branches by their best finished trials, lowest first; inf for untried ones.
    n
        Finished trials in which the choice is active.
    prior : (K,)
        Prior probabilities; a branch of probability 0 is never owed any.
    """
    tried = np.isfinite(best)
    # An untried branch is taken for an average one.
    best = np.where(tried, best, np.median(best[tried]) if tried.any() else 0.0)
    rank = 1.0 + np.searchsorted(np.sort(best), best)
    owed = rank**-DECAY
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
