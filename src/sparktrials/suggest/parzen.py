"""Parzen mixtures over mixed columns: pure functions on arrays, no space, no history, no clock.

Columns are of two kinds. *Smooth* ones carry a scaled real coordinate: the latent range of a
bounded parameter is mapped to [-1/2, 1/2], a normal parameter to mean 0 and standard deviation
1/sqrt(12), so that one unit is one range for both. *Coded* ones carry a code ``0 .. K-1``: the
options of a choice (nominal), or the values of a coarse grid (ordinal, with cell edges in scaled
coordinates). A mixture is ``n`` product kernels centred on observations, and the prior:

    p(x) = w_0 prior(x) + sum_i w_i prod_j k_ij(x_j)

Smooth kernels are normals truncated to the bounds, ordinal kernels the same integrated over cells,
nominal kernels a point mass mixed with the prior.

Notation
--------
``n`` kernels, ``m`` points, ``s`` smooth and ``t`` coded columns; ``S`` (·, s) scaled coordinates,
``C`` (·, t) codes, ``h`` (n, s + t) bandwidths in scaled units (unused for nominal columns).

Sources: Bergstra et al., NeurIPS 2011, section 4; Watanabe, arXiv:2304.11127, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

__all__ = [
    "PRIOR_SD",
    "Axes",
    "Mixture",
    "component_weights",
    "log_density",
    "mixture_of",
    "neighbour_bandwidths",
    "prior_draws",
    "sample",
]

#: Standard deviation of a uniform of width 1, which normal parameters are scaled to.
PRIOR_SD = 1 / math.sqrt(12)
_HALF = 0.5
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_TINY = 1e-300
_ULP = 2.0**-53
#: Points that are evaluated at once: their products with a few hundred kernels stay in the cache.
_BLOCK = 256
#: Of a nominal column with more options, only those that occur get a feature.
_FEW = 32


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """What the columns of a mixture are.

    Attributes
    ----------
    bounded : (s,) bool
        Whether a smooth column ends at -1/2 and 1/2; else its prior is normal.
    edges
        Per coded column the (K + 1,) scaled cell edges of an ordinal, None for a nominal.
    middles
        Per coded column the (K,) prior median of each cell; None for a nominal.
    prior
        Per coded column the (K,) prior masses.
    """

    bounded: NDArray[np.bool_]
    edges: tuple[NDArray[np.float64] | None, ...]
    middles: tuple[NDArray[np.float64] | None, ...]
    prior: tuple[NDArray[np.float64], ...]

    def ordinates(self, S: NDArray[np.float64], C: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (n, s + t) positions of points on all columns, 0 on nominal ones."""
        out = np.zeros((len(S), S.shape[1] + C.shape[1]))
        out[:, : S.shape[1]] = S
        for j, middles in enumerate(self.middles):
            if middles is not None:
                out[:, S.shape[1] + j] = middles[C[:, j]]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Product kernels and the prior.

    Attributes
    ----------
    weights : (n + 1,)
        Of the kernels and, last, of the prior; they sum to 1.
    centres, scales : (n, s)
        Of the smooth kernels.
    below, inside : (n, s)
        Untruncated normal mass of each smooth kernel under its lower bound, and within its bounds.
    codes : (n, t)
        Centres of the coded kernels.
    masses
        Per coded column the (n, K) masses of the ordinal kernels; None for a nominal.
    smoothing : (t,)
        The share of the prior in each nominal kernel.
    """

    axes: Axes
    weights: NDArray[np.float64]
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]
    below: NDArray[np.float64]
    inside: NDArray[np.float64]
    codes: NDArray[np.intp]
    masses: tuple[NDArray[np.float64] | None, ...]
    smoothing: NDArray[np.float64]


def neighbour_bandwidths(
    x: NDArray[np.float64], floor: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return per coordinate the larger of the distances to its two neighbours.

    The ends of the range are neighbours of a single observation only; of more, the outermost have
    one neighbour. Bandwidths are kept within `floor` and 1.

    Shapes: x (n, c) scaled coordinates; floor one, or (c,); result (n, c).

    Source: Hyperopt's ``adaptive_parzen_normal``; floor: Watanabe, arXiv:2304.11127, section 3.3.4.
    """
    n = len(x)
    if n == 1:
        return np.clip(np.abs(x) + _HALF, floor, 1.0)
    order = np.argsort(x, axis=0)
    ranked = order, np.arange(x.shape[1])
    ordered = x[ranked]
    gaps = ordered[1:] - ordered[:-1]
    wide = np.empty_like(x)
    wide[:-1] = gaps
    wide[-1:] = gaps[-1:]
    np.maximum(wide[1:-1], gaps[:-1], out=wide[1:-1])
    h = np.empty_like(x)
    h[ranked] = wide
    return np.clip(h, floor, 1.0)


def mixture_of(
    axes: Axes,
    S: NDArray[np.float64],
    C: NDArray[np.intp],
    h: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
    prior_weight: float,
) -> Mixture:
    """Build the mixture of observations with bandwidths `h`.

    Parameters
    ----------
    weights : (n,)
        Positive, in units in which the prior has `prior_weight`. Without observations the mixture
        is the prior.
    """
    n, s = S.shape
    everything = np.append(weights, prior_weight) if n else np.ones(1)
    scales = h[:, :s]
    below = ndtr((-_HALF - S) / scales)
    inside = ndtr((_HALF - S) / scales) - below
    below[:, ~axes.bounded] = 0
    inside[:, ~axes.bounded] = 1
    masses: list[NDArray[np.float64] | None] = []
    for j, (edges, middles) in enumerate(zip(axes.edges, axes.middles, strict=True)):
        if edges is None or middles is None:
            masses.append(None)
            continue
        cumulative = ndtr((edges - middles[C[:, j], None]) / h[:, s + j, None])
        mass = np.diff(cumulative, axis=1)
        masses.append(mass / mass.sum(axis=1, keepdims=True))
    options = np.array([len(p) for p in axes.prior], dtype=np.float64)
    # One observation's worth of prior, spread over the kernels, per option: as in Optuna's
    # categorical kernels.
    smoothing = options / (n + 1 + options)
    return Mixture(
        axes,
        everything / everything.sum(),
        S,
        scales,
        below,
        inside,
        C,
        tuple(masses),
        smoothing,
    )


def log_density(
    mix: Mixture,
    S: NDArray[np.float64],
    C: NDArray[np.intp],
    dtype: DTypeLike = np.float64,
    *,
    per: int | None = None,
) -> NDArray[np.float64]:
    """Return (m,) log densities: with respect to scaled coordinates, and to counting of codes.

    Parameters
    ----------
    dtype
        Of the (m, n) intermediate: float32 is three times faster and good to about 1e-3.
    per
        So many points in a row get the same densities, bit by bit, in whatever company: matrix
        products round differently in matrices of different sizes.
    """
    with np.errstate(divide="ignore"):
        prior: NDArray[np.float64] = _log_prior(mix.axes, S, C) + np.log(mix.weights[-1])
        log_weights = np.log(mix.weights[:-1])
    if not len(log_weights):
        return prior
    of_points, of_kernels = _features(mix, log_weights, S, C, dtype)
    kernels = np.empty(len(S))
    for block in _blocks(len(S), per or len(S)):
        logs = of_points[block] @ of_kernels.T
        top = logs.max(axis=1)
        logs -= top[:, None]
        np.exp(logs, out=logs)
        kernels[block] = np.log(logs.sum(axis=1)) + top
    both: NDArray[np.float64] = np.logaddexp(kernels, prior)
    return both


def _blocks(m: int, per: int) -> Iterator[slice]:
    """Return slices of up to `_BLOCK` points, none of which spans two of `per` points in a row."""
    for first in range(0, m, per):
        for start in range(first, min(first + per, m), _BLOCK):
            yield slice(start, min(start + _BLOCK, first + per, m))


def _log_prior(axes: Axes, S: NDArray[np.float64], C: NDArray[np.intp]) -> NDArray[np.float64]:
    out = np.zeros(len(S))
    if not axes.bounded.all():
        z = S[:, ~axes.bounded] / PRIOR_SD
        out -= (0.5 * z * z + (math.log(PRIOR_SD) + _LOG_SQRT_2PI)).sum(axis=1)
    for j, p in enumerate(axes.prior):
        out += np.log(np.maximum(p, _TINY))[C[:, j]]
    return out


def _features(
    mix: Mixture,
    log_weights: NDArray[np.float64],
    S: NDArray[np.float64],
    C: NDArray[np.intp],
    dtype: DTypeLike,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (m, f) and (n, f) whose product holds the logarithms of the weighted kernels.

    A normal's exponent expands to ``-x²/2h² + x c/h² - c²/2h²``; a coded column is a one-hot vector
    times log masses; a nominal one needs only the codes that occur among the points.
    """
    m, s = S.shape
    precision = mix.scales**-2.0
    pull = mix.centres * precision
    of_points: list[NDArray[np.float64]] = [-0.5 * S * S, S]
    of_kernels: list[NDArray[np.float64]] = [precision, pull]
    per_kernel = log_weights - 0.5 * (pull * mix.centres).sum(axis=1) - s * _LOG_SQRT_2PI
    per_kernel -= np.log(mix.scales * mix.inside).sum(axis=1)
    per_point = np.zeros(m)
    for j, prior in enumerate(mix.axes.prior):
        code, mass = C[:, j], mix.masses[j]
        if mass is not None:
            onehot = np.zeros((m, mass.shape[1]))
            onehot[np.arange(m), code] = 1
            of_kernels.append(np.log(np.maximum(mass, _TINY)))
        else:
            share = mix.smoothing[j]
            miss = share * prior[code]
            hit = np.log(1 - share + miss)
            miss = np.log(np.maximum(miss, _TINY))
            per_point += miss
            if len(prior) <= _FEW:
                present, where = np.arange(len(prior)), code
            else:
                present, where = np.unique(code, return_inverse=True)
            onehot = np.zeros((m, len(present)))
            onehot[np.arange(m), where] = hit - miss
            of_kernels.append((mix.codes[:, j, None] == present).astype(np.float64))
        of_points.append(onehot)
    of_points += [np.ones((m, 1)), per_point[:, None]]
    of_kernels += [per_kernel[:, None], np.ones((len(per_kernel), 1))]
    left = np.concatenate(of_points, axis=1, dtype=dtype, casting="same_kind")
    right = np.concatenate(of_kernels, axis=1, dtype=dtype, casting="same_kind")
    return left, right


def component_weights(mix: Mixture, fixed: dict[int, int]) -> NDArray[np.float64]:
    """Return (n + 1,) weights of the components given the codes of some nominal columns.

    Parameters
    ----------
    fixed
        ``coded column -> code``.
    """
    weights = mix.weights
    for j, code in fixed.items():
        prior, share = mix.axes.prior[j][code], mix.smoothing[j]
        kernel = share * prior + (1 - share) * (mix.codes[:, j] == code)
        weights = weights * np.append(kernel, prior)
    return weights


def sample(
    mix: Mixture, U: NDArray[np.float64], component: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Draw from given components of the mixture by inversion.

    Parameters
    ----------
    U : (m, s + t)
        Uniform on [0, 1).
    component : (m,)
        Kernel numbers; n is the prior.

    Returns
    -------
    tuple
        ``S`` (m, s) and ``C`` (m, t).
    """
    n, s = mix.centres.shape
    S, C = prior_draws(mix.axes, U)
    if not n:
        return S, C
    rows = np.flatnonzero(component < n)
    kernel, u = component[rows], U[rows]
    z = ndtri(np.clip(mix.below[kernel] + u[:, :s] * mix.inside[kernel], _ULP / 2, 1 - _ULP))
    moved = mix.centres[kernel] + mix.scales[kernel] * z
    bounded = mix.axes.bounded
    moved[:, bounded] = np.clip(moved[:, bounded], -_HALF, _HALF)
    S[rows] = moved
    for j, prior in enumerate(mix.axes.prior):
        v, mass = u[:, s + j], mix.masses[j]
        if mass is not None:
            C[rows, j] = _invert(np.cumsum(mass, axis=1)[kernel], v)
            continue
        # v < share picks the prior, and v / share is uniform again.
        share = mix.smoothing[j]
        C[rows, j] = np.where(
            v < share, _invert(np.cumsum(prior)[None], v / share), mix.codes[kernel, j]
        )
    return S, C


def prior_draws(axes: Axes, U: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return points of the prior at uniforms `U` (m, s + t)."""
    s = len(axes.bounded)
    S = U[:, :s] - _HALF
    if not axes.bounded.all():
        u = np.clip(U[:, :s][:, ~axes.bounded], _ULP / 2, 1 - _ULP)
        S[:, ~axes.bounded] = PRIOR_SD * ndtri(u)
    C = np.empty((len(U), len(axes.prior)), dtype=np.intp)
    for j, prior in enumerate(axes.prior):
        C[:, j] = _invert(np.cumsum(prior)[None], U[:, s + j])
    return S, C


def _invert(cumulative: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return (m,) codes at probabilities `u`, given (m or 1, K) cumulative masses."""
    if len(cumulative) == 1:
        code = np.searchsorted(cumulative[0], u * cumulative[0, -1], side="right")
    else:
        code = (cumulative <= (u * cumulative[:, -1])[:, None]).sum(axis=1)
    codes: NDArray[np.intp] = np.minimum(code, cumulative.shape[1] - 1).astype(np.intp)
    return codes
