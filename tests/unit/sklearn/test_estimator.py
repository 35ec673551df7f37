"""The search estimator: Hyperopt-Sklearn's arguments and methods, and scikit-learn's."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, mean_absolute_error
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sparktrials import Trials, hp, scope
from sparktrials.errors import InvalidArgument, InvalidPoint, NoPipelineFound
from sparktrials.sklearn import (
    HyperoptEstimator,
    any_sparse_classifier,
    any_text_preprocessing,
    gaussian_nb,
    linear_discriminant_analysis,
    pca,
    ridge,
    sgd_classifier,
    standard_scaler,
    svc,
)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def search(**given):
    given.setdefault("max_evals", 4)
    given.setdefault("seed", 0)
    return HyperoptEstimator(**given)


def test_it_finds_fits_and_predicts(iris):
    X, y = iris
    found = search(classifier=linear_discriminant_analysis("m")).fit(X, y, n_folds=3)
    assert found.score(X, y) > 0.9
    assert found.best_loss_ == min(found.trials.losses())
    assert len(found.trials) == 4
    assert found.predict_proba(X).shape == (150, 3)
    assert found.classes_.tolist() == [0, 1, 2]
    assert found.n_features_in_ == 4
    assert isinstance(found.best_pipeline_, Pipeline)
    assert set(found.best_model()) == {"learner", "preprocs", "ex_preprocs"}


def test_regression_and_a_loss_of_ones_own(diabetes):
    X, y = diabetes
    found = search(regressor=ridge("m"), preprocessing=[], loss_fn=mean_absolute_error)
    found.fit(X, y, valid_size=0.25)
    model = clone(found.best_pipeline_).fit(X[:331], y[:331])
    assert found.best_loss_ == pytest.approx(mean_absolute_error(y[331:], model.predict(X[331:])))


@pytest.mark.newest
def test_probabilities_reach_the_loss(iris):
    X, y = iris
    found = search(
        classifier=gaussian_nb("m"), loss_fn=log_loss, continuous_loss_fn=True, max_evals=2
    )
    assert found.fit(X, y).best_loss_ < 0.5


def test_scoring_and_cv(diabetes):
    X, y = diabetes
    cv = KFold(3, shuffle=True, random_state=1)
    found = search(regressor=ridge("m"), scoring="neg_mean_absolute_error", cv=cv).fit(X, y)
    assert len(found.trials.results[0]["scores"]) == 3
    assert found.score(X, y) == pytest.approx(-mean_absolute_error(y, found.predict(X)))


@pytest.mark.newest
def test_the_same_seed_gives_the_same_search(iris):
    X, y = iris
    once, again = (search(classifier=sgd_classifier("m")).fit(X, y) for _ in range(2))
    assert once.trials.losses() == again.trials.losses()
    assert (once.predict(X) == again.predict(X)).all()


@pytest.mark.newest
def test_warm_start_adds_trials(iris):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), max_evals=2).fit(X, y)
    assert len(found.fit(X, y, warm_start=True).trials) == 4
    assert len(found.fit(X, y).trials) == 2


@pytest.mark.newest
def test_fit_iter_goes_on_as_long_as_it_is_asked(iris):
    found = search(classifier=gaussian_nb("m"))
    steps = found.fit_iter(*iris)
    assert len(next(steps)) == 0
    assert len(steps.send(2)) == 2
    assert len(next(steps)) == 4
    assert found.best_loss_ < 1
    with pytest.raises(NotFittedError, match="not fitted"):
        found.predict(iris[0])


@pytest.mark.newest
def test_trials_that_are_given_go_on(iris, tmp_path):
    X, y = iris
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    search(classifier=gaussian_nb("m"), trials=url, max_evals=2).fit(X, y)
    found = search(classifier=gaussian_nb("m"), trials=url, max_evals=3).fit(X, y)
    assert len(found.trials) == 3


@pytest.mark.newest
def test_a_file_is_written_meanwhile(iris, tmp_path):
    file = tmp_path / "trials.pkl"
    search(classifier=gaussian_nb("m"), fit_increment_dump_filename=file, max_evals=2).fit(*iris)
    assert len(pickle.loads(file.read_bytes())) == 2


def test_all_failed_says_why(iris):
    wrong = hp.choice("c", [SVC(kernel="precomputed"), KNeighborsClassifier(10_000)])
    with pytest.raises(NoPipelineFound, match="All trials failed") as caught:
        search(classifier=wrong, max_evals=6).fit(*iris)
    text = str(caught.value)
    assert "6 of 6" in text
    assert "x ValueError: Expected n_neighbors" in text
    assert "Traceback" in text


@pytest.mark.newest
def test_exogenous_data(diabetes):
    X, y = diabetes
    parts = {"X": X[:, :6], "EX_list": [X[:, 6:]]}
    found = search(
        regressor=ridge("m"), preprocessing=[pca("p")], ex_preprocs=[[standard_scaler("s")]]
    )
    found.fit(y=y, **parts)
    assert found.predict(**parts).shape == y.shape
    assert found.best_model()["ex_preprocs"]
    with pytest.raises(InvalidArgument, match="EX_list has 0 data sets"):
        found.predict(X[:, :6])


@pytest.mark.newest
def test_exogenous_data_may_have_a_choice(diabetes):
    X, y = diabetes
    options = [[[pca("p")]], [[standard_scaler("s")]], [[]]]
    found = search(
        regressor=ridge("m"), preprocessing=[], ex_preprocs=hp.choice("e", options), max_evals=8
    )
    found.fit(X[:, :6], y, EX_list=[X[:, 6:]])
    assert found.trials.statuses() == ["ok"] * 8
    assert {tuple(doc["misc"]["vals"]["e"]) for doc in found.trials.trials} == {(0,), (1,), (2,)}


@pytest.mark.newest
def test_exogenous_data_without_a_list_fails_with_the_reason(diabetes):
    X, y = diabetes
    given = hp.choice("e", [scope.call(_scaler), scope.call(PCA)])
    with pytest.raises(InvalidArgument, match="PCA alone"):
        search(regressor=ridge("m"), ex_preprocs=given).fit(X, y)
    given = hp.choice("e", [scope.call(_scaler)])
    with pytest.raises(InvalidArgument, match="ex_preprocs must be a list"):
        search(regressor=ridge("m"), ex_preprocs=given).fit(X, y)


def _scaler():
    return StandardScaler()


def test_text():
    texts = ["good fine nice"] * 10 + ["bad poor awful"] * 10
    y = np.array([1] * 10 + [0] * 10)
    pair = {
        "preprocessing": any_text_preprocessing("p"),
        "classifier": any_sparse_classifier("m"),
    }
    found = search(**pair, max_evals=3)
    assert found.fit(texts, y, cv_shuffle=True).predict(["nice and good"]).tolist() in ([0], [1])


@pytest.mark.newest
def test_learning_in_rounds(iris):
    X, y = iris
    found = search(classifier=sgd_classifier("m"), use_partial_fit=True, max_evals=2).fit(X, y)
    assert found.trials.best_trial["result"]["iterations"] >= 1
    assert found.score(X, y) > 0.5


def test_learning_in_rounds_heeds_weights(iris):
    X, y = iris
    # Whoever weighs next to nothing is not learnt.
    weight = np.where(y == 2, 1e-12, 1.0)
    found = search(
        classifier=sgd_classifier("m", class_weight="balanced", loss="log_loss"),
        preprocessing=[standard_scaler("s", with_mean=True, with_std=True)],
        use_partial_fit=True,
        max_evals=1,
    ).fit(X, y, sample_weight=weight)
    assert isinstance(found.best_pipeline_[-1].class_weight, dict)
    assert (found.predict(X) == 2).mean() < 0.1


def test_weights_reach_the_model(diabetes):
    X, y = diabetes
    weight = np.where(np.arange(len(y)) < 100, 1.0, 1e-9)
    found = search(regressor=ridge("m", alpha=1e-3), preprocessing=[], max_evals=1, loss_fn=None)
    # Of the samples only the first hundred count.
    found.fit(X, y, sample_weight=weight, n_folds=3)
    few = Ridge(**found.best_pipeline_[-1].get_params()).fit(X[:100], y[:100])
    assert found.predict(X) == pytest.approx(few.predict(X), rel=1e-2, abs=1)


@pytest.mark.newest
def test_the_best_pipeline_needs_only_scikit_learn(iris, tmp_path):
    X, y = iris
    found = search(classifier=svc("m"), preprocessing=[standard_scaler("s")]).fit(X, y)
    file = tmp_path / "best.pkl"
    file.write_bytes(pickle.dumps(found.best_pipeline_))
    code = (
        "import pickle, sys\n"
        f"best = pickle.load(open({str(file)!r}, 'rb'))\n"
        "print(len(best.predict([[1, 2, 3, 4]])), 'sparktrials' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_code_makes_the_same_pipeline(iris):
    X, y = iris
    found = search(classifier=svc("m")).fit(X, y)
    made: dict = {}
    exec(found.to_code(), made)
    assert (made["pipeline"].fit(X, y).predict(X) == found.predict(X)).all()


def test_it_is_what_it_searches():
    assert is_classifier(search())
    assert is_regressor(search(regressor=ridge("m")))
    assert is_regressor(search(space={"classifier": None, "regressor": ridge("m")}))


def test_parameters_are_kept_and_cloned(iris):
    found = search(classifier=gaussian_nb("m"), max_evals=1).fit(*iris)
    assert found.get_params()["trials"] is None
    assert not hasattr(clone(found), "trials_")
    again = pickle.loads(pickle.dumps(found))
    assert (again.predict(iris[0]) == found.predict(iris[0])).all()


@pytest.mark.newest
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classifier": svc("a"), "regressor": ridge("b")}, "a classifier or a regressor"),
        ({"space": {"classifier": svc("a")}, "preprocessing": []}, "preprocessing belongs into it"),
        ({"continuous_loss_fn": True}, "continuous_loss_fn=True needs loss_fn"),
        ({"loss_fn": log_loss, "scoring": "accuracy"}, "give one"),
        ({"trials": 5}, "trials must be Trials"),
        ({"trials": Trials(), "trial_timeout": 3}, "needs trials that can be ended"),
    ],
)
def test_what_is_refused(given, message, iris):
    with pytest.raises(InvalidArgument, match=message):
        search(**given).fit(*iris)


@pytest.mark.newest
def test_a_space_of_its_own(iris):
    space = {"classifier": svc("m"), "regressor": None, "preprocessing": [standard_scaler("s")]}
    assert search(space=space).fit(*iris).score(*iris) > 0.5


def test_names_of_columns(iris):
    import pandas as pd

    X = pd.DataFrame(iris[0], columns=list("abcd"))
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1).fit(X, iris[1])
    assert found.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        found.predict(X.rename(columns={"a": "z"}))


DEPTH = hp.uniformint("depth", 3, 5)


class Numbers(DecisionTreeClassifier):
    """Is as XGBoost's is: it takes labels 0, 1, ... alone."""

    def fit(self, X, y, sample_weight=None):
        if not np.array_equal(np.unique(y), np.arange(len(np.unique(y)))):
            raise ValueError("Invalid classes inferred from unique values of `y`")
        return super().fit(X, y, sample_weight)


@pytest.mark.newest
def test_labels_of_all_kinds(iris, monkeypatch):
    X, y = iris
    monkeypatch.setattr(Numbers, "__module__", "xgboost.sklearn")
    names = np.array(["a", "b", "c"])[y]
    found = search(
        classifier=scope.call(Numbers, max_depth=DEPTH), preprocessing=[], max_evals=1
    ).fit(X, names)
    assert found.score(X, names) > 0.9
    assert found.predict_proba(X).shape == (150, 3)
    found.fit(X, y)
    assert isinstance(found.best_pipeline_[-1], Numbers)
    found.cv = [(np.flatnonzero(y != 1), np.arange(len(y)))]  # no sample of a label to fit by
    assert 0.3 < found.fit(X, y).best_loss_ < 0.4
    assert isinstance(found.best_pipeline_[-1], Numbers)


@pytest.mark.newest
def test_a_column_of_predictions_is_flattened(iris):
    X, y = iris

    class Column(DecisionTreeClassifier):
        def predict(self, X):
            return super().predict(X).reshape(-1, 1)

    found = search(
        classifier=scope.call(Column, max_depth=DEPTH), preprocessing=[], max_evals=1
    ).fit(X, y)
    assert found.predict(X).shape == y.shape


@pytest.mark.newest
def test_weights_reach_the_scorer(iris):
    X, y = iris
    weight = np.where(y == 2, 1e-9, 1.0)
    given = {"classifier": gaussian_nb("m"), "preprocessing": [], "max_evals": 1}
    found = search(scoring="accuracy", **given).fit(X, y, sample_weight=weight)
    assert found.best_loss_ == pytest.approx(-1, abs=1e-6)  # whoever is mistaken weighs nothing
    assert found.score(X, y, sample_weight=weight) == pytest.approx(1, abs=1e-6)
    assert found.score(X, y) < 0.99


@pytest.mark.newest
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"scoring": lambda model, X, y: model.score(X, y)}, "does not support sample_weight"),
        ({"loss_fn": mean_absolute_error}, "loss_fn gets no sample_weight"),
    ],
)
def test_weights_that_do_not_reach_the_comparison_are_told_of(how, message, iris):
    X, y = iris
    model = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1, **how)
    with pytest.warns(UserWarning, match=message):
        model.fit(X, y, sample_weight=np.ones(len(y)))


@pytest.mark.newest
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classifier": svc}, r"was not called: svc\('label'\)"),
        ({"classifier": [svc("a"), gaussian_nb("b")]}, r"hp\.choice\('label', \[\.\.\.\]\)"),
        ({"max_evals": 0}, "max_evals must be a positive integer, got 0"),
        ({"max_evals": 1.5}, "max_evals must be a positive integer, got 1.5"),
        ({"max_evals": "a"}, "max_evals must be a positive integer, got 'a' of type str"),
        ({"fit_increment": 0}, "fit_increment must be a positive integer, got 0"),
        ({"seed": "a"}, "seed must be an int, .* got 'a'"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"ex_preprocs": standard_scaler("s")}, "ex_preprocs .* a StandardScaler alone"),
        (
            {"ex_preprocs": hp.choice("e", [[[pca("p")]], PCA()])},
            "ex_preprocs is, or may become, a PCA alone",
        ),
    ],
)
def test_what_is_wrong_with_a_search_is_said_at_once(iris, given, message):
    with pytest.raises(InvalidArgument, match=message):
        search(**given).fit(*iris)


@pytest.mark.newest
def test_infinite_features_are_refused_at_once(iris):
    X, y = iris
    with pytest.raises(ValueError, match="contains infinity"):
        search().fit(np.where(X > 5, np.inf, X), y)


@pytest.mark.newest
def test_a_pipeline_that_the_user_fits_predicts(iris):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), refit=False).fit(X, y)
    with pytest.raises(NotFittedError, match="call retrain_best_model_on_full_data"):
        found.predict(X)
    found.best_pipeline_.fit(X, y)
    assert len(found.predict(X)) == len(X)


def test_the_best_pipeline_is_fitted_anew(iris):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=2)
    steps = found.fit_iter(X[:100], y[:100])
    next(steps)
    next(steps)
    assert found.retrain_best_model_on_full_data(X, y) is None
    theirs = clone(found.best_pipeline_).fit(X, y)
    assert (found.predict_proba(X) == theirs.predict_proba(X)).all()
    weight = np.where(y == 2, 1e-9, 1.0)
    found._retrain_best_model_on_full_data(X, y, weights=weight)
    assert (found.predict(X) == 2).sum() < 10


def test_rounds_begin_anew(iris):
    X, y = iris
    found = search(classifier=sgd_classifier("m"), use_partial_fit=True, max_evals=1).fit(X, y)
    before = found.predict(X)
    found.retrain_best_model_on_full_data(X, y)
    assert (found.predict(X) == before).all()


def test_a_fit_that_is_refused_leaves_all_as_it_was(iris):
    X, y = iris[0], iris[1] % 2
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=2).fit(X, y)
    before = found.predict(X)
    words = np.where(y, "no", "yes")
    with pytest.raises(InvalidArgument, match="pos_label"):
        found.set_params(scoring="f1").fit(X[:, :3], words)
    assert found.classes_.tolist() == [0, 1]
    assert found.n_features_in_ == 4
    assert len(found.trials) == 2
    assert (found.predict(X) == before).all()
    mine = Trials()
    found.set_params(scoring=None, trials=mine).fit(X, y)
    with pytest.raises(InvalidArgument, match="other data"):
        found.fit(X[:, :3], words)
    assert (found.predict(X) == before).all()


def test_a_search_that_fails_leaves_nothing_of_an_earlier_one(iris):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1).fit(X, y)
    breaks = FunctionTransformer(np.linalg.cholesky)
    with pytest.raises(NoPipelineFound):
        found.set_params(preprocessing=[breaks]).fit(X, y)
    with pytest.raises(NotFittedError):
        found.predict(X)
    assert not hasattr(found, "best_loss_")
    found.set_params(regressor=ridge("r"), classifier=None, preprocessing=[]).fit(X, y)
    assert not hasattr(found, "classes_")


def test_a_new_fit_of_the_best_that_fails_leaves_it_as_it_was(iris):
    X, y = iris[0], iris[1] % 2
    found = search(classifier=svc("s"), preprocessing=[], max_evals=1).fit(X, y)
    before = found.predict(X)
    with pytest.raises(ValueError, match="class"):
        found.retrain_best_model_on_full_data(X, np.full(len(y), "a"))
    assert found.classes_.tolist() == [0, 1]
    assert (found.predict(X) == before).all()
    found.retrain_best_model_on_full_data(X, np.where(y, "a", "b"))
    assert found.classes_.tolist() == ["a", "b"]


def test_weights_of_the_search_are_those_of_the_best_pipeline(iris):
    X, y = iris
    weight = np.where(y == 2, 1e-9, 1.0)
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1)
    steps = found.fit_iter(X, y, sample_weight=weight)
    next(steps)
    next(steps)
    found.retrain_best_model_on_full_data(X, y)
    assert (found.predict(X) == 2).sum() < 10
    found.retrain_best_model_on_full_data(X, y, sample_weight=np.ones(len(y)))
    assert (found.predict(X) == 2).sum() > 40
    for others in ((X[:50], y[:50]), (X[::-1], y[::-1])):
        n = len(others[1])
        with pytest.raises(InvalidArgument, match=rf"these are others: .*np\.ones\({n}\)"):
            found.retrain_best_model_on_full_data(*others)
    with pytest.raises(InvalidArgument, match="two names of one argument"):
        found.retrain_best_model_on_full_data(X, y, weights=weight, sample_weight=weight)


@pytest.mark.parametrize("sent", [-1, "a", 2.5])
def test_what_cannot_be_the_next_increment(iris, sent):
    steps = search(classifier=gaussian_nb("m")).fit_iter(*iris)
    assert not next(steps)
    with pytest.raises((ValueError, TypeError), match="the number sent to fit_iter must be"):
        steps.send(sent)


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_fit_that_is_refused_after_its_start_leaves_the_earlier_one(iris, warm_start):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1).fit(X, y)
    before, trials = found.predict(X), found.trials
    wrong = (
        {"classifier": linear_discriminant_analysis("t")} if warm_start else {"algo": "nonsense"}
    )
    with pytest.raises((InvalidArgument, InvalidPoint, TypeError)):
        found.set_params(**wrong).fit(X, y, warm_start=warm_start)
    assert found.trials is trials
    assert np.array_equal(found.predict(X), before)
    assert not hasattr(found, "_data")


def test_a_search_that_goes_on_keeps_its_best_until_there_is_a_better_one(iris):
    X, y = iris
    found = search(classifier=gaussian_nb("m"), preprocessing=[], max_evals=1).fit(X, y)
    before = found.predict(X)
    steps = found.fit_iter(X, y, warm_start=True)
    next(steps)
    steps.close()
    assert np.array_equal(found.predict(X), before)


def test_a_fitted_search_carries_no_weights(iris):
    X, y = iris
    given = {"classifier": gaussian_nb("m"), "preprocessing": [], "max_evals": 1}
    plain = search(**given).fit(X, y)
    weighted = search(**given).fit(X, y, sample_weight=np.linspace(0.5, 1, len(y)))
    assert len(pickle.dumps(weighted)) < len(pickle.dumps(plain)) + 8 * len(y) / 2
