"""What the columns of a frame hold: numbers, words, dates and so on."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from sparktrials.errors import InvalidArgument

__all__ = [
    "Kind",
    "empty_columns",
    "is_of_cells",
    "is_of_numbers",
    "is_there",
    "kinds_of",
    "not_numbers",
]

Kind = Literal["number", "category", "words", "date", "period", "duration", "text"]

#: A column of strings is text if its cells have this many words on average, and are rarely alike.
_WORDS_OF_TEXT = 3.0
_DISTINCT_OF_TEXT = 0.5
#: Cells that are looked at to tell text from words.
_LOOKED_AT = 1_000
#: What cells are, by their types: numpy's durations are numbers, too.
_TYPES: tuple[tuple[Kind, tuple[type, ...]], ...] = (
    ("category", (bool,)),
    ("duration", (dt.timedelta, np.timedelta64)),
    ("number", (numbers.Real, decimal.Decimal)),
    ("date", (dt.date, np.datetime64)),
)


def kinds_of(X: Any) -> dict[Any, Kind]:  # noqa: ANN401 - a frame
    """Return the kind of each column of a frame.

    Raises
    ------
    InvalidArgument
        If a column holds what no model can take.
    """
    return {name: _kind_of(X[name], name) for name in X.columns}


def is_of_numbers(X: Any) -> bool:  # noqa: ANN401 - a frame
    """Whether all columns of a frame are numbers, and none has them as objects.

    Raises
    ------
    InvalidArgument
        If a column holds what no model can take.
    """
    return set(kinds_of(X).values()) == {"number"} and not any(is_of_cells(X, c) for c in X.columns)


def not_numbers(X: Any) -> list[Any]:  # noqa: ANN401 - a frame
    """Return the names of the columns that hold anything but numbers."""
    return [name for name in X.columns if not _is_number(X[name], name)]


def _is_number(column: Any, name: object) -> bool:  # noqa: ANN401 - a series
    try:
        return _kind_of(column, name) == "number"
    except InvalidArgument:  # a preprocessing of the user's own may take it
        return False


def is_of_cells(X: Any, name: Any) -> bool:  # noqa: ANN401 - a frame, a column's name
    """Whether a column holds objects of Python's."""
    dtype = str(X[name].dtype)
    return dtype == "object" or dtype.startswith("decimal")  # the latter is Arrow's


def empty_columns(X: Any) -> list[Any]:  # noqa: ANN401 - a frame, or an array of numbers
    """Return the names, or places, of columns without a value."""
    if not len(X):
        return []
    if hasattr(X, "iloc"):
        names = [name for name in X.columns if X[name].iloc[:1].isna().all()]  # most are not
        return [name for name in names if X[name].isna().all()]
    if hasattr(X, "columns"):
        return [name for name in X.columns if X[name].null_count() == len(X)]
    values = np.asarray(X)
    if values.dtype.kind != "f" or values.ndim != 2:  # noqa: PLR2004 - a table
        return []
    places: list[Any] = np.flatnonzero(np.isnan(values[0])).tolist()
    return [place for place in places if np.isnan(values[:, place]).all()]


def _kind_of(column: Any, name: object) -> Kind:  # noqa: ANN401 - a series
    dtype = column.dtype
    by_dtype = _kind_of_dtype(dtype)
    if by_dtype is not None:
        return by_dtype
    if str(dtype) == "category":  # of pandas; its cells may all be missing
        of_strings = {isinstance(c, str) for c in dtype.categories}
        if len(of_strings) > 1:  # no encoder takes both
            raise _refused(dtype.categories, name, dtype)
        return "category" if False in of_strings else "words"
    cells = column.to_list()
    if set(map(type, cells)) != {str}:
        cells = [c for c in cells if is_there(c)]
    kind = _kind_of_cells(cells)
    if kind is None or str(dtype) == "Object":  # which is polars'
        raise _refused(cells, name, dtype)
    return kind


def _kind_of_dtype(dtype: Any) -> Kind | None:  # noqa: ANN401 - of numpy, pandas or polars
    if hasattr(dtype, "is_numeric"):  # polars
        if dtype.is_numeric():
            return "number"
        of_times: dict[str, Kind] = {"Date": "date", "Datetime": "date", "Duration": "duration"}
        return of_times.get(str(dtype).partition("(")[0])
    if str(dtype).startswith("period"):
        return "period"
    # numpy's letters, which pandas' own dtypes have, too
    letters: dict[str, Kind] = {"i": "number", "u": "number", "f": "number", "b": "category"}
    return (letters | {"M": "date", "m": "duration"}).get(dtype.kind)


def is_there(cell: object) -> bool:
    """Whether a cell has a value."""
    if isinstance(cell, (float, np.floating, decimal.Decimal)):
        return not math.isnan(cell)
    if isinstance(cell, (np.datetime64, np.timedelta64)):
        return not np.isnat(cell)
    return cell is not None and type(cell).__name__ not in {"NAType", "NaTType"}


def _kind_of_cells(cells: Sequence[object]) -> Kind | None:
    found = set(map(type, cells))
    for kind, types in _TYPES:
        if all(issubclass(one, types) for one in found):
            return kind
    if all(one.__name__ == "Period" for one in found):
        return "period"
    if all(issubclass(one, str) for one in found):
        some = [str(c) for c in cells[:_LOOKED_AT]]
        words = sum(len(c.split()) for c in some) / len(some)
        distinct = len(set(some)) / len(some)
        return "text" if words >= _WORDS_OF_TEXT and distinct >= _DISTINCT_OF_TEXT else "words"
    return None


def _refused(cells: Iterable[object], name: object, dtype: object) -> InvalidArgument:
    kinds = sorted({type(c).__name__ for c in cells})
    msg = (
        f"column {name!r} ({dtype}) has cells of type {', '.join(kinds)}: make them numbers, "
        "strings, booleans, dates or durations, leave the column out, or give a preprocessing of "
        "your own"
    )
    return InvalidArgument(msg)
