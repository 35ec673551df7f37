"""``hyperopt.rdists``: the distributions of ``hp`` in the manner of ``scipy.stats``.

scipy is loaded when a distribution is made.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    lognorm_gen: Any
    loguniform_gen: Any

__all__ = [
    "lognorm_gen",
    "loguniform_gen",
    "qlognormal_gen",
    "qloguniform_gen",
    "qnormal_gen",
    "qtable_logpmf",
    "qtable_pmf",
    "quniform_gen",
    "safe_int_cast",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    # The classes that inherit from scipy's.
    if name == "loguniform_gen":
        return _loguniform_gen()
    if name == "lognorm_gen":
        return _lognorm_gen()
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _named(cls: type, name: str) -> type:
    cls.__name__ = cls.__qualname__ = name  # pickles find it through __getattr__
    return cls


@cache
def _loguniform_gen() -> type:
    from scipy.stats import rv_continuous  # noqa: PLC0415

    class LogUniform(rv_continuous):  # type: ignore[misc]  # no stubs
        """``exp(X)`` with X uniform on ``[low, high]``."""

        def __init__(self, low: float = 0, high: float = 1) -> None:
            super().__init__(a=np.exp(low), b=np.exp(high))
            self._low = low
            self._high = high

        def _updated_ctor_param(self) -> dict[str, Any]:
            return {"low": self._low, "high": self._high}  # what scipy makes copies with

        def _rvs(self, *_: object, size: Any = None, random_state: Any = None) -> Any:  # noqa: ANN401
            return np.exp(_source(random_state).uniform(self._low, self._high, size))

        def _pdf(self, x: Any) -> Any:  # noqa: ANN401
            return 1 / (x * (self._high - self._low))

        def _logpdf(self, x: Any) -> Any:  # noqa: ANN401
            return -np.log(x) - np.log(self._high - self._low)

        def _cdf(self, x: Any) -> Any:  # noqa: ANN401
            return (np.log(x) - self._low) / (self._high - self._low)

        def _ppf(self, q: Any) -> Any:  # noqa: ANN401
            return np.exp(self._low + q * (self._high - self._low))

    return _named(LogUniform, "loguniform_gen")


@cache
def _lognorm_gen() -> type:
    from scipy.stats import lognorm  # noqa: PLC0415

    class LogNorm(type(lognorm)):  # type: ignore[misc]  # no stubs
        """``exp(X)`` with X normal: its methods take no parameters but `size`."""

        def __init__(self, mu: float, sigma: float) -> None:
            self.mu_ = mu
            self.s_ = sigma
            super().__init__()
            for name in ("_parse_args", "_parse_args_stats", "_parse_args_rvs"):
                self.__dict__.pop(name, None)  # scipy writes these for each instance

        def _updated_ctor_param(self) -> dict[str, Any]:
            return {"mu": self.mu_, "sigma": self.s_}

        def _parse_args(self) -> tuple[Any, ...]:
            return (self.s_,), 0, np.exp(self.mu_)

        def _parse_args_rvs(self, size: Any = None) -> tuple[Any, ...]:  # noqa: ANN401
            return (self.s_,), 0, np.exp(self.mu_), size

        def _parse_args_stats(self, moments: str = "mv") -> tuple[Any, ...]:
            return (self.s_,), 0, np.exp(self.mu_), moments

    return _named(LogNorm, "lognorm_gen")


def _source(random_state: Any) -> Any:  # noqa: ANN401
    """Return what draws: numpy's global generator unless another is given."""
    return np.random if random_state is None else random_state


def qtable_pmf(x: Any, q: float, qlow: float, xs: Any, ps: Any) -> Any:  # noqa: ANN401, ARG001
    """Return the probability of `x`, given those of ``qlow``, ``qlow + q``, … in `ps`."""
    p = np.asarray(ps)
    rounded = np.round(np.atleast_1d(x).astype(float) / q) * q
    place = np.round((rounded - qlow) / q).astype(int)
    inside = np.isclose(rounded, x) & (place >= 0) & (place < len(p))
    found = np.zeros_like(rounded)
    found[inside] = p[place[inside]]
    return found.reshape(x.shape) if isinstance(x, np.ndarray) else float(found[0])


def qtable_logpmf(x: Any, q: float, qlow: float, xs: Any, ps: Any) -> Any:  # noqa: ANN401
    """Return the logarithm of `qtable_pmf`."""
    found = _logarithm(qtable_pmf(np.atleast_1d(x), q, qlow, xs, ps))
    return found if isinstance(x, np.ndarray) else float(found[0])


def _logarithm(p: Any) -> Any:  # noqa: ANN401
    found = np.full(p.shape, -np.inf)
    np.log(p, out=found, where=p > 0)
    return found


class _Table:
    """A distribution over multiples of `q`, given by the probability of each."""

    def __init__(self, low: float, high: float, q: float, xs: Any, ps: Any) -> None:  # noqa: ANN401
        self.low = low
        self.high = high
        self.q = q
        self.xs = np.asarray(xs)
        self.ps = np.asarray(ps)
        self.qlow = self.xs[0]
        self.qhigh = self.xs[-1]

    def pmf(self, x: Any) -> Any:  # noqa: ANN401
        """Return the probability of a value, or of each of an array."""
        return qtable_pmf(x, self.q, self.qlow, self.xs, self.ps)

    def logpmf(self, x: Any) -> Any:  # noqa: ANN401
        """Return the logarithm of `pmf`."""
        return qtable_logpmf(x, self.q, self.qlow, self.xs, self.ps)

    def rvs(self, size: Any = (), random_state: Any = None) -> Any:  # noqa: ANN401
        """Draw values."""
        draws = self._transformed(_source(random_state).uniform(self.low, self.high, size))
        return safe_int_cast(np.round(draws / self.q)) * self.q

    @staticmethod
    def _transformed(x: Any) -> Any:  # noqa: ANN401
        return x


def _multiples(low: float, high: float, q: float) -> tuple[Any, Any]:
    """Return the multiples of `q` that an interval is rounded to, and the edges between them."""
    first, last = int(np.round(low / q)), int(np.round(high / q))
    xs = np.arange(first, last + 1) * q
    edges = np.concatenate([[low], xs[:-1] + 0.5 * q, [high]])
    return xs, edges


class quniform_gen(_Table):  # noqa: N801 - Hyperopt's name
    """``q * round(X / q)`` with X uniform on ``[low, high]``."""

    def __init__(self, low: float, high: float, q: float) -> None:
        low, high = float(low), float(high)
        xs, edges = _multiples(low, high, q)
        ps = np.diff(edges) if len(xs) > 1 else np.ones(1)
        super().__init__(low, high, q, xs, ps / ps.sum())


class qloguniform_gen(quniform_gen):  # noqa: N801
    """``q * round(exp(X) / q)`` with X uniform on ``[low, high]``."""

    def __init__(self, low: float, high: float, q: float) -> None:
        low, high = float(low), float(high)
        xs, edges = _multiples(float(np.exp(low)), float(np.exp(high)), q)
        ps = np.diff(np.log(edges)) if len(xs) > 1 else np.ones(1)
        _Table.__init__(self, low, high, q, xs, ps / ps.sum())

    @staticmethod
    def _transformed(x: Any) -> Any:  # noqa: ANN401
        return np.exp(x)


class _Rounded:
    """A normal variable, or what becomes of it, rounded to multiples of `q`."""

    def __init__(self, mu: float, sigma: float, q: float) -> None:
        self.mu, self.sigma = float(mu), float(sigma)
        self.q = q

    def in_domain(self, x: Any) -> Any:  # noqa: ANN401
        """Whether a value can occur."""
        return np.isclose(x, safe_int_cast(np.round(x / self.q)) * self.q)

    def pmf(self, x: Any) -> Any:  # noqa: ANN401
        """Return the probability of a value, or of each of an array."""
        values = np.atleast_1d(x)
        found = np.zeros(values.shape)
        inside = self.in_domain(values)
        found[inside] = self._mass(values[inside])
        return found if isinstance(x, np.ndarray) else float(found[0])

    def logpmf(self, x: Any) -> Any:  # noqa: ANN401
        """Return the logarithm of `pmf`."""
        found = _logarithm(self.pmf(np.atleast_1d(x)))
        return found if isinstance(x, np.ndarray) else float(found[0])

    def rvs(self, size: Any = (), random_state: Any = None) -> Any:  # noqa: ANN401
        """Draw values."""
        draws = self._transformed(_source(random_state).normal(self.mu, self.sigma, size))
        return safe_int_cast(np.round(draws / self.q)) * self.q

    def _mass(self, x: Any) -> Any:  # noqa: ANN401
        raise NotImplementedError

    @staticmethod
    def _transformed(x: Any) -> Any:  # noqa: ANN401
        return x


class qnormal_gen(_Rounded):  # noqa: N801
    """``q * round(X / q)`` with X normal."""

    def logpmf(self, x: Any) -> Any:  # noqa: ANN401
        """Return the logarithm of the probability, exact far out in the tails, too."""
        values = np.atleast_1d(x)
        found = np.full(values.shape, -np.inf)
        inside = self.in_domain(values)
        # Mirrored to the left of the mean, where the distribution function keeps its digits.
        distance = np.abs(values[inside] - self.mu)
        upper, lower = self._log_cdf(-distance + self.q / 2), self._log_cdf(-distance - self.q / 2)
        found[inside] = upper + np.log1p(-np.exp(lower - upper))
        return found if isinstance(x, np.ndarray) else float(found[0])

    def _log_cdf(self, distance: Any) -> Any:  # noqa: ANN401
        from scipy.special import log_ndtr  # noqa: PLC0415

        return log_ndtr(distance / self.sigma)

    def _mass(self, x: Any) -> Any:  # noqa: ANN401
        return np.exp(self.logpmf(x))


class qlognormal_gen(_Rounded):  # noqa: N801
    """``q * round(exp(X) / q)`` with X normal."""

    def in_domain(self, x: Any) -> Any:  # noqa: ANN401
        """Whether a value can occur."""
        return (x >= 0) & super().in_domain(x)

    def _mass(self, x: Any) -> Any:  # noqa: ANN401
        return self._cdf(x + self.q / 2) - self._cdf(x - self.q / 2)

    def _cdf(self, x: Any) -> Any:  # noqa: ANN401
        from scipy.special import ndtr  # noqa: PLC0415

        with np.errstate(divide="ignore"):
            return ndtr((np.log(np.maximum(x, 0.0)) - self.mu) / self.sigma)

    @staticmethod
    def _transformed(x: Any) -> Any:  # noqa: ANN401
        return np.exp(x)


def safe_int_cast(obj: Any) -> Any:  # noqa: ANN401
    """Return a number as an int, an array or a list as one of ints."""
    if isinstance(obj, np.ndarray):
        return obj.astype("int")
    if isinstance(obj, list):
        return [int(i) for i in obj]
    return int(obj)
