"""A pipeline as Python code that makes it."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from operator import attrgetter, methodcaller
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from sparktrials.errors import InvalidArgument

__all__ = ["as_code"]


def as_code(pipeline: Any, name: str = "pipeline") -> str:  # noqa: ANN401 - scikit-learn has no types
    """Return code that makes a pipeline and calls it `name`.

    Parameters that have their default are left out.

    Raises
    ------
    InvalidArgument
        If a parameter is something that cannot be written down.
    """
    imports: set[tuple[str, str]] = set()
    steps = [f"        ({key!r}, {_made(step, imports)})," for key, step in pipeline.steps]
    imports.add(("sklearn.pipeline", "Pipeline"))
    lines = [f"from {module} import {what}" for module, what in sorted(imports)]
    return "\n".join([*lines, "", f"{name} = Pipeline(", "    [", *steps, "    ]", ")", ""])


def _made(thing: Any, imports: set[tuple[str, str]]) -> str:  # noqa: ANN401
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, type) or inspect.isfunction(thing) or inspect.isbuiltin(thing):
        text = _named(thing, imports)
    elif isinstance(thing, (list, tuple)):
        items = ", ".join(_made(item, imports) for item in thing)
        comma = "," if len(thing) == 1 else ""
        text = f"[{items}]" if isinstance(thing, list) else f"({items}{comma})"
    elif isinstance(thing, dict):
        pairs = [f"{_made(k, imports)}: {_made(v, imports)}" for k, v in thing.items()]
        text = f"{{{', '.join(pairs)}}}"
    elif isinstance(thing, float) and not math.isfinite(thing):
        text = f'float("{thing}")'
    elif thing is None or isinstance(thing, (bool, int, float, str, bytes, slice)):
        text = repr(thing)
    elif isinstance(thing, (attrgetter, methodcaller)):
        imports.add(("operator", type(thing).__name__))
        text = f"{type(thing).__name__}({', '.join(_arguments(thing, imports))})"
    elif isinstance(thing, timedelta):
        imports.add(("datetime", "timedelta"))
        text = f"timedelta(seconds={thing.total_seconds()!r})"
    elif isinstance(thing, np.ndarray):
        imports.add(("numpy", "array"))
        kind = ", dtype=object" if thing.dtype == object else ""
        text = f"array({_made(thing.tolist(), imports)}{kind})"
    elif isinstance(thing, BaseCrossValidator):
        names = inspect.signature(type(thing)).parameters
        given = [f"{name}={_made(getattr(thing, name), imports)}" for name in names]
        text = f"{_named(type(thing), imports)}({', '.join(given)})"
    elif hasattr(thing, "get_params"):
        given = [f"{key}={_made(value, imports)}" for key, value in _changed(thing).items()]
        text = f"{_named(type(thing), imports)}({', '.join(given)})"
    else:
        msg = f"a pipeline with {thing!r} cannot be written as code"
        raise InvalidArgument(msg)
    return text


def _arguments(thing: Any, imports: set[tuple[str, str]]) -> list[str]:  # noqa: ANN401
    """Return what an ``attrgetter`` or ``methodcaller`` was made with, as pickle sees it."""
    make, given = thing.__reduce__()
    keywords: Mapping[str, Any] = {}
    if isinstance(make, partial):  # of a methodcaller with keywords
        given, keywords = (*make.args, *given), make.keywords
    named = [f"{key}={_made(value, imports)}" for key, value in keywords.items()]
    return [*(_made(value, imports) for value in given), *named]


def _named(thing: Any, imports: set[tuple[str, str]]) -> str:  # noqa: ANN401 - a class, a function
    name: str = thing.__name__
    if "<" in thing.__qualname__ or thing.__module__ == "__main__":
        msg = f"a pipeline with {thing!r}, which cannot be imported, cannot be written as code"
        raise InvalidArgument(msg)
    imports.add((_public(thing), name))
    return name


def _public(thing: Any) -> str:  # noqa: ANN401
    """Return the shortest module that has it under its name: ``sklearn.svm``, not ``._classes``."""
    parts: list[str] = thing.__module__.split(".")
    for n in range(1, len(parts)):
        module = ".".join(parts[:n])
        if getattr(importlib.import_module(module), thing.__name__, None) is thing:
            return module
    return ".".join(parts)


def _changed(estimator: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Return the parameters that differ from the class's defaults, in its order."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
    }
    found = estimator.get_params(deep=False)
    return {name: value for name, value in found.items() if not _is(value, defaults.get(name))}


def _is(value: Any, default: Any) -> bool:  # noqa: ANN401 - arrays and NaN among them
    if value is default:
        return True
    if type(value) is not type(default):
        return False
    if isinstance(value, float) and math.isnan(value):
        return math.isnan(default)
    return isinstance(value, (bool, int, float, str, tuple)) and bool(value == default)
