"""Misspelt keywords: what was probably meant."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ParamSpec, TypeVar

__all__ = ["suggests_keywords"]

P = ParamSpec("P")
T = TypeVar("T")

#: What Python says; from 3.13 on it asks what was meant by itself.
_UNEXPECTED = re.compile(r"got an unexpected keyword argument '([^']*)'(\. Did you mean .*)?$")
#: What other packages, or other functions of this one, call it.
_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "algorithm": "algo",
        "func": "fn",
        "max_iter": "max_evals",
        "n_calls": "max_evals",
        "n_iter": "max_evals",
        "n_jobs": "parallelism",
        "n_trials": "max_evals",
        "num_samples": "max_evals",
        "objective": "fn",
        "random_state": "rstate",
        "search_space": "space",
        "seed": "rstate",
        "session": "spark_session",
        "spark": "spark_session",
    }
)


def suggests_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """Have the TypeError of a keyword that `function` has not name the one that is most like it."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            meant = _meant(function, error)
            if meant is None:
                raise
            said = str(error).partition(". Did you mean")[0]
            msg = f"{said}; did you mean {meant!r}?"
            raise TypeError(msg) from None

    return call


def _meant(function: Callable[..., object], error: TypeError) -> str | None:
    called = error.__traceback__
    if called is None or called.tb_next is not None:  # something inside was called wrongly
        return None
    found = _UNEXPECTED.search(str(error))
    if found is None:
        return None
    import difflib  # noqa: PLC0415 - the rare path

    names = [name for name in inspect.signature(function).parameters if name != "self"]
    if (known := _ELSEWHERE.get(found.group(1))) in names:
        return known
    if found.group(2):  # Python has said it
        return None
    return next(iter(difflib.get_close_matches(found.group(1), names, n=1)), None)
