"""``hyperopt.criteria``: how much a point with a Gaussian prediction promises.

All criteria are for maximization: `thresh` is the value to be exceeded. Arrays broadcast.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["EI_empirical", "EI_gaussian", "EI_gaussian_empirical", "UCB", "logEI_gaussian"]

#: Below this score, 1 - |z| Φ(z) / φ(z) cancels, and its asymptotic series is exact enough.
_FAR = -300.0
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def EI_empirical(samples: ArrayLike, thresh: float) -> Any:  # noqa: ANN401, N802
    """Return how far `samples` exceed the threshold on average; those below count as 0.

    Parameters
    ----------
    samples
        Draws from the prediction.
    thresh
        What is to be exceeded.
    """
    return np.maximum(np.asarray(samples) - thresh, 0).mean()


def EI_gaussian_empirical(  # noqa: N802
    mean: float, var: float, thresh: float, rng: np.random.Generator, N: int
) -> Any:  # noqa: ANN401
    """Estimate `EI_gaussian` from `N` draws.

    Parameters
    ----------
    mean, var
        Of the prediction.
    thresh
        What is to be exceeded.
    rng
        Where randomness comes from.
    N
        Number of draws.
    """
    return EI_empirical(rng.standard_normal(N) * _deviation(var) + mean, thresh)


def EI_gaussian(mean: ArrayLike, var: ArrayLike, thresh: ArrayLike) -> Any:  # noqa: ANN401, N802
    """Return the expected improvement of a Gaussian over a threshold.

    Without variance it is what the mean exceeds the threshold by.

    Parameters
    ----------
    mean, var
        Of the prediction.
    thresh
        What is to be exceeded.
    """
    return np.exp(logEI_gaussian(mean, var, thresh))


def logEI_gaussian(mean: ArrayLike, var: ArrayLike, thresh: ArrayLike) -> Any:  # noqa: ANN401, N802
    """Return the logarithm of `EI_gaussian`, exact also where that underflows.

    Parameters
    ----------
    mean, var
        Of the prediction.
    thresh
        What is to be exceeded.
    """
    sigma = _deviation(var)
    gain, sigma = np.broadcast_arrays(
        np.asarray(mean, dtype=float) - np.asarray(thresh, dtype=float), sigma
    )
    found = np.empty(gain.shape)
    certain = sigma == 0
    with np.errstate(divide="ignore"):  # log(0) is -inf: no improvement
        found[certain] = np.log(np.maximum(gain[certain], 0.0))
    score = gain[~certain] / sigma[~certain]
    found[~certain] = np.log(sigma[~certain]) + _log_improvement(score)
    return found[()]


def UCB(mean: ArrayLike, var: ArrayLike, zscore: float) -> Any:  # noqa: ANN401, N802
    """Return the upper confidence bound, ``mean + zscore * sqrt(var)``.

    Parameters
    ----------
    mean, var
        Of the prediction.
    zscore
        How many standard deviations above the mean.
    """
    return np.asarray(mean)[()] + _deviation(var)[()] * zscore


def _deviation(var: ArrayLike) -> NDArray[np.float64]:
    variance = np.asarray(var, dtype=float)
    if not (variance >= 0).all():
        msg = f"var must not be negative, got {var!r}"
        raise InvalidArgument(msg)
    return np.asarray(np.sqrt(variance))


def _log_improvement(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(φ(z) + z Φ(z)): of a standard normal the expected improvement over -z.

    Source: Ament et al. 2023, "Unexpected improvements to expected improvement for Bayesian
    optimization", section 4: below -1 as log φ(z) + log(1 - |z| Φ(z) / φ(z)), with the scaled
    complementary error function; far out by the series of Mills' ratio.
    """
    from scipy.special import erfcx, ndtr  # noqa: PLC0415 - not at import

    found = np.empty(score.shape)
    log_density = -0.5 * score**2 - _LOG_ROOT_2PI
    near, far = score > -1, score < _FAR
    between = ~near & ~far
    z = score[near]
    found[near] = np.log(np.exp(log_density[near]) + z * ndtr(z))
    z = score[between]
    ratio = -z * math.sqrt(math.pi / 2) * erfcx(-z / math.sqrt(2))
    found[between] = log_density[between] + np.log1p(-ratio)
    z = score[far]
    found[far] = log_density[far] - 2 * np.log(-z) + np.log1p(-3 / z**2)
    return found
