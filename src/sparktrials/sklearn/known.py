"""Estimators of which it is known before a fit what they will do: those of known packages.

A class of one's own may convert its parameters, find its methods in what it has fitted, or drop
columns; a search sets other parameters than those that its model has. What they do their trials
will say.
"""

from __future__ import annotations

from typing import Any

from sklearn.model_selection._search import BaseSearchCV
from sklearn.preprocessing import FunctionTransformer

__all__ = ["PACKAGES", "is_known", "known_parts"]

#: Whose classes are known.
PACKAGES = frozenset({"sklearn", "catboost", "lightgbm", "xgboost"})


def known_parts(model: Any) -> list[Any]:  # noqa: ANN401 - an estimator
    """Return an estimator and its parts, but those that are not fitted as they are for sure."""
    return _parts(model)[0]


def is_known(model: Any) -> bool:  # noqa: ANN401 - an estimator
    """Whether it is known of an estimator and all of its parts what they do."""
    return not _parts(model)[1]


def _parts(model: Any) -> tuple[list[Any], bool]:  # noqa: ANN401 - an estimator
    """Return the parts of which much is known, and whether there are others."""
    known: list[Any] = []
    if isinstance(model, type) or not hasattr(model, "fit"):
        return known, False
    try:
        parts = {"": model, **model.get_params(deep=True)}
    except Exception:  # noqa: BLE001 - not scikit-learn's
        return known, True
    closed: list[str] = []
    for name in sorted(parts, key=lambda one: one.count("__") if one else -1):  # outer ones first
        part = parts[name]
        if isinstance(part, type) or not hasattr(part, "fit"):
            continue
        if any(not outer or name.startswith(f"{outer}__") for outer in closed):
            continue
        of_package = type(part).__module__.partition(".")[0] in PACKAGES
        if of_package:
            known.append(part)
        calls = isinstance(part, FunctionTransformer) and part.func is not None
        if not of_package or calls or isinstance(part, BaseSearchCV):
            closed.append(name)
    return known, bool(closed)
