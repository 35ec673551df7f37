"""What scikit-learn is told for all of a program, and splits as masks, change no search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier

from sparktrials import hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    decision_tree_classifier,
    mlp_classifier,
    sgd_classifier,
)

WORDS = ["the ship went down", "all were saved in time", "a boat came near", "no one knew why"]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def search(classifier=None, **given):
    if classifier is None:
        classifier = decision_tree_classifier("m", max_depth=3)
    return HyperoptEstimator(**{"classifier": classifier, "max_evals": 4, "seed": 0} | given)


def test_weights_with_metadata_routing(iris):
    X, y = iris
    weight = np.where(y == 2, 1e-9, 1.0)
    plain = search().fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = search().fit(X, y, sample_weight=weight)
        routed.retrain_best_model_on_full_data(X, y, weights=weight)
    assert routed.trials.losses() == plain.trials.losses()
    assert (routed.predict(X) == plain.predict(X)).all()


def test_tables_with_pandas_as_output():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": np.where(rng.random(80) < 0.2, np.nan, rng.normal(40, 10, 80)),
            "deck": rng.choice(["A", "B", None], 80),
            "sailed": pd.Timestamp("1912-04-10")
            + pd.to_timedelta(rng.integers(0, 400, 80), unit="D"),
            "remark": [f"{rng.choice(WORDS)} {i}" for i in range(80)],
        }
    )
    y = np.where(X.age.fillna(40) > 40, "yes", "no")
    plain = search(max_evals=6).fit(X, y)
    wanted = plain.predict(X)
    with sklearn.config_context(transform_output="pandas"):
        found = search(max_evals=6).fit(X, y)
        assert (found.predict(X) == wanted).all()
    assert found.trials.losses() == plain.trials.losses()


@pytest.mark.parametrize("model", [mlp_classifier, sgd_classifier])
def test_rounds_end_in_one_way(iris, model):
    X, y = iris
    found = search(model("m", early_stopping=True), use_partial_fit=True, max_evals=1).fit(X, y)
    assert found.trials.results[0]["iterations"] >= 1
    assert found.best_pipeline_[-1].early_stopping is False


@pytest.mark.parametrize("listed", [False, True])
def test_splits_as_masks(iris, listed):
    X, y = iris
    places = list(KFold(3).split(X))
    masks = [tuple(np.isin(np.arange(len(y)), p) for p in pair) for pair in places]
    if listed:
        masks = [(fit_by.tolist(), judge_by.tolist()) for fit_by, judge_by in masks]
    one, other = (search(cv=cv).fit(X, y) for cv in (places, masks))
    assert one.trials.losses() == other.trials.losses()
    space = {"max_depth": hp.uniformint("d", 1, 4)}
    one, other = (
        SparkTrialsSearchCV(
            DecisionTreeClassifier(random_state=0), space, 3, cv=cv, random_state=0
        ).fit(X, y)
        for cv in (places, masks)
    )
    assert (
        one.cv_results_["mean_test_score"].tolist() == other.cv_results_["mean_test_score"].tolist()
    )
