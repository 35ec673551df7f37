"""Parzen mixtures over mixed columns: pure functions on arrays, no space, no history, no clock.

Columns are of two kinds. *Smooth* ones carry a scaled real coordinate: the latent range of a
bounded parameter is mapped to [-1/2, 1/2], a normal parameter to mean 0 and standard deviation
1/sqrt(12), so that one unit is one "range" for both. *Coded* ones carry a code ``0 .. K-1``: the
options of a choice (nominal) or the values of a coarse grid (ordinal, with cell edges in scaled
coordinates). A mixture is ``n`` product kernels centred on observations and the prior:

    p(x) = w_0 prior(x) + sum_i w_i prod_j k_j(x_j; c_ij, h_ij)

Notation
--------
``n`` kernels, ``m`` evaluation points, ``s`` smooth and ``t`` coded columns; ``S`` (n, s) scaled
coordinates, ``C`` (n, t) codes, ``h`` bandwidths (n, s + t) or (1, s + t), ordinals in scaled
units, nominal columns unused.

Sources: Bergstra et al., NeurIPS 2011 (eq. 2-4); Watanabe, arXiv:2304.11127 (sections 3.3-3.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.floating[Any]]
    Codes: TypeAlias = NDArray[np.intp]

__all__ = ["Axes", "Mixture", "log_density", "mixture_of", "neighbour_bandwidths", "sample"]

_HALF = 0.5
_PRIOR_SD = 1 / math.sqrt(12)
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """What the columns of a mixture are.

    Attributes
    ----------
    bounded : (s,) bool
        Whether a smooth column ends at ±1/2; else its prior is normal.
    edges
        Per coded column the (K + 1,) scaled cell edges of an ordinal, None for a nominal.
    prior
        Per coded column the (K,) prior masses.
    """

    bounded: NDArray[np.bool_]
    edges: tuple[NDArray[np.float64] | None, ...]
    prior: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """`n` product kernels and the prior.

    Attributes
    ----------
    log_weights : (n,)
        Of the kernels.
    log_prior_weight
        Of the prior.
    centres : (n, s)
        Scaled coordinates.
    scales : (n, s) or (1, s)
        Bandwidths of the smooth columns.
    below, inside : (n, s)
        Normal mass of each kernel under -1/2, and within the bounds.
    codes : (n, t)
        Codes of the observations.
    masses
        Per coded column the (R, K) table of kernel masses.
    rows
        Per coded column the (n,) row of that table which each kernel uses.
    smoothing : (t,)
        The share of the prior in each nominal kernel.
    """

    axes: Axes
    log_weights: Floats
    log_prior_weight: float
    centres: Floats
    scales: Floats
    below: Floats
    inside: Floats
    codes: Codes
    masses: tuple[Floats | None, ...]
    rows: tuple[Codes | None, ...]
    smoothing: float


def neighbour_bandwidths(
    x: Floats, bounded: NDArray[np.bool_], floor: float
) -> Floats:
    """x (n, c)"""
    n, c = x.shape
    order = np.argsort(x, axis=0, kind="stable")
    padded = np.empty((n + 2, c))
    padded[0], padded[-1] = -_HALF, _HALF
    padded[1:-1] = np.take_along_axis(x, order, axis=0)
    gaps = np.abs(np.diff(padded, axis=0))
    wide = np.maximum(gaps[:-1], gaps[1:])
    if n >= 2:
        wide[0], wide[-1] = gaps[1], gaps[-2]
    h = np.empty_like(wide)
    np.put_along_axis(h, order, wide, axis=0)
    return np.clip(h, floor, 1.0)


def mixture_of(
    axes: Axes,
    S: Floats,
    C: Codes,
    h: Floats,
    weights: Floats,
    prior_weight: float,
    smoothing: float,
) -> Mixture:
    """Build the mixture of observations `S`, `C` with bandwidths `h` (n or 1, s + t)."""
    n, s = S.shape
    total = float(weights.sum()) + prior_weight
    scales = h[:, :s]
    upper = ndtr((_HALF - S) / scales)
    below = ndtr((-_HALF - S) / scales)
    inside = upper - below
    if not axes.bounded.all():
        below[:, ~axes.bounded] = 0
        inside[:, ~axes.bounded] = 1
    masses: list[Floats | None] = []
    rows: list[Codes | None] = []
    for j, edges in enumerate(axes.edges):
        if edges is None:
            masses.append(None)
            rows.append(None)
            continue
        mids = (edges[1:] + edges[:-1]) / 2
        mids[[0, -1]] = np.clip(mids[[0, -1]], edges[1] - 1, edges[-2] + 1)
        width = h[:, s + j]
        if len(h) == 1:
            centre, rows_j = mids, C[:, j]
        else:
            centre, rows_j = mids[C[:, j]], np.arange(n)
        cdf = ndtr((edges - centre[:, None]) / width[:, None])
        mass = np.diff(cdf, axis=1)
        masses.append(mass / mass.sum(axis=1, keepdims=True))
        rows.append(rows_j)
    with np.errstate(divide="ignore"):
        return Mixture(
            axes,
            np.log(weights / total),
            float(np.log(prior_weight / total)) if prior_weight > 0 else -math.inf,
            S,
            scales,
            below,
            inside,
            C,
            tuple(masses),
            tuple(rows),
            smoothing,
        )


def log_density(mix: Mixture, S: Floats, C: Codes, dtype=np.float64) -> Floats:
    """Return (m,) log densities at points; with respect to scaled coordinates and counting."""
    axes = mix.axes
    n = len(mix.log_weights)
    prior = log_prior(axes, S, C) + mix.log_prior_weight
    if n == 0:
        return prior
    out = kernel_logs(mix, S, C, dtype)
    out += mix.log_weights
    top = out.max(axis=1)
    top = np.maximum(top, -1e30)
    out -= top[:, None]
    np.exp(out, out=out)
    return np.logaddexp(np.log(out.sum(axis=1)) + top, prior)


def log_prior(axes: Axes, S: Floats, C: Codes) -> Floats:
    """(m,)"""
    out = np.zeros(len(S))
    if not axes.bounded.all():
        z = S[:, ~axes.bounded] / _PRIOR_SD
        out += (-0.5 * z * z - math.log(_PRIOR_SD) - _LOG_SQRT_2PI).sum(axis=1)
    with np.errstate(divide="ignore"):
        for j, p in enumerate(axes.prior):
            out += np.log(p)[C[:, j]]
    return out


def kernel_logs(mix: Mixture, S: Floats, C: Codes, dtype=np.float64) -> Floats:
    """Return (m, n)."""
    n, s = mix.centres.shape
    inv = 1 / mix.scales**2
    if len(mix.scales) == 1:
        cand = [S * inv]
        kern = [mix.centres]
        const_c = -0.5 * (S * S * inv).sum(axis=1)
        const_k = -0.5 * (mix.centres**2 * inv).sum(axis=1) - np.log(mix.scales).sum()
    else:
        cand = [-0.5 * S * S, S]
        kern = [inv, mix.centres * inv]
        const_c = np.zeros(len(S))
        const_k = -0.5 * (mix.centres**2 * inv).sum(axis=1) - np.log(mix.scales).sum(axis=1)
    const_k = const_k - np.log(mix.inside).sum(axis=1) - s * _LOG_SQRT_2PI
    with np.errstate(divide="ignore"):
        for j, edges in enumerate(mix.axes.edges):
            code = C[:, j]
            if edges is None:
                p = mix.axes.prior[j][code]
                lam = mix.smoothing * len(mix.axes.prior[j]) / (1 + mix.smoothing * len(mix.axes.prior[j]))
                miss, hit = np.log(np.maximum(lam * p, 1e-300)), np.log(1 - lam + lam * p)
                const_c += miss
                uniq, where = np.unique(code, return_inverse=True)
                left = np.zeros((len(code), len(uniq)))
                left[np.arange(len(code)), where] = hit - miss
                cand.append(left)
                kern.append((mix.codes[:, j][:, None] == uniq).astype(dtype))
            else:
                T = np.log(np.maximum(mix.masses[j], 1e-300))
                R, K = T.shape
                if R == n and len(mix.scales) > 1:
                    left = np.zeros((len(code), K))
                    left[np.arange(len(code)), code] = 1
                    cand.append(left)
                    kern.append(T)
                else:
                    cand.append(T[:, code].T)
                    kern.append((mix.codes[:, j][:, None] == np.arange(K)).astype(dtype))
    A = np.concatenate(cand, axis=1).astype(dtype)
    B = np.concatenate([k.astype(dtype) for k in kern], axis=1)
    out = A @ B.T
    out += const_k.astype(dtype)
    out += const_c.astype(dtype)[:, None]
    return out


def sample(mix: Mixture, U: Floats, log_tilt: Floats | None = None) -> tuple[Floats, Codes]:
    """Draw m points by (m, 1 + s + t) uniforms."""
    axes = mix.axes
    m = len(U)
    n, s = mix.centres.shape
    w = np.append(np.exp(mix.log_weights), math.exp(mix.log_prior_weight))
    if log_tilt is not None:
        w = w * log_tilt
    c = np.cumsum(w)
    comp = np.minimum(np.searchsorted(c, U[:, 0] * c[-1], side="right"), n)
    prior = comp == n
    k = np.where(prior, 0, comp)
    u = U[:, 1 : 1 + s]
    S = np.where(axes.bounded, u - _HALF, 0.0)
    if not axes.bounded.all():
        S[:, ~axes.bounded] = _PRIOR_SD * ndtri(np.clip(u[:, ~axes.bounded], 2.0**-54, 1 - 2.0**-53))
    if n:
        sc = mix.scales[k] if len(mix.scales) > 1 else mix.scales
        z = ndtri(np.clip(mix.below[k] + u * mix.inside[k], 2.0**-54, 1 - 2.0**-53))
        d = mix.centres[k] + sc * z
        d = np.where(axes.bounded, np.clip(d, -_HALF, _HALF), d)
        S = np.where(prior[:, None], S, d)
    C = np.empty((m, len(axes.edges)), dtype=np.intp)
    for j, edges in enumerate(axes.edges):
        p = axes.prior[j]
        v = U[:, 1 + s + j]
        cp = np.cumsum(p)
        K = len(p)
        from_prior = np.minimum(np.searchsorted(cp, v * cp[-1], side="right"), K - 1)
        if not n:
            C[:, j] = from_prior
        elif edges is None:
            lam = mix.smoothing * K / (1 + mix.smoothing * K)
            stay = v >= lam
            fp = np.minimum(np.searchsorted(cp, np.minimum(v / max(lam, 1e-300), 1) * cp[-1], side="right"), K - 1)
            C[:, j] = np.where(prior, from_prior, np.where(stay, mix.codes[k, j], fp))
        else:
            cum = np.cumsum(mix.masses[j], axis=1)[mix.rows[j][k]]
            fk = np.minimum((cum <= (v * cum[:, -1])[:, None]).sum(axis=1), K - 1)
            C[:, j] = np.where(prior, from_prior, fk)
    return S, C
