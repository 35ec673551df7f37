"""Points to arrays and back: the only view of a space that numerics see.

Notation: ``n`` points, ``d`` parameters; ``X`` is ``(n, d)`` float64 in latent coordinates (the
logarithm for log kinds, the branch index for choices), NaN where inactive; ``U`` is ``(n, d)`` in
the unit cube, the cumulative probability of each coordinate under its prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.errors import InvalidPoint
from sparktrials.space.conditions import holds
from sparktrials.space.distributions import (
    MAX_LOG,
    MIN_LOG,
    Categorical,
    Distribution,
    Integer,
    Normal,
    Uniform,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sparktrials.space.compile import Condition, Point, Space

__all__ = ["Codec"]


#: Steps beyond this many from 0 are finer than float64 resolves: quantizing changes nothing.
_FINE = 2.0**52
#: Latent bounds of columns that have none: their values must stay finite, in any unit of theirs.
_FAR = 8e307
#: No prior is narrower: numerics divide by standard deviations.
_TINY = 1e-300
#: Uniform numbers strictly inside (0, 1): the normal quantile of 0 and 1 is infinite, and 53
#: random bits can be 0.
_INSIDE = (2.0**-54, 1 - 2.0**-53)
#: Choices of up to this many options are looked up together, as one matrix.
_FEW = 32


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """Column-wise description of a space, and the conversions that follow from it.

    Attributes
    ----------
    labels
        ``d`` labels in table order.
    numeric, normal, integer, categorical : (d,) bool
        The family of each column: bounded, normal, bounded whole numbers, branch index.
        `integer` columns are also `numeric`, with bounds widened by half a unit.
    log : (d,) bool
        The value is ``exp`` of the latent coordinate.
    step : (d,) float64
        Quantization step of the *value*, 0 where there is none, 1 for whole numbers.
    low, high : (d,) float64
        Latent bounds; infinite for normal columns.
    mu, sigma : (d,) float64
        Prior mean and standard deviation of the latent coordinate: of the normal, or of the
        uniform over the bounds.
    probabilities
        Per column the prior of its branches, empty for other families.
    conditions
        Per column when it is active.
    """

    labels: tuple[str, ...]
    numeric: NDArray[np.bool_]
    normal: NDArray[np.bool_]
    integer: NDArray[np.bool_]
    categorical: NDArray[np.bool_]
    log: NDArray[np.bool_]
    step: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    probabilities: tuple[NDArray[np.float64], ...]
    conditions: tuple[Condition, ...]
    whole: tuple[bool, ...]
    _lowest: NDArray[np.float64]  # (d,) latent coordinates are brought inside these before all else
    _highest: NDArray[np.float64]
    _origin: NDArray[
        np.float64
    ]  # (d,) latent = origin + width * u, where neither normal nor choice
    _width: NDArray[np.float64]
    _quantized: NDArray[np.bool_]
    _divisor: NDArray[np.float64]  # (d,) step, 1 where there is none
    _normals: NDArray[np.intp]
    _choices: tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]  # columns, (columns, k - 1)
    _linear_columns: tuple[tuple[int, str], ...]
    _log_columns: tuple[tuple[int, str, float], ...]  # and the latent coordinate of a value of 0
    _gates: tuple[int, ...]  # columns that conditions name, but for choices

    @classmethod
    def of(cls, space: Space) -> Codec:
        """Describe `space`."""
        labels = tuple(space.labels)
        distributions = [p.distribution for p in space.parameters]
        conditions = tuple(p.condition for p in space.parameters)
        d = len(distributions)
        latent = np.array([_latent(dist) for dist in distributions]).reshape(d, 4)
        low, high, mu, sigma = np.ascontiguousarray(latent.T)
        step = np.array([_step(dist) for dist in distributions], dtype=np.float64)
        log = np.array([_is_log(dist) for dist in distributions], dtype=bool)
        normal = _flags(distributions, Normal)
        integer = _flags(distributions, Integer)
        categorical = _flags(distributions, Categorical)
        probabilities = tuple(
            np.array(dist.probabilities if isinstance(dist, Categorical) else (), dtype=np.float64)
            for dist in distributions
        )
        ends = np.array([_ends(dist) for dist in distributions]).reshape(d, 2)
        lowest, highest = np.ascontiguousarray(ends.T)
        named = {k for condition in conditions for term in condition for k, _ in term}
        linear = normal | categorical
        return cls(
            labels=labels,
            numeric=_flags(distributions, (Uniform, Integer)),
            normal=normal,
            integer=integer,
            categorical=categorical,
            log=log,
            step=step,
            low=low,
            high=high,
            mu=mu,
            sigma=sigma,
            probabilities=probabilities,
            conditions=conditions,
            whole=tuple((integer | categorical).tolist()),
            _lowest=lowest,
            _highest=highest,
            _origin=np.where(linear, 0.0, low),
            _width=np.subtract(high, low, out=np.ones(d), where=~linear),
            _quantized=step > 0,
            _divisor=np.where(step > 0, step, 1.0),
            _normals=np.flatnonzero(normal),
            _choices=_lookups(np.flatnonzero(categorical), probabilities),
            _linear_columns=tuple((j, labels[j]) for j in range(d) if not log[j]),
            _log_columns=tuple(
                (j, labels[j], _log_of_zero(step[j], lowest[j], highest[j]))
                for j in range(d)
                if log[j]
            ),
            _gates=tuple(sorted(k for k in named if not categorical[k])),
        )

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.labels)

    def encode(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Return ``X`` of `points`, NaN where a label is absent."""
        X = np.full((len(points), len(self)), np.nan)
        for i, point in enumerate(points):
            self.encode_into(X[i], point)
        return X

    def encode_into(self, row: NDArray[np.float64], point: Point) -> None:
        """Write one point into a NaN-filled row of ``X``."""
        get = point.get
        for j, label in self._linear_columns:
            value = get(label)
            if value is not None:
                row[j] = value
        for j, label, of_zero in self._log_columns:
            value = get(label)
            if value is not None:
                row[j] = math.log(value) if value > 0 else of_zero

    def decode(self, X: NDArray[np.float64]) -> list[dict[str, int | float]]:
        """Return the points of latent rows: quantized, with the active labels only.

        Numbers are brought back inside their bounds first; inactive columns of `X` are ignored,
        whatever they hold. ``decode(encode(points))`` gives `points` back exactly, but for values
        of log kinds without a step: those may differ by rounding, relatively by up to
        ``(2 + abs(log(value))) * 2**-52``.

        Raises
        ------
        InvalidPoint
            If the coordinate of an active column is NaN.
        """
        columns = list(zip(self.labels, self.whole, self.conditions, strict=True))
        points = []
        for row in self.values(X).tolist():
            point: dict[str, int | float] = {}
            for j, (label, whole, condition) in enumerate(columns):
                if condition and not holds(condition, row):
                    row[j] = None  # so that no branch compares equal
                    continue
                value = row[j]
                if math.isnan(value):
                    msg = f"{label!r} is active, but its coordinate is NaN"
                    raise InvalidPoint(msg)
                point[label] = int(value) if whole else value
            points.append(point)
        return points

    def values(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return raw values of latent rows: bounded, exponentiated, quantized."""
        raw = np.maximum(X, self._lowest)
        np.minimum(raw, self._highest, out=raw)
        np.exp(raw, out=raw, where=self.log)
        with np.errstate(over="ignore"):  # of steps that are far too fine
            steps = raw / self._divisor
        quantize = self._quantized & (np.abs(steps) < _FINE)
        np.multiply(np.rint(steps), self._divisor, out=raw, where=quantize)
        raw += 0.0  # no -0.0
        return raw

    def active(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return ``(n, d)``: which coordinates matter, given the choices in `X`."""
        on = np.ones(X.shape, dtype=bool)
        if self._gates:  # randint is continuous in latent coordinates
            X = X.copy()
            for k in self._gates:
                X[:, k] = np.rint(np.clip(X[:, k], self._lowest[k], self._highest[k]))
        for j, condition in enumerate(self.conditions):
            if condition:
                either = np.zeros(len(X), dtype=bool)
                for term in condition:
                    every = np.ones(len(X), dtype=bool)
                    for k, branch in term:
                        every &= on[:, k] & (X[:, k] == branch)
                    either |= every
                on[:, j] = either
        return on

    def from_unit(self, U: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the latent rows at cumulative probabilities `U`: the inverse of the prior."""
        X = U * self._width
        X += self._origin
        if len(self._normals):
            from scipy.special import ndtri  # noqa: PLC0415 - executors need no scipy

            inside = np.minimum(np.maximum(U[:, self._normals], _INSIDE[0]), _INSIDE[1])
            X[:, self._normals] = self.mu[self._normals] + self.sigma[self._normals] * ndtri(inside)
        for columns, cumulative in self._choices:
            if len(columns) == 1:
                X[:, columns[0]] = np.searchsorted(cumulative[0], U[:, columns[0]], side="right")
            else:
                X[:, columns] = (U[:, columns, None] >= cumulative).sum(axis=2)
        return X

    def to_unit(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cumulative prior probability of latent rows; a branch's is its middle.

        Coordinates outside their bounds, where users' own points may be, give 0 or 1; NaN stays.
        """
        U = np.clip((X - self._origin) / self._width, 0.0, 1.0)
        if len(self._normals):
            from scipy.special import ndtr  # noqa: PLC0415 - executors need no scipy

            z = (X[:, self._normals] - self.mu[self._normals]) / self.sigma[self._normals]
            U[:, self._normals] = ndtr(z)
        for j in np.flatnonzero(self.categorical):
            p = self.probabilities[j]
            known = np.isfinite(X[:, j])
            branch = np.clip(X[known, j], 0, len(p) - 1).astype(np.intp)
            U[known, j] = (np.cumsum(p) - p / 2)[branch]
        return U


def _flags(distributions: Sequence[object], kind: type | tuple[type, ...]) -> NDArray[np.bool_]:
    return np.array([isinstance(d, kind) for d in distributions], dtype=bool)


def _is_log(dist: Distribution) -> bool:
    return isinstance(dist, (Uniform, Normal)) and dist.log


def _step(dist: Distribution) -> float:
    return (dist.q or 0.0) if isinstance(dist, (Uniform, Normal)) else 1.0


def _latent(dist: Distribution) -> tuple[float, float, float, float]:
    """Return low, high, mu, sigma of the latent coordinate."""
    if isinstance(dist, Normal):
        return -math.inf, math.inf, dist.mu, dist.sigma
    if isinstance(dist, Categorical):
        low, high = 0.0, len(dist.probabilities) - 1.0
    elif isinstance(dist, Integer):
        low, high = dist.low - 0.5, dist.high - 0.5
    else:
        low, high = dist.low, dist.high
    return low, high, low + (high - low) / 2, max((high - low) / math.sqrt(12), _TINY)


def _ends(dist: Distribution) -> tuple[float, float]:
    """Return the latent coordinates that values are never beyond."""
    if isinstance(dist, Categorical):
        return 0.0, len(dist.probabilities) - 1.0
    if isinstance(dist, Integer):
        return float(dist.low), float(dist.high - 1)
    least, most = (MIN_LOG, MAX_LOG) if dist.log else (-_FAR, _FAR)
    if isinstance(dist, Normal):
        return least, most
    return max(dist.low, least), max(min(dist.high, most), least)


def _log_of_zero(step: float, lowest: float, highest: float) -> float:
    """Return where a value of 0 lies: at a quarter step, or as near as the bounds allow."""
    return min(max(lowest, math.log(step) - math.log(4)), highest) if step > 0 else lowest


def _lookups(
    columns: NDArray[np.intp], probabilities: Sequence[NDArray[np.float64]]
) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]:
    """Return the upper ends of the branches' shares of [0, 1], but for the last, as matrices."""
    few = [j for j in columns if len(probabilities[j]) <= _FEW]
    groups = [few] if few else []
    groups += [[j] for j in columns if len(probabilities[j]) > _FEW]
    lookups = []
    for group in groups:
        ends = np.full((len(group), max(len(probabilities[j]) for j in group) - 1), np.inf)
        for row, j in zip(ends, group, strict=True):
            p = probabilities[j]
            # Branches of no probability behind the last that has any must stay out of reach.
            last = int(np.flatnonzero(p)[-1])
            row[:last] = np.cumsum(p)[:last]
        lookups.append((np.array(group, dtype=np.intp), ends))
    return tuple(lookups)
