"""Which points were tried already, where repeats are possible at all: in spaces of finite grids."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.grouping import grid_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space.codec import Codec

__all__ = ["keys_of", "repeatable", "settings_of"]


def repeatable(codec: Codec, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) whether all active columns of latent rows have countably many values."""
    continuous = codec.step == 0
    if not continuous.any():
        return np.ones(len(X), dtype=bool)
    return ~codec.active(X)[:, continuous].any(axis=1)


def keys_of(codec: Codec, X: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return (n,) 64-bit hashes of the points of latent rows: equal for equal points.

    Two of a million different points share a key with probability below 1e-7.
    """
    values = np.where(codec.active(X), codec.values(X), np.inf)
    bits = np.ascontiguousarray(values).view(np.uint64)
    salt = np.arange(1, len(codec) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = _mixed(bits ^ salt)
    keys: NDArray[np.uint64] = mixed.sum(axis=1, dtype=np.uint64)
    return keys


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def settings_of(
    codec: Codec, row: NDArray[np.float64], kept: NDArray[np.bool_], limit: int
) -> NDArray[np.float64] | None:
    """Return all latent rows that agree with `row` on the columns of `kept`, if at most `limit`.

    Columns that are inactive in `row` stay so; None if there are more, or infinitely many.
    """
    columns = np.flatnonzero(codec.active(row[None])[0] & ~kept)
    values: list[NDArray[np.float64]] = []
    for j in columns:
        if codec.categorical[j]:
            values.append(np.flatnonzero(codec.probabilities[j] > 0).astype(np.float64))
            continue
        grid = None if codec.normal[j] else grid_of(codec, int(j), limit)
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
    for j, grid_values in zip(columns, grids, strict=True):
        rows[:, j] = grid_values.ravel()
    return rows
