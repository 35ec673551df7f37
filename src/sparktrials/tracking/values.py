"""What a tracking server is told of a trial: names and texts within MLflow's limits. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.trial import Trial

__all__ = ["metrics_of", "parameters_of", "tags_of"]

#: MLflow's limits in bytes: the smallest of its versions (2.9) and of Databricks.
KEY_LIMIT = 250
PARAMETER_LIMIT = 6000
TAG_LIMIT = 5000

_REFUSED = re.compile(r"[^/\w.\- ]", re.ASCII)
#: What a result holds beside numbers of the user's.
_OWN_KEYS = frozenset({"loss", "status"})


def parameters_of(space: Space, trial: Trial) -> dict[str, str]:
    """Return ``name -> text`` of the values that the objective received.

    Of a choice it is the option, not its index; what is nested has its path as name.
    """
    try:
        values: Mapping[str, Any] = space.values(trial.point)
    except Exception:  # noqa: BLE001 - a user's function in the space raised, as it did in the trial
        values = trial.point
    leaves = list(_flat(values))
    # An option that is made of other parameters repeats them.
    own = [(p + k, _text(v)) for p, k, v in leaves if not p or values.get(k, _text) is not v]
    return {name: _cut(text, PARAMETER_LIMIT) for name, text in _unique(own, {}).items()}


def metrics_of(trial: Trial) -> dict[str, float]:
    """Return ``name -> number``: loss, duration, and the other numbers of the result."""
    found: dict[str, float] = {}
    if trial.loss is not None:
        found["loss"] = trial.loss
    if trial.duration_s is not None:
        found["duration_s"] = trial.duration_s
    rest = {k: v for k, v in trial.result.items() if k not in _OWN_KEYS}
    numbers = ((p + k, float(v)) for p, k, v in _flat(rest) if isinstance(v, (Real, np.bool_)))
    return _unique(numbers, found)


def tags_of(trial: Trial) -> dict[str, str]:
    """Return ``name -> text``: which attempt, where it ran, what went wrong."""
    tags = {"attempt": str(trial.attempt), "state": trial.state.value}
    if trial.host:
        tags["host"] = trial.host
    if trial.failure is not None:
        tags["error"] = str(trial.failure)
        if trial.failure.traceback:
            # Its end says what happened.
            tags["traceback"] = _cut(trial.failure.traceback, TAG_LIMIT, keep_end=True)
    if trial.state is TrialState.RUNNING and trial.attempt == 1:
        return {}  # nothing yet that is not there without it
    return {f"sparktrials.{name}": _cut(text, TAG_LIMIT) for name, text in tags.items()}


# ---------------------------------------------------------------------- texts


def _flat(values: Mapping[Any, Any], path: str = "") -> Iterable[tuple[str, str, Any]]:
    """Yield the leaves of nested dicts: path (``model.``), key, value. Sequences are leaves."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield path, str(key), value


def _text(value: Any) -> str:  # noqa: ANN401 - whatever the user's space holds
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def _unique(pairs: Iterable[tuple[str, Any]], taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return pairs with names that MLflow takes, beside those that are taken."""
    found = dict(taken)
    for name, value in pairs:
        own, n = _name(name), 1
        while own in found:
            n += 1
            own = f"{_name(name)}_{n}"
        found[own] = value
    return found


def _name(name: str) -> str:
    """Return a name that MLflow takes: a relative path of letters, digits and a few signs."""
    own = _REFUSED.sub("_", name)[: KEY_LIMIT - 10]
    norm = posixpath.normpath(own)
    if norm != own or norm == "." or norm.startswith(("..", "/")):
        own = own.replace("/", "_").replace("..", "_").strip(". ") or "_"
    return own


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    """Return text of at most `limit` bytes."""
    data = text.encode()
    if len(data) <= limit:
        return text
    room = limit - len("…".encode())
    if keep_end:
        return "…" + data[-room:].decode(errors="ignore")
    return data[:room].decode(errors="ignore") + "…"
