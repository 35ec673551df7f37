"""Trials that are given to a search are of its data, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.svm import SVC

from sparktrials import Trials, hp
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import HyperoptEstimator, SparkTrialsSearchCV, gaussian_nb
from sparktrials.sklearn.sameness import digest_of


def by_estimator(trials, warm_start=False):
    model = HyperoptEstimator(classifier=gaussian_nb("m"), max_evals=2, trials=trials, seed=0)
    return lambda X, y: model.fit(X, y, cv_shuffle=True, warm_start=warm_start)


def by_search(trials):
    return SparkTrialsSearchCV(SVC(), {"C": hp.loguniform("C", -3, 3)}, 2, trials=trials).fit


@pytest.mark.parametrize("fit_by", [by_estimator, by_search])
def test_results_of_other_data_are_refused(fit_by):
    trials = Trials()
    fit_by(trials)(*load_iris(return_X_y=True))
    fit_by(trials)(*load_iris(return_X_y=True))
    with pytest.raises(InvalidArgument, match=r"trials has \d results of other data"):
        fit_by(trials)(*load_wine(return_X_y=True))


@pytest.mark.parametrize(
    ("changed", "folds"),
    [({"scoring": "roc_auc"}, 2), ({"loss_fn": log_loss, "continuous_loss_fn": True}, 2), ({}, 3)],
)
def test_results_that_were_judged_otherwise_are_refused(changed, folds):
    X, y = load_breast_cancer(return_X_y=True)
    given = {"classifier": gaussian_nb("m"), "max_evals": 1, "trials": Trials()}
    HyperoptEstimator(**given).fit(X, y, n_folds=2)
    with pytest.raises(InvalidArgument, match="another scoring, loss or number of folds"):
        HyperoptEstimator(**given, **changed).fit(X, y, n_folds=folds)


@pytest.mark.parametrize(
    ("changed", "folds"),
    [({"scoring": "roc_auc"}, 2), ({"loss_fn": log_loss, "continuous_loss_fn": True}, 2), ({}, 3)],
)
def test_a_warm_start_after_a_change_of_judgement_is_refused(changed, folds):
    X, y = load_breast_cancer(return_X_y=True)
    model = HyperoptEstimator(classifier=gaussian_nb("m"), max_evals=1, seed=0)
    model.fit(X, y, n_folds=2)
    model.set_params(**changed)
    with pytest.raises(InvalidArgument, match="another scoring, loss or number of folds"):
        model.fit(X, y, n_folds=folds, warm_start=True)
    assert len(model.trials) == 1
    model.fit(X, y, n_folds=folds)  # anew
    assert len(model.fit(X, y, n_folds=folds, warm_start=True).trials) == 2


def test_a_warm_start_goes_on_with_any_data():
    fit = by_estimator(Trials(), warm_start=True)
    X, y = load_iris(return_X_y=True)
    fit(X, y)
    fit(X[::2], y[::2])


def test_what_tells_data_from_data():
    rng = np.random.default_rng(0)
    X, y = rng.random((5000, 3)), rng.integers(0, 2, 5000)
    changed = X.copy()
    changed[0] += 1
    some = [
        digest_of(*data)
        for data in ((X, y), (changed, y), (X, 1 - y), (X[:100], y[:100]), (X, None))
    ]
    assert len(set(some)) == 5
    assert digest_of(X.copy(), y.copy()) == some[0]
    assert digest_of(sparse.csr_matrix(X), y) != digest_of(sparse.csr_matrix(X > 0.5), y)
    judges = [None, "accuracy", accuracy_score, make_scorer(log_loss), {"a": "accuracy"}]
    assert len({digest_of(X, y, judge) for judge in judges}) == 5
    assert digest_of(X, y, make_scorer(log_loss)) == digest_of(X, y, make_scorer(log_loss))
    words = np.array(["a", "b"] * 3, dtype=object)
    assert digest_of(words[:, None], words) == digest_of(words[:, None].copy(), words.copy())
