"""The distributions of single parameters: frozen values, checked when made.

Each is described in *latent* coordinates, in which it is uniform, normal, integer or categorical:
the logarithm of the value for the log kinds, the value itself otherwise. Quantization happens last,
``round(value / q) * q``, as Hyperopt documents it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sparktrials.errors import InvalidBounds, InvalidProbabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Categorical", "Distribution", "Integer", "Normal", "Uniform", "probabilities_of"]

#: Probabilities whose sum is off by more than this are refused, by less renormalised.
PROBABILITY_TOLERANCE = 1e-3
#: Largest integer below which every integer is a float.
MAX_EXACT_INTEGER = 2**53


def _number(label: str, name: str, value: object) -> float:
    """Return `value` as a finite float or refuse it by name."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, np.number)):
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return _number(label, name, value[()])
        msg = (
            f"{label!r}: {name} must be a number, got {value!r}"
            if not hasattr(value, "_is_space_node")
            else f"{label!r}: {name} must be a number known now, got a search-space node ({value}); "
            "make the parameter conditional with hp.choice, or compute with it in an expression"
        )
        raise InvalidBounds(msg)
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        msg = f"{label!r}: {name} must be finite, got {value!r}"
        raise InvalidBounds(msg)
    return number


def _integer(label: str, name: str, value: object) -> int:
    number = _number(label, name, value)
    if number != int(number):
        msg = f"{label!r}: {name} must be a whole number, got {value!r}"
        raise InvalidBounds(msg)
    if abs(number) > MAX_EXACT_INTEGER:
        msg = f"{label!r}: {name} must be within ±2**53, got {value!r}"
        raise InvalidBounds(msg)
    return int(value) if isinstance(value, Integral) else int(number)


def _step(label: str, q: object | None) -> float | None:
    if q is None:
        return None
    step = _number(label, "q", q)
    if step <= 0:
        msg = f"{label!r}: q > 0 must hold, got q={q!r}"
        raise InvalidBounds(msg)
    return step


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform between two bounds, of the value or of its logarithm.

    Attributes
    ----------
    low, high
        Latent bounds (natural logarithms if `log`), ``low < high``.
    log
        The value is ``exp`` of the latent coordinate.
    q
        Quantization step of the value, or None.
    integer
        The objective receives an ``int`` (``hp.uniformint``); the raw draw stays a float.
    """

    low: float
    high: float
    log: bool = False
    q: float | None = None
    integer: bool = False

    @classmethod
    def checked(
        cls,
        label: str,
        low: object,
        high: object,
        *,
        log: bool = False,
        q: object | None = None,
        integer: bool = False,
    ) -> Uniform:
        """Make one from a user's arguments.

        Raises
        ------
        InvalidBounds
            If a bound is not a finite number, ``low >= high``, ``q <= 0``, or ``exp(high)``
            overflows.
        """
        lo, hi = _number(label, "low", low), _number(label, "high", high)
        if not lo < hi:
            msg = f"{label!r}: low should be less than high, got low={low!r}, high={high!r}"
            raise InvalidBounds(msg)
        if log and hi > math.log(np.finfo(np.float64).max):
            msg = (
                f"{label!r}: bounds of a log distribution are natural logarithms; exp(high) "
                f"overflows, got high={high!r} (did you mean high=log({high!r})?)"
            )
            raise InvalidBounds(msg)
        return cls(lo, hi, log, _step(label, q), integer)

    def __str__(self) -> str:
        """Return it as its user would write it, without the label."""
        if self.integer:
            step = "" if self.q == 1.0 else f", q={self.q:g}"
            return f"uniformint({self.low:g}, {self.high:g}{step})"
        name = ("q" if self.q else "") + ("loguniform" if self.log else "uniform")
        return f"{name}({self.low:g}, {self.high:g}{f', q={self.q:g}' if self.q else ''})"


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal, or log-normal, optionally quantized.

    Attributes
    ----------
    mu, sigma
        Mean and standard deviation of the latent coordinate, ``sigma > 0``.
    log
        The value is ``exp`` of the latent coordinate.
    q
        Quantization step of the value, or None.
    """

    mu: float
    sigma: float
    log: bool = False
    q: float | None = None

    @classmethod
    def checked(
        cls, label: str, mu: object, sigma: object, *, log: bool = False, q: object | None = None
    ) -> Normal:
        """Make one from a user's arguments.

        Raises
        ------
        InvalidBounds
            If an argument is not a finite number, or ``sigma <= 0``, or ``q <= 0``.
        """
        mean, deviation = _number(label, "mu", mu), _number(label, "sigma", sigma)
        if deviation <= 0:
            msg = f"{label!r}: sigma > 0 must hold, got sigma={sigma!r}"
            raise InvalidBounds(msg)
        return cls(mean, deviation, log, _step(label, q))

    def __str__(self) -> str:
        """Return it as its user would write it, without the label."""
        name = ("q" if self.q else "") + ("lognormal" if self.log else "normal")
        return f"{name}({self.mu:g}, {self.sigma:g}{f', q={self.q:g}' if self.q else ''})"


@dataclass(frozen=True, slots=True)
class Integer:
    """Uniform over the integers of ``[low, high)`` (``hp.randint``)."""

    low: int
    high: int

    @classmethod
    def checked(cls, label: str, low: object, high: object | None = None) -> Integer:
        """Make one from ``randint(label, upper)`` or ``randint(label, low, high)``.

        Raises
        ------
        InvalidBounds
            If a bound is not a whole number within ±2**53 or ``low >= high``.
        """
        lo, hi = (
            (0, _integer(label, "upper", low))
            if high is None
            else (_integer(label, "low", low), _integer(label, "high", high))
        )
        if not lo < hi:
            msg = f"{label!r}: low should be less than high, got low={lo}, high={hi}"
            raise InvalidBounds(msg)
        return cls(lo, hi)

    def __str__(self) -> str:
        """Return it as its user would write it, without the label."""
        return f"randint({self.low}, {self.high})"


@dataclass(frozen=True, slots=True)
class Categorical:
    """A branch index ``0 .. len(probabilities) - 1`` (``hp.choice``, ``hp.pchoice``)."""

    probabilities: tuple[float, ...]

    def __str__(self) -> str:
        """Return it as its user would write it, without the label."""
        p = self.probabilities
        if len(set(p)) == 1:
            return f"choice of {len(p)}"
        return f"pchoice({', '.join(f'{x:g}' for x in p)})"


Distribution: TypeAlias = Uniform | Normal | Integer | Categorical


def probabilities_of(label: str, probabilities: Sequence[object]) -> tuple[tuple[float, ...], bool]:
    """Check the probabilities of a ``pchoice``.

    Returns
    -------
    tuple
        The probabilities, summing to 1, and whether they had to be rescaled to do so.

    Raises
    ------
    InvalidProbabilities
        If one is not a finite number in [0, 1], or their sum is further from 1 than 1e-3.
    """
    p: list[float] = []
    for i, value in enumerate(probabilities):
        try:
            number = _number(label, f"probability {i}", value)
        except InvalidBounds as error:
            raise InvalidProbabilities(str(error)) from None
        if number < 0:
            msg = f"{label!r}: probabilities must not be negative, got {value!r} for option {i}"
            raise InvalidProbabilities(msg)
        p.append(number)
    total = math.fsum(p)
    if abs(total - 1.0) > PROBABILITY_TOLERANCE:
        msg = f"{label!r}: probabilities must sum to 1, got {p!r} with sum {total:.6g}"
        raise InvalidProbabilities(msg)
    return tuple(x / total for x in p), abs(total - 1.0) > 1e-9
