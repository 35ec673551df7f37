"""What a search found: as a table, and in words."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import zero_one_loss
from sklearn.svm import SVC

from sparktrials import hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    extra_trees_classifier,
    gaussian_nb,
)
from sparktrials.sklearn.failures import causes_of
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState

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


def test_starts_and_scores_are_told(iris):
    model = hp.choice("m", [extra_trees_classifier("t", n_estimators=5), gaussian_nb("nb")])
    given = {"classifier": model, "preprocessing": [], "max_evals": 4, "seed": 0}
    search = HyperoptEstimator(**given).fit(*iris, cv_shuffle=True)
    board = search.leaderboard().sort_values("trial")
    assert board.start.tolist() == [True, True, False, False]
    assert board.score.tolist() == pytest.approx((1 - board.loss).tolist())
    assert "The search began with 2 known configurations." in search.report()
    assert f", score {1 - search.best_loss_:.6g}" in search.report()
    scored = HyperoptEstimator(**given, scoring="neg_log_loss").fit(*iris, cv_shuffle=True)
    assert (scored.leaderboard().score == -scored.leaderboard().loss).all()
    assert scored.leaderboard().score.max() < 0
    own = HyperoptEstimator(**given, loss_fn=zero_one_loss).fit(*iris, cv_shuffle=True)
    assert own.leaderboard().score.isna().all()
    assert ", score" not in own.report()
    other = SparkTrialsSearchCV(SVC(), {"C": hp.loguniform("C", -3, 3)}, 3, cv=2, random_state=0)
    assert other.fit(*iris).leaderboard().score[0] == other.best_score_
    assert not other.leaderboard().start.any()


def failure(message):
    return Failure(kind=FailureKind.RAISED, type="E", message=message, traceback="")


def test_causes_that_differ_in_numbers_and_addresses_are_one():
    messages = [
        "X at <object at 0x7f3a9c01> is -1.5e-07 of 3",
        "X at <object at 0x11beefda> is 2 of 40",
        "X at <object at 0xA> is nan of 4",
    ]
    trials = [
        Trial(id=i, state=TrialState.FAILED, point={}, failure=failure(m))
        for i, m in enumerate([*messages, "Y is 1 of 3"])
    ]
    causes = causes_of(trials)
    assert [cause.trials for cause in causes] == [(0, 1, 2), (3,)]
