"""A scoring that cannot score is refused before the first trial."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    make_scorer,
    mean_squared_error,
    roc_auc_score,
)
from sklearn.model_selection import KFold, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from sparktrials import Trials, hp, scope
from sparktrials.errors import InvalidArgument, NoPipelineFound
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    gaussian_nb,
    ridge,
    scorers,
)

X = np.random.default_rng(0).random((60, 2))
BINARY = np.arange(60) % 2
WORDS = np.where(BINARY, "yes", "no")
THREE = np.arange(60) % 3


def mine(y_true, y_pred):
    return np.mean(y_true == y_pred)


def searches(trials, scoring, cv):
    given = {"scoring": scoring, "trials": trials, "cv": cv}
    space = {"C": hp.uniform("C", 1, 2)}
    return [
        HyperoptEstimator([], classifier=gaussian_nb("n"), max_evals=1, seed=0, **given),
        SparkTrialsSearchCV(LogisticRegression(), space, 1, **given),
    ]


def refused(scoring, y, match, cv=3):
    trials = Trials()
    for search in searches(trials, scoring, cv):
        with pytest.raises(ValueError, match=match):
            search.fit(X, y)
    assert not len(trials)


@pytest.mark.parametrize(
    ("scoring", "match"),
    [
        (accuracy_score, r"make_scorer\(accuracy_score\), or scoring='accuracy'"),
        (mean_squared_error, r"make_scorer\(mean_squared_error, greater_is_better=False\), or"),
        (mine, r"scoring=mine looks like .*make_scorer\(mine\)$"),
        ("roc_acu", r"did you mean 'roc_auc'\?"),
        ("AUC", r"did you mean 'roc_auc'\?"),
        ("rmse", r"did you mean 'neg_root_mean_squared_error'\?"),
        ("mean_squared_error", r"did you mean 'neg_mean_squared_error'\?"),
    ],
)
def test_what_is_no_scorer(scoring, match):
    refused(scoring, BINARY, match)


@pytest.mark.parametrize(
    ("scoring", "y", "match"),
    [
        ("f1", WORDS, r"make_scorer\(f1_score, pos_label='no'\)"),
        ("precision", WORDS, r"make_scorer\(precision_score, pos_label='no'\)"),
        ("recall", np.where(BINARY, 2, 7), r"make_scorer\(recall_score, pos_label=2\)"),
        ("average_precision", WORDS, r"response_method=.*, pos_label='no'\)"),
        ("f1", THREE, r"scoring='f1_macro'"),
        ("roc_auc", THREE, r"scoring='roc_auc_ovr'"),
    ],
)
def test_labels_that_cannot_be_scored(scoring, y, match):
    refused(scoring, y, match)


def test_a_fold_of_one_label():
    y = np.sort(BINARY)
    refused("roc_auc", y, r"fold 1 of 3.*all have the label 0: split by", cv=KFold(3))
    with pytest.raises(InvalidArgument, match="all have the label 1"):
        HyperoptEstimator(classifier=gaussian_nb("n"), scoring="roc_auc").fit(X, y)


def test_one_class():
    with pytest.raises(ValueError, match="y has one class only, 'a', in all 60 samples"):
        HyperoptEstimator(classifier=gaussian_nb("n")).fit(X, ["a"] * 60)


@pytest.mark.parametrize(
    ("scoring", "y"),
    [
        (make_scorer(f1_score, pos_label="yes"), WORDS),
        ("roc_auc", WORDS),
        ("f1", BINARY),
        ("roc_auc_ovr", THREE),
        ("f1_macro", THREE),
        (lambda model, X, y: model.score(X, y), THREE),
    ],
)
def test_what_can_be_scored(scoring, y):
    for search in searches(None, scoring, 3):
        search.fit(X, y)


def test_a_fold_of_one_label_with_a_score_for_that():
    y = np.r_[np.zeros(20, dtype=int), THREE[20:]]
    scoring = make_scorer(roc_auc_score, response_method="predict_proba", multi_class="ovr")
    given = {"scoring": scoring, "cv": KFold(3), "random_state": 0}
    search = SparkTrialsSearchCV(LogisticRegression(), {"C": hp.uniform("C", 1, 2)}, 1, **given)
    with pytest.raises(InvalidArgument, match="fold 1 of 3"):
        search.fit(X, y)
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.set_params(error_score=0.0).fit(X, y)
    assert search.cv_results_["split0_test_score"].tolist() == [0.0]


def as_scorer(metric):
    @functools.wraps(metric)
    def score(model, X, y):
        return metric(y, model.predict(X))

    return score


@pytest.mark.parametrize("metric", [mine, accuracy_score])
def test_scorers_that_wrap_a_metric(metric):
    for search in searches(None, as_scorer(metric), 3):
        search.fit(X, BINARY)


@pytest.mark.parametrize(
    ("n", "given", "fit_given", "of"),
    [
        (5, {}, {}, "all that is judged by"),
        (5, {"scoring": "r2"}, {}, "a part to judge by"),
        (9, {"scoring": "r2"}, {"n_folds": -1}, "a part to judge by"),
        (10, {"scoring": "r2"}, {"n_folds": 6}, "a part to judge by"),
    ],
)
def test_r2_of_one_sample(n, given, fit_given, of):
    trials = Trials()
    search = HyperoptEstimator(regressor=ridge("r"), trials=trials, max_evals=1, **given)
    with pytest.raises(InvalidArgument, match=rf"R² of one sample is not defined, and {of} has"):
        search.fit(X[:n], X[:n, 0], **fit_given)
    assert not len(trials)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_single_samples_that_can_be_judged(scoring):
    search = HyperoptEstimator(regressor=ridge("r"), scoring=scoring, max_evals=1, seed=0)
    search.fit(X[:9], X[:9, 0], n_folds=-1)


def test_a_failure_without_a_traceback():
    search = HyperoptEstimator(regressor=ridge("r"), loss_fn=lambda a, b: np.nan, max_evals=1)
    with pytest.raises(NoPipelineFound, match="1 x NonFiniteLoss") as caught:
        search.fit(X, X[:, 0])
    assert "the first was" not in str(caught.value)


def test_parts_with_the_same_labels_are_looked_at_once(monkeypatch):
    looked_at = []
    said = scorers._said
    monkeypatch.setattr(scorers, "_said", lambda *given: looked_at.append(0) or said(*given))
    parts = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=10).split(X, WORDS))
    scorers.check_scorable(get_scorer("f1_macro"), WORDS, parts)
    assert len(looked_at) == 1
    fixed = make_scorer(accuracy_score, sample_weight=np.ones(len(parts[0][1])))
    scorers.check_scorable(fixed, WORDS, parts)
    y = np.r_[WORDS[:40], ["no"] * 20]
    with pytest.raises(InvalidArgument, match="fold 3 of 3"):
        scorers.check_scorable(get_scorer("roc_auc"), y, list(KFold(3).split(X)))


def test_several_columns_of_several_classes():
    y = np.stack([THREE, THREE[::-1]], axis=1)
    given = {"classifier": scope.call(DecisionTreeClassifier, max_depth=hp.uniformint("d", 1, 3))}
    with pytest.raises(InvalidArgument, match=r"y has 2 columns .* loss_fn"):
        HyperoptEstimator([], **given).fit(X, y)
    found = HyperoptEstimator(
        [], **given, loss_fn=lambda a, b: np.mean(a != b), max_evals=1, seed=0
    )
    assert found.fit(X, y).predict(X).shape == (60, 2)


@pytest.mark.parametrize(
    ("scoring", "y", "few"),
    [
        ("roc_auc_ovr", [0] * 30 + [1] * 29 + [2], r"2 \(1\)"),
        ("roc_auc_ovr", [0] * 30 + [1] * 28 + [2] * 2, r"2 \(2\)"),
        ("neg_log_loss", [0] * 30 + [1] * 29 + [2], r"2 \(1\)"),
        ("roc_auc", ["a"] * 59 + ["b"], r"'b' \(1\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_labels_with_fewer_samples_than_folds(scoring, y, few):
    match = f"Labels with fewer samples than there are folds: {few}. Leave their samples out"
    refused(scoring, np.array(y), match, cv=StratifiedKFold(3, shuffle=True, random_state=0))
