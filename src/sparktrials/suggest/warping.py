"""Losses as a Gaussian process wants them: about normal, of unit size, without outliers above.

The better half of the losses keeps its shape; the worse half is replaced by normal quantiles of its
ranks, for how bad a bad trial is says little about where the best ones are. Failed trials come
after the worst.

Source: the half-rank warper of Song et al., The Vizier Gaussian Process Bandit Algorithm,
arXiv:2408.11527, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["half_rank"]


def half_rank(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) warped losses with mean 0 and standard deviation 1; zeros if all are equal.

    Parameters
    ----------
    losses : (n,)
        Finite, of any size; NaN where a trial failed.
    """
    failed = np.isnan(losses)
    if failed.all():
        return np.zeros(len(losses))
    size = np.abs(losses[~failed]).max()
    y = losses / size if size > 0 else losses.copy()
    good = np.sort(y[~failed])
    middle = float(np.median(good))
    better = good[good <= middle]
    spread = float(np.sqrt(np.mean((better - middle) ** 2)))
    if spread == 0:  # all of the better half is equal: ranks are all there is
        spread = 1.0
    # The middle of the ranks that a loss would have among equals, as a share; failures are last.
    everything = np.sort(np.where(failed, np.inf, y))
    keys = np.where(failed, np.inf, y)
    rank = (np.searchsorted(everything, keys) + np.searchsorted(everything, keys, "right")) / 2
    share = np.maximum(rank / len(y), 0.5)
    worse = failed | (y > middle)
    warped = np.where(worse, ndtri(share), (np.where(failed, 0, y) - middle) / spread)
    warped -= warped.mean()
    deviation = float(warped.std())
    return warped / deviation if deviation > 0 else warped
