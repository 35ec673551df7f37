"""The parameters of a search space, as users write them: ``hp.uniform('x', -10, 10)``.

Labels are strings, unique within a space. Bounds of the log kinds are natural logarithms, as in
Hyperopt: ``hp.loguniform('lr', log(1e-5), log(1e-1))``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sparktrials.callers import users_level
from sparktrials.errors import EmptyChoice, InvalidArgumentType, InvalidLabel, InvalidProbabilities
from sparktrials.space.distributions import (
    Categorical,
    Integer,
    Normal,
    Uniform,
    probabilities_of,
)
from sparktrials.space.nodes import Constant, Draw, Node, Switch, as_node

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "choice",
    "loguniform",
    "lognormal",
    "normal",
    "pchoice",
    "qloguniform",
    "qlognormal",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]

#: Least quotient of bounds for which people want a log scale.
_DECADE = 10


def _label(label: object) -> str:
    if isinstance(label, Constant):
        label = label.value
    if isinstance(label, bytes):
        label = label.decode(errors="backslashreplace")
    if not isinstance(label, str):
        msg = f"require string label, got {label!r} of type {type(label).__name__}"
        raise InvalidLabel(msg)
    return str.__str__(label)  # a plain str: np.str_ and members of enums are strings, too


def _options(label: str, name: str, options: object) -> list[Any]:
    if isinstance(options, Node):
        msg = f"{label!r}: {name} must be a list, got a search-space node ({options})"
        raise InvalidArgumentType(msg)
    if isinstance(options, (set, frozenset)):
        msg = (
            f"{label!r}: {name} must be a list, for branch indices need an order that lasts; got "
            f"the set {options!r}: write sorted(...)"
        )
        raise InvalidArgumentType(msg)
    if isinstance(options, (str, bytes, Mapping)) or not _iterable(options):
        kind = type(options).__name__
        msg = f"{label!r}: {name} must be a list, got {options!r} of type {kind}"
        raise InvalidArgumentType(msg)
    found: list[Any] = list(options)  # type: ignore[call-overload]  # checked: it iterates
    if not found:
        msg = f"{label!r}: a choice needs at least one option, got {name}={options!r}"
        raise EmptyChoice(msg)
    return found


def _iterable(value: object) -> bool:
    try:
        iter(value)  # type: ignore[call-overload]  # asked by trying: arrays may have no dimension
    except TypeError:
        return False
    return True


def choice(label: str, options: Sequence[Any]) -> Node:
    """One of `options`, each equally likely; options may hold parameters of their own.

    The point holds the option's index, the objective receives the option.

    Raises
    ------
    InvalidLabel, EmptyChoice, InvalidArgumentType
    """
    label = _label(label)
    found = _options(label, "options", options)
    n = len(found)
    draw = Draw(label, Categorical((1.0 / n,) * n))
    return Switch(draw, tuple(as_node(option) for option in found))


def pchoice(label: str, p_options: Sequence[tuple[float, Any]]) -> Node:
    """One of the options of ``(probability, option)`` pairs.

    Raises
    ------
    InvalidLabel, EmptyChoice, InvalidProbabilities, InvalidArgumentType
    """
    label = _label(label)
    pairs = _options(label, "p_options", p_options)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004 - a pair
            msg = f"{label!r}: pchoice takes (probability, option) pairs, got {pair!r}"
            raise InvalidProbabilities(msg)
    probabilities, rescaled = probabilities_of(label, [p for p, _ in pairs])
    if rescaled:
        warnings.warn(
            f"{label!r}: probabilities sum to {sum(float(p) for p, _ in pairs):.6g}, not 1; they "
            "were rescaled",
            stacklevel=2,
        )
    draw = Draw(label, Categorical(probabilities))
    return Switch(draw, tuple(as_node(option) for _, option in pairs))


def randint(label: str, low: int, high: int | None = None) -> Node:
    """An integer of ``[0, low)``, or of ``[low, high)`` when both are given."""
    label = _label(label)
    return Draw(label, Integer.checked(label, low, high))


def uniform(label: str, low: float, high: float) -> Node:
    """A float, uniform on ``[low, high]``."""
    label = _label(label)
    return Draw(label, Uniform.checked(label, low, high))


def quniform(label: str, low: float, high: float, q: float) -> Node:
    """``round(uniform(low, high) / q) * q``, a float."""
    label = _label(label)
    return Draw(label, Uniform.checked(label, low, high, q=q))


def uniformint(label: str, low: float, high: float, q: float = 1.0) -> Node:
    """``int(round(uniform(low, high) / q) * q)``: an int of ``[low, high]``."""
    label = _label(label)
    return Draw(label, Uniform.checked(label, low, high, q=q, integer=True))


def loguniform(label: str, low: float, high: float) -> Node:
    """``exp(uniform(low, high))``: the bounds are natural logarithms."""
    label = _label(label)
    return Draw(label, _logarithmic(label, Uniform.checked(label, low, high, log=True)))


def qloguniform(label: str, low: float, high: float, q: float) -> Node:
    """``round(exp(uniform(low, high)) / q) * q``."""
    label = _label(label)
    return Draw(label, _logarithmic(label, Uniform.checked(label, low, high, log=True, q=q)))


def _logarithmic(label: str, found: Uniform) -> Uniform:
    """Warn of bounds that are probably the values themselves, such as 1e-4 and 1."""
    low, high = found.low, found.high
    # A logarithm has many digits, and who means e**0.1 to e**1 needs no log scale.
    if 0 < low <= high / _DECADE and high <= 1 and _is_round(low) and _is_round(high):
        warnings.warn(
            f"{label!r}: bounds of loguniform and qloguniform are natural logarithms, so "
            f"low={low:g}, high={high:g} give values from {math.exp(low):.4g} to "
            f"{math.exp(high):.4g}; for values from {low:g} to {high:g} write log({low:g}), "
            f"log({high:g})",
            stacklevel=users_level(),
        )
    return found


def _is_round(value: float) -> bool:
    """Whether a number is one that people write down."""
    return float(f"{value:.2g}") == value


def normal(label: str, mu: float, sigma: float) -> Node:
    """A float, normal with mean `mu` and standard deviation `sigma`."""
    label = _label(label)
    return Draw(label, Normal.checked(label, mu, sigma))


def qnormal(label: str, mu: float, sigma: float, q: float) -> Node:
    """``round(normal(mu, sigma) / q) * q``."""
    label = _label(label)
    return Draw(label, Normal.checked(label, mu, sigma, q=q))


def lognormal(label: str, mu: float, sigma: float) -> Node:
    """``exp(normal(mu, sigma))``."""
    label = _label(label)
    return Draw(label, Normal.checked(label, mu, sigma, log=True))


def qlognormal(label: str, mu: float, sigma: float, q: float) -> Node:
    """``round(exp(normal(mu, sigma)) / q) * q``."""
    label = _label(label)
    return Draw(label, Normal.checked(label, mu, sigma, log=True, q=q))
