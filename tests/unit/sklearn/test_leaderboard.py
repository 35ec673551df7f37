"""What a search found: as a table, and in words."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

from sparktrials import hp
from sparktrials.sklearn import HyperoptEstimator, SparkTrialsSearchCV, gaussian_nb

pytestmark = [
    pytest.mark.newest,
    pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning"),
]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_table_and_report_of_a_search(iris):
    model = hp.choice("m", [gaussian_nb("nb"), SGDClassifier(alpha=-1.0)])
    search = HyperoptEstimator(classifier=model, max_evals=8, seed=0)
    with pytest.raises(NotFittedError):
        search.leaderboard()
    search.fit(*iris, n_folds=3)
    board = search.leaderboard()
    assert board.trial.sort_values().tolist() == list(range(8))
    failed = board[board.state == "failed"]
    assert 0 < len(failed) < 8
    assert failed.learner.eq("SGDClassifier").all()
    assert failed.failure.str.startswith("InvalidParameterError: The 'alpha' parameter").all()
    assert board["rank"].notna().sum() == 8 - len(failed)
    assert board.loss[0] == search.best_loss_ == board.loss.min()
    assert board.loss.dropna().is_monotonic_increasing
    assert board.sort_values("trial").best_so_far.dropna().is_monotonic_decreasing
    text = search.report()
    assert f"8 trials ended, {8 - len(failed)} with a loss" in text
    assert f"* {len(failed)} x InvalidParameterError: The 'alpha' parameter" in text
    assert f"| SGDClassifier | {len(failed)} | {len(failed)} | - | - |" in text
    assert f"| 8 | {search.best_loss_:.6g} |" in text
    assert "GaussianNB" in text.partition("## Searched")[0]


def test_of_an_estimators_parameters(iris):
    space = {"C": hp.loguniform("C", -3, 3)}
    search = SparkTrialsSearchCV(SVC(), space, 3, cv=2, random_state=0).fit(*iris)
    board = search.leaderboard()
    assert board.trial[0] == search.best_index_
    assert (board.fit_s > 0).all()
    assert str(search.best_params_) in search.report()


def test_causes_are_those_of_the_fits(iris):
    space = {"C": hp.choice("C", [1.0, -1.0])}
    search = SparkTrialsSearchCV(SVC(), space, 6, cv=2, random_state=0)
    with pytest.warns(FitFailedWarning):
        search.fit(*iris)
    failed = search.leaderboard().query("state == 'failed'")
    assert failed.failure.str.startswith("InvalidParameterError: The 'C' parameter of SVC").all()
    assert f"* {len(failed)} x InvalidParameterError: The 'C' parameter of SVC" in search.report()
