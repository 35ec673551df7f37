"""The distributions of single parameters: frozen values, checked when made.

Each is described in *latent* coordinates, in which it is uniform, normal, integer or categorical:
the logarithm of the value for the log kinds, the value itself otherwise. Quantization happens last,
``round(value / q) * q``, as Hyperopt documents it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from sparktrials.errors import InvalidBounds, InvalidProbabilities
from sparktrials.space.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Categorical", "Distribution", "Integer", "Normal", "Uniform", "probabilities_of"]

#: Probabilities whose sum is off by more than this are refused, by less renormalised.
PROBABILITY_TOLERANCE = 1e-3
#: Renormalising probabilities that are off by no more than rounding is not worth a warning.
_ROUNDING = 1e-9
#: Largest integer below which every integer is a float.
MAX_EXACT_INTEGER = 2**53
#: Largest bound, mean, deviation and step: sums and differences of them stay finite.
MAX_MAGNITUDE = 1e307
#: Largest logarithm of a value, for the same reason: ``exp(709)`` is 8e307.
MAX_LOG = 709.0
#: Smallest logarithm of a value: below it ``exp`` is 0, which has no logarithm to come back to.
MIN_LOG = -744.0

_NO_STEP: Final = object()


def as_float(value: object) -> float | None:
    """Return a real number as a float, infinite where it is too large; None for all else."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if type(value) is bool or not isinstance(value, (Real, np.integer, np.floating)):
        return None
    try:
        return float(value)
    except OverflowError:  # 10**400
        return math.inf
    except (TypeError, ValueError):  # timedelta64, which numpy takes for an integer
        return None


def _number(label: str, name: str, value: object) -> float:
    """Return `value` as a finite float or refuse it by name."""
    if isinstance(value, Node):
        msg = (
            f"{label!r}: {name} must be a number known now, got a search-space node ({value}); "
            "make the parameter conditional with hp.choice, or compute with it in an expression"
        )
        raise InvalidBounds(msg)
    number = as_float(value)
    if number is None:
        msg = f"{label!r}: {name} must be a number, got {value!r} of type {type(value).__name__}"
        raise InvalidBounds(msg)
    if not abs(number) <= MAX_MAGNITUDE:
        msg = f"{label!r}: {name} must be finite and within ±{MAX_MAGNITUDE:g}, got {value!r}"
        raise InvalidBounds(msg)
    return number + 0.0  # -0.0 and 0.0 are one bound


def _integer(label: str, name: str, value: object) -> int:
    number = _number(label, name, value)
    if number != int(number):
        msg = f"{label!r}: {name} must be a whole number, got {value!r}"
        raise InvalidBounds(msg)
    whole = int(value) if isinstance(value, Integral) else int(number)
    if abs(whole) > MAX_EXACT_INTEGER:
        msg = f"{label!r}: {name} must be within ±2**53, got {value!r}"
        raise InvalidBounds(msg)
    return whole


def _step(label: str, q: object) -> float | None:
    if q is _NO_STEP:
        return None
    step = _number(label, "q", q)
    if step <= 0:
        msg = f"{label!r}: q > 0 must hold, got q={q!r}"
        raise InvalidBounds(msg)
    return step


def _text(number: float) -> str:
    """Return a number in full, for two spaces that differ must not look alike, but no longer."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _written(name: str, d: Uniform | Normal, *numbers: float) -> str:
    """Return a distribution as its user would write it."""
    kind = ("q" if d.q else "") + ("log" if d.log else "") + name
    return f"{kind}({', '.join([*map(_text, numbers), *([f'q={_text(d.q)}'] if d.q else [])])})"


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
        q: object = _NO_STEP,
        integer: bool = False,
    ) -> Uniform:
        """Make one from a user's arguments.

        Raises
        ------
        InvalidBounds
            If a bound is not a finite number, ``low >= high``, ``q <= 0``, or ``exp(high)`` would
            overflow.
        """
        lo, hi = _number(label, "low", low), _number(label, "high", high)
        if not lo < hi:
            msg = f"{label!r}: low should be less than high, got low={low!r}, high={high!r}"
            raise InvalidBounds(msg)
        if log and hi > MAX_LOG:
            msg = (
                f"{label!r}: bounds of a log distribution are natural logarithms of at most "
                f"{MAX_LOG:g}, got high={high!r} (did you mean high=log({high!r})?)"
            )
            raise InvalidBounds(msg)
        return cls(lo, hi, log, _step(label, q), integer)

    def __str__(self) -> str:
        """Return it as its user would write it, without the label."""
        if self.integer:
            step = f", q={_text(self.q)}" if self.q and self.q != 1 else ""
            return f"uniformint({_text(self.low)}, {_text(self.high)}{step})"
        return _written("uniform", self, self.low, self.high)


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
        cls, label: str, mu: object, sigma: object, *, log: bool = False, q: object = _NO_STEP
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
        return _written("normal", self, self.mu, self.sigma)


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
        if high is None:
            upper = _integer(label, "upper bound", low)
            if upper <= 0:
                msg = f"{label!r}: the upper bound of randint must be positive, got {low!r}"
                raise InvalidBounds(msg)
            return cls(0, upper)
        lo, hi = _integer(label, "low", low), _integer(label, "high", high)
        if not lo < hi:
            msg = f"{label!r}: low should be less than high, got low={low!r}, high={high!r}"
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
        return f"pchoice({', '.join(map(_text, p))})"


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
    return tuple(x / total for x in p), abs(total - 1.0) > _ROUNDING
