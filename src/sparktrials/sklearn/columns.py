"""The default preprocessing of tables: each kind of column in a way of its own.

What is made is scikit-learn's alone, with functions of the standard library between its classes, so
that the best pipeline needs no more where it is unpickled.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from operator import attrgetter, methodcaller
from typing import Any

import sklearn
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
from sparktrials.sklearn.kinds import Kind, is_of_cells, kinds_of
from sparktrials.sklearn.validation import listed
from sparktrials.space.nodes import Constant, Node

__all__ = ["columns_preprocessing", "filled_preprocessing", "filling"]

#: What is said of a date: parts of pandas' ``dt``.
_PARTS_OF_DATES = ("year", "month", "day_of_year", "day_of_week", "hour")
#: Of a number's distribution.
_QUANTILES = 200
#: How the names of Arrow's types begin that are days.
_DAYS = ("date32", "date64")
#: What stands for a missing word.
_MISSING = "missing"


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
    objects = {c for c, n in zip(columns, X.columns, strict=True) if is_of_cells(X, n)}
    # Arrow's days have no hours.
    days = {c for c, n in zip(columns, X.columns, strict=True) if str(X[n].dtype).startswith(_DAYS)}
    sparse = {
        c for c, n in zip(columns, X.columns, strict=True) if str(X[n].dtype)[:7] == "Sparse["
    }
    polars = not hasattr(X, "iloc")
    if polars and kinds:
        _check_taken(X)
        _check_times([name for name in X.columns if kinds[name] in {"date", "duration"}], X)
    parts: list[tuple[str, Any, object]] = []
    numeric = [c for c, kind in kinds.items() if kind == "number"]
    if numeric:
        first = _with_nan() if objects & set(numeric) else []
        if (objects | sparse) & set(numeric):
            first.append(_calling("astype", "float64"))
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
    for column, kind in kinds.items():
        if kind in {"date", "period"}:
            dates = _dates(kind, polars=polars, cells=column in objects or column in days)
            parts.extend(
                (f"{steps[column]}_{p}", _part_of(dates, p), Constant([column]))
                for p in _PARTS_OF_DATES
            )
    durations = [c for c, kind in kinds.items() if kind == "duration"]
    if durations:
        parts.append(("durations", _durations(polars=polars), Constant(durations)))
    for i, column in enumerate(c for c, kind in kinds.items() if kind == "text"):
        parts.append((f"{steps[column]}_text", _text(f"{name}.text.{i}", polars=polars), column))
    if not parts:
        msg = "X has no columns"
        raise InvalidArgument(msg)
    return scope.call(_listed, scope.call(ColumnTransformer, parts, sparse_threshold=0.0))


def _check_taken(X: Any) -> None:  # noqa: ANN401 - a frame that is not of pandas
    """Refuse what scikit-learn is too old for: polars 2 lacks what 1.6 asks of frames."""
    try:
        ColumnTransformer([("column", "passthrough", [X.columns[0]])]).fit(X[:1])
    except AttributeError as error:
        msg = (
            f"scikit-learn {sklearn.__version__} takes no columns of a {type(X).__name__} of this "
            f"version of {type(X).__module__.partition('.')[0]} ({error}): give X.to_pandas(), or "
            "install a newer scikit-learn"
        )
        raise InvalidArgument(msg) from error


def _check_times(names: Sequence[str], X: Any) -> None:  # noqa: ANN401 - a frame of polars
    """Refuse dates and durations where what pandas makes of them cannot be had."""
    if not names:
        return
    try:
        X[:1].select(names).to_pandas()
    except ImportError as error:
        msg = (
            f"columns of dates or durations of polars, {listed(names)}, become parts of dates by "
            f"pandas and pyarrow ({error}): pip install pandas pyarrow, or make numbers of them, "
            f"as X.with_columns(polars.col({names[0]!r}).cast(int)) does"
        )
        raise InvalidArgument(msg) from error


def _columns(X: Any) -> Sequence[Any]:  # noqa: ANN401 - a frame
    """Return what a ``ColumnTransformer`` is to call columns: names that are numbers are places."""
    if all(isinstance(column, str) for column in X.columns):
        return list(X.columns)
    return range(len(X.columns))


def _named(column: str | int, i: int) -> str:
    """Return what a step is called for a column: scikit-learn allows no two underscores."""
    return f"column{i}" if "__" in f"{column}_" else str(column)


def _listed(step: Any) -> list[Any]:  # noqa: ANN401 - a ColumnTransformer
    # However scikit-learn is set: texts become sparse, which no frame holds.
    parts = [part for _, branch, _ in step.transformers for _, part in branch.steps]
    for part in parts:
        if hasattr(part, "set_output"):
            part.set_output(transform="default")
    return [step]


def _imputer(label: str) -> Node:
    strategy = hp.choice(f"{label}.strategy", ["median", "mean", "most_frequent"])
    indicator = hp.choice(f"{label}.add_indicator", [False, True])
    return scope.call(
        SimpleImputer, strategy=strategy, add_indicator=indicator, keep_empty_features=True
    )


def _calling(method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a transformer
    return FunctionTransformer(
        methodcaller(method, *args, **kwargs), feature_names_out="one-to-one"
    )


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


def _dates(kind: Kind, *, polars: bool, cells: bool) -> list[Any]:
    """Return the steps that make a frame of ``datetime64``."""
    if polars:
        return [_calling("to_pandas")]
    if not cells and kind == "date":
        return []
    import pandas as pd  # noqa: PLC0415 - where a frame is of pandas

    starts = methodcaller("map", methodcaller("to_timestamp"), na_action="ignore")
    return [
        *([_calling("apply", starts)] if kind == "period" else []),
        # What is beyond its bounds, such as the year 9999, counts as missing.
        _calling("apply", pd.to_datetime, errors="coerce", utc=True),
    ]


def _part_of(dates: Sequence[Any], part: str) -> Any:  # noqa: ANN401 - a pipeline
    return make_pipeline(
        *dates,
        _calling("apply", attrgetter(f"dt.{part}")),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),  # years stand beside numbers about 1
    )


def _durations(*, polars: bool) -> Any:  # noqa: ANN401 - a pipeline
    return make_pipeline(
        *([_calling("to_pandas")] if polars else []),
        _calling("astype", "timedelta64[ns]"),
        _calling("div", dt.timedelta(seconds=1)),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    )


def _text(label: str, *, polars: bool) -> Node:
    fill = methodcaller("fill_null", "") if polars else methodcaller("fillna", "")
    return scope.call(
        make_pipeline,
        FunctionTransformer(fill, feature_names_out="one-to-one"),
        scope.call(
            TfidfVectorizer,
            max_features=scope.int(hp.qloguniform(f"{label}.max_features", 4, 7, 1)),
            ngram_range=hp.choice(f"{label}.ngram_range", [(1, 1), (1, 2)]),
            sublinear_tf=hp.choice(f"{label}.sublinear_tf", [False, True]),
        ),
    )


def filling(name: str) -> list[Node]:
    """Return the steps that fill in missing numbers, and no more."""
    return [_imputer(f"{name}.imputer")]


def filled_preprocessing(name: str, other: Node) -> Node:
    """Return a node for numbers of which some are missing: they are filled in, then as `other`."""
    return scope.call(_after, _imputer(f"{name}.imputer"), other)


def _after(first: Any, steps: Sequence[Any]) -> list[Any]:  # noqa: ANN401 - an estimator
    return [first, *steps]
