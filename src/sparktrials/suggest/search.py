"""Where expected improvement is largest: many draws, then a climb from the best few.

Smooth columns are climbed together by L-BFGS-B with analytic gradients; on coded ones all codes of
one column after the other are compared, up to a limit. Switches keep their branches: these are
decided by the draws.

Shapes: ``Z``, ``F`` as in `embedding`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from sparktrials.suggest.acquisition import log_expected_at, log_improvement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.suggest.embedding import Embedding
    from sparktrials.suggest.process import Posterior

__all__ = ["Climber", "neighbours", "starts"]

#: Codes of one column that are compared, evenly chosen if there are more.
MAX_CODES = 64
#: Rounds of climbing smooth columns and comparing codes.
MAX_ROUNDS = 3
#: Rounds in which other codes gain less, in the logarithm, are the last.
GAIN = 1e-6
#: Share of coordinates that a neighbour of a good point has of its own, and how far away, in
#: ranges: the exponents of ten.
MOVED = 0.5
REACH = (-3.0, -0.5)


class Climber:
    """Improves points.

    Parameters
    ----------
    embedding
        What coordinates mean.
    posterior
        What is believed.
    best
        The warped loss to improve on.
    iterations
        Of L-BFGS-B, at most.
    """

    def __init__(
        self, embedding: Embedding, posterior: Posterior, best: float, iterations: int
    ) -> None:
        self._embedding = embedding
        self._posterior = posterior
        self._best = best
        self._iterations = iterations

    def values(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (m,) logarithms of expected improvement."""
        mean, variance = self._posterior.at(self._embedding.features(Z))
        return log_improvement(mean, variance, self._best)

    def climb(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return a point (d,) that is no worse, and its value."""
        value = float(self.values(z[None])[0])
        for _ in range(MAX_ROUNDS):
            z, before = self._smooth(z, value)
            z, value = self._coded(z, before)
            if value - before < GAIN:
                break
        return z, value

    # ------------------------------------------------------------------ smooth columns

    def _smooth(self, z: NDArray[np.float64], value: float) -> tuple[NDArray[np.float64], float]:
        e = self._embedding
        columns = np.flatnonzero(e.smooth & ~np.isnan(z) & ~e.switches)
        if not len(columns):
            return z, value
        lined = np.isin(e.line, columns)
        arced = np.isin(e.arcs, columns)
        a, b = len(e.line), len(e.arcs)
        lines, arcs = np.flatnonzero(lined), np.flatnonzero(arced)
        where_line = np.searchsorted(columns, e.line[lined])
        where_arc = np.searchsorted(columns, e.arcs[arced])
        features = e.features(z[None])[0]

        def negative(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            features[lines] = x[where_line]
            cosines, sines = np.cos(x[where_arc]), np.sin(x[where_arc])
            features[a + arcs], features[a + b + arcs] = cosines, sines
            score, slope = self.slopes(features)
            gradient = np.empty(len(columns))
            gradient[where_line] = slope[lines]
            gradient[where_arc] = slope[a + b + arcs] * cosines - slope[a + arcs] * sines
            return -score, -gradient

        found = minimize(
            negative,
            z[columns],
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([e.low[columns], e.high[columns]], axis=1),
            options={"maxiter": self._iterations, "maxfun": 2 * self._iterations},
        )
        moved = z.copy()
        moved[columns] = np.clip(found.x, e.low[columns], e.high[columns])
        moved = e.settled(moved[None])[0]
        after = float(self.values(moved[None])[0])
        return (moved, after) if after > value else (z, value)

    def slopes(self, features: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the value at one point's features (f,), and its gradient by them."""
        mean, variance, d_mean, d_variance = self._posterior.slopes(features)
        deviation = math.sqrt(variance)
        z = (self._best - mean) / deviation
        value, slope = log_expected_at(z)
        # d z = -d mean / deviation - z d variance / (2 variance)
        by_variance = (1 - slope * z) / (2 * variance)
        gradient = d_mean * (-slope / deviation) + d_variance * by_variance
        return value + math.log(deviation), gradient

    # ------------------------------------------------------------------ coded columns

    def _coded(self, z: NDArray[np.float64], value: float) -> tuple[NDArray[np.float64], float]:
        """Return the point with better codes, if there are any."""
        e = self._embedding
        columns = np.flatnonzero(~e.smooth & ~np.isnan(z) & ~e.switches & (e.sizes > 1))
        for j in columns:
            codes = np.arange(e.sizes[j], dtype=np.float64)
            if len(codes) > MAX_CODES:
                codes = np.unique(np.rint(np.linspace(0, len(codes) - 1, MAX_CODES)))
            allowed = codes[codes != z[j]]
            if e.nominal[j]:
                prior = e.codec.probabilities[j]
                if len(prior):
                    allowed = allowed[prior[allowed.astype(np.intp)] > 0]
            others = np.tile(z, (len(allowed), 1))
            others[:, j] = allowed
            if not len(others):
                continue
            values = self.values(others)
            at = int(np.argmax(values))
            if values[at] > value:
                z, value = others[at], float(values[at])
        return z, value


def neighbours(
    embedding: Embedding, Z: NDArray[np.float64], rng: np.random.Generator, n: int
) -> NDArray[np.float64]:
    """Return (n, d) points near those of `Z`, by turns, with their branches."""
    e = embedding
    around = Z[np.arange(n) % len(Z)]
    moved = rng.random(around.shape) < MOVED
    moved[np.arange(n), rng.integers(around.shape[1], size=n)] = True
    moved &= ~np.isnan(around) & ~e.switches
    reach = 10 ** rng.uniform(*REACH, size=(n, 1))
    step = rng.standard_normal(around.shape) * reach
    U = rng.random(around.shape)
    out = around.copy()
    smooth = moved & e.smooth
    out[smooth] = np.clip(around + step, e.low, e.high)[smooth]
    for j in np.flatnonzero(~e.smooth):
        size = e.sizes[j]
        if e.nominal[j]:
            prior = e.codec.probabilities[j]
            ladder = np.cumsum(prior) if len(prior) else np.arange(1, size + 1) / size
            new = np.searchsorted(ladder[:-1], U[:, j], side="right").astype(np.float64)
        else:  # at least one code away
            hop = np.sign(step[:, j]) * np.ceil(np.abs(step[:, j]) * size)
            new = np.clip(around[:, j] + hop, 0, size - 1)
        on = moved[:, j] & (rng.random(n) < MOVED)
        out[on, j] = new[on]
    return e.settled(out)


def starts(
    embedding: Embedding, Z: NDArray[np.float64], values: NDArray[np.float64], n: int
) -> list[int]:
    """Return which `n` points to climb from: the best of each set of branches, then the best."""
    order = np.argsort(-values, kind="stable")
    switched = np.flatnonzero(embedding.switches)
    chosen: list[int] = []
    if len(switched):
        branches = np.nan_to_num(Z[np.ix_(order, switched)], nan=-1.0)
        _, first = np.unique(branches, axis=0, return_index=True)
        chosen = order[np.sort(first)][:n].tolist()
    for i in order.tolist():
        if len(chosen) >= n:
            break
        if i not in chosen:
            chosen.append(i)
    return chosen
