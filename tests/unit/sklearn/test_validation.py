"""What is wrong with data is said at once, and what to do about it."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    gaussian_nb,
    ridge,
    ridge_classifier,
    svc,
)

X = np.random.default_rng(0).random((20, 2))


def fitted(y, data=X, **given):
    given = given or {"classifier": gaussian_nb("n"), "preprocessing": []}
    return HyperoptEstimator(**given, max_evals=1, seed=0).fit(data, y)


@pytest.mark.parametrize(
    "y",
    [
        ["a", None] * 10,
        np.array(["a", np.nan] * 10, dtype=object),
        pd.Series(["a", None] * 10, dtype="string"),
        pd.Series(["a", None] * 10, dtype="category"),
        pd.Series([True, None] * 10, dtype="boolean"),
        pd.Series([1, None] * 10, dtype="Int64"),
        [1.0, np.nan] * 10,
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_a_missing_target(y):
    with pytest.raises(ValueError, match=r"Input y contains NaN\. 10 of 20 samples have no target"):
        fitted(y)
    if not isinstance(y, list) or None not in y:
        with pytest.raises(ValueError, match="Input y contains NaN"):
            fitted(y, regressor=ridge("r"))


def test_labels_of_several_types():
    with pytest.raises(ValueError, match=r"several types, int and str, .* y\.astype\(str\)"):
        fitted(np.array(["a", 1] * 10, dtype=object))


def test_a_target_of_numbers_without_a_regressor():
    with pytest.raises(ValueError, match=r"Unknown label type: continuous.* regressor=any_regr"):
        fitted(X[:, 0])


def test_a_target_of_words_with_a_regressor():
    with pytest.raises(ValueError, match=r"cells of type str .* give classifier="):
        fitted(["a", "b"] * 10, regressor=ridge("r"))
    found = fitted([decimal.Decimal(i) for i in range(20)], regressor=ridge("r"))
    assert found.predict(X).dtype == np.float64


@pytest.mark.newest
def test_a_plan_of_a_frame():
    polars = pytest.importorskip("polars")
    plan = polars.LazyFrame({"a": range(20), "y": [0, 1] * 10})
    with pytest.raises(InvalidArgumentType, match=r"X is a LazyFrame of polars.*: X\.collect\(\)"):
        fitted([0, 1] * 10, plan)
    with pytest.raises(InvalidArgumentType, match=r"y is a LazyFrame .*: y\.collect\(\)"):
        fitted(plan)
    search = SparkTrialsSearchCV(DecisionTreeClassifier(), {}, 1)
    with pytest.raises(InvalidArgumentType, match=r"X\.collect\(\)"):
        search.fit(plan, [0, 1] * 10)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"n_folds": 5}, "n_folds"),
        ({"valid_size": 0.3}, "valid_size"),
        ({"cv_shuffle": True}, "cv_shuffle"),
    ],
)
def test_two_ways_to_split(given, name):
    search = HyperoptEstimator(classifier=gaussian_nb("n"), cv=KFold(3), max_evals=1)
    with pytest.raises(
        InvalidArgument, match=rf"cv=KFold.* says how to split, and so does {name}="
    ):
        search.fit(X, [0, 1] * 10, **given)


def test_what_the_best_pipeline_has_not():
    search = HyperoptEstimator(classifier=ridge_classifier("r"))
    with pytest.raises(AttributeError, match="it is not fitted, and not all models"):
        _ = search.predict_proba
    search = HyperoptEstimator(classifier=svc("s"), max_evals=1, seed=0)
    search.fit(X, [0, 1] * 10)
    with pytest.raises(
        AttributeError, match=r"no 'predict_proba': its best pipeline, .*SVC, has no"
    ):
        search.predict_proba(X)
    assert not hasattr(search, "predict_log_proba")
    assert search.decision_function(X).shape == (20,)
    assert "probability of each" in HyperoptEstimator.predict_proba.__doc__


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", "double[pyarrow]"])
def test_infinity_in_a_frame(words, dtype):
    if "arrow" in dtype:
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0.5, np.inf, 1)}, dtype=dtype)
    if words:
        frame["c"] = ["x", "y"] * 10
    with pytest.raises(ValueError, match=r"contains infinity\. .* column 'b': .*X\.replace\("):
        fitted([0, 1] * 10, frame, classifier=gaussian_nb("n"))


def test_infinity_beside_gaps():
    frame = pd.DataFrame({"a": pd.array([1.0, None, np.inf, 2.0] * 5, dtype="Float64")})
    with pytest.raises(ValueError, match="contains infinity"):
        fitted([0, 1] * 10, frame, classifier=gaussian_nb("n"))


def test_whole_numbers_as_objects():
    with pytest.raises(ValueError, match=r"Unknown label type.* y\.astype\(int\)"):
        fitted(np.array([0, 1] * 10, dtype=object))
    with pytest.raises(ValueError, match=r"Unknown label type.* regressor="):
        fitted(np.array([0.5, 1] * 10, dtype=object))


def test_infinity_in_an_array():
    with pytest.raises(ValueError, match=r"contains infinity.* columns 0, 1: .*np\.isinf\(X\)"):
        fitted([0, 1] * 10, np.where(X > 0.5, np.inf, X))


def test_a_dict():
    with pytest.raises(InvalidArgumentType, match=r"X is a dict, not a table: pandas\.DataFrame"):
        fitted([0, 1] * 10, {"a": range(20)})


@pytest.mark.parametrize("kind", [list, pd.Series, lambda texts: np.array(texts, dtype=object)])
@pytest.mark.parametrize("texts", [["a ship", None], [None, "a ship"], [float("nan"), "a ship"]])
def test_missing_texts(kind, texts):
    with pytest.raises(ValueError, match=r"X has 10 missing texts among 20, .*: make them empty"):
        fitted([0, 1] * 10, kind(texts * 10), classifier=gaussian_nb("n"))


def test_an_array_with_a_gap_of_pandas():
    data = X.astype(object)
    data[2, 1] = pd.NA
    with pytest.raises(ValueError, match=r"NAType.*without preprocessing= an array must hold numb"):
        fitted([0, 1] * 10, data, classifier=gaussian_nb("n"))


def test_columns_of_intervals_are_not_taken_for_floats():
    low = np.arange(20.0)
    X = pd.DataFrame({"a": low, "b": pd.arrays.IntervalArray.from_arrays(low, low + 1)})
    with pytest.raises(InvalidArgument, match=r"column 'b' \(interval.*make them numbers"):
        HyperoptEstimator(max_evals=1).fit(X, np.arange(20) % 2)
