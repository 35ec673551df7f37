"""The two densities of one group of parameters, and what is promising by them.

Trials are split by the rank of their loss: ``l`` is the Parzen mixture of the good ones, ``g`` that
of the others. Only ranks enter, so losses of any size do.

Shapes: ``X`` (n, d) latent rows; ``S``, ``C`` as in `parzen`.
Sources: Bergstra et al., NeurIPS 2011, section 4; Watanabe, arXiv:2304.11127.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sparktrials.suggest import parzen
from sparktrials.suggest.bandwidths import bandwidths

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from sparktrials.suggest.grouping import Group
    from sparktrials.suggest.known import Ranking

    Seen: TypeAlias = tuple[NDArray[np.float64], NDArray[np.intp]]

__all__ = [
    "UNKNOWN_REACH",
    "Fitted",
    "Model",
    "exploring",
    "finest",
    "good_floor",
    "mixture",
    "rank_weights",
    "reach_of",
    "seen",
    "thinned",
]

#: Of more trials that are not good, the best half of this many count, and an even choice of the
#: rest stands for all of the rest.
MAX_OTHERS = 500
#: No bandwidth is below a hundredth of the range, nor below 1 / (2 + share * n) of it.
FINEST = 100.0
GOOD_FLOOR_SHARE = 0.2
#: Among the good trials kernels reach half a cell of a grid, so that a draw has a chance to move to
#: the next value, until there are this many trials for each parameter; from then on they shrink.
CELL_SHARE, CELL_TRIALS = 0.5, 4.0
#: Distance over which pending points repel when no trial is good.
UNKNOWN_REACH = 0.1


class Fitted(Protocol):
    """What is known of one group of parameters, as a proposal needs it.

    Attributes
    ----------
    good
        What candidates are drawn from.
    reach : (s + t,)
        How far pending points repel.
    """

    @property
    def good(self) -> parzen.Mixture: ...  # noqa: D102 - above
    @property
    def reach(self) -> NDArray[np.float64]: ...  # noqa: D102 - above

    def score(
        self, S: NDArray[np.float64], C: NDArray[np.intp], per: int | None = None
    ) -> NDArray[np.float64]:
        """Return (m,) how promising points are; `per`: see `parzen.log_density`."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The densities of one group."""

    good: parzen.Mixture
    others: parzen.Mixture
    reach: NDArray[np.float64]  # (s + t,) median bandwidth among the good trials

    @classmethod
    def of(
        cls,
        group: Group,
        X: NDArray[np.float64],
        ranking: Ranking,
        *,
        good: Callable[[int], int],
        prior_weight: float,
    ) -> Model:
        """Split trials by rank, and fit both parts.

        Parameters
        ----------
        X : (·, d)
            Latent rows of the history.
        ranking
            Those of finished trials in which `group` is active; failed ones are never good.
        good
            How many of n trials are good ones.
        prior_weight
            Of the prior, where a trial has 1; among the good ones see `exploring`.
        """
        n = len(ranking)
        n_good = min(good(n), n - ranking.n_failed)
        picks, weights = thinned(n_good, n)
        weight = prior_weight * exploring(group, n_good)
        floor = good_floor(group, n)
        good_ones = seen(group, X[ranking.at(np.arange(n_good))])
        best, h = mixture(group, good_ones, rank_weights(n_good), floor, weight)
        others = seen(group, X[ranking.at(picks)])
        rest, _ = mixture(group, others, weights, finest(n - n_good), prior_weight)
        return cls(best, rest, reach_of(h))

    def score(
        self, S: NDArray[np.float64], C: NDArray[np.intp], per: int | None = None
    ) -> NDArray[np.float64]:
        """Return (m,) logarithms of l/g; `per`: see `parzen.log_density`."""
        points = parzen.Points.of(self.good.axes, S, C)
        ours = parzen.log_density(self.good, points, per=per)
        return ours - parzen.log_density(self.others, points, np.float32, per=per)


def finest(n: float) -> float:
    """Return the least bandwidth among `n` trials."""
    return 1 / min(FINEST, 2 + n)


def good_floor(group: Group, n: int) -> NDArray[np.float64]:
    """Return (s + t,) the least bandwidths of the good ones among `n` trials."""
    floor = np.full(len(group), finest(GOOD_FLOOR_SHARE * n))
    share = CELL_SHARE * min(1.0, CELL_TRIALS * len(group) / n) if n else CELL_SHARE
    for j, edges in enumerate(group.axes.edges, len(group.smooth)):
        if edges is not None:
            floor[j] = max(floor[j], share / (len(edges) - 1))
    return floor


def seen(group: Group, X: NDArray[np.float64]) -> Seen:
    """Return ``S`` and ``C`` of latent rows."""
    return group.scaled(X), group.codes(X)


def mixture(
    group: Group,
    observed: Seen,
    weights: NDArray[np.float64],
    floor: float | NDArray[np.float64],
    prior_weight: float,
) -> tuple[parzen.Mixture, NDArray[np.float64]]:
    """Return the mixture of observations, and its neighbour bandwidths (n, s + t)."""
    S, C = observed
    h = bandwidths(group.axes, S, C, floor)
    found = parzen.mixture_of(group.axes, S, C, h, weights=weights, prior_weight=prior_weight)
    return found, h


def reach_of(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (s + t,) the median bandwidths of (n, s + t), or what stands for them."""
    n = len(h)
    if not n:
        return np.full(h.shape[1], UNKNOWN_REACH)
    ordered = np.sort(h, axis=0)
    middle: NDArray[np.float64] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return middle


def exploring(group: Group, n_good: int) -> float:
    """Return by how much the prior's weight grows among the good trials.

    In one dimension it counts as much as all of them together: a few draws from the prior cover a
    line, and find a narrow optimum that lies apart. In many dimensions they find nothing. Grids
    alone need none: their points are not tried twice.
    """
    return float(max(n_good, 1) ** (len(group) ** -2.0)) if len(group.smooth) else 1.0


def rank_weights(n: int) -> NDArray[np.float64]:
    """Return (n,) weights falling with the rank, 1 on average: CMA-ES's recombination weights."""
    weights = math.log(n + 1) - np.log(np.arange(1, n + 1))
    return weights * (n / weights.sum()) if n else weights


def thinned(first: int, n: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return up to `MAX_OTHERS` of the places `first` to `n`, and weights that make up for it."""
    left = n - first
    if left <= MAX_OTHERS:
        return np.arange(first, n), np.ones(left)
    half = MAX_OTHERS // 2
    picks, weights = np.arange(first, first + MAX_OTHERS), np.ones(MAX_OTHERS)
    picks[half:-1] = first + half + np.arange(half - 1) * ((left - half - 1) / (half - 1))
    picks[-1] = n - 1
    weights[half:] = (left - half) / half
    return picks, weights
