"""Keeping points apart from pending ones, so that hundreds at a time do not crowd one place.

Shapes: ``S``, ``C`` as in `parzen`; ``p`` pending points, ``m`` candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.suggest.grouping import Group
    from sparktrials.suggest.known import Board
    from sparktrials.suggest.parzen import Axes

__all__ = ["MAX_PENDING", "Crowd", "Near", "Places", "repulsion"]

#: Points are kept apart from so many pending ones, the latest: the others were suggested by what
#: was known earlier, and lie elsewhere. What it costs is in docs/decisions/0014-thousands.md.
MAX_PENDING = 500
#: The part of its l/g that a candidate on top of a pending point loses.
REPULSION = 0.5
#: Squared distance, in bandwidths, between different options of a choice.
MISMATCH = 8.0
#: Nominal columns of up to this many options are compared by matrix products.
_FEW = 32


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Points, as `repulsion` sees them.

    Attributes
    ----------
    x : (m, ·)
        Positions in bandwidths, on all columns but nominal ones.
    hot : (m, ·)
        Nominal columns of few options, one-hot.
    codes : (m, ·)
        Those of many.
    n_nominal
        How many there are of both.
    """

    x: NDArray[np.float64]
    hot: NDArray[np.float64]
    codes: NDArray[np.intp]
    n_nominal: int

    def __len__(self) -> int:
        """Return m."""
        return len(self.x)

    def __getitem__(self, rows: slice) -> Places:
        return Places(self.x[rows], self.hot[rows], self.codes[rows], self.n_nominal)

    def extended(self, n: int) -> Places:
        """Return a copy with room for `n` more."""
        arrays = (self.x, self.hot, self.codes)
        room = (np.zeros((n, a.shape[1]), dtype=a.dtype) for a in arrays)
        x, hot, codes = (np.concatenate(pair) for pair in zip(arrays, room, strict=True))
        return Places(x, hot, codes.astype(np.intp), self.n_nominal)

    def put(self, row: int, other: Places) -> None:
        """Write the first of other points into a row."""
        self.x[row], self.hot[row], self.codes[row] = other.x[0], other.hot[0], other.codes[0]


def repulsion(candidates: Places, pending: Places) -> NDArray[np.float64]:
    """Return (m,) what the logarithms of l/g lose by the nearness of up to 1,000 pending points.

    The more points are pending, the less far each repels: in d dimensions, p of them share a room
    by keeping distances of ``p ** (-1 / d)``.

    Source: local penalisation, Gonzalez et al., AISTATS 2016, with a kernel for the penaliser.
    """
    x, far = candidates.x, pending.x
    p, d = len(far), x.shape[1] + candidates.n_nominal
    # Minus half the squared distances: the exponents of the kernels.
    exponent = x @ far.T
    exponent -= 0.5 * (far * far).sum(axis=1)
    exponent -= 0.5 * (x * x).sum(axis=1)[:, None]
    np.minimum(exponent, 0, out=exponent)
    exponent *= p ** (2 / d)
    if candidates.n_nominal:
        exponent += (0.5 * MISMATCH) * (candidates.hot @ pending.hot.T - candidates.n_nominal)
        for mine, other in zip(candidates.codes.T, pending.codes.T, strict=True):
            exponent += (0.5 * MISMATCH) * (mine[:, None] == other)
    kernel = np.exp(exponent.astype(np.float32))
    kernel *= -REPULSION
    kernel += 1
    loss: NDArray[np.float64] = np.log(np.multiply.reduce(kernel, axis=1, dtype=np.float64))
    return loss


def places_of(
    axes: Axes, reach: NDArray[np.float64], S: NDArray[np.float64], C: NDArray[np.intp]
) -> Places:
    """Return points as `repulsion` sees them; `reach`: (s + t,) the bandwidths."""
    nominal = [j for j, edges in enumerate(axes.edges) if edges is None]
    ordinal = np.ones(len(reach), dtype=bool)
    ordinal[[S.shape[1] + j for j in nominal]] = False
    few = [j for j in nominal if len(axes.prior[j]) <= _FEW]
    many = [j for j in nominal if len(axes.prior[j]) > _FEW]
    hot = [C[:, j, None] == np.arange(len(axes.prior[j])) for j in few]
    return Places(
        (axes.ordinates(S, C) / reach)[:, ordinal],
        np.concatenate([*hot, np.empty((len(C), 0))], axis=1),
        C[:, many],
        len(nominal),
    )


@dataclass(slots=True)
class Crowd:
    """The pending trials of a group: those of the history, and points that were just made.

    Attributes
    ----------
    rows : (p, d)
        The latest `MAX_PENDING`.
    taken
        Per switch the (K,) numbers of trials by branch, finished ones included.
    owed
        Per switch the (K,) shares that its branches are owed.
    """

    rows: NDArray[np.float64]
    taken: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    owed: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, board: Board, X: NDArray[np.float64]) -> Crowd:
        """Return what a group's board holds; `X`: the history's latent rows."""
        return cls(
            X[board.latest(MAX_PENDING)],
            {j: counts.copy() for j, counts in board.taken.items()},
            {j: board.owed(j) for j in board.taken},
        )

    def join(self, group: Group, rows: NDArray[np.float64]) -> None:
        """Take up points in which the group is active."""
        if self.taken:
            codes = group.codes(rows)
            for j in self.taken:
                self.taken[j] += np.bincount(codes[:, j], minlength=len(self.taken[j]))
        self.rows = np.concatenate([self.rows, rows])[-MAX_PENDING:]

    def places(self, group: Group, reach: NDArray[np.float64]) -> Places:
        """Return the pending points as `repulsion` sees them."""
        return places_of(group.axes, reach, group.scaled(self.rows), group.codes(self.rows))

    def near(
        self,
        group: Group,
        reach: NDArray[np.float64],
        candidates: tuple[NDArray[np.float64], NDArray[np.intp]],
        n: int,
    ) -> Near | None:
        """Return what `n` points to be chosen of candidates lose; None if that is nothing."""
        if not len(self.rows) and n == 1:
            return None
        return Near(group.axes, reach, candidates, self.places(group, reach), n)


class Near:
    """What candidates lose by the nearness of pending points, one more with each choice.

    Parameters
    ----------
    axes, reach
        Of the group, see `places_of`.
    candidates
        ``S`` and ``C`` of all that are to be judged.
    pending
        To begin with.
    n
        How many points are going to be chosen.
    """

    def __init__(
        self,
        axes: Axes,
        reach: NDArray[np.float64],
        candidates: tuple[NDArray[np.float64], NDArray[np.intp]],
        pending: Places,
        n: int,
    ) -> None:
        self._axes, self._reach = axes, reach
        self._p = len(pending)
        self._pending = pending.extended(n)
        self._candidates = places_of(axes, reach, *candidates)

    def scored(self, score: NDArray[np.float64], own: slice) -> NDArray[np.float64]:
        """Return scores of the candidates in a slice, less what nearness costs them."""
        if not self._p:
            return score
        window = slice(max(0, self._p - MAX_PENDING), self._p)
        return score + repulsion(self._candidates[own], self._pending[window])

    def take(self, candidate: int) -> None:
        """Count a candidate that was chosen as pending."""
        self._pending.put(self._p, self._candidates[candidate : candidate + 1])
        self._p += 1

    def join(self, S: NDArray[np.float64], C: NDArray[np.intp]) -> None:
        """Count a point that was chosen, and is none of the candidates, as pending."""
        self._pending.put(self._p, places_of(self._axes, self._reach, S, C))
        self._p += 1
