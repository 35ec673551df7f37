"""The two densities of one group of parameters, and what is promising by them.

Trials are split by the rank of their loss: ``l`` is the Parzen mixture of the good ones, ``g`` that
of the others. Only ranks enter, so losses of any size do.

Shapes: ``X`` (n, d) latent rows; ``S``, ``C`` as in `parzen`.
Sources: Bergstra et al., NeurIPS 2011, section 4; Watanabe, arXiv:2304.11127.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest import parzen

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sparktrials.suggest.grouping import Group

__all__ = ["Model", "repulsion"]

#: Of more trials that are not good, the best half of this many count, and an even choice of the
#: rest stands for all of the rest.
MAX_OTHERS = 500
#: No bandwidth is below a hundredth of the range, nor below 1 / (2 + share * n) of it.
FINEST = 100.0
GOOD_FLOOR_SHARE = 0.2
#: The part of its l/g that a candidate on top of a pending point loses.
REPULSION = 0.5
#: Squared distance, in bandwidths, between different options of a choice.
MISMATCH = 8.0
#: Distance over which pending points repel when no trial is good.
UNKNOWN_REACH = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The densities of one group."""

    good: parzen.Mixture
    others: parzen.Mixture
    bandwidths: NDArray[np.float64]  # (n_good, s + t)

    @classmethod
    def of(
        cls,
        group: Group,
        X: NDArray[np.float64],
        losses: NDArray[np.float64],
        *,
        good: Callable[[int], int],
        prior_weight: float,
    ) -> Model:
        """Split trials by rank, and fit both parts.

        Parameters
        ----------
        X : (n, d)
            Latent rows in which `group` is active.
        losses : (n,)
            NaN where a trial failed: such are never good.
        good
            How many of n trials are good ones.
        prior_weight
            Of the prior, where a trial has 1; among the good ones see `_exploring`.
        """
        n = len(X)
        order = np.argsort(losses, kind="stable")  # NaN, that is failed, last
        n_good = min(good(n), n - int(np.isnan(losses).sum()))
        picks, weights = _thinned(order[n_good:])
        floor = 1 / min(FINEST, 2 + GOOD_FLOOR_SHARE * n)
        weight = prior_weight * _exploring(group, n_good)
        best, h = _mixture(group, X[order[:n_good]], _rank_weights(n_good), floor, weight)
        floor = 1 / min(FINEST, 2 + n - n_good)
        rest, _ = _mixture(group, X[picks], weights, floor, prior_weight)
        return cls(best, rest, h)

    def score(self, S: NDArray[np.float64], C: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (m,) logarithms of l/g."""
        return parzen.log_density(self.good, S, C) - parzen.log_density(
            self.others, S, C, np.float32
        )

    def positions(
        self, axes: parzen.Axes, S: NDArray[np.float64], C: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return what `repulsion` measures by: (m, ·) in bandwidths, and (m, ·) nominal codes."""
        nominal = np.array([edges is None for edges in axes.edges], dtype=bool)
        ordinal = np.concatenate([np.ones(len(axes.bounded), dtype=bool), ~nominal])
        if not len(S):
            return np.empty((0, int(ordinal.sum()))), C[:, nominal]
        h = self.bandwidths
        reach = np.median(h, axis=0) if len(h) else np.full(len(ordinal), UNKNOWN_REACH)
        return (axes.ordinates(S, C) / reach)[:, ordinal], C[:, nominal]


def repulsion(
    candidates: tuple[NDArray[np.float64], NDArray[np.intp]],
    pending: tuple[NDArray[np.float64], NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Return (m,) what the logarithms of l/g lose by the nearness of p pending points.

    The more points are pending, the less far each repels: in d dimensions, p of them share a room
    by keeping distances of ``p ** (-1 / d)``.

    Shapes: `Model.positions` of m candidates and of p pending points.

    Source: local penalisation, Gonzalez et al., AISTATS 2016, with a kernel for the penaliser.
    """
    x, codes = candidates
    far, other = pending
    p, d = len(far), x.shape[1] + codes.shape[1]
    squared = (x * x).sum(axis=1)[:, None] + (far * far).sum(axis=1) - 2 * (x @ far.T)
    squared = np.maximum(squared, 0) * p ** (2 / d)
    if codes.shape[1]:
        squared += MISMATCH * (codes[:, None] != other).sum(axis=2)
    loss: NDArray[np.float64] = np.log1p(-REPULSION * np.exp(-0.5 * squared)).sum(axis=1)
    return loss


def _mixture(
    group: Group,
    X: NDArray[np.float64],
    weights: NDArray[np.float64],
    floor: float,
    prior_weight: float,
) -> tuple[parzen.Mixture, NDArray[np.float64]]:
    S, C = group.scaled(X), group.codes(X)
    x = group.axes.ordinates(S, C)
    h = parzen.neighbour_bandwidths(x, floor) if len(x) else x
    mixture = parzen.mixture_of(group.axes, S, C, h, weights=weights, prior_weight=prior_weight)
    return mixture, h


def _exploring(group: Group, n_good: int) -> float:
    """Return by how much the prior's weight grows among the good trials.

    In one dimension it counts as much as all of them together: a few draws from the prior cover a
    line, and find a narrow optimum that lies apart. In many dimensions they find nothing. Grids
    alone need none: their points are not tried twice.
    """
    return float(max(n_good, 1) ** (len(group) ** -2.0)) if len(group.smooth) else 1.0


def _rank_weights(n: int) -> NDArray[np.float64]:
    """Return (n,) weights falling with the rank, 1 on average: CMA-ES's recombination weights."""
    weights = math.log(n + 1) - np.log(np.arange(1, n + 1))
    return weights * (n / weights.sum()) if n else weights


def _thinned(order: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return at most `MAX_OTHERS` of the trials in `order`, and the weights that make up for it."""
    if len(order) <= MAX_OTHERS:
        return order, np.ones(len(order))
    half = MAX_OTHERS // 2
    rest = order[half:]
    even = rest[np.linspace(0, len(rest) - 1, half).astype(np.intp)]
    return np.append(order[:half], even), np.repeat([1.0, len(rest) / half], half)
