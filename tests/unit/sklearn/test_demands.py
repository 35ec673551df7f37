"""Models that can do nothing with the scorer, or with weights, are not tried."""

from __future__ import annotations

import itertools
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sparktrials import hp, scope
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import (
    HyperoptEstimator,
    any_classifier,
    any_regressor,
    draws,
    gaussian_nb,
    k_neighbors_classifier,
    one_vs_rest_classifier,
    ridge_classifier,
    sgd_classifier,
    svc,
)
from sparktrials.sklearn.demands import Demands, suited
from sparktrials.sklearn.spaces import space_of
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec

PROBABILITIES = Demands(methods=("predict_proba",))
WEIGHTS = Demands(weights=True)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def models(tree, n=300):
    """Return models that a space makes."""
    space = compile_space(tree)
    codec = Codec.of(space)
    points = codec.decode(codec.from_unit(np.random.default_rng(1).random((n, len(codec)))))
    made = [space.build(point) for point in points]
    return [one["regressor"] if one["classifier"] is None else one["classifier"] for one in made]


def left(demands, **given):
    return models(suited(space_of(HyperoptEstimator(**given)), demands))


@pytest.mark.newest
def test_probabilities(caplog):
    found = left(PROBABILITIES, classifier=any_classifier("m"))
    names = {type(model).__name__ for model in found}
    assert all(hasattr(model, "predict_proba") for model in found)
    assert {"SGDClassifier", "KNeighborsClassifier", "LogisticRegression"} <= names
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "SVC (no predict_proba)" in record.message
    assert "where 'm.sgd.loss' is 'hinge', 'squared_hinge', 'perceptron'" in record.message


@pytest.mark.parametrize(
    ("part", "menu"), [("classifier", any_classifier), ("regressor", any_regressor)]
)
def test_weights(part, menu):
    names = {type(model).__name__ for model in left(WEIGHTS, **{part: menu("m")})}
    assert not any(name.startswith("KNeighbors") for name in names)
    assert len(names) >= 8


def test_labels_keep_their_options():
    tree = space_of(HyperoptEstimator(classifier=any_classifier("m")))
    before, after = (compile_space(one) for one in (tree, suited(tree, WEIGHTS)))
    assert before.labels == after.labels


def test_nothing_changes_where_nothing_is_demanded():
    tree = space_of(HyperoptEstimator(classifier=any_classifier("m")))
    assert suited(tree, Demands()) is tree
    tree = space_of(HyperoptEstimator(classifier=hp.choice("m", [GaussianNB(), gaussian_nb("n")])))
    assert suited(tree, WEIGHTS) is tree


@pytest.mark.parametrize(
    ("scoring", "methods"),
    [
        ("accuracy", ()),
        ("roc_auc", ("decision_function", "predict_proba")),
        ("neg_log_loss", ("predict_proba",)),
        (None, ()),
    ],
)
def test_what_a_scorer_demands(scoring, methods):
    from sparktrials.sklearn.evaluation import Judgement

    judgement = Judgement.checked(loss_fn=None, continuous=False, scoring=scoring)
    assert Demands.of(judgement, None, in_rounds=False).methods == methods
    own = Judgement.checked(loss_fn=log_loss, continuous=True, scoring=None)
    assert Demands.of(own, None, in_rounds=False).methods == ("predict_proba",)
    if scoring:  # a scorer that is given does as its name does
        given = Judgement.checked(loss_fn=None, continuous=False, scoring=get_scorer(scoring))
        assert Demands.of(given, None, in_rounds=False).methods == methods


@pytest.mark.filterwarnings("ignore:The SAMME.R algorithm:FutureWarning")
@pytest.mark.parametrize(
    ("model", "can"),
    [
        (GaussianNB(), True),
        (KNeighborsClassifier(), False),
        (AdaBoostClassifier(KNeighborsClassifier()), False),
        (AdaBoostClassifier(), True),
        (AdaBoostRegressor(KNeighborsRegressor()), True),
        (BaggingClassifier(LogisticRegression()), True),
        (OneVsRestClassifier(LogisticRegression()), False),
        (VotingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier())]), False),
        (VotingClassifier([("a", GaussianNB()), ("b", SVC())]), True),
        (StackingClassifier([("a", GaussianNB())]), True),
        (make_pipeline(GaussianNB()), False),
    ],
    ids=lambda one: "" if isinstance(one, bool) else str(one)[:30],
)
def test_weights_are_taken_as_is_said(iris, model, can):
    X, y = iris[0], iris[1] % 2
    assert (not WEIGHTS.unmet_by(model)) == can
    weight = np.ones(len(y))
    if can:
        model.fit(X, y, sample_weight=weight)
    else:
        with pytest.raises((TypeError, ValueError)):
            model.fit(X, y, sample_weight=weight)


def test_a_stack_has_probabilities():
    assert not PROBABILITIES.unmet_by(StackingClassifier([("a", SVC())]))
    assert PROBABILITIES.unmet_by(VotingClassifier([("a", GaussianNB())])) == "no predict_proba"


def test_what_is_inside_an_ensemble():
    inner = hp.choice("in", [svc("s"), gaussian_nb("n"), sgd_classifier("g")])
    found = left(PROBABILITIES, classifier=one_vs_rest_classifier("o", inner))
    assert {type(model.estimator) for model in found} == {GaussianNB, SGDClassifier}
    assert {
        model.estimator.loss for model in found if isinstance(model.estimator, SGDClassifier)
    } <= {
        "log_loss",
        "modified_huber",
    }


def test_a_space_that_chooses_among_pipelines():
    options = [{"classifier": svc("s"), "regressor": None}, {"classifier": gaussian_nb("n")}]
    found = compile_space(suited(hp.choice("p", options), PROBABILITIES))
    assert [row.distribution.probabilities for row in found.parameters if row.label == "p"] == [
        (0.0, 1.0)
    ]


def test_a_choice_that_decides_on_more_is_left_alone():
    kind = hp.randint("k", 2)
    tree = {"classifier": scope.switch(kind, GaussianNB(), SVC()), "preprocessing": [kind]}
    assert suited(tree, PROBABILITIES) is tree


@pytest.mark.parametrize(
    ("given", "weighted", "error", "message"),
    [
        ({"classifier": k_neighbors_classifier("m")}, True, InvalidArgument, "sample_weight"),
        (
            {"classifier": ridge_classifier("m"), "scoring": "neg_log_loss"},
            False,
            AttributeError,
            "RidgeClassifier has none of the following attributes: predict_proba",
        ),
        (
            {"classifier": hp.choice("m", [SVC(), RidgeClassifier()]), "scoring": "neg_log_loss"},
            False,
            AttributeError,
            "SVC has none",
        ),
    ],
)
def test_models_of_which_none_will_do(iris, given, weighted, error, message):
    X, y = iris
    weight = np.ones(len(y)) if weighted else None
    search = HyperoptEstimator(**given, max_evals=1)
    with pytest.raises(error, match=message):
        search.fit(X, y, sample_weight=weight)
    assert not hasattr(search, "trials_")


def test_no_trial_fails_for_it(iris):
    pair = hp.choice("m", [gaussian_nb("n"), svc("s"), k_neighbors_classifier("k")])
    given = {"classifier": pair, "preprocessing": [], "seed": 0, "max_evals": 6}
    X, y = iris
    found = HyperoptEstimator(**given, scoring="neg_log_loss").fit(X, y)
    assert set(found.leaderboard().learner) == {"GaussianNB", "KNeighborsClassifier"}
    found = HyperoptEstimator(**given, scoring="neg_log_loss").fit(X, y, sample_weight=np.ones(150))
    assert set(found.leaderboard().learner) == {"GaussianNB"}
    assert found.trials.statuses() == ["ok"] * 6


class Lazy(ClassifierMixin, BaseEstimator):
    """Has the methods of what it has fitted."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def __getattr__(self, name):
        if name == "predict_proba" and "model_" in self.__dict__:
            return self.model_.predict_proba
        raise AttributeError(name)


@pytest.mark.filterwarnings("ignore:.*`probability`:FutureWarning")
@pytest.mark.parametrize(
    "model", [Lazy(), GridSearchCV(SVC(), {"probability": [True]})], ids=["lazy", "search"]
)
def test_probabilities_that_a_fit_gives(iris, model):
    steps = hp.choice("p", [[], [StandardScaler()]])
    found = HyperoptEstimator(steps, classifier=model, scoring="neg_log_loss", max_evals=1, seed=0)
    assert found.fit(*iris).best_loss_ < 1


def test_functions_that_take_long_are_called_a_few_times(iris, monkeypatch):
    seconds, calls = itertools.count(), []
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(draws, "time", clock)

    def make(kind):
        calls.append(kind)
        return SVC() if kind == "svc" else GaussianNB()

    model = scope.call(make, hp.choice("kind", ["svc", "nb"]))
    search = HyperoptEstimator([], classifier=model, scoring="neg_log_loss")
    next(search.fit_iter(*iris))
    # What may refuse calls it for some seconds; what leaves models out is not to depend on those.
    assert len(calls) == 4 + 12


def test_what_takes_no_time_is_judged_beside_what_does(iris, monkeypatch, caplog):
    seconds = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(draws, "time", clock)
    slow = scope.call(lambda _: GaussianNB(), hp.uniform("u", 0, 1))
    models = hp.choice("m", [slow, ridge_classifier("r")])
    search = HyperoptEstimator([], classifier=models, scoring="neg_log_loss")
    next(search.fit_iter(*iris))
    assert any("RidgeClassifier (no predict_proba)" in r.message for r in caplog.records)


@pytest.mark.parametrize("wrong", [SVC(gamma="none"), Ridge(), "nothing"])
def test_what_takes_long_is_not_refused_before_it_is_sure(iris, monkeypatch, wrong):
    seconds = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(draws, "time", clock)
    model = scope.call(lambda _: wrong, hp.uniform("u", 0, 1))
    next(HyperoptEstimator([], classifier=model).fit_iter(*iris))


class Plain(ClassifierMixin, BaseEstimator):
    """One's own, which gives no probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


def test_classes_of_ones_own_without_a_method_are_left_out(iris, caplog):
    own = scope.call(lambda _: Plain(), hp.uniform("u", 0, 1))
    models = hp.choice("m", [own, LogisticRegression()])
    search = HyperoptEstimator([], classifier=models, scoring="neg_log_loss", max_evals=4, seed=0)
    search.fit(*iris)
    assert search.trials_.losses().count(None) == 0
    assert any("Plain (no predict_proba)" in record.message for record in caplog.records)
