"""What is given as a space for scikit-learn's own searches: said at once, with what to write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparktrials.errors import InvalidArgument
from sparktrials.space.nodes import Node

__all__ = ["check_no_grid"]

#: Values of a grid that a message shows.
_SHOWN = 4


def check_no_grid(space: object, estimator: Any) -> None:  # noqa: ANN401 - scikit-learn has no types
    """Refuse grids and scipy's distributions, which say nothing to a search here.

    A list beside nodes may be the value of a parameter: it is if the estimator has a sequence there
    now.

    Raises
    ------
    InvalidArgument
        If there is one; the message says what to write instead.
    """
    if isinstance(space, (list, tuple)) and space and all(isinstance(s, Mapping) for s in space):
        msg = (
            "space is a list of dicts, as GridSearchCV takes it: a choice of them is "
            "hp.choice('case', [...]), with hp.* in each"
        )
        raise InvalidArgument(msg)
    if not isinstance(space, Mapping):
        return
    any_node = any(map(_has_node, space.values()))
    known = estimator.get_params() if hasattr(estimator, "get_params") else {}
    wrong = []
    for name, value in space.items():
        if callable(getattr(value, "rvs", None)):
            wrong.append((name, _of_scipy(str(name), value)))
        elif isinstance(value, (list, np.ndarray)) and not _has_node(value):
            is_value = any_node and (
                isinstance(known.get(name), (list, tuple, np.ndarray))
                or not all(isinstance(one, (str, int, float, type(None))) for one in value)
            )
            if not is_value:
                wrong.append((name, _of_list(str(name), list(value))))
    if wrong:
        kinds = "distributions of scipy's" if hasattr(space[wrong[0][0]], "rvs") else "a grid"
        lines = [f"  {name!r}: {instead}," for name, instead in wrong]
        msg = f"space has {kinds}, which cannot be searched here; write\n" + "\n".join(lines)
        if kinds == "a grid":
            msg += "\nA sequence that is itself a parameter's value is written as a tuple."
        raise InvalidArgument(msg)


def _has_node(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_node, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_node, value))
    return isinstance(value, Node) or type(value).__module__.startswith("hyperopt.")


def _of_list(name: str, values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, _plain(values[:_SHOWN]))) + (
        ", ..." if len(values) > _SHOWN else ""
    )
    text = f"hp.choice({name!r}, [{shown}])"
    of_numbers = all(isinstance(v, float) and v > 0 for v in values)
    if of_numbers and len(values) > 1:
        low, high = min(values), max(values)
        text += f" or {_log(name, low, high)}"
    return text


def _plain(values: Sequence[Any]) -> list[Any]:
    return [v.item() if isinstance(v, np.generic) else v for v in values]


def _log(name: str, low: float, high: float) -> str:
    return f"hp.loguniform({name!r}, math.log({low:g}), math.log({high:g}))"


def _of_scipy(name: str, given: Any) -> str:  # noqa: ANN401 - a distribution
    kind = getattr(getattr(given, "dist", None), "name", "")
    try:
        low, high = map(float, given.support())
        if kind in {"loguniform", "reciprocal"}:
            return _log(name, low, high)
        if kind == "uniform":
            return f"hp.uniform({name!r}, {low:g}, {high:g})"
        if kind == "randint":
            return f"hp.uniformint({name!r}, {low:g}, {high:g})"
        if kind == "norm":
            return f"hp.normal({name!r}, {float(given.mean()):g}, {float(given.std()):g})"
        if math.isfinite(low + high):
            return f"hp.uniform({name!r}, {low:g}, {high:g}) or another of hp"
    except (AttributeError, TypeError, ValueError):  # not of scipy's
        pass
    return f"hp.uniform({name!r}, low, high) or another of hp"
