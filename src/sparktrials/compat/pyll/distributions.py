"""Hyperopt's distributions as ours: ``uniform(low, high)`` as a `Uniform`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sparktrials.errors import BadSearchSpace
from sparktrials.space.distributions import (
    Categorical,
    Distribution,
    Integer,
    Normal,
    Uniform,
    probabilities_of,
)

__all__ = ["DISTRIBUTIONS", "distribution_of"]

_LATER = ("rng", "size")


def _uniform(log: bool) -> Callable[..., Distribution]:  # noqa: FBT001
    def make(label: str, **a: Any) -> Distribution:  # noqa: ANN401
        return Uniform.checked(label, a.pop("low"), a.pop("high"), log=log, **a)

    return make


def _normal(log: bool) -> Callable[..., Distribution]:  # noqa: FBT001
    def make(label: str, **a: Any) -> Distribution:  # noqa: ANN401
        return Normal.checked(label, a.pop("mu"), a.pop("sigma"), log=log, **a)

    return make


def _categorical(label: str, p: Any) -> Distribution:  # noqa: ANN401 - a sequence or an array
    try:
        found = list(p)
    except TypeError:
        msg = f"{label!r}: the probabilities must be a list, got {p!r}"
        raise BadSearchSpace(msg) from None
    return Categorical(probabilities_of(label, found)[0])


def _randint(label: str, low: object, high: object = None) -> Distribution:
    return Integer.checked(label, low, high)


#: Operation -> its parameters and what makes our distribution of them.
DISTRIBUTIONS: Mapping[str, tuple[tuple[str, ...], Callable[..., Distribution]]] = MappingProxyType(
    {
        "uniform": (("low", "high"), _uniform(log=False)),
        "quniform": (("low", "high", "q"), _uniform(log=False)),
        "loguniform": (("low", "high"), _uniform(log=True)),
        "qloguniform": (("low", "high", "q"), _uniform(log=True)),
        "normal": (("mu", "sigma"), _normal(log=False)),
        "qnormal": (("mu", "sigma", "q"), _normal(log=False)),
        "lognormal": (("mu", "sigma"), _normal(log=True)),
        "qlognormal": (("mu", "sigma", "q"), _normal(log=True)),
        "randint": (("low", "high"), _randint),
        "categorical": (("p",), _categorical),
        "randint_via_categorical": (("p",), _categorical),
    }
)


def distribution_of(
    label: str, name: str, positional: Sequence[Any], named: Mapping[str, Any]
) -> Distribution:
    """Return the distribution that the operation `name` draws from.

    Parameters
    ----------
    positional, named
        Its arguments: values, or nodes where they are not known in advance.

    Raises
    ------
    BadSearchSpace
        `InvalidBounds` or `InvalidProbabilities` if the arguments break its rule; the base class
        if they do not fit, or ask for arrays.
    """
    parameters, make = DISTRIBUTIONS[name]
    places = (*parameters, *_LATER)
    arguments = dict(zip(places, positional, strict=False))
    wrong = [k for k in named if k not in places or k in arguments]
    if wrong or len(positional) > len(places):
        msg = f"{label!r}: {name} takes {', '.join(parameters)}; got {[*positional]} and {named}"
        raise BadSearchSpace(msg)
    arguments.update(named)
    arguments.pop("rng", None)
    size = arguments.pop("size", ())
    if size is not None and size != ():
        msg = (
            f"{label!r}: a parameter is one number, but {name} has size={size!r}; make one "
            "parameter for each element"
        )
        raise BadSearchSpace(msg)
    missing = [k for k in parameters if k not in arguments and (name, k) != ("randint", "high")]
    if missing:
        msg = f"{label!r}: {name} lacks {', '.join(missing)}"
        raise BadSearchSpace(msg)
    return make(label, **arguments)
