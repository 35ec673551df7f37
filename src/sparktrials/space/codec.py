"""Points to arrays and back: the only view of a space that numerics see.

Notation: ``n`` points, ``d`` parameters; ``X`` is ``(n, d)`` float64 in latent coordinates (the
logarithm for log kinds, the branch index for choices), NaN where inactive; ``U`` is ``(n, d)`` in
the unit cube, the cumulative probability of each coordinate under its prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.space.distributions import Categorical, Integer, Normal, Uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sparktrials.space.compile import Condition, Point, Space

__all__ = ["Codec"]


_LARGEST = math.log(np.finfo(np.float64).max)


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
    _cumulative: tuple[NDArray[np.float64], ...]
    _origin: NDArray[np.float64]  # low and width, 0 and 1 where they are infinite or zero
    _width: NDArray[np.float64]
    _plain: bool
    _scalar: tuple[tuple[int, bool, float, float], ...]

    @classmethod
    def of(cls, space: Space) -> Codec:
        """Describe `space`."""
        distributions = [p.distribution for p in space.parameters]
        low, high, mu, sigma = (np.full(len(distributions), np.nan) for _ in range(4))
        for j, dist in enumerate(distributions):
            low[j], high[j], mu[j], sigma[j] = _latent_moments(dist)
        log = np.array([getattr(d, "log", False) for d in distributions], dtype=bool)
        step = np.array(
            [
                1.0 if isinstance(d, (Integer, Categorical)) else (getattr(d, "q", None) or 0.0)
                for d in distributions
            ]
        )
        probabilities = tuple(
            np.array(d.probabilities if isinstance(d, Categorical) else (), dtype=np.float64)
            for d in distributions
        )
        conditions = tuple(p.condition for p in space.parameters)
        return cls(
            labels=tuple(space.labels),
            numeric=_flags(distributions, (Uniform, Integer)),
            normal=_flags(distributions, Normal),
            integer=_flags(distributions, Integer),
            categorical=_flags(distributions, Categorical),
            log=log,
            step=step.reshape(len(distributions)),
            low=low,
            high=high,
            mu=mu,
            sigma=sigma,
            probabilities=probabilities,
            conditions=conditions,
            whole=tuple(isinstance(d, (Integer, Categorical)) for d in distributions),
            _cumulative=tuple(np.cumsum(p)[:-1] for p in probabilities),
            _origin=np.where(np.isfinite(low), low, 0.0),
            _width=np.where(np.isfinite(high) & (high > low), high - low, 1.0),
            _plain=not any(conditions),
            _scalar=tuple(
                (j, bool(log[j]), float(step[j]), float(low[j])) for j in range(len(distributions))
            ),
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
        for label, (j, log, step, low) in zip(self.labels, self._scalar, strict=True):
            value = point.get(label)
            if value is not None:
                row[j] = _to_latent(float(value), step, low) if log else value

    def decode(self, X: NDArray[np.float64]) -> list[dict[str, int | float]]:
        """Return the points of latent rows: quantized, with the active labels only.

        Numbers are brought back inside their bounds first; inactive columns of `X` are ignored,
        whatever they hold.
        """
        raw = self.values(X)
        active = self.active(X)
        points = []
        for row, on in zip(raw.tolist(), active.tolist(), strict=True):
            point: dict[str, int | float] = {}
            for label, value, here, whole in zip(self.labels, row, on, self.whole, strict=True):
                if here:
                    point[label] = int(value) if whole else value
            points.append(point)
        return points

    def values(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return raw values of latent rows: bounded, exponentiated, quantized."""
        raw = np.clip(X, self.low, self.high)
        if self.log.any():
            raw[:, self.log] = np.exp(np.minimum(raw[:, self.log], _LARGEST))
        quantized = self.step > 0
        if quantized.any():
            step = self.step[quantized]
            raw[:, quantized] = np.round(raw[:, quantized] / step) * step + 0.0  # no -0.0
            whole = self.integer
            if whole.any():  # a latent bound is half a unit outside: rounding may land there
                raw[:, whole] = np.clip(raw[:, whole], self.low[whole] + 0.5, self.high[whole] - 0.5)
        return raw

    def active(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return ``(n, d)``: which coordinates matter, given the choices in `X`."""
        on = np.ones(X.shape, dtype=bool)
        if self._plain:
            return on
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
        X = self._origin + U * self._width
        if self.normal.any():
            from scipy.special import ndtri  # noqa: PLC0415 - executors need no scipy

            # Inside (0, 1) strictly: 53 random bits can be 0.
            inside = np.clip(U[:, self.normal], 2.0**-54, 1 - 2.0**-53)
            X[:, self.normal] = self.mu[self.normal] + self.sigma[self.normal] * ndtri(inside)
        for j in np.flatnonzero(self.categorical):
            X[:, j] = np.searchsorted(self._cumulative[j], U[:, j], side="right")
        return X

    def to_unit(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cumulative prior probability of latent rows; a branch's is its middle."""
        U = (X - self._origin) / self._width
        if self.normal.any():
            from scipy.special import ndtr  # noqa: PLC0415 - executors need no scipy

            U[:, self.normal] = ndtr((X[:, self.normal] - self.mu[self.normal]) / self.sigma[self.normal])
        for j in np.flatnonzero(self.categorical):
            p = self.probabilities[j]
            middle = np.cumsum(p) - p / 2
            known = np.isfinite(X[:, j])
            U[known, j] = middle[X[known, j].astype(np.intp)]
            U[~known, j] = np.nan
        return U


def _flags(distributions: Sequence[object], kind: type | tuple[type, ...]) -> NDArray[np.bool_]:
    return np.array([isinstance(d, kind) for d in distributions], dtype=bool)


def _latent_moments(dist: Any) -> tuple[float, float, float, float]:  # noqa: ANN401 - the union
    """Return low, high, mu, sigma of the latent coordinate."""
    if isinstance(dist, Normal):
        return -math.inf, math.inf, dist.mu, dist.sigma
    if isinstance(dist, Categorical):
        low, high = 0.0, len(dist.probabilities) - 1.0
    elif isinstance(dist, Integer):
        low, high = dist.low - 0.5, dist.high - 0.5
    else:
        low, high = dist.low, dist.high
    return low, high, (low + high) / 2, (high - low) / math.sqrt(12)


def _to_latent(value: float, step: float, low: float) -> float:
    """Return the logarithm of a value; of a quarter step where quantization made it 0."""
    if value > 0:
        return math.log(value)
    return low if math.isfinite(low) else math.log(step / 4 if step else np.finfo(float).tiny)
