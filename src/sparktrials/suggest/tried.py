"""Which points were tried already, where repeats are possible: among points of grids alone."""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest.grouping import grid_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sparktrials.space.codec import Codec
    from sparktrials.study.history import History

__all__ = ["Tried", "TriedKeys", "continuous_always", "keys_of", "number_of_points", "variants_of"]

#: Largest number of points that are enumerated in search of an untried one.
MAX_ENUMERATED = 4096


def continuous_always(codec: Codec) -> bool:
    """Return whether every point has a coordinate from a continuum, so that none repeats."""
    unconditional = np.array([not condition for condition in codec.conditions])
    return bool((unconditional & (codec.step == 0)).any())


@functools.lru_cache(maxsize=32)
def number_of_points(codec: Codec) -> int | None:
    """Return how many points a finite space has; None if it is not finite, or has very many."""
    named = sorted({k for condition in codec.conditions for term in condition for k, _ in term})
    if not codec.categorical[named].all():
        return None
    options = [np.flatnonzero(codec.probabilities[k] > 0) for k in named]
    if math.prod(len(o) for o in options) > MAX_ENUMERATED:
        return None
    sizes = np.ones(len(codec), dtype=object)  # integers of any size
    for j in range(len(codec)):
        if j in named:
            continue
        if codec.categorical[j]:
            sizes[j] = int((codec.probabilities[j] > 0).sum())
            continue
        grid = None if codec.normal[j] else grid_of(codec, j, MAX_ENUMERATED)
        if grid is None:
            return None
        sizes[j] = len(grid.masses)
    grids = np.meshgrid(*options, indexing="ij") if named else []
    rows = np.zeros((grids[0].size if grids else 1, len(codec)))
    for k, coordinate in zip(named, grids, strict=True):
        rows[:, k] = coordinate.ravel()
    active = codec.active(rows)
    rows[~active] = -1.0
    _, first = np.unique(rows[:, named], axis=0, return_index=True)
    return int(sum(math.prod(sizes[active[i]]) for i in first))


class TriedKeys:
    """How many finished and pending trials are at each point: follows a history.

    Attributes
    ----------
    counts
        By the point's key, see `keys_of`.
    """

    def __init__(self, history: History) -> None:
        counted = history.states != CODE[TrialState.CANCELLED]
        self.counts = Counter(keys_of(history.codec, history.X[counted]).tolist())

    def note(self, history: History, row: int, before: TrialState | None) -> None:
        """Count a new trial; forget one that was cancelled."""
        cancelled = history.states[row] == CODE[TrialState.CANCELLED]
        if (before is None) == bool(cancelled):
            return
        key = int(keys_of(history.codec, history.X[row : row + 1])[0])
        self.counts[key] += -1 if cancelled else 1
        if not self.counts[key]:
            del self.counts[key]


class Tried:
    """The set of tried points that could come up again, of latent rows.

    Parameters
    ----------
    codec
        What the rows mean.
    before
        Keys of finished and pending trials.
    """

    def __init__(self, codec: Codec, before: Mapping[int, int]) -> None:
        self._codec = codec
        self._before = before
        self._own: set[int] = set()
        self._limit = number_of_points(codec) or math.inf

    @classmethod
    def of(cls, history: History) -> Tried:
        """Return what was tried in a history."""
        return cls(history.codec, history.follow(TriedKeys).counts)

    @property
    def left(self) -> float:
        """How many points of a finite space were not tried, infinite for others."""
        return self._limit - len(self._before) - len(self._own)

    def keys(self, X: NDArray[np.float64]) -> list[int]:
        """Return the keys of latent rows, for `had` and `add`."""
        keys: list[int] = keys_of(self._codec, X).tolist()
        return keys

    def had(self, key: int) -> bool:
        """Return whether the point of a key was tried."""
        return key in self._before or key in self._own

    def add(self, key: int) -> None:
        """Count the point of a key as tried."""
        if key not in self._before:
            self._own.add(key)

    def has(self, row: NDArray[np.float64]) -> bool:
        """Return whether a whole point was tried."""
        return bool(self.among(row[None])[0])

    def among(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n,) which latent rows are tried points; those still unfinished are not.

        None is where nothing untried is left: then points are tried again.
        """
        if self.left <= 0:
            return np.zeros(len(X), dtype=bool)
        return np.array([self.had(key) for key in self.keys(X)], dtype=bool)

    def fresh(
        self, row: NDArray[np.float64], rng: np.random.Generator, n: int
    ) -> NDArray[np.float64]:
        """Return an untried one of `n` prior draws, else `row`."""
        X = self._codec.from_unit(rng.random((n, len(self._codec))))
        X[~self._codec.active(X)] = np.nan
        return self._picked(X, row, rng)

    def variant(self, row: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return an untried row with the branches of `row`, if there is one and they are few."""
        X = variants_of(self._codec, row, MAX_ENUMERATED)
        return row if X is None else self._picked(X, row, rng)

    def _picked(
        self, X: NDArray[np.float64], row: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        untried = np.flatnonzero(~self.among(X))
        return X[untried[int(rng.integers(len(untried)))]] if len(untried) else row


def keys_of(codec: Codec, X: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return (n,) 64-bit hashes of the points of latent rows: equal for equal points.

    Two of a million different points share a key with probability below 1e-7.
    """
    values = np.where(np.isnan(X), np.inf, codec.values(X))
    salt = np.arange(1, len(codec) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    keys: NDArray[np.uint64] = _mixed(values.view(np.uint64) ^ salt).sum(axis=1, dtype=np.uint64)
    return keys


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def variants_of(codec: Codec, row: NDArray[np.float64], limit: int) -> NDArray[np.float64] | None:
    """Return all latent rows with the branches of `row`, or None if they are more than `limit`."""
    named = {k for condition in codec.conditions for term in condition for k, _ in term}
    columns = [int(j) for j in np.flatnonzero(~np.isnan(row)) if j not in named]
    values: list[NDArray[np.float64]] = []
    for j in columns:
        if codec.categorical[j]:
            values.append(np.flatnonzero(codec.probabilities[j] > 0).astype(np.float64))
            continue
        grid = None if codec.normal[j] else grid_of(codec, j, limit)
        if grid is None:
            return None
        V = (grid.first + np.arange(len(grid.masses))) * codec.step[j]
        if codec.log[j]:
            with np.errstate(divide="ignore"):
                V = np.log(V)
        values.append(V)
    if math.prod(len(v) for v in values) > limit:
        return None
    grids = np.meshgrid(*values, indexing="ij")
    rows = np.tile(row, (grids[0].size if grids else 1, 1))
    for j, coordinate in zip(columns, grids, strict=True):
        rows[:, j] = coordinate.ravel()
    return rows
