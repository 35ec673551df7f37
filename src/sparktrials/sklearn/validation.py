"""What is checked of data before a search, with scikit-learn's own checks and words.

Frames and text are left as they are: what becomes of their columns is for the pipelines to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.component import SKLEARN
from sparktrials.sklearn.kinds import is_there

__all__ = [
    "check_finite_columns",
    "check_is_there",
    "check_weights",
    "checked_exogenous",
    "checked_features",
    "checked_target",
    "has_missing",
    "is_frame",
    "is_sparse",
    "is_text",
    "listed",
    "note_features",
]

#: Names that a message shows.
_SHOWN = 5


def is_frame(X: Any) -> bool:  # noqa: ANN401 - any data
    """Whether `X` has named columns: a frame of pandas, polars or another library."""
    return hasattr(X, "columns") and hasattr(X, "__len__")


def is_text(X: Any) -> bool:  # noqa: ANN401 - any data
    """Whether `X` is a sequence of texts."""
    if is_frame(X) or hasattr(X, "toarray") or not hasattr(X, "__len__") or len(X) == 0:
        return False
    first = X.iloc[0] if hasattr(X, "iloc") else X[0]
    if not is_there(first) and getattr(X, "ndim", 1) == 1:
        first = next(filter(is_there, X), None)
    return isinstance(first, (str, bytes))


def is_sparse(X: Any) -> bool:  # noqa: ANN401 - any data
    """Whether `X` is sparse: a matrix, or a frame of pandas whose columns are sparse numbers."""
    if hasattr(X, "toarray"):
        return True
    if not (is_frame(X) and hasattr(X, "sparse") and len(X.columns)):
        return False
    return all(
        str(dtype).startswith("Sparse[") and dtype.kind in "iuf" and dtype.fill_value == 0
        for dtype in X.dtypes
    )


def has_missing(X: Any) -> bool:  # noqa: ANN401 - an array or a frame of numbers
    """Whether numbers are missing."""
    values = check_array(X, accept_sparse=["csr", "csc"], dtype="numeric", **_not_finite())
    values = values.data if hasattr(values, "toarray") else values
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def checked_features(estimator: Any, X: Any, *, reset: bool) -> Any:  # noqa: ANN401 - scikit-learn's
    """Return the features; compare their number and names with those of the fit, but at a `reset`.

    Nothing is noted yet, so that a fit that is refused leaves an estimator as it was.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn's estimators do.
    """
    check_is_there(X)
    if isinstance(X, Mapping) and not hasattr(X, "shape"):  # which scipy's dok_array has
        msg = f"X is a {type(X).__name__}, not a table: pandas.DataFrame(X) makes it one"
        raise InvalidArgumentType(msg)
    if reset and is_frame(X):
        _check_names(list(X.columns))
    noted_by = BaseEstimator() if reset else estimator
    if is_frame(X) or is_text(X):
        _note(noted_by, X, reset=reset)
        return X
    X = check_array(
        X, accept_sparse=["csr", "csc"], dtype=None, estimator=estimator, **_not_finite()
    )
    if isinstance(X, np.ndarray) and X.dtype.kind == "f":  # as all models do; gaps are filled
        _check_finite(X, type(estimator).__name__)
    _note(noted_by, X, reset=reset)
    return X


def note_features(estimator: Any, X: Any) -> None:  # noqa: ANN401 - scikit-learn's, any data
    """Take note of the number and names of features that `checked_features` returned."""
    estimator.__dict__.pop("n_features_in_", None)  # texts have no columns: of an earlier fit
    _note(estimator, X, reset=True)


def _check_finite(X: Any, estimator_name: str) -> None:  # noqa: ANN401 - an array of floats
    try:
        assert_all_finite(X, allow_nan=True, estimator_name=estimator_name, input_name="X")
    except ValueError as error:
        places = np.flatnonzero(np.isinf(X).any(axis=0)).tolist() if X.ndim == 2 else []  # noqa: PLR2004
        if not places:
            raise
        msg = f"{error} {_infinite(places)} np.where(np.isinf(X), np.nan, X)"
        raise ValueError(msg) from None


def check_finite_columns(X: Any) -> None:  # noqa: ANN401 - a frame
    """Refuse infinity in a frame's columns of floats: nothing that fills gaps or scales takes it.

    Raises
    ------
    ValueError
        If there is some; the message names the columns.
    """
    wrong = []
    for name in X.columns:
        dtype = X[name].dtype
        if getattr(dtype, "kind", str(dtype)[:5]) in {"f", "Float"}:  # of pandas, of polars
            if hasattr(X, "iloc"):  # pandas' own kinds, and Arrow's, have gaps that are no floats
                values = X[name].to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                values = X[name].to_numpy()
            if values.dtype.kind == "f" and np.isinf(values).any():
                wrong.append(name)
    if wrong:
        instead = "X.replace([np.inf, -np.inf], np.nan)" if hasattr(X, "iloc") else "null there"
        msg = f"Input X contains infinity. {_infinite(wrong)} {instead}"
        raise ValueError(msg)


def _infinite(columns: Sequence[object]) -> str:
    several = "columns" if len(columns) > 1 else "column"
    return f"It is in the {several} {listed(columns)}: make it a gap, which is filled in:"


def check_is_there(X: Any, y: Any = None) -> None:  # noqa: ANN401 - any data
    """Refuse plans of data, which have no rows yet.

    Raises
    ------
    InvalidArgumentType
        If there is one; the message says how to get the data.
    """
    for name, data in (("X", X), ("y", y)):
        package = type(data).__module__.partition(".")[0]
        by = {"polars": "collect", "pyspark": "toPandas"}.get(package, "")
        if by and not hasattr(data, "__len__"):
            msg = f"{name} is a {type(data).__name__} of {package}, not data yet: {name}.{by}()"
            raise InvalidArgumentType(msg)


def check_weights(params: Mapping[str, Any], n: int) -> None:
    """Refuse weights of more or fewer than `n` samples among what is passed on to ``fit``.

    Raises
    ------
    ValueError
        If there are some.
    """
    for name, given in params.items():
        if name.split("__")[-1] == "sample_weight" and np.ndim(given) == 1 and len(given) != n:
            msg = f"{name} has {len(given)} values, but there are {n} samples: give each its weight"
            raise ValueError(msg)


def _check_names(names: Sequence[object]) -> None:
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        msg = (
            f"X has columns of the same name: {listed(twice)}. Rename or drop them: names tell "
            "columns apart"
        )
        raise InvalidArgument(msg)


def listed(names: Sequence[object]) -> str:
    """Return names as text, the first ones if there are many."""
    more = len(names) - _SHOWN
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _not_finite() -> dict[str, bool]:
    """Return the argument that lets missing values through: some models and imputers take them."""
    return {"force_all_finite" if SKLEARN < (1, 6) else "ensure_all_finite": False}


def _note(estimator: Any, X: Any, *, reset: bool) -> None:  # noqa: ANN401
    if SKLEARN < (1, 6):
        estimator._check_feature_names(X, reset=reset)  # noqa: SLF001 - what there is in 1.4, 1.5
        estimator._check_n_features(X, reset=reset)  # noqa: SLF001
        return
    from sklearn.utils.validation import validate_data  # noqa: PLC0415 - since 1.6

    validate_data(estimator, X, reset=reset, skip_check_array=True)


def checked_target(estimator: Any, X: Any, y: Any, *, classification: bool) -> Any:  # noqa: ANN401
    """Return the target as an array.

    Raises
    ------
    ValueError
        If it is missing, of another length than the features, not finite, or no labels where
        labels are needed.
    """
    if y is None:
        name = type(estimator).__name__
        msg = f"{name} requires y to be passed, but the target y is None"
        raise ValueError(msg)
    check_is_there(X, y)
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", **_not_finite())
    if y.ndim == 2 and y.shape[1] == 1:  # noqa: PLR2004 - a column
        y = column_or_1d(y, warn=True)
    _check_known(y)
    check_consistent_length(X, y)
    return _labels(y) if classification else _numbers(y)


def _check_known(y: Any) -> None:  # noqa: ANN401 - an array
    missing = 0
    if y.dtype.kind == "O":
        missing = sum(not is_there(cell) for cell in y.ravel())
    elif y.dtype.kind in "fM":
        missing = int((y != y).sum())  # noqa: PLR0124 - NaN and NaT alone are not what they are
    if missing:
        msg = (
            f"Input y contains NaN. {missing} of {len(y)} samples have no target: leave them out "
            "of X and y"
        )
        raise ValueError(msg)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")


def _labels(y: Any) -> Any:  # noqa: ANN401 - an array
    try:
        check_classification_targets(y)
        np.unique(y)
    except TypeError as error:
        kinds = sorted({type(cell).__name__ for cell in y.ravel()})
        msg = (
            f"y has labels of several types, {' and '.join(kinds)}, which cannot be sorted: make "
            "them one, as y.astype(str) does"
        )
        raise ValueError(msg) from error
    except ValueError as error:
        if "continuous" not in str(error):
            raise
        as_ints = y.dtype.kind == "O" and all(isinstance(cell, Integral) for cell in y.ravel())
        remedy = (
            "y has whole numbers as objects: make it y.astype(int)"
            if as_ints
            else "A regression is searched with regressor=any_regressor('reg')"
        )
        msg = f"{error} {remedy}"
        raise ValueError(msg) from None
    return y


def _numbers(y: Any) -> Any:  # noqa: ANN401 - an array
    if y.dtype.kind not in "OUS":
        return y
    try:
        return y.astype(np.float64)
    except (TypeError, ValueError) as error:
        kinds = sorted({type(cell).__name__ for cell in y.ravel().tolist()})
        msg = (
            f"a regressor needs numbers as target, but y has cells of type {' and '.join(kinds)} "
            f"({error}): for labels give classifier= instead"
        )
        raise ValueError(msg) from error


def checked_exogenous(exogenous: Sequence[Any], y: Any) -> Sequence[Any]:  # noqa: ANN401
    """Return exogenous data sets, each of as many samples as the target.

    Raises
    ------
    InvalidArgument
        If one has more or fewer.
    """
    for i, data in enumerate(exogenous):
        n = data.shape[0] if hasattr(data, "shape") else len(data)
        if n != len(y):
            msg = f"EX_list[{i}] has {n} samples, but y has {len(y)}"
            raise InvalidArgument(msg)
    return exogenous
