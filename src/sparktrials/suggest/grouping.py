"""Columns that are active together, and how a space's latent coordinates look to Parzen mixtures.

A *group* is the set of parameters with one and the same condition. A *switch* is a parameter that
other conditions name: a choice whose branches have parameters of their own.

Shapes: ``X`` (n, d) latent rows, NaN where inactive; ``S`` (n, s) and ``C`` (n, t) as in `parzen`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from sparktrials.suggest.parzen import Axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space import Condition
    from sparktrials.space.codec import Codec

__all__ = ["Group", "groups_of", "keys_of", "holds"]

#: Grids with at most so many values are integrated cell by cell; on finer ones cells are narrower
#: than any bandwidth, and the density at their middle is as good.
MAX_CELLS = 32
#: A switch over more integers than this is no bandit's business.
MAX_ARMS = 4096
_SD = math.sqrt(12)
#: Quantized normals are cut here, in standard deviations; the end cells hold the tails.
_TAIL_SD = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Parameters with one condition.

    Attributes
    ----------
    condition
        When the group is active.
    columns : (s + t,) intp
        Its columns in the space's table: smooth ones first, then coded ones.
    smooth : (s,) intp, coded : (t,) intp
        The same, apart.
    origin, width : (s,)
        Scaled coordinate = (latent - origin) / width.
    axes
        What the mixture needs to know.
    switches
        Positions among the coded columns of those that other conditions name.
    discrete
        Whether all columns have countably many values.
    """

    condition: Condition
    columns: NDArray[np.intp]
    smooth: NDArray[np.intp]
    coded: NDArray[np.intp]
    origin: NDArray[np.float64]
    width: NDArray[np.float64]
    step: NDArray[np.float64]
    log: NDArray[np.bool_]
    axes: Axes
    switches: tuple[int, ...]
    _first: NDArray[np.float64]
    _coded_step: NDArray[np.float64]
    _coded_log: NDArray[np.bool_]

    def scaled(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        S = (X[:, self.smooth] - self.origin) / self.width
        return np.clip(S, np.where(self.axes.bounded, -0.5, -50), np.where(self.axes.bounded, 0.5, 50))

    def codes(self, X: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return (n, t) codes of latent rows in which the group is active."""
        V = X[:, self.coded]
        if self._coded_log.any():
            V[:, self._coded_log] = np.exp(V[:, self._coded_log])
        V = np.rint(V / self._coded_step) - self._first
        top = np.array([len(p) - 1 for p in self.axes.prior])
        return np.clip(V, 0, top).astype(np.intp)

    def fill(self, X: NDArray[np.float64], S: NDArray[np.float64], C: NDArray[np.intp]) -> None:
        """Write points into latent rows."""
        X[:, self.smooth] = S * self.width + self.origin
        V = (C + self._first) * self._coded_step
        if self._coded_log.any():
            with np.errstate(divide="ignore"):
                V[:, self._coded_log] = np.log(V[:, self._coded_log])
        X[:, self.coded] = V

    def settle(self, S: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move coordinates of fine grids onto the grid."""
        grid = self.step > 0
        if grid.any():
            V = S[:, grid] * self.width[grid] + self.origin[grid]
            lg = self.log[grid]
            V[:, lg] = np.exp(V[:, lg])
            V = np.rint(V / self.step[grid]) * self.step[grid]
            with np.errstate(divide="ignore"):
                V[:, lg] = np.log(V[:, lg])
            S[:, grid] = np.clip((V - self.origin[grid]) / self.width[grid], -50, 50)
        return S


def groups_of(codec: Codec) -> list[Group]:
    """Return the groups in topological order."""
    named = {k for condition in codec.conditions for term in condition for k, _ in term}
    by_condition: dict[Any, list[int]] = {}
    for j, condition in enumerate(codec.conditions):
        by_condition.setdefault(condition, []).append(j)
    return [_group(codec, c, columns, named) for c, columns in by_condition.items()]


def _group(codec: Codec, condition: Condition, columns: list[int], named: set[int]) -> Group:
    smooth: list[int] = []
    coded: list[int] = []
    edges: list[NDArray[np.float64] | None] = []
    prior: list[NDArray[np.float64]] = []
    first: list[float] = []
    for j in columns:
        if codec.categorical[j]:
            coded.append(j)
            edges.append(None)
            prior.append(codec.probabilities[j])
            first.append(0.0)
            continue
        grid = _grid(codec, j, MAX_ARMS if j in named else MAX_CELLS)
        if grid is None:
            smooth.append(j)
            continue
        k0, cells, masses = grid
        coded.append(j)
        edges.append(None if j in named else cells)
        prior.append(masses)
        first.append(k0)
    s = np.array(smooth, dtype=np.intp)
    t = np.array(coded, dtype=np.intp)
    normal = codec.normal[s]
    return Group(
        condition=condition,
        columns=np.concatenate([s, t]),
        smooth=s,
        coded=t,
        origin=codec.mu[s],
        width=np.where(normal, _SD * codec.sigma[s], np.where(codec.high[s] > codec.low[s], codec.high[s] - codec.low[s], 1.0)),
        step=codec.step[s],
        log=codec.log[s],
        axes=Axes(~normal, tuple(edges), tuple(prior)),
        switches=tuple(i for i, j in enumerate(coded) if j in named),
        _first=np.array(first),
        _coded_step=codec.step[t],
        _coded_log=codec.log[t],
    )


def _grid(codec: Codec, j: int, limit: int):
    """Return first index, (K + 1,) scaled edges, (K,) prior masses of a coarse grid, or None."""
    q = codec.step[j]
    if q <= 0:
        return None
    mu, sigma = float(codec.mu[j]), float(codec.sigma[j])
    low, high = float(codec.low[j]), float(codec.high[j])
    a, b = (mu - _TAIL_SD * sigma, mu + _TAIL_SD * sigma) if codec.normal[j] else (low, high)
    with np.errstate(over="ignore"):
        if codec.log[j]:
            a, b = np.exp(a), np.exp(b)
        k0, k1 = np.rint(a / q), np.rint(b / q)
    if codec.integer[j]:
        k0, k1 = low + 0.5, high - 0.5
    if not k1 - k0 < limit:
        return None
    cells = (np.arange(k0, k1 + 2) - 0.5) * q
    if codec.log[j]:
        with np.errstate(divide="ignore", invalid="ignore"):
            cells = np.where(cells > 0, np.log(cells), -np.inf)
    scaled = (cells - mu) / (_SD * sigma) if sigma > 0 else np.array([-0.5, 0.5])
    if codec.normal[j]:
        scaled[0], scaled[-1] = -np.inf, np.inf
        masses = np.diff(ndtr(scaled * _SD))
    else:
        scaled = np.clip(scaled, -0.5, 0.5)
        scaled[0], scaled[-1] = -0.5, 0.5
        masses = np.diff(scaled)
    while len(masses) > 1 and masses[-1] <= 0:
        masses, scaled = masses[:-1], scaled[:-1]
    while len(masses) > 1 and masses[0] <= 0:
        masses, scaled, k0 = masses[1:], scaled[1:], k0 + 1
    return float(k0), scaled, masses / masses.sum()


def holds(condition: Condition, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) whether `condition` holds in latent rows."""
    if not condition:
        return np.ones(len(X), dtype=bool)
    either = np.zeros(len(X), dtype=bool)
    for term in condition:
        every = np.ones(len(X), dtype=bool)
        for k, branch in term:
            every &= X[:, k] == branch
        either |= every
    return either
