"""The default preprocessing of tables: each kind of column in a way of its own.

What is made is scikit-learn's alone, with functions of the standard library between its classes, so
that the best pipeline needs no more where it is unpickled.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from operator import attrgetter, methodcaller
from typing import Any, Literal

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)

from sparktrials import hp, scope
from sparktrials.errors import InvalidArgument
from sparktrials.space.nodes import Constant, Node

__all__ = ["columns_preprocessing", "filled_preprocessing", "is_of_numbers", "kinds_of"]

Kind = Literal["number", "category", "words", "date", "text"]

#: A column of strings is text if its cells have this many words on average, and are rarely alike.
_WORDS_OF_TEXT = 3.0
_DISTINCT_OF_TEXT = 0.5
#: Cells that are looked at to tell text from words.
_LOOKED_AT = 1_000
#: What is said of a date: parts of pandas' ``dt``.
_PARTS_OF_DATES = ("year", "month", "dayofyear", "dayofweek", "hour")
#: Of a number's distribution.
_QUANTILES = 200
#: What stands for a missing word.
_MISSING = "missing"


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
    return set(kinds_of(X).values()) == {"number"} and not any(
        _is_of_objects(X, c) for c in X.columns
    )


def _is_of_objects(X: Any, name: Any) -> bool:  # noqa: ANN401
    return str(X[name].dtype) == "object"


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
    cells = [c for c in column.to_list() if _is_there(c)]
    kind = _kind_of_cells(cells)
    if kind is None or (kind == "number" and not hasattr(column, "iloc")):  # objects in polars
        raise _refused(cells, name, dtype)
    return kind


def _kind_of_dtype(dtype: Any) -> Kind | None:  # noqa: ANN401 - of numpy, pandas or polars
    if hasattr(dtype, "is_numeric"):  # polars
        if dtype.is_numeric():
            return "number"
        return "date" if str(dtype).startswith("Date") else None
    # numpy's letters, which pandas' own dtypes have, too
    letters: dict[str, Kind] = {"i": "number", "u": "number", "f": "number", "b": "category"}
    return (letters | {"M": "date"}).get(dtype.kind)


def _is_there(cell: object) -> bool:
    if isinstance(cell, (float, np.floating)):
        return not math.isnan(cell)
    return cell is not None and type(cell).__name__ not in {"NAType", "NaTType"}


def _kind_of_cells(cells: Sequence[object]) -> Kind | None:
    if all(isinstance(c, bool) for c in cells):
        return "category"
    if all(isinstance(c, numbers.Real) for c in cells):
        return "number"
    if all(isinstance(c, str) for c in cells):
        some = [str(c) for c in cells[:_LOOKED_AT]]
        words = sum(len(c.split()) for c in some) / len(some)
        distinct = len(set(some)) / len(some)
        return "text" if words >= _WORDS_OF_TEXT and distinct >= _DISTINCT_OF_TEXT else "words"
    return None


def _refused(cells: Iterable[object], name: object, dtype: object) -> InvalidArgument:
    kinds = sorted({type(c).__name__ for c in cells})
    msg = (
        f"column {name!r} ({dtype}) has cells of type {', '.join(kinds)}: make them numbers, "
        "strings, booleans or dates, leave the column out, or give a preprocessing of your own"
    )
    return InvalidArgument(msg)


def columns_preprocessing(name: str, X: Any) -> Node:  # noqa: ANN401 - a frame
    """Return a node that makes a list of one ``ColumnTransformer`` for a frame's columns.

    Parameters
    ----------
    name
        Begins the labels of its parameters.
    X
        The frame: kinds of columns are told by it.

    Raises
    ------
    InvalidArgument
        If a column holds what no model can take, or there is none.
    """
    columns = _columns(X)
    kinds = dict(zip(columns, kinds_of(X).values(), strict=True))
    objects = {c for c, n in zip(columns, X.columns, strict=True) if _is_of_objects(X, n)}
    polars = not hasattr(X, "iloc")
    parts: list[tuple[str, Any, object]] = []
    numeric = [c for c, kind in kinds.items() if kind == "number"]
    if numeric:
        first = [*_with_nan(), _calling("astype", "float64")] if objects & set(numeric) else []
        parts.append(("numbers", _numbers(f"{name}.numbers", len(X), first), Constant(numeric)))
    for kind in ("category", "words"):
        chosen = [c for c, k in kinds.items() if k == kind]
        if chosen:
            first = []
            if kind == "words" and not polars:  # pandas has NA among its strings
                first = [_calling("astype", "object"), _calling("fillna", _MISSING)]
            elif objects & set(chosen):
                first = _with_nan()
            parts.append((kind, _categories(f"{name}.{kind}", first), Constant(chosen)))
    steps = {column: _named(column, i) for i, column in enumerate(kinds)}
    for column in (c for c, kind in kinds.items() if kind == "date"):
        step = steps[column]
        parts.extend((f"{step}_{p}", _date(p, polars=polars), column) for p in _PARTS_OF_DATES)
    for i, column in enumerate(c for c, kind in kinds.items() if kind == "text"):
        parts.append((f"{steps[column]}_text", _text(f"{name}.text.{i}", polars=polars), column))
    if not parts:
        msg = "X has no columns"
        raise InvalidArgument(msg)
    return scope.call(_listed, scope.call(ColumnTransformer, parts, sparse_threshold=0.0))


def _columns(X: Any) -> Sequence[Any]:  # noqa: ANN401 - a frame
    """Return what a ``ColumnTransformer`` is to call columns: names that are numbers are places."""
    if all(isinstance(column, str) for column in X.columns):
        return list(X.columns)
    return range(len(X.columns))


def _named(column: str | int, i: int) -> str:
    """Return what a step is called for a column: scikit-learn allows no two underscores."""
    return f"column{i}" if "__" in f"{column}_" else str(column)


def _listed(step: Any) -> list[Any]:  # noqa: ANN401 - an estimator
    return [step]


def _imputer(label: str) -> Node:
    strategy = hp.choice(f"{label}.strategy", ["median", "mean", "most_frequent"])
    indicator = hp.choice(f"{label}.add_indicator", [False, True])
    return scope.call(SimpleImputer, strategy=strategy, add_indicator=indicator)


def _calling(method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a transformer
    return FunctionTransformer(methodcaller(method, *args, **kwargs))


def _with_nan() -> list[Any]:
    """Return the step that makes NaN of pandas' NA, which objects may be and no model takes."""
    return [_calling("to_numpy", copy=True, na_value=math.nan)]


def _numbers(label: str, n_samples: int, first: Sequence[Any]) -> Node:
    scaler = hp.choice(
        f"{label}.scaler",
        [
            scope.call(StandardScaler),
            scope.call(MinMaxScaler),
            scope.call(
                QuantileTransformer,
                n_quantiles=max(1, min(_QUANTILES, n_samples // 3)),  # parts to fit by are smaller
                output_distribution=hp.choice(f"{label}.distribution", ["normal", "uniform"]),
            ),
            "passthrough",
        ],
    )
    return scope.call(make_pipeline, *first, _imputer(f"{label}.imputer"), scaler)


def _categories(label: str, first: Sequence[Any]) -> Node:
    encoder = hp.choice(
        f"{label}.encoder",
        [
            scope.call(
                OneHotEncoder,
                handle_unknown="infrequent_if_exist",
                max_categories=hp.choice(f"{label}.max_categories", [10, 30, 100]),
                sparse_output=False,
            ),
            scope.call(
                OrdinalEncoder,
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=-2,
            ),
            scope.call(TargetEncoder),
        ],
    )
    return scope.call(make_pipeline, *first, encoder)


def _date(part: str, *, polars: bool) -> Any:  # noqa: ANN401 - a pipeline
    return make_pipeline(
        *([_calling("to_pandas")] if polars else []),
        FunctionTransformer(attrgetter(f"dt.{part}")),
        _calling("to_frame"),
        SimpleImputer(strategy="median"),
        StandardScaler(),  # years stand beside numbers about 1
    )


def _text(label: str, *, polars: bool) -> Node:
    fill = methodcaller("fill_null", "") if polars else methodcaller("fillna", "")
    return scope.call(
        make_pipeline,
        FunctionTransformer(fill),
        scope.call(
            TfidfVectorizer,
            max_features=scope.int(hp.qloguniform(f"{label}.max_features", 4, 7, 1)),
            ngram_range=hp.choice(f"{label}.ngram_range", [(1, 1), (1, 2)]),
            sublinear_tf=hp.choice(f"{label}.sublinear_tf", [False, True]),
        ),
    )


def filled_preprocessing(name: str, other: Node) -> Node:
    """Return a node for numbers of which some are missing: they are filled in, then as `other`."""
    return scope.call(_after, _imputer(f"{name}.imputer"), other)


def _after(first: Any, steps: Sequence[Any]) -> list[Any]:  # noqa: ANN401 - an estimator
    return [first, *steps]
