"""Trials as columns of values that any table has: numbers, truth values, texts, times."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparktrials.study.values import dumps

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.trial import Trial

__all__ = ["Column", "columns_of", "values_by_options", "values_by_space"]

_LARGEST = 2**63
_FIRST, _LAST = (t.replace(tzinfo=dt.timezone.utc) for t in (dt.datetime.min, dt.datetime.max))  # noqa: DTZ901 - gets it
#: What of a result has a column already, or is no value.
_OWN = frozenset({"loss", "status", "attachments"})
_SCALARS = (bool, int, float, str, dt.date, np.bool_, np.integer, np.floating, np.str_)


class Column(NamedTuple):
    """A column; `kind` is ``bool``, ``int``, ``float``, ``time`` or ``text``; None is missing."""

    name: str
    kind: str
    cells: list[Any]


def values_by_space(space: Space) -> Callable[[Trial], Mapping[str, Any]]:
    """Return what tells the values that an objective received, by label."""

    def values(trial: Trial) -> Mapping[str, Any]:
        try:
            return space.values(trial.point)
        except Exception:  # noqa: BLE001 - of another space, or a user's function raised
            return trial.point

    return values


def values_by_options(
    options: Mapping[str, Sequence[object]],
) -> Callable[[Trial], Mapping[str, Any]]:
    """Return the same where only the options of choices are known."""

    def values(trial: Trial) -> Mapping[str, Any]:
        return {label: _option(options.get(label), raw) for label, raw in trial.point.items()}

    return values


def _option(options: Sequence[object] | None, raw: float) -> object:
    if options is None or type(raw) is not int or not 0 <= raw < len(options):
        return raw
    return options[raw]


def columns_of(
    trials: Sequence[Trial],
    labels: Iterable[str],
    values: Callable[[Trial], Mapping[str, Any]],
) -> list[Column]:
    """Return a table of trials: a row each, by id.

    Parameters
    ----------
    trials
        By id.
    labels
        Of the parameters, each of which gets a column ``params_<label>``.
    values
        Tells a trial's values by label; what is not active is left out.
    """
    columns = [
        Column("id", "int", [t.id for t in trials]),
        Column("state", "text", [t.state.value for t in trials]),
        _floats("loss", [t.loss for t in trials]),
    ]
    rows = [values(t) for t in trials]
    names = dict.fromkeys([*labels, *(label for row in rows for label in row)])
    columns += [_column(_utf8(f"params_{name}"), [row.get(name) for row in rows]) for name in names]
    results = [_scalars(t.result) for t in trials]
    names = dict.fromkeys(name for row in results for name in row)
    columns += [
        _column(_utf8(f"result_{name}"), [row.get(name) for row in results]) for name in names
    ]
    columns += [
        Column(name, "time", [_time(getattr(t, name)) for t in trials])
        for name in ("created", "started", "finished")
    ]
    return [
        *columns,
        _floats("duration_s", [t.duration_s for t in trials]),
        Column("attempt", "int", [t.attempt for t in trials]),
        Column("host", "text", [_text(t.host) for t in trials]),
        Column("error_type", "text", [_text(t.failure and t.failure.type) for t in trials]),
        Column("error_message", "text", [_text(t.failure and t.failure.message) for t in trials]),
    ]


def _scalars(result: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): value
        for key, value in result.items()
        if key not in _OWN and (value is None or isinstance(value, _SCALARS))
    }


def _time(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, tz=dt.timezone.utc)


def _column(name: str, values: list[Any]) -> Column:
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    kinds = {type(v) for v in plain if v is not None}
    if kinds <= {bool} and kinds:
        return Column(name, "bool", plain)
    if kinds == {int} and all(v is None or -_LARGEST <= v < _LARGEST for v in plain):
        return Column(name, "int", plain)
    if kinds <= {int, float}:  # also where there is no value at all
        return _floats(name, plain)
    if kinds == {dt.datetime}:
        return Column(name, "time", [_aware(v) for v in plain])
    return Column(name, "text", [_text(v) for v in plain])


def _floats(name: str, values: list[Any]) -> Column:
    return Column(name, "float", [None if v is None else _float(v) for v in values])


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a time with its zone: one without is UTC, as all of Hyperopt's are."""
    if moment is None:
        return None
    zone = moment.tzinfo or dt.timezone.utc
    try:
        return moment.replace(tzinfo=zone).astimezone(dt.timezone.utc)
    except OverflowError:  # hours before the year 1, or after 9999
        return _FIRST if moment.year == 1 else _LAST


def _text(value: Any) -> str | None:  # noqa: ANN401 - an option, or a result's
    """Return a value of a column that has several kinds: texts as they are, JSON, else ``repr``."""
    if value is None or type(value) is str:
        text = value
    elif isinstance(value, dt.date):
        text = value.isoformat()
    else:
        try:
            text = dumps(value)
        except (TypeError, ValueError, RecursionError):
            text = repr(value)
    return None if text is None else _utf8(text)


def _utf8(text: str) -> str:
    """Return a text that others can write: half of a surrogate pair is none."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
