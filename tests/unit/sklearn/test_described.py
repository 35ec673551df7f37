"""Spaces that describe no pipelines, or none that could be fitted, are refused at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
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
