"""Spaces that describe no pipelines, or none that could be fitted, are refused at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from sparktrials import Trials, hp, scope
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn import (
    HyperoptEstimator,
    any_classifier,
    any_preprocessing,
    gaussian_nb,
    ridge,
    standard_scaler,
    svc,
)

X, Y = np.random.default_rng(0).random((40, 2)), np.arange(40) % 2


def refused(error, match, data=X, **given):
    trials = Trials()
    with pytest.raises(error, match=match):
        HyperoptEstimator(**given, max_evals=2, seed=0, trials=trials).fit(data, Y)
    assert not len(trials)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"classifier": SVC}, r"class SVC: give an estimator, SVC\(\)"),
        ({"classifier": any_classifier}, r"any_classifier.* was not called: any_classifier\('lab"),
        ({"regressor": hp.choice("r", [(Ridge, {"alpha": 1})])}, r"scope\.call\(Ridge, "),
        ({"regressor": (Ridge, {"alpha": 1})}, r"scope\.call\(Ridge, "),
        ({"classifier": "svc"}, r"'svc', which has no fit and predict"),
        ({"preprocessing": [StandardScaler]}, r"class StandardScaler: .*StandardScaler\(\)"),
        ({"preprocessing": any_preprocessing}, r"any_preprocessing\('label'\)"),
        ({"preprocessing": [standard_scaler]}, r"standard_scaler.* was not called"),
        ({"preprocessing": "scale"}, r"'scale', which has no fit and transform"),
        ({"preprocessing": [SVC()]}, r"no fit and transform"),
        ({"space": {"C": hp.uniform("C", 0, 1)}}, r"'classifier' or a 'regressor'"),
        ({"space": hp.uniform("C", 0, 1)}, r"not a description of a pipeline"),
        ({"regressor": scope.call(Ridge, alfa=hp.uniform("a", 0, 1))}, r"'alfa'"),
    ],
)
def test_what_describes_no_pipeline(given, match):
    refused((InvalidArgument, InvalidArgumentType), match, **given)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (svc("a", kernel="foo"), r"'kernel' parameter of SVC"),
        (
            scope.call(RandomForestClassifier, n_estimators=hp.quniform("n", 5, 9, 1)),
            r"must be an int.*hp\.uniformint",
        ),
    ],
)
def test_values_that_are_never_taken(model, match):
    refused(InvalidParameterError, match, classifier=model)


def test_regressors_as_classifiers():
    refused(InvalidArgument, "Ridge is a regressor: give it as regressor=", classifier=ridge("r"))
    refused(InvalidArgument, "SVC is a classifier: give it as class", regressor=svc("r"))
    HyperoptEstimator(
        [], classifier=ridge("r"), loss_fn=mean_squared_error, max_evals=1, seed=0
    ).fit(X, Y)


FRAME = pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * 20})


@pytest.mark.parametrize(
    "preprocessing", [any_preprocessing("p"), [StandardScaler()], [standard_scaler("s")], []]
)
@pytest.mark.parametrize("cell", ["x", np.datetime64(0, "s")])
def test_columns_that_are_not_numbers(preprocessing, cell):
    frame = FRAME.assign(b=[cell] * 40)
    match = r"not numbers, 'b', .* leave out preprocessing="
    refused(InvalidArgument, match, frame, classifier=gaussian_nb("n"), preprocessing=preprocessing)


ONE_HOT = OneHotEncoder(sparse_output=False, handle_unknown="ignore")


@pytest.mark.parametrize("preprocessing", [None, [ColumnTransformer([("b", ONE_HOT, ["b"])])]])
def test_columns_that_are_dealt_with(preprocessing):
    found = HyperoptEstimator(preprocessing, classifier=gaussian_nb("n"), max_evals=1, seed=0)
    assert found.fit(FRAME, Y).score(FRAME, Y) > 0.5


def test_a_choice_of_which_one_takes_words():
    either = hp.choice("p", [[StandardScaler()], [ONE_HOT]])
    found = HyperoptEstimator(either, classifier=gaussian_nb("n"), max_evals=4, seed=0)
    assert found.fit(FRAME, Y).best_model()["preprocs"][0].categories == "auto"


def test_steps_that_pass_through():
    HyperoptEstimator(["passthrough"], classifier=svc("s"), max_evals=1, seed=0).fit(X, Y)


def fits(**given):
    """Search with two trials, one of which at least must end well."""
    data = given.pop("X", X)
    return HyperoptEstimator(**given, max_evals=2, seed=0).fit(data, Y).best_loss_


@pytest.mark.parametrize(
    "column",
    [
        [[1]] * 40,
        [{"w": 1}] * 40,
        ["A1", 7] * 20,
        list(np.ones((40, 3))),
        pd.arrays.IntervalArray.from_breaks(range(41)),
        pd.Categorical([1, "b"] * 20),
    ],
    ids=["lists", "dicts", "mixed", "arrays", "intervals", "mixed categories"],
)
def test_columns_that_ones_own_preprocessing_leaves_out(column):
    frame = pd.DataFrame({"a": X[:, 0], "c": column})
    leaves_out = make_column_transformer(("passthrough", ["a"]))
    fits(X=frame, classifier=gaussian_nb("n"), preprocessing=[leaves_out])


def test_columns_that_only_ones_own_preprocessing_takes():
    frame = pd.DataFrame({"a": X[:, 0], "d": [{"w": 1.0, "z": float(i)} for i in range(40)]})
    takes = make_column_transformer((DictVectorizer(sparse=False), "d"), remainder="passthrough")
    fits(X=frame, classifier=gaussian_nb("n"), preprocessing=[takes])


class DropIds(TransformerMixin, BaseEstimator):
    """Leaves out columns with many values: 50 rows do not show which."""

    def fit(self, X, y=None):
        self.kept_ = [name for name in X.columns if name == "a" or X[name].nunique() <= 30]
        return self

    def transform(self, X):
        return X[self.kept_]


def test_what_a_transformer_of_ones_own_leaves_out():
    frame = pd.DataFrame({"a": np.arange(200.0), "id": [f"c{i}" for i in range(200)]})
    preprocessing = [make_pipeline(DropIds(), StandardScaler())]
    found = HyperoptEstimator(preprocessing, classifier=gaussian_nb("n"), max_evals=1, seed=0)
    found.fit(frame, np.arange(200) % 2, cv_shuffle=True)


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(Pipeline([("m", LinearRegression())]), {"m": [LogisticRegression(), SVC()]}),
        GridSearchCV(SVC(C=-1.0), {"C": [1.0, 2.0]}),
    ],
)
def test_a_search_as_the_model(model):
    fits(classifier=model, preprocessing=hp.choice("p", [[], [StandardScaler()]]))
