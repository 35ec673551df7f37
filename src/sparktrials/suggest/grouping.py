"""Columns that are active together, and how their latent coordinates look to Parzen mixtures.

A *group* is the set of parameters with one and the same condition. A *switch* is a parameter that
other conditions name: a choice whose branches have parameters of their own.

Shapes: ``X`` (n, d) latent rows, NaN where inactive; ``S`` (n, s) and ``C`` (n, t) as in `parzen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from sparktrials.suggest.parzen import PRIOR_SD, Axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space import Condition
    from sparktrials.space.codec import Codec

__all__ = ["Grid", "Group", "grid_of", "groups_of", "holds"]

#: Grids with at most so many values are integrated cell by cell; on finer ones a cell is narrower
#: than the bandwidths that occur, and the density at its value is as good.
MAX_CELLS = 32
#: A switch over more integers than this is sampled like any other column.
MAX_ARMS = 4096
#: Quantized normals are cut here, in standard deviations: the end cells hold the tails.
_TAIL_SD = 5.0
_EXACT = 2.0**51
#: Scaled coordinates of normal columns beyond this are moved to it: float32 stays good enough.
_FAR = 10.0


class _Fine(NamedTuple):
    """The smooth columns that carry fine grids, and what `Group.settle` needs of them.

    Attributes
    ----------
    columns
        Among the smooth ones.
    log
        Those of them that are logarithms, by their place in `columns`.
    zero
        The codec's own coordinate of a value that was rounded to 0, for these.
    """

    columns: NDArray[np.intp]
    log: NDArray[np.intp]
    zero: NDArray[np.float64]
    step: NDArray[np.float64]
    origin: NDArray[np.float64]
    width: NDArray[np.float64]
    reach: NDArray[np.float64]


class Grid(NamedTuple):
    """The values ``(first + k) * step`` of a quantized column.

    Shapes: edges (K + 1,) scaled, masses (K,) of the prior.
    """

    first: float
    edges: NDArray[np.float64]
    masses: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Parameters with one condition.

    Attributes
    ----------
    condition
        When the group is active.
    smooth : (s,) intp, coded : (t,) intp
        Its columns in the space's table.
    origin, width : (s,)
        Scaled coordinate = (latent - origin) / width.
    axes
        What the mixture needs to know.
    switches
        Positions among the coded columns of those that other conditions name.
    """

    condition: Condition
    smooth: NDArray[np.intp]
    coded: NDArray[np.intp]
    origin: NDArray[np.float64]
    width: NDArray[np.float64]
    axes: Axes
    switches: tuple[int, ...]
    _reach: NDArray[np.float64]
    _fine: _Fine
    _coded_first: NDArray[np.float64]
    _coded_last: NDArray[np.float64]
    _coded_step: NDArray[np.float64]
    _coded_log: NDArray[np.intp]  # those among the coded columns

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.smooth) + len(self.coded)

    @property
    def key(self) -> int:
        """A column that is active just when the group is."""
        return int((self.smooth if len(self.smooth) else self.coded)[0])

    def scaled(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``S`` of latent rows in which the group is active; out of bounds to the ends."""
        S: NDArray[np.float64] = X.T[self.smooth].T
        S -= self.origin
        S /= self.width
        np.maximum(S, -self._reach, out=S)
        np.minimum(S, self._reach, out=S)
        return S

    def codes(self, X: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return ``C`` of latent rows in which the group is active; out of range to the ends."""
        V: NDArray[np.float64] = X.T[self.coded]
        if len(self._coded_log):
            V[self._coded_log] = np.exp(V[self._coded_log])
        V /= self._coded_step[:, None]
        np.rint(V, out=V)
        first = self._coded_first[:, None]
        np.maximum(V, first, out=V)
        np.minimum(V, self._coded_last[:, None], out=V)
        V -= first
        codes: NDArray[np.intp] = V.T.astype(np.intp)
        return codes

    def fill(self, X: NDArray[np.float64], S: NDArray[np.float64], C: NDArray[np.intp]) -> None:
        """Write points into latent rows."""
        X[:, self.smooth] = S * self.width + self.origin
        V = (C + self._coded_first) * self._coded_step
        if len(self._coded_log):
            V[:, self._coded_log] = _log(V[:, self._coded_log])
        X[:, self.coded] = V

    def settle(self, S: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `S` with the coordinates of fine grids moved onto them."""
        fine = self._fine
        if not len(fine.columns):
            return S
        V = S[:, fine.columns] * fine.width + fine.origin
        log = fine.log
        with np.errstate(over="ignore", divide="ignore"):
            if len(log):
                V[:, log] = np.exp(V[:, log])
            k = np.rint(V / fine.step)
            # Where floats are further apart than the steps, every float is on the grid.
            V = np.where(np.abs(k) < _EXACT, k * fine.step, V)
            if len(log):
                V[:, log] = np.where(V[:, log] > 0, np.log(np.maximum(V[:, log], 0)), fine.zero)
        V -= fine.origin
        V /= fine.width
        S = S.copy()
        S[:, fine.columns] = np.minimum(np.maximum(V, -fine.reach), fine.reach)
        return S


def groups_of(codec: Codec) -> list[Group]:
    """Return the groups in topological order: conditions name columns of earlier groups."""
    named = {k for condition in codec.conditions for term in condition for k, _ in term}
    members: dict[Condition, list[int]] = {}
    for j, condition in enumerate(codec.conditions):
        members.setdefault(condition, []).append(j)
    return [_group(codec, condition, columns, named) for condition, columns in members.items()]


def _group(codec: Codec, condition: Condition, columns: list[int], named: set[int]) -> Group:
    smooth: list[int] = []
    coded: list[int] = []
    grids: list[Grid | None] = []
    for j in columns:
        grid = None
        if not codec.categorical[j]:
            grid = grid_of(codec, j, MAX_ARMS if j in named else MAX_CELLS)
            if grid is None:
                smooth.append(j)
                continue
        coded.append(j)
        grids.append(grid)
    s, t = np.array(smooth, dtype=np.intp), np.array(coded, dtype=np.intp)
    # Neighbouring integers of a switch are no more alike than the branches that they select.
    ordinal = [grid if j not in named else None for j, grid in zip(coded, grids, strict=True)]
    prior = tuple(
        codec.probabilities[j] if grid is None else grid.masses
        for j, grid in zip(coded, grids, strict=True)
    )
    first = np.array([0.0 if grid is None else grid.first for grid in grids])
    normal = codec.normal[s]
    origin, width = codec.mu[s], np.maximum(codec.sigma[s], np.finfo(np.float64).tiny) / PRIOR_SD
    reach = np.where(normal, _FAR, 0.5)
    fine = np.flatnonzero(codec.step[s] > 0)
    step, log = codec.step[s][fine], np.flatnonzero(codec.log[s][fine])
    return Group(
        condition=condition,
        smooth=s,
        coded=t,
        origin=origin,
        width=width,
        axes=Axes(
            ~normal,
            tuple(None if grid is None else grid.edges for grid in ordinal),
            tuple(
                None if grid is None else _middles(grid, normal=bool(codec.normal[j]))
                for j, grid in zip(coded, ordinal, strict=True)
            ),
            prior,
        ),
        switches=tuple(i for i, j in enumerate(coded) if j in named),
        _reach=reach,
        _fine=_Fine(fine, log, _log(step[log] / 4), step, origin[fine], width[fine], reach[fine]),
        _coded_first=first,
        _coded_last=first + np.array([len(p) - 1.0 for p in prior]),
        _coded_step=codec.step[t],
        _coded_log=np.flatnonzero(codec.log[t]),
    )


def grid_of(codec: Codec, j: int, limit: int) -> Grid | None:
    """Return the grid of a quantized column of up to `limit` values, else None."""
    step, log, normal = float(codec.step[j]), bool(codec.log[j]), bool(codec.normal[j])
    if step <= 0:
        return None
    mu, sigma = float(codec.mu[j]), float(codec.sigma[j])
    ends = np.array([codec.low[j], codec.high[j]])
    if normal:
        ends = mu + np.array([-_TAIL_SD, _TAIL_SD]) * sigma
    if codec.integer[j]:
        first, last = ends + np.array([0.5, -0.5])
    else:
        with np.errstate(over="ignore"):
            first, last = np.rint((np.exp(ends) if log else ends) / step)
    # Beyond 2**51 half a step gets lost in rounding.
    if max(abs(first), abs(last)) > _EXACT or last - first >= limit:
        return None
    edges = (first - 0.5 + np.arange(int(last - first) + 2)) * step
    if log:
        edges = _log(edges)
    with np.errstate(over="ignore"):  # steps far beyond the deviation
        scaled = (edges - mu) / max(sigma, np.finfo(np.float64).tiny) * PRIOR_SD
    if normal:
        scaled[0], scaled[-1] = -np.inf, np.inf
        masses = np.diff(ndtr(scaled / PRIOR_SD))
    else:
        scaled = np.clip(scaled, -0.5, 0.5)
        scaled[0], scaled[-1] = -0.5, 0.5
        masses = np.diff(scaled)
    # Rounding half to even may name an end value whose cell is empty.
    kept = np.flatnonzero(masses > 0)
    start, stop = int(kept[0]), int(kept[-1]) + 1
    masses = masses[start:stop]
    return Grid(float(first) + start, scaled[start : stop + 1], masses / masses.sum())


def _middles(grid: Grid, *, normal: bool) -> NDArray[np.float64]:
    """Return (K,) the prior median of each cell."""
    half = np.cumsum(grid.masses) - grid.masses / 2
    middles: NDArray[np.float64] = PRIOR_SD * ndtri(half) if normal else half - 0.5
    return middles


def holds(condition: Condition, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) whether `condition` holds in latent rows that are NaN where inactive."""
    if not condition:
        return np.ones(len(X), dtype=bool)
    either = np.zeros(len(X), dtype=bool)
    for term in condition:
        either |= np.logical_and.reduce([X[:, k] == branch for k, branch in term])
    return either


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms, -inf for zero and below."""
    with np.errstate(divide="ignore"):
        logs: NDArray[np.float64] = np.log(np.maximum(values, 0.0))
    return logs
