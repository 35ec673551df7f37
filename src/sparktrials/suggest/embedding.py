"""Where points of a space lie for a kernel: a map into a Euclidean space.

A parameter that is always active has its scaled position as a coordinate. One that is active only
under a branch lies on an arc of radius 1 while it is active and in the centre of the circle while
it is not: two active points are about as far apart as their positions, an active and an inactive
one are 1 apart wherever the active one lies, and two inactive ones not at all. Options of a choice
are the corners of a simplex, 1 apart (squared), and 1/2 from the centre, which stands for inactive.
Distances being Euclidean, kernels of them are valid, whatever the tree.

Shapes: ``X`` (n, d) latent rows, NaN where inactive; ``Z`` (n, d) *coordinates*: scaled positions
of smooth columns, codes of coded ones, NaN where inactive, in the order of the space's table;
``F`` (n, f) *features*, whose squared differences make up squared distances.

Source: the arcs are those of Hutter and Osborne, arXiv:1310.5738, and Swersky et al., NeurIPS 2013
workshop on Bayesian optimization.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.grouping import groups_of, holds
from sparktrials.suggest.parzen import PRIOR_SD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space.codec import Codec
    from sparktrials.suggest.grouping import Group

__all__ = ["Embedding"]

#: Positions on arcs end here, so that no two points of one meet from both sides.
_ARC = 1.5
#: Where the search for points ends on columns without bounds, in standard deviations.
_SEARCH_SD = 4.0
_CORNER = math.sqrt(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The columns of a space, as coordinates and as features.

    Attributes
    ----------
    codec, groups
        What the rows mean.
    smooth, nominal : (d,) bool
        Whether a column's coordinate is a position; whether it is a code without order. The others
        are codes of grids.
    switches : (d,) bool
        Which columns decide on others.
    positions
        Per column the (K,) positions of its codes; empty for smooth and nominal ones.
    sizes : (d,)
        Numbers of codes, 0 for smooth columns.
    low, high : (d,)
        Where the search for points ends on smooth columns.
    line : (·,)
        The columns that are always active and have order.
    arcs : (·,)
        Those that are not always active, and have order.
    owner : (f,)
        The column of each feature: first those of `line`, then the cosines of `arcs`, their sines,
        and the corners of nominal columns.
    """

    codec: Codec
    groups: list[Group]
    smooth: NDArray[np.bool_]
    nominal: NDArray[np.bool_]
    switches: NDArray[np.bool_]
    positions: tuple[NDArray[np.float64], ...]
    sizes: NDArray[np.intp]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    line: NDArray[np.intp]
    arcs: NDArray[np.intp]
    owner: NDArray[np.intp]
    _corners: tuple[tuple[int, int, int], ...]  # column, first feature, number of options

    @classmethod
    def of(cls, codec: Codec) -> Embedding:
        """Describe a space."""
        d = len(codec)
        groups = groups_of(codec)
        smooth, nominal = np.zeros(d, dtype=bool), np.zeros(d, dtype=bool)
        sizes = np.zeros(d, dtype=np.intp)
        low, high = np.full(d, -0.5), np.full(d, 0.5)
        positions: list[NDArray[np.float64]] = [np.empty(0)] * d
        for group in groups:
            smooth[group.smooth] = True
            free = group.smooth[~group.axes.bounded]
            low[free], high[free] = -_SEARCH_SD * PRIOR_SD, _SEARCH_SD * PRIOR_SD
            axes = group.axes
            for j, middles, prior in zip(group.coded, axes.middles, axes.prior, strict=True):
                sizes[j] = len(prior)
                if middles is None:
                    nominal[j] = True
                else:
                    positions[j] = middles
        always = np.array([not condition for condition in codec.conditions], dtype=bool)
        switches = np.zeros(d, dtype=bool)
        switches[[k for c in codec.conditions for term in c for k, _ in term]] = True
        line = np.flatnonzero(always & ~nominal)
        arcs = np.flatnonzero(~always & ~nominal)
        owner = [line, arcs, arcs]
        corners: list[tuple[int, int, int]] = []
        first = len(line) + 2 * len(arcs)
        for j in np.flatnonzero(nominal):
            corners.append((int(j), first, int(sizes[j])))
            owner.append(np.full(sizes[j], j))
            first += int(sizes[j])
        return cls(
            codec,
            groups,
            smooth,
            nominal,
            switches,
            tuple(positions),
            sizes,
            low,
            high,
            line,
            arcs,
            np.concatenate(owner).astype(np.intp),
            tuple(corners),
        )

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.smooth)

    # ------------------------------------------------------------------ latent rows

    def coordinates(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``Z`` of latent rows."""
        Z = np.full(X.shape, np.nan)
        for group in self.groups:
            rows = np.flatnonzero(holds(group.condition, X))
            if len(rows):
                here = X[rows]
                Z[np.ix_(rows, group.smooth)] = group.scaled(here)
                Z[np.ix_(rows, group.coded)] = group.codes(here)
        return Z

    def latent(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the latent rows of coordinates, on their grids; the inverse of `coordinates`."""
        X = np.full(Z.shape, np.nan)
        for group in self.groups:  # in topological order, as conditions need them
            rows = np.flatnonzero(holds(group.condition, X))
            if len(rows):
                here = X[rows]
                S = group.settle(Z[np.ix_(rows, group.smooth)])
                group.fill(here, S, Z[np.ix_(rows, group.coded)].astype(np.intp))
                X[rows] = here
        return X

    def draws(
        self, U: NDArray[np.float64], branches: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return ``Z`` of the points at cumulative prior probabilities `U` (n, d).

        `branches`: a latent row, of which all have the switches.
        """
        X = self.codec.from_unit(U)
        if branches is not None:
            X[:, self.switches] = branches[self.switches]
        X[~self.codec.active(X)] = np.nan
        return self.settled(self.coordinates(self._on_switches(X)))

    def _on_switches(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows whose switches over integers are whole numbers, as conditions need them."""
        columns = np.flatnonzero(self.switches & ~self.codec.categorical)
        if len(columns):
            X[:, columns] = np.where(
                np.isnan(X[:, columns]), np.nan, self.codec.values(X)[:, columns]
            )
        return X

    def settled(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return coordinates with positions on fine grids moved onto them."""
        if not (self.smooth & (self.codec.step > 0)).any():
            return Z
        Z = Z.copy()
        for group in self.groups:
            if not len(group.smooth):
                continue
            rows = np.flatnonzero(~np.isnan(Z[:, group.key]))
            place = np.ix_(rows, group.smooth)
            Z[place] = group.settle(Z[place])
        return Z

    # ------------------------------------------------------------------ features

    def ordinates(self, Z: NDArray[np.float64], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (n, ·) positions on columns that have order, NaN where inactive."""
        out = Z[:, columns]
        for i, j in enumerate(columns):
            if not self.smooth[j]:
                codes = np.nan_to_num(out[:, i]).astype(np.intp)
                out[:, i] = np.where(np.isnan(out[:, i]), np.nan, self.positions[j][codes])
        return out

    def features(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``F`` of coordinates."""
        a, b = len(self.line), len(self.arcs)
        F = np.zeros((len(Z), len(self.owner)))
        F[:, :a] = self.ordinates(Z, self.line)
        if b:
            angle = np.clip(self.ordinates(Z, self.arcs), -_ARC, _ARC)
            F[:, a : a + b] = np.nan_to_num(np.cos(angle))
            F[:, a + b : a + 2 * b] = np.nan_to_num(np.sin(angle))
        for j, first, size in self._corners:
            on = np.flatnonzero(~np.isnan(Z[:, j]))
            F[on, first + np.clip(Z[on, j], 0, size - 1).astype(np.intp)] = _CORNER
        return F
