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

__all__ = ["next_branch", "shares", "standings"]

#: Exponent of the rank in a branch's share: the second best of two gets a third.
DECAY = 1.0
#: Trials after which the prior of a branch counts half.
PRIOR_TRIALS = 20.0


def standings(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the rank of each loss as a part of n, from 0; 1 for NaN, that is failed ones."""
    n = len(losses)
    standing = np.empty(n)
    standing[np.argsort(losses, kind="stable")] = np.arange(n) / max(n, 1)
    standing[np.isnan(losses)] = 1.0
    return standing


def shares(
    branch: NDArray[np.intp], standing: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (K,) the share of trials that each branch is owed, summing to 1.

    Parameters
    ----------
    branch : (n,)
        Of each finished trial in which the choice is active.
    standing : (n,)
        Its place among them from 0 (best) to 1 (failed ones included).
    prior : (K,)
        Prior probabilities; a branch of probability 0 is never owed any.
    """
    n, n_branches = len(branch), len(prior)
    best = np.full(n_branches, np.inf)
    np.minimum.at(best, branch, standing)
    tried = np.isfinite(best)
    # An untried branch is taken for an average one.
    best[~tried] = np.median(best[tried]) if tried.any() else 0.0
    rank = 1.0 + (best < best[:, None]).sum(axis=1)
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
