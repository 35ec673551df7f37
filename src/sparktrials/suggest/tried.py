"""Which points were tried already, where repeats are possible: among points of grids alone."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.grouping import grid_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space.codec import Codec

__all__ = ["Tried", "continuous_always", "keys_of", "number_of_points", "variants_of"]

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


class Tried:
    """The set of tried points that could come up again, of latent rows.

    Parameters
    ----------
    codec
        What the rows mean.
    rows
        Latent rows (n, d), NaN where inactive, of finished and pending trials.
    """

    def __init__(self, codec: Codec, *rows: NDArray[np.float64]) -> None:
        self._codec = codec
        self._keys: set[int] = set()
        for X in rows:
            self._keys.update(keys_of(codec, X).tolist())

    def add(self, row: NDArray[np.float64]) -> None:
        """Count a latent row as tried."""
        self._keys.update(keys_of(self._codec, row[None]).tolist())

    def has(self, row: NDArray[np.float64]) -> bool:
        """Return whether a whole point was tried."""
        return bool(self.among(row[None])[0])

    def among(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n,) which latent rows are tried points; those still unfinished are not.

        None is where nothing untried is left: then points are tried again.
        """
        if len(self._keys) >= (number_of_points(self._codec) or math.inf):
            return np.zeros(len(X), dtype=bool)
        keys = keys_of(self._codec, X).tolist()
        return np.array([key in self._keys for key in keys], dtype=bool)

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
