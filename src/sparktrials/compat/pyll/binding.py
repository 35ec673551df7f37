"""Which argument of an operation goes to which of its function's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["MissingArgument", "bound"]


class MissingArgument:
    """Stands for a parameter that a call leaves out."""


def bound(
    name: str, function: Callable[..., Any], positional: Sequence[Any], named: Sequence[Any]
) -> dict[str, Any]:
    """Return ``parameter -> argument``, `MissingArgument` where there is none.

    Raises
    ------
    TypeError
        If the arguments do not fit the function.
    AttributeError
        If the function does not tell its parameters, as some built-in ones do not.
    """
    parameters = _parameters(name, function)
    kinds = {p.name: p.kind for p in parameters}
    places = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    others = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
    if len(positional) > len(places) and rest is None:
        msg = (
            f"Argument count exceeds number of positional params: {name!r} takes {len(places)}, "
            f"got {len(positional)}"
        )
        raise TypeError(msg)
    binding: dict[str, Any] = dict(zip(places, positional, strict=False))
    if rest is not None:
        binding[rest] = list(positional[len(places) :])
    extra: dict[str, Any] = {}
    for key, argument in named:
        by_name = kinds.get(key) in (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        )
        if not by_name and others is None:
            msg = f"Unrecognized keyword argument {key!r} of {name!r}"
            raise TypeError(msg)
        if not by_name:
            extra[key] = argument
        elif key in binding:
            msg = f"Duplicate argument for parameter {key!r} of {name!r}"
            raise TypeError(msg)
        else:
            binding[key] = argument
    if others is not None:
        binding[others] = extra
    return {p.name: binding.get(p.name, MissingArgument) for p in parameters}


def _parameters(name: str, function: Callable[..., Any]) -> Sequence[inspect.Parameter]:
    params = getattr(function, "params", None)
    if isinstance(params, list):  # a Lambda of ours: (name, symbol) pairs
        return [inspect.Parameter(p[0], inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in params]
    try:
        found: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    except ValueError:
        msg = f"the arguments of {name!r} have no names; read pos_args and named_args"
        raise AttributeError(msg) from None
    return list(found.values())
