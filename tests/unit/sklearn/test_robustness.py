"""What users' own parts do to a search: points that cannot be built, threads, absent labels."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier
from tests.processes import PATIENCE

from sparktrials import Trials, hp, scope
from sparktrials.errors import InvalidArgument, SpaceMismatch
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    logistic_regression,
    standard_scaler,
)
from sparktrials.sklearn.sameness import digest_of

X, Y = load_iris(return_X_y=True)


def odd_depth(n):
    if n % 2 == 0:
        raise ValueError("only odd depths")
    return int(n)


def tree_of_odd_depth(n):
    if n % 2 == 0:
        raise ValueError("only odd depths")
    return DecisionTreeClassifier(max_depth=int(n))


def test_points_that_cannot_be_built_cost_a_trial_each():
    search = SparkTrialsSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": scope.call(odd_depth, hp.uniformint("d", 1, 6))},
        max_evals=8,
        cv=2,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert 0 < np.isnan(scores).sum() < len(scores)
    assert search.best_params_["max_depth"] % 2 == 1


def test_the_leaderboard_has_trials_that_cannot_be_built():
    search = HyperoptEstimator(
        classifier=scope.call(tree_of_odd_depth, hp.uniformint("d", 1, 6)),
        preprocessing=[],
        max_evals=8,
        seed=0,
    ).fit(X, Y, cv_shuffle=True)
    board = search.leaderboard()
    failed = board["learner"] == "?"
    assert 0 < failed.sum() < len(board)
    assert "only odd depths" in search.report()


def test_probabilities_of_a_fold_that_lacks_a_label_are_in_their_columns():
    seen = []

    def loss(target, probabilities):
        seen.append(probabilities)
        return 1 - np.mean(probabilities[np.arange(len(target)), target])

    HyperoptEstimator(
        classifier=logistic_regression("m"),
        preprocessing=[],
        loss_fn=loss,
        continuous_loss_fn=True,
        cv=KFold(3),
        max_evals=1,
        seed=0,
        refit=False,
    ).fit(X, Y)
    (probabilities,) = seen
    assert probabilities.shape == (150, 3)
    for k in range(3):  # each third is all of one label, which was not there to be learnt
        assert np.all(probabilities[50 * k : 50 * (k + 1), k] == 0)
        assert np.allclose(probabilities[50 * k : 50 * (k + 1)].sum(1), 1)


@pytest.mark.filterwarnings("ignore")
def test_searches_in_threads_leave_warnings_as_they_were():
    before = warnings.showwarning
    found = []

    def fit():
        search = HyperoptEstimator(
            classifier=logistic_regression("m"), preprocessing=[], max_evals=3, seed=0, refit=False
        )
        search.fit(X, Y, cv_shuffle=True)
        found.append(len(search.trials))

    threads = [threading.Thread(target=fit, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert found == [3, 3, 3]
    assert warnings.showwarning is before


def test_a_complete_history_of_another_space_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"

    def search(preprocessing):
        return HyperoptEstimator(
            classifier=logistic_regression("a"),
            preprocessing=preprocessing,
            max_evals=3,
            trials=url,
            seed=0,
        )

    search([standard_scaler("s")]).fit(X, Y, cv_shuffle=True)
    with pytest.raises(SpaceMismatch):
        search([]).fit(X, Y, cv_shuffle=True)
    again = search([standard_scaler("s")]).fit(X, Y, cv_shuffle=True)
    assert len(again.trials_.history) == 3


def test_another_estimators_trials_are_refused():
    trials, space = Trials(), {"min_samples_leaf": hp.uniformint("m", 1, 4)}
    first = DecisionTreeClassifier(max_leaf_nodes=2)
    SparkTrialsSearchCV(first, space, max_evals=2, cv=2, trials=trials).fit(X, Y)
    for other in (ExtraTreesClassifier(5), DecisionTreeClassifier()):
        with pytest.raises(InvalidArgument, match="another estimator"):
            SparkTrialsSearchCV(other, space, max_evals=2, cv=2, trials=trials).fit(X, Y)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (make_scorer(fbeta_score, beta=0.5), make_scorer(fbeta_score, beta=5)),
        (lambda t, p: 1.0, lambda t, p: 2.0),
        (LogisticRegression(C=1.0), LogisticRegression(C=2.0)),
        ([("m", LogisticRegression())], [("m", DecisionTreeClassifier())]),
    ],
)
def test_ways_to_judge_are_told_apart(one, other):
    assert digest_of(X, Y, one) == digest_of(X, Y, one)
    assert digest_of(X, Y, one) != digest_of(X, Y, other)


def test_what_changes_no_result_is_not_looked_at():
    one, other = (ExtraTreesClassifier(n_jobs=n, verbose=n) for n in (1, 2))
    assert digest_of(X, Y, one) == digest_of(X, Y, other)
