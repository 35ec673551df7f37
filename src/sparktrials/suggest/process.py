"""A Gaussian process: its likelihood with gradient, its posterior, points added one by one.

    k(a, b) = amplitude * matern52(sum_j w_j |F_j(a) - F_j(b)|^2) + OFFSET

with features ``F`` as in `embedding`, a weight per column, and noise on the diagonal. The constant
stands for the unknown mean. Everything is in terms of squared distances that are matrix products.

Shapes: ``F`` (n, f) features; ``w`` (d,) weights, inverse squared length scales.
Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25,
2.26, 2.30, 4.17, 5.9; the prior of the length scales: Hvarfner et al., ICML 2024, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular
from scipy.optimize import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Hyperparameters",
    "Posterior",
    "Prior",
    "Search",
    "fit",
    "matern",
    "negative_log_posterior",
]

_SQRT5 = math.sqrt(5)
#: Variance of the unknown mean, where the warped losses have 1.
OFFSET = 1.0
#: Mean, for one dimension, and deviation of the logarithm of the length scale, in ranges, that all
#: columns share; and the deviation of each column's own from it. Without the tie, a few trials make
#: some columns look as if they did not matter, and the search never learns better.
SCALE_PRIOR = (math.sqrt(2), math.sqrt(3))
OWN_SCALE = 0.6
#: Mean, for one column, and deviation of the logarithm of the weight of a column without order.
NOMINAL_PRIOR = (-1.0, 1.5)
#: The same for amplitude and noise variance.
AMPLITUDE_PRIOR = (0.0, 1.0)
NOISE_PRIOR = (-9.0, 3.0)
#: Bounds of logarithms of weights, amplitude and noise variance.
_WEIGHTS = (-14.0, 12.0)
_AMPLITUDES = (-4.0, 5.0)
_NOISES = (math.log(1e-8), 0.5)
#: Arrays of a posterior grow by so many points.
_ROOM = 64


@dataclass(frozen=True, slots=True, eq=False)
class Hyperparameters:
    """Of a process.

    Attributes
    ----------
    weights : (d,)
        Per column.
    amplitude, noise
        Variances.
    """

    weights: NDArray[np.float64]
    amplitude: float
    noise: float

    @classmethod
    def of(cls, theta: NDArray[np.float64]) -> Hyperparameters:
        """Return those of logarithms (d + 2,): weights, amplitude, noise."""
        e = np.exp(theta)
        return cls(e[:-2], float(e[-2]), float(e[-1]))


def matern(r2: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Matérn 5/2 function of squared distances, and its derivative by them.

    Source: Rasmussen and Williams, equation 4.17.
    """
    s = np.sqrt(r2)
    s *= _SQRT5
    e = np.exp(-s)
    s += 1
    slope = e * s
    value = e * (s + (5 / 3) * r2)
    slope *= -5 / 6
    return value, slope


def squared_distances(A: NDArray[np.float64], B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, m) squared distances of rows."""
    out: NDArray[np.float64] = A @ (-2 * B.T)
    out += np.einsum("ij,ij->i", A, A)[:, None]
    out += np.einsum("ij,ij->i", B, B)
    return np.maximum(out, 0, out=out)


def negative_log_posterior(
    theta: NDArray[np.float64],
    F: NDArray[np.float64],
    owner: NDArray[np.intp],
    y: NDArray[np.float64],
    prior: Prior,
) -> tuple[float, NDArray[np.float64]]:
    """Return the negative logarithm of likelihood times prior, and its gradient.

    Parameters
    ----------
    theta : (d + 2,)
        Logarithms of weights, amplitude and noise variance.
    owner : (f,)
        The column of each feature.
    prior
        Of `theta`.

    Source: Rasmussen and Williams, equations 2.30 and 5.9.
    """
    n, d = len(y), len(theta) - 2
    hyper = Hyperparameters.of(theta)
    A = F * np.sqrt(hyper.weights)[owner]
    r2 = squared_distances(A, A)
    np.fill_diagonal(r2, 0.0)
    M, slope = matern(r2)
    K = hyper.amplitude * M
    K += OFFSET
    K.flat[:: n + 1] += hyper.noise
    L, info = lapack.dpotrf(K, lower=1, overwrite_a=1)
    if info:
        return 1e10, np.zeros_like(theta)
    halves = float(np.log(np.diagonal(L)).sum())
    inverse, _ = lapack.dpotri(L, lower=1, overwrite_c=1)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    alpha = inverse @ y
    # G: derivative of the value by K.
    G = inverse
    G -= np.outer(alpha, alpha)
    G *= 0.5
    gradient = np.empty_like(theta)
    gradient[-2] = hyper.amplitude * float(np.vdot(G, M))
    gradient[-1] = hyper.noise * float(np.trace(G))
    H = G
    H *= slope
    per_feature = 2 * (H.sum(axis=1) @ (A * A) - np.einsum("ij,ij->j", A, H @ A))
    gradient[:-2] = hyper.amplitude * np.bincount(owner, per_feature, minlength=d)
    off = theta - prior.mean
    pull = prior.precision @ off
    value = 0.5 * float(y @ alpha) + halves + 0.5 * float(off @ pull)
    return value, gradient + pull


class Search(NamedTuple):
    """From where hyperparameters are looked for, and for how long."""

    start: NDArray[np.float64]
    iterations: int


class Prior(NamedTuple):
    """A normal prior of the logarithms (d + 2,) of weights, amplitude and noise variance."""

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, nominal: NDArray[np.bool_], active: float) -> Prior:
        """Return the one for the columns of a space.

        Parameters
        ----------
        nominal : (d,)
            Which have no order. How much options differ has nothing to do with the scale of the
            others, which shrinks as trials gather around an optimum.
        active
            How many columns points have active, on average: length scales grow with its root.
        """
        spread = math.log(max(active, 1.0))
        mean = np.append(np.where(nominal, NOMINAL_PRIOR[0], -2 * SCALE_PRIOR[0]) - spread, [0, 0])
        own = np.append(np.where(nominal, NOMINAL_PRIOR[1], 2 * OWN_SCALE), [0, 0])
        mean[-2:], own[-2:] = zip(AMPLITUDE_PRIOR, NOISE_PRIOR, strict=True)
        shared = np.append(np.where(nominal, 0.0, 2 * SCALE_PRIOR[1]), [0, 0])
        covariance = np.outer(shared, shared) + np.diag(own**2)
        return cls(mean, np.linalg.inv(covariance))


def fit(
    F: NDArray[np.float64],
    owner: NDArray[np.intp],
    y: NDArray[np.float64],
    prior: Prior,
    searches: list[Search],
) -> NDArray[np.float64]:
    """Return the logarithms of the most probable hyperparameters that `searches` find."""
    d = len(prior.mean) - 2
    bounds = [_WEIGHTS] * d + [_AMPLITUDES, _NOISES]
    best, least = searches[0].start, math.inf
    for search in searches:
        found = minimize(
            negative_log_posterior,
            search.start,
            args=(F, owner, y, prior),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": search.iterations, "maxfun": 2 * search.iterations},
        )
        if found.fun < least:
            best, least = found.x, found.fun
    return best


class Posterior:
    """What is believed after finished trials, and pending ones that are taken for what is expected.

    A pending trial that comes out as expected does not change the mean: only variances shrink
    around it (the kriging believer of Ginsbourger et al., 2010).

    Parameters
    ----------
    hyper
        Hyperparameters.
    F, owner
        Features of finished trials.
    y : (n,)
        Warped losses.
    """

    def __init__(
        self,
        hyper: Hyperparameters,
        F: NDArray[np.float64],
        owner: NDArray[np.intp],
        y: NDArray[np.float64],
    ) -> None:
        n = len(y)
        self.hyper = hyper
        self.root = np.sqrt(hyper.weights)[owner]  # (f,) factors of features
        self.n = 0
        self.size = 0
        #: What each pending point is taken to come out as.
        self.believed: list[float] = []
        self._A = np.empty((0, F.shape[1]))
        self._W = np.empty((0, 0))  # the inverse of the Cholesky factor
        self._allocate(n)
        self._A[:n] = A = F * self.root
        self.n = self.size = n
        r2 = squared_distances(A, A)
        np.fill_diagonal(r2, 0.0)
        K = hyper.amplitude * matern(r2)[0] + OFFSET
        L = _factor(K, hyper.noise)
        self._W[:n, :n] = solve_triangular(L, np.eye(n), lower=True, check_finite=False)
        W = self._W[:n, :n]
        self._alpha = W.T @ (W @ y)

    def _allocate(self, size: int) -> None:
        """Make room for so many points and some more: the layout depends on their number alone.

        Where rounding depends on the layout, a batch still gives the points of a sequence.
        """
        n, capacity = self.size, size + _ROOM - size % _ROOM
        A, W = np.zeros((capacity, self._A.shape[1])), np.zeros((capacity, capacity))
        A[:n], W[:n, :n] = self._A[:n], self._W[:n, :n]
        self._A, self._W = A, W

    @property
    def variance(self) -> float:
        """Of a point before anything is known."""
        return self.hyper.amplitude + OFFSET

    def at(self, F: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means and variances (m,) at features, without noise.

        Source: Rasmussen and Williams, equations 2.25 and 2.26.
        """
        k = self.hyper.amplitude * matern(squared_distances(F * self.root, self._A[: self.size]))[0]
        k += OFFSET
        mean = k[:, : self.n] @ self._alpha
        V = k @ self._W[: self.size, : self.size].T
        variance = self.variance - np.einsum("ij,ij->i", V, V)
        return mean, np.maximum(variance, self._least)

    def mean(self, F: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return means (m,) at features."""
        r2 = squared_distances(F * self.root, self._A[: self.n])
        mean: NDArray[np.float64] = self.hyper.amplitude * (matern(r2)[0] @ self._alpha)
        return mean + OFFSET * float(self._alpha.sum())

    @property
    def _least(self) -> float:
        return 1e-12 * self.variance

    def slopes(
        self, features: NDArray[np.float64]
    ) -> tuple[float, float, NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance at one point (f,), and their gradients by its features."""
        gap = features * self.root - self._A[: self.size]
        value, slope = matern(np.einsum("ij,ij->i", gap, gap))
        k = self.hyper.amplitude * value
        k += OFFSET
        slope *= 2 * self.hyper.amplitude
        W = self._W[: self.size, : self.size]
        v = W @ k
        mean = float(k[: self.n] @ self._alpha)
        variance = self.variance - float(v @ v)
        d_mean = (self._alpha * slope[: self.n]) @ gap[: self.n]
        d_variance = (slope * (v @ W)) @ gap
        d_variance *= -2
        return (
            mean,
            max(variance, self._least),
            d_mean * self.root,
            d_variance * self.root,
        )

    def add(self, F: NDArray[np.float64]) -> None:
        """Take points (m, f) for pending ones: a row of the inverse factor for each."""
        for row in F:
            a, n = row * self.root, self.size
            if n == len(self._A):
                self._allocate(n + 1)
            gap = a - self._A[:n]
            k = self.hyper.amplitude * matern(np.einsum("ij,ij->i", gap, gap))[0] + OFFSET
            self.believed.append(float(k[: self.n] @ self._alpha))
            W = self._W[:n, :n]
            v = W @ k
            rest = self.variance + self.hyper.noise - float(v @ v)
            pivot = math.sqrt(max(rest, 0.5 * self.hyper.noise, self._least))
            self._W[n, :n] = (v @ W) / -pivot
            self._W[n, n] = 1 / pivot
            self._A[n] = a
            self.size += 1


def _factor(K: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Return the Cholesky factor of K with noise on its diagonal, more of it if it has to be."""
    n = len(K)
    for _ in range(12):
        noisy = K.copy()
        noisy.flat[:: n + 1] += noise
        try:
            factor: NDArray[np.float64] = cholesky(noisy, lower=True, check_finite=False)
        except LinAlgError:
            noise *= 10
        else:
            return factor
    msg = f"a kernel matrix of {n} points has no Cholesky factor"
    raise AssertionError(msg)
