"""Annealing: look around one of the best trials, the more closely the more trials there are.

The coordinates of a point come from one good trial. Parameters that it did not have come from
another good one that had them, or from the prior if there is none. Each is drawn anew from its
prior narrowed to a neighbourhood of the value there: ``1 / (1 + shrink_coef * T)`` of the prior's
width after ``T`` finished trials that had it. What was measured is recorded in
docs/decisions/0008-anneal-and-mix.md.

Shapes: ``X`` (n, d) latent rows, NaN where inactive.
Source: the ``anneal`` module of Bergstra's Hyperopt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from sparktrials.errors import InvalidArgument
from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.grouping import holds
from sparktrials.suggest.tried import Tried, continuous_always

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space import Condition, Point, Space
    from sparktrials.space.codec import Codec
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Settings", "suggest"]

#: Neighbourhoods that are looked through for an untried point, each twice as wide as the one before
#: until they are the prior.
MAX_RETRIES = 32
#: Prior draws that are looked through after that.
N_FRESH = 256
#: Share of the points that keep to the middle of their grid cells, so that grids are left alone by
#: neighbourhoods narrower than a step, and the other parameters can be looked at closely.
STAY = 0.75
#: Uniform numbers strictly inside (0, 1): the normal quantile of 0 is infinite.
_LEAST, _MOST = 2.0**-54, 1 - 2.0**-53


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyperopt's keywords.

    Attributes
    ----------
    avg_best_idx
        Which trial to look around: the ranks of those taken, from 1 for the best, have a geometric
        distribution with this mean.
    shrink_coef
        How fast neighbourhoods shrink with the number of trials; with 0 they never do.

    Raises
    ------
    InvalidArgument
        If a value makes no sense.
    """

    avg_best_idx: float = 2.0
    shrink_coef: float = 0.1

    def __post_init__(self) -> None:
        """Check."""
        for name, least in (("avg_best_idx", 1), ("shrink_coef", 0)):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < least:
                msg = f"anneal.suggest: {name} must be a finite number >= {least}, got {value!r}"
                raise InvalidArgument(msg)


def propose(
    space: Space,  # noqa: ARG001 - the signature of all algorithms
    history: History,
    n: int,
    context: SuggestContext,
    settings: Settings,
) -> list[Point]:
    """Return `n` points: trial `i`'s depends on the seed, `i`, and what has finished.

    Pending trials matter only where points can repeat: theirs are not suggested again.
    """
    codec, states = history.codec, history.states
    counted = states != CODE[TrialState.CANCELLED]
    pending = (states == CODE[TrialState.NEW]) | (states == CODE[TrialState.RUNNING])
    around = _Neighbourhoods(
        codec, history.X[counted & ~pending], history.losses[counted & ~pending], settings
    )
    tried = None if continuous_always(codec) else Tried.of(history)
    rows = np.empty((n, len(codec)))
    for row, trial_id in zip(rows, context.ids[:n], strict=True):
        rng = context.rng(trial_id)
        row[:] = around.draw(rng)
        if tried is not None:
            row[:] = _untried(around, tried, row, rng)
            tried.add(*tried.keys(row[None]))
    return list(codec.decode(rows))


def _untried(
    around: _Neighbourhoods, tried: Tried, row: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return `row` if it is untried, else a point nearby, or anywhere, or any with its branches.

    If none of these is untried, it is a point that was tried.
    """
    for retry in range(1, MAX_RETRIES + 1):
        if not tried.has(row):
            return row
        row = around.draw(rng, widening=2.0**retry)
    if tried.has(row):
        row = tried.fresh(row, rng, N_FRESH)
    return tried.variant(row, rng) if tried.has(row) else row


class _Neighbourhoods:
    """Where good trials are, and how far around them to look.

    Parameters
    ----------
    codec
        What the rows mean.
    X, losses : (n, d), (n,)
        Finished trials by id; NaN for the loss of one that failed.
    """

    def __init__(
        self,
        codec: Codec,
        X: NDArray[np.float64],
        losses: NDArray[np.float64],
        settings: Settings,
    ) -> None:
        self._codec = codec
        had = ~np.isnan(X)
        self._part = 1.0 / (1.0 + settings.shrink_coef * had.sum(axis=0))  # (d,) of the prior
        order = np.argsort(losses, kind="stable")  # NaN, that is failed, last
        best = order[: len(order) - int(np.isnan(losses).sum())]
        self._X, self._had = X[best], had[best]
        self._p = 1.0 / settings.avg_best_idx
        named = {k for condition in codec.conditions for term in condition for k, _ in term}
        self._switches = sorted(named)
        # Neighbouring integers of a switch are no more alike than the branches that they select.
        self._nominal = codec.categorical.copy()
        self._nominal[self._switches] = True
        groups: dict[Condition, list[int]] = {}  # in topological order, as the columns are
        for j, condition in enumerate(codec.conditions):
            groups.setdefault(condition, []).append(j)
        self._groups = [(c, np.array(columns, dtype=np.intp)) for c, columns in groups.items()]

    def draw(self, rng: np.random.Generator, widening: float = 1.0) -> NDArray[np.float64]:
        """Return a latent row (d,), from neighbourhoods that are `widening` times as wide."""
        U = rng.random((3, len(self._codec)))
        if rng.random() < STAY:
            U[2] = 0.5
        row = self._settled(self._codec.from_unit(U[:1]))
        part = np.minimum(self._part * widening, 1.0)
        origins: list[int] = []
        for condition, columns in self._groups:
            if not holds(condition, row[None])[0]:
                row[columns] = np.nan
                continue
            origin = self._origin(int(columns[0]), origins, rng)
            if origin is not None:  # else they stay where the prior has them
                near = self._near(origin, row, part, U[1:])
                row[columns] = self._settled(near[None])[columns]
        return row

    def _origin(
        self, column: int, origins: list[int], rng: np.random.Generator
    ) -> NDArray[np.float64] | None:
        """Return the row of the trial to look around, None if none had the parameter.

        One of those that the point has coordinates of already, so that what was good together
        stays together; else a new one, which is added to them.
        """
        for rank in origins:
            if self._had[rank, column]:
                break
        else:
            having = np.flatnonzero(self._had[:, column])
            if not len(having):
                return None
            rank = int(having[min(int(rng.geometric(self._p)), len(having)) - 1])
            origins.append(rank)
        origin: NDArray[np.float64] = self._X[rank]
        return origin

    def _near(
        self,
        origin: NDArray[np.float64],
        prior: NDArray[np.float64],
        part: NDArray[np.float64],
        U: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return draws (d,) from `part` of the prior around `origin`, NaN where it has none.

        Parameters
        ----------
        prior : (d,)
            A draw from the prior: where branches that are not kept come from.
        part : (d,)
            At most 1, which is the whole prior.
        U : (2, d)
            Where in the neighbourhood, uniform; and where in its cell a value on a grid is taken
            to be.
        """
        codec = self._codec
        centre = self._within_cell(origin, U[1])
        near: NDArray[np.float64] = np.where(U[0] < part, prior, origin)
        k = np.flatnonzero(codec.normal)
        if len(k):
            inside = np.clip(U[0, k], _LEAST, _MOST)
            near[k] = centre[k] + part[k] * codec.sigma[k] * ndtri(inside)
        k = np.flatnonzero(codec.numeric & ~self._nominal)
        low, high = codec.low[k], codec.high[k]
        half = part[k] * (high - low) / 2
        # Neighbourhoods keep their width at the bounds: they are moved inside.
        middle = np.minimum(np.maximum(centre[k], low + half), high - half)
        near[k] = middle + (2 * U[0, k] - 1) * half
        return near

    def _within_cell(
        self, origin: NDArray[np.float64], u: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return `origin` (d,), the coordinates of grids at parts `u` of the cell of its value.

        Off the middle, even a neighbourhood that is narrower than a step can leave the value.
        """
        codec = self._codec
        k = np.flatnonzero((codec.step > 0) & ~self._nominal & ~np.isnan(origin))
        if not len(k):
            return origin
        step, log = codec.step[k], codec.log[k]
        value = codec.values(origin[None])[0, k]
        low, high = value - step / 2, value + step / 2
        low[log] = np.log(np.maximum(low[log], step[log] / 4))
        high[log] = np.log(high[log])
        low, high = np.maximum(low, codec.low[k]), np.minimum(high, codec.high[k])
        centre: NDArray[np.float64] = origin.copy()
        centre[k] = low + u[k] * (high - low)
        return centre

    def _settled(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the one row of `X` with its switches on whole numbers, as conditions need them."""
        row: NDArray[np.float64] = X[0].copy()
        if self._switches:
            row[self._switches] = self._codec.values(X)[0, self._switches]
        return row


suggest = Algorithm("anneal", propose, Settings)
