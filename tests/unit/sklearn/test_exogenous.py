"""Exogenous data sets, and what stands for their preprocessing by default."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.impute import SimpleImputer
from sklearn.svm import SVC

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import HyperoptEstimator, svc


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    return X, np.where(X[:, 0] + X[:, 3] > 0, "yes", "no")


def search(**given):
    return HyperoptEstimator(**{"classifier": svc("m", kernel="linear"), "seed": 0} | given)


@pytest.mark.parametrize("as_frame", [False, True])
def test_gaps_are_filled(as_frame):
    X, y = data()
    X[3, 0] = X[5, 3] = np.nan  # which no SVC takes
    features, other = X[:, :2], X[:, 2:]
    if as_frame:
        features = pd.DataFrame(features, columns=["a", "b"]).assign(c=y == "yes")
    found = search(max_evals=3).fit(features, y, EX_list=[other, X[:, 1:2]])
    assert found.trials.statuses() == ["ok"] * 3, [t.failure for t in found.trials.history]
    assert found.score(features, y, EX_list=[other, X[:, 1:2]]) > 0.8
    best = found.best_model()
    assert isinstance(best["learner"], SVC)
    assert isinstance(best["preprocs"][0], SimpleImputer)
    assert [len(steps) for steps in best["ex_preprocs"]] == [1, 0]


def test_no_gaps_no_more_parameters():
    X, y = data()
    found = search(max_evals=1).fit(X[:, :2], y, EX_list=[X[:, 2:]])
    assert not [label for label in found.best_params_ if "imputer" in label]


@pytest.mark.parametrize("both", [False, True])
def test_sparse_data(both):
    X, y = data()
    features = csr_matrix(X[:, :2]) if both else X[:, :2]
    found = search(max_evals=4).fit(features, y, EX_list=[csr_matrix(X[:, 2:])])
    assert found.trials.statuses() == ["ok"] * 4, [t.failure for t in found.trials.history]


@pytest.mark.parametrize("kind", ["words", "texts"])
def test_features_that_are_no_numbers_are_refused(kind):
    X, y = data()
    words = list("abcd") * 20
    features = words if kind == "texts" else pd.DataFrame({"w": words})
    with pytest.raises(InvalidArgument, match="with EX_list the default preprocessing"):
        search(max_evals=1).fit(features, y, EX_list=[X])


def test_gaps_that_pandas_calls_na():
    X, y = data()
    counts = pd.array(np.round(X[:, 3] * 10), dtype="Int64")
    counts[7] = pd.NA
    frame = pd.DataFrame({"count": counts, "b": X[:, 0]})
    for features, other in ((frame, X), (X, frame)):
        found = search(max_evals=2).fit(features, y, EX_list=[other])
        assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
        assert len(found.predict(features, EX_list=[other])) == 80
