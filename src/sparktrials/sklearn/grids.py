"""What is given as a space for scikit-learn's own searches: said at once, with what to write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    InvalidParameterError,
    validate_parameter_constraints,
)

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.known import known_parts
from sparktrials.space.nodes import Constant, Node

__all__ = ["check_no_grid", "with_lists"]

#: Values of a grid that a message shows.
_SHOWN = 4


def check_no_grid(space: object, estimator: Any) -> None:  # noqa: ANN401 - scikit-learn has no types
    """Refuse grids and scipy's distributions, which say nothing to a search here.

    A list beside nodes may be the value of a parameter: it is unless scikit-learn never takes it.

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
    wrong = []
    for name, value in space.items():
        if callable(getattr(value, "rvs", None)):
            wrong.append((name, _of_scipy(str(name), value)))
        elif _is_list(value) and (
            not any_node or _is_never_taken(str(name), value, space, estimator)
        ):
            wrong.append((name, _of_list(str(name), list(value))))
    if wrong:
        kinds = "distributions of scipy's" if hasattr(space[wrong[0][0]], "rvs") else "a grid"
        lines = [f"  {name!r}: {instead}," for name, instead in wrong]
        msg = f"space has {kinds}, which cannot be searched here; write\n" + "\n".join(lines)
        if kinds == "a grid" and not any_node:
            msg += "\nA sequence that is itself a parameter's value: set it on the estimator."
        raise InvalidArgument(msg)


def with_lists(space: Any, estimator: Any) -> Any:  # noqa: ANN401 - a tree, scikit-learn's
    """Return a space whose lists without nodes stay lists: others become tuples.

    Some parameters, such as ``stop_words``, take no tuples; others, such as ``feature_range``, take
    nothing else.
    """
    if not isinstance(space, dict):
        return space
    return {
        name: Constant(value)
        if _is_list(value) and not _is_refused(str(name), value, space, estimator)
        else value
        for name, value in space.items()
    }


def _is_list(value: object) -> bool:
    return isinstance(value, (list, np.ndarray)) and not _has_node(value)


def _is_never_taken(name: str, value: Any, space: Mapping[str, Any], estimator: Any) -> bool:  # noqa: ANN401
    """Whether scikit-learn says that a parameter has no such values, as a tuple neither."""
    return all(_is_refused(name, one, space, estimator) for one in (value, tuple(value)))


def _is_refused(name: str, value: Any, space: Mapping[str, Any], estimator: Any) -> bool:  # noqa: ANN401
    """Whether scikit-learn says that a parameter has no such values."""
    path = name.split("__")
    outer = ["__".join(path[:i]) for i in range(1, len(path))]
    if not space.keys().isdisjoint(outer):  # another step may be put there
        return False
    try:
        owner = estimator.get_params()[outer[-1]] if outer else estimator
        if owner not in known_parts(estimator):
            return False
        constraints = owner._parameter_constraints  # noqa: SLF001 - the protocol
        validate_parameter_constraints(constraints, {path[-1]: value}, type(owner).__name__)
    except InvalidParameterError:
        return True
    except Exception:  # noqa: BLE001 - no such parameter, or no constraints: it is seen later
        return False
    return False


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
