"""How wide the kernels of Parzen mixtures are. Notation and shapes as in `parzen`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.axes import HALF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.suggest.axes import Axes

__all__ = ["bandwidths", "neighbour_bandwidths"]


def neighbour_bandwidths(
    x: NDArray[np.float64], floor: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return per coordinate the larger of the distances to its two neighbours.

    The ends of the range are neighbours of a single observation only; of more, the outermost have
    one neighbour. Bandwidths are kept within `floor` and 1.

    Shapes: x (n, c) scaled coordinates; floor one, or (c,); result (n, c).

    Source: Hyperopt's ``adaptive_parzen_normal``; floor: Watanabe, arXiv:2304.11127, section 3.3.4.
    """
    n, c = x.shape
    if n == 1:
        return np.clip(np.abs(x) + HALF, floor, 1.0)
    columns: NDArray[np.float64] = np.ascontiguousarray(x.T)
    order = columns.argsort(axis=1)
    order += np.arange(0, c * n, n)[:, None]
    ordered = columns.ravel().take(order)
    gaps = ordered[:, 1:] - ordered[:, :-1]
    wide = np.empty_like(columns)
    wide[:, :-1] = gaps
    wide[:, -1] = gaps[:, -1]
    np.maximum(wide[:, 1:-1], gaps[:, :-1], out=wide[:, 1:-1])
    flat = np.empty(c * n)
    flat[order] = wide
    h: NDArray[np.float64] = flat.reshape(c, n).T
    np.maximum(h, floor, out=h)
    np.minimum(h, 1.0, out=h)
    return h


def bandwidths(
    axes: Axes,
    S: NDArray[np.float64],
    C: NDArray[np.intp],
    floor: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (n, s + t) neighbour bandwidths of points; those of nominal columns mean nothing.

    Parameters
    ----------
    floor
        One, or (s + t,).
    """
    x = axes.ordinates(S, C)
    if not len(x):
        return x
    if len(axes.ordered) == x.shape[1]:
        return neighbour_bandwidths(x, floor)
    h: NDArray[np.float64] = np.ones(x.shape[::-1]).T
    lowest = np.broadcast_to(floor, x.shape[1:])[axes.ordered]
    h[:, axes.ordered] = neighbour_bandwidths(x[:, axes.ordered], lowest)
    return h
