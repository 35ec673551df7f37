"""Parzen mixtures over mixed columns: pure functions on arrays, no space, no history, no clock.

Columns are of two kinds. *Smooth* ones carry a scaled real coordinate: the latent range of a
bounded parameter is mapped to [-1/2, 1/2], a normal parameter to mean 0 and standard deviation
1/sqrt(12), so that one unit is one range for both. *Coded* ones carry a code ``0 .. K-1``: the
options of a choice (nominal), or the values of a coarse grid (ordinal, with cell edges in scaled
coordinates). A mixture is ``n`` product kernels centred on observations, and the prior:

    p(x) = w_0 prior(x) + sum_i w_i prod_j k_ij(x_j)

Smooth kernels are normals truncated to the bounds, ordinal kernels the same integrated over cells,
nominal kernels a point mass mixed with the prior.

Arrays of many kernels are stored column by column: that is how they are worked on.

Notation
--------
``n`` kernels, ``m`` points, ``s`` smooth and ``t`` coded columns; ``S`` (·, s) scaled coordinates,
``C`` (·, t) codes, ``h`` (n, s + t) bandwidths in scaled units (unused for nominal columns).

Sources: Bergstra et al., NeurIPS 2011, section 4; Watanabe, arXiv:2304.11127, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from sparktrials.suggest.axes import HALF, LOG_SQRT_2PI, PRIOR_SD, TINY, ULP, Axes, inverse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

__all__ = [
    "PRIOR_SD",
    "Axes",
    "Mixture",
    "Points",
    "component_weights",
    "log_density",
    "mixture_of",
    "sample",
]

#: Points that are evaluated at once: their products with a few hundred kernels stay in the cache.
_BLOCK = 256
#: Of a nominal column with more options, only those that occur get a feature.
_FEW = 32
#: Volumes are products of up to so many widths, none of which is below 1e-3.
_FACTORS = 64
#: So many standard deviations away, a normal's tail is nothing beside 1.
_SURE = 8.5


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Product kernels and the prior.

    Attributes
    ----------
    weights : (n + 1,)
        Of the kernels and, last, of the prior; they sum to 1.
    centres, scales : (n, s)
        Of the smooth kernels.
    inside : (n, s)
        Untruncated normal mass of each smooth kernel within its bounds.
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
    inside: NDArray[np.float64]
    codes: NDArray[np.intp]
    masses: tuple[NDArray[np.float64] | None, ...]
    smoothing: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points where densities are wanted: what all mixtures over the same axes need of them.

    A normal's exponent expands to ``-x²/2h² + x c/h² - c²/2h²``; a coded column is a one-hot vector
    times log masses: the logarithms of all kernels at all points are one matrix product.

    Attributes
    ----------
    prior : (m,)
        Log densities of the prior.
    double, single : (m, f)
        Features, in float64 and in float32.
    present
        Per coded column the codes that have a feature.
    """

    prior: NDArray[np.float64]
    double: NDArray[np.float64]
    single: NDArray[np.float32]
    present: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, axes: Axes, S: NDArray[np.float64], C: NDArray[np.intp]) -> Points:
        """Describe points ``S`` (m, s), ``C`` (m, t)."""
        m, s = S.shape
        present: list[NDArray[np.intp]] = []
        where: list[NDArray[np.intp]] = []
        width = 2 * s
        for j, (edges, prior) in enumerate(zip(axes.edges, axes.prior, strict=True)):
            codes, place = np.arange(len(prior)), C[:, j]
            if edges is None and len(prior) > _FEW:
                codes, place = np.unique(place, return_inverse=True)
            present.append(codes)
            where.append(place + width)
            width += len(codes)
        features = np.zeros((m, width + 1))
        features[:, :s] = -0.5 * S * S
        features[:, s : 2 * s] = S
        each = np.arange(m)
        for place in where:
            features[each, place] = 1
        features[:, -1] = 1
        return cls(axes.log_prior(S, C), features, features.astype(np.float32), tuple(present))


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
    masses: list[NDArray[np.float64] | None] = []
    for j, (edges, middles) in enumerate(zip(axes.edges, axes.middles, strict=True)):
        if edges is None or middles is None:
            masses.append(None)
        else:
            masses.append(_cell_masses(edges, middles, C[:, j], h[:, s + j]))
    options = np.array([len(p) for p in axes.prior], dtype=np.float64)
    # One observation's worth of prior, spread over the kernels, per option: as in Optuna's
    # categorical kernels.
    smoothing = options / (n + 1 + options)
    return Mixture(
        axes,
        everything / everything.sum(),
        S,
        scales,
        _masses_inside(axes, S, scales),
        C,
        tuple(masses),
        smoothing,
    )


def _masses_inside(
    axes: Axes, S: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, s) the mass of each untruncated kernel within the bounds of its column."""
    low, high = ((-HALF - S) / scales).T.ravel(), ((HALF - S) / scales).T.ravel()
    inside = np.ones(len(low))
    cut = np.flatnonzero((low > -_SURE) | (high < _SURE))
    inside[cut] = ndtr(high[cut]) - ndtr(low[cut])
    masses: NDArray[np.float64] = inside.reshape(scales.shape[::-1]).T
    masses[:, axes.unbounded] = 1
    return masses


def _cell_masses(
    edges: NDArray[np.float64],
    middles: NDArray[np.float64],
    codes: NDArray[np.intp],
    h: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (n, K) the masses of normal kernels around the middles of cells, normalized."""
    n, k = len(codes), len(middles)
    widths, which = np.unique(h, return_inverse=True)
    repeated = len(widths) * k < n
    if repeated:  # few values lie at few distances: each kernel is worked out once
        at, wide = np.tile(middles, len(widths)), np.repeat(widths, k)
    else:
        at, wide = middles[codes], h
    mass: NDArray[np.float64] = np.diff(ndtr((edges - at[:, None]) / wide[:, None]), axis=1)
    mass /= mass.sum(axis=1, keepdims=True)
    return mass[which * k + codes] if repeated else mass


def log_density(
    mix: Mixture,
    points: Points,
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
    n, m = len(mix.centres), len(points.prior)
    with np.errstate(divide="ignore"):
        logs = np.log(mix.weights)
    prior: NDArray[np.float64] = points.prior + logs[-1]
    if not n:
        return prior
    single = np.dtype(dtype) == np.float32
    of_points = points.single if single else points.double
    of_kernels = np.empty((of_points.shape[1], n), dtype=of_points.dtype)
    _write_kernels(mix, logs[:-1], points.present, of_kernels)
    sums, tops = np.empty((2, m), dtype=of_points.dtype)
    for block in _blocks(m, per or m):
        logs = of_points[block] @ of_kernels
        top = tops[block] = logs.max(axis=1)
        logs -= top[:, None]
        np.exp(logs, out=logs)
        logs.sum(axis=1, out=sums[block])
    kernels = np.log(sums) + tops
    both: NDArray[np.float64] = np.logaddexp(kernels, prior)
    return both


def _blocks(m: int, per: int) -> Iterator[slice]:
    """Return slices of up to `_BLOCK` points, none of which spans two of `per` points in a row."""
    for first in range(0, m, per):
        for start in range(first, min(first + per, m), _BLOCK):
            yield slice(start, min(start + _BLOCK, first + per, m))


def _write_kernels(
    mix: Mixture,
    log_weights: NDArray[np.float64],
    present: tuple[NDArray[np.intp], ...],
    out: NDArray[Any],
) -> None:
    """Write (f, n) what the features of `Points` are multiplied by."""
    s = mix.centres.shape[1]
    precision = 1 / (mix.scales * mix.scales)
    pull = mix.centres * precision
    out[:s], out[s : 2 * s] = precision.T, pull.T
    row = 2 * s
    for j, (codes, mass) in enumerate(zip(present, mix.masses, strict=True)):
        here = out[row : row + len(codes)]
        row += len(codes)
        if mass is not None:
            here[:] = np.log(np.maximum(mass, TINY)).T
            continue
        share = mix.smoothing[j]
        miss = share * mix.axes.prior[j][codes]
        hit = np.log(1 - share + miss)
        miss = np.log(np.maximum(miss, TINY))
        here[:] = np.where(mix.codes[:, j] == codes[:, None], hit[:, None], miss[:, None])
    pull *= mix.centres
    heights = log_weights - s * LOG_SQRT_2PI
    volumes = (mix.scales * mix.inside).T
    for first in range(0, s, _FACTORS):
        heights -= np.log(np.multiply.reduce(volumes[first : first + _FACTORS]))
    out[-1] = heights - 0.5 * np.add.reduce(pull.T)


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
    if not n:
        return mix.axes.draws(U)
    axes = mix.axes
    fresh = np.flatnonzero(component == n)
    kernel = np.minimum(component, n - 1)
    below = ndtr((-HALF - mix.centres) / mix.scales)
    below[:, axes.unbounded] = 0
    u = U[:, :s] * mix.inside[kernel]
    u += below[kernel]
    S = mix.scales[kernel] * ndtri(np.minimum(np.maximum(u, ULP / 2), 1 - ULP))
    S += mix.centres[kernel]
    clipped = np.minimum(np.maximum(S, -HALF), HALF)
    S = np.where(axes.bounded, clipped, S) if len(axes.unbounded) else clipped
    S[fresh] = axes.smooth_draws(U[fresh, :s])
    C = np.empty((len(U), len(axes.prior)), dtype=np.intp)
    for j, mass in enumerate(mix.masses):
        v = U[:, s + j]
        if mass is not None:
            C[:, j] = inverse(np.cumsum(mass, axis=1)[kernel], v)
        else:
            # v < share picks the prior, and v / share is uniform again.
            share = mix.smoothing[j]
            drawn = axes.coded_draws(j, v / share)
            C[:, j] = np.where(v < share, drawn, mix.codes[kernel, j])
        C[fresh, j] = axes.coded_draws(j, v[fresh])
    return S, C
