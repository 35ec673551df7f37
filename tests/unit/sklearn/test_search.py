"""A search over an estimator's parameters, beside scikit-learn's own with the same candidates."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sparktrials import Trials, hp, rand
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn import (
    HyperoptEstimator,
    HyperoptSearchCV,
    SparkTrialsSearchCV,
    gaussian_nb,
)
from sparktrials.sklearn.component import SKLEARN
from sparktrials.sklearn.sameness import DATA

DEPTH = {"max_depth": hp.uniformint("depth", 1, 9)}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def tree(**given):
    return DecisionTreeClassifier(random_state=0, **given)


def search(estimator=None, space=DEPTH, max_evals=4, **given):
    given = {"cv": 3, "random_state": 0, **given}
    return SparkTrialsSearchCV(
        tree() if estimator is None else estimator, space, max_evals, **given
    )


def as_grid_search(found, X, y, **params):
    """Return scikit-learn's own search over the candidates that a search has tried."""
    same = {
        name: getattr(found, name)
        for name in ("scoring", "refit", "cv", "error_score", "return_train_score")
    }
    grid = [{k: [v] for k, v in c.items()} for c in found.cv_results_["params"]]
    return GridSearchCV(found.estimator, grid, **same).fit(X, y, **params)


def assert_same_results(found, theirs):
    ours = found.cv_results_
    assert list(ours) == list(theirs.cv_results_)
    for key, column in theirs.cv_results_.items():
        if "_time" not in key:
            np.testing.assert_array_equal(ours[key], column, err_msg=key)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"scoring": "neg_log_loss", "return_train_score": True},
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
        {"scoring": {"a": "accuracy", "b": "balanced_accuracy"}, "refit": False},
        {
            "scoring": ["accuracy"],
            "refit": lambda results: int(results["param_max_depth"].argmin()),
        },
    ],
    ids=["default", "train scores", "several", "no refit", "a function chooses"],
)
def test_results_are_those_of_scikit_learn(iris, given):
    X, y = iris
    found = search(**given).fit(X, y)
    theirs = as_grid_search(found, X, y)
    assert_same_results(found, theirs)
    for name in ("best_index_", "best_score_", "best_params_", "multimetric_", "n_splits_"):
        assert hasattr(found, name) == hasattr(theirs, name), name
        assert getattr(found, name, None) == getattr(theirs, name, None), name
    assert set(vars(theirs)) - {"_checked_cv_orig"} <= {*vars(found), "param_grid"}
    if found.refit:
        assert (found.predict(X) == theirs.predict(X)).all()
        if not callable(found.refit):  # scikit-learn's own does not score then
            assert found.score(X, y) == theirs.score(X, y)
        assert found.classes_.tolist() == [0, 1, 2]


@pytest.mark.newest
def test_what_a_scoring_function_returns(iris):
    X, y = iris

    def scores(estimator, X, y):
        predicted = estimator.predict_proba(X)
        return {"loss": -log_loss(y, predicted), "hits": accuracy_score(y, predicted.argmax(1))}

    found = search(scoring=scores, refit="hits").fit(X, y)
    assert_same_results(found, as_grid_search(found, X, y))
    assert found.trials_.losses()[0] == pytest.approx(-found.cv_results_["mean_test_hits"][0])


def test_it_searches_by_the_score_that_refit_names(iris):
    found = search(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(*iris)
    losses = [-score for score in found.cv_results_["mean_test_neg_log_loss"]]
    assert found.trials_.losses() == pytest.approx(losses)
    assert found.best_score_ == -min(losses)


@pytest.mark.newest
def test_parts_of_a_pipeline_are_parameters(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), SVC())
    space = {
        "standardscaler": hp.choice("scaler", [MinMaxScaler(), "passthrough"]),
        "svc__C": hp.loguniform("C", -3, 3),
    }
    found = search(pipeline, space).fit(X, y)
    assert found.best_estimator_[0] is not found.best_params_["standardscaler"]
    C = found.best_params_["svc__C"]
    chosen = clone(pipeline).set_params(**found.best_params_)
    assert chosen[-1].C == C
    assert cross_val_score(chosen, X, y, cv=3).mean() == pytest.approx(found.best_score_)


@pytest.mark.newest
def test_cases_have_parameters_of_their_own(iris):
    space = hp.choice(
        "kernel",
        [
            {"kernel": "linear", "C": hp.loguniform("C", -2, 2)},
            {"kernel": "rbf", "gamma": hp.loguniform("gamma", -4, 0)},
        ],
    )
    found = search(SVC(), space, max_evals=6).fit(*iris)
    gamma, kernel = found.cv_results_["param_gamma"], found.cv_results_["param_kernel"]
    assert set(kernel) == {"linear", "rbf"}
    assert (gamma.mask == (kernel == "linear")).all()


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_fit_that_fails_costs_one_trial(iris):
    X, y = iris
    space = {"C": hp.choice("C", [1.0, -1.0])}
    found = search(SVC(), space, max_evals=6)
    with pytest.warns(FitFailedWarning, match="fits failed out of a total of 18"):
        found.fit(X, y)
    bad = found.cv_results_["param_C"] == -1.0
    assert 0 < bad.sum() < 6
    assert np.isnan(found.cv_results_["mean_test_score"][bad.astype(bool)]).all()
    assert found.best_params_ == {"C": 1.0}
    assert sorted(set(found.trials_.statuses())) == ["fail", "ok"]


@pytest.mark.newest
def test_a_number_for_fits_that_fail(iris):
    space = {"C": hp.choice("C", [1.0, -1.0])}
    found = search(SVC(), space, max_evals=6, error_score=0.125)
    with pytest.warns(FitFailedWarning):
        found.fit(*iris)
    assert found.cv_results_["mean_test_score"].min() == 0.125


def test_fits_that_all_fail(iris):
    wrong = search(SVC(kernel="precomputed"), {"C": hp.uniform("C", 1, 2)}, max_evals=2)
    with pytest.raises(ValueError, match=r"All the 6 fits failed[\s\S]*should be a square kernel"):
        wrong.fit(*iris)
    with pytest.raises(ValueError, match="should be a square kernel"):
        wrong.set_params(error_score="raise").fit(*iris)


@pytest.mark.newest
def test_a_parameter_that_there_is_not(iris):
    with pytest.raises(ValueError, match="Invalid parameter 'nope'"):
        search(SVC(), {"nope": hp.uniform("C", 1, 2)}, max_evals=1).fit(*iris)


def test_weights_and_groups_are_passed_on(iris):
    X, y = iris
    groups = np.arange(len(y)) % 5
    weight = np.where(y == 2, 0.0, 1.0)
    given = {"groups": groups, "sample_weight": weight}
    # Where the scorer takes weights, later versions of scikit-learn give it them, too.
    found = search(cv=GroupKFold(5)).fit(X, y, **given)
    assert found.n_splits_ == 5
    assert 2 not in found.predict(X)
    assert_same_results(found, as_grid_search(found, X, y, **given))


@pytest.mark.newest
@pytest.mark.filterwarnings("ignore:.*sample_weight.*:UserWarning")
def test_metadata_is_routed(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = tree().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight="importance")
        cv = GroupKFold(3)
        found = search(estimator, scoring=scorer, cv=cv)
        given = {"sample_weight": weight, "importance": 1 - weight, "groups": np.arange(150) % 3}
        found.fit(X, y, **given)
        assert found.cv_results_["mean_test_score"].tolist() == [0.0] * 4
        assert_same_results(found, as_grid_search(found, X, y, **given))
        with pytest.raises(TypeError, match="unexpected argument"):
            found.fit(X, y, nonsense=weight)


@pytest.mark.newest
def test_without_a_target():
    from sklearn.decomposition import PCA

    X = np.random.default_rng(0).normal(size=(60, 5)) @ np.diag([9, 5, 1, 0.1, 0.1])
    found = search(PCA(), {"n_components": hp.uniformint("n", 1, 4)}, cv=KFold(2)).fit(X)
    assert found.transform(X).shape == (60, found.best_params_["n_components"])


def test_trials_that_are_given_go_on(iris, tmp_path):
    X, y = iris
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    once = search(trials=url, max_evals=2).fit(X, y)
    again = search(trials=url, max_evals=4).fit(X, y)
    assert again.cv_results_["params"][:2] == once.cv_results_["params"]
    np.testing.assert_array_equal(
        again.cv_results_["split1_test_score"][:2], once.cv_results_["split1_test_score"]
    )
    assert_same_results(again, as_grid_search(again, X, y))


@pytest.mark.newest
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cv": 4}, "another scoring, loss or number of folds"),
        (
            {"cv": ShuffleSplit(3, test_size=0.2)},
            "trial 0 of the history has 3 folds of other data",
        ),
        ({"scoring": "f1_macro"}, "another scoring, loss or number of folds"),
        ({"return_train_score": True}, "has no train scores"),
    ],
)
@pytest.mark.parametrize("warm_start", [False, True])
def test_what_was_judged_otherwise_is_refused_before_a_trial(changed, message, warm_start, iris):
    X, y = iris
    found = search(max_evals=2, trials=Trials(), warm_start=warm_start).fit(X, y)
    before = found.get_params(deep=False)
    with pytest.raises(InvalidArgument, match=message):
        found.set_params(max_evals=4, **changed).fit(X, y)
    assert len(found.trials_) == 2
    found.set_params(**{**before, "max_evals": 3}).fit(X, y)  # it goes on as it was
    assert len(found.cv_results_["params"]) == 3


@pytest.mark.newest
@pytest.mark.parametrize("several", [["accuracy", "f1_macro"], {"a": "accuracy"}])
def test_a_warm_start_with_more_or_fewer_scores_is_refused(several, iris):
    for first, second in ((None, several), (several, None)):
        found = search(scoring=first, refit=False, warm_start=True).fit(*iris)
        with pytest.raises(InvalidArgument, match="another scoring, loss or number of folds"):
            found.set_params(max_evals=6, scoring=second).fit(*iris)
        assert len(found.trials_) == 4


def test_scores_of_trials_from_elsewhere_are_compared(iris):
    given = {"refit": False, "warm_start": True}
    found = search(**given).fit(*iris)
    for trial in found.trials_.history:
        trial.result.pop(DATA)
    with pytest.raises(InvalidArgument, match="trial 0 of the history has other scores"):
        found.set_params(scoring=["accuracy", "f1_macro"]).fit(*iris)


@pytest.mark.newest
def test_warm_start(iris):
    found = search(max_evals=2, warm_start=True).fit(*iris)
    found.set_params(max_evals=3).fit(*iris)
    assert len(found.trials_) == len(found.cv_results_["params"]) == 3
    assert len(found.set_params(warm_start=False).fit(*iris).trials_) == 3


@pytest.mark.newest
def test_several_processes(iris):
    X, y = iris
    found = search(n_jobs=2, algo=rand.suggest).fit(X, y)
    assert_same_results(found, as_grid_search(found, X, y))


@pytest.mark.newest
def test_the_same_seed_gives_the_same_search(iris):
    once, again = (search(max_evals=6).fit(*iris) for _ in range(2))
    assert once.cv_results_["params"] == again.cv_results_["params"]


@pytest.mark.newest
def test_it_is_cloned_and_pickled(iris):
    found = search(trials=Trials()).fit(*iris)
    assert not hasattr(clone(found), "trials_")
    again = pickle.loads(pickle.dumps(found))
    assert (again.predict(iris[0]) == found.predict(iris[0])).all()


@pytest.mark.newest
def test_searches_nest(iris):
    scores = cross_val_score(search(max_evals=2), *iris, cv=2)
    assert scores.min() > 0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_jobs": 2, "trials": Trials()}, "n_jobs=2 says how many processes"),
        ({"trials": 5}, "trials must be Trials"),
        ({"max_evals": 0}, "The 'max_evals' parameter of SparkTrialsSearchCV must be an int"),
        ({"scoring": ["accuracy", "f1"]}, "the parameter refit must be set"),
        ({"scoring": "nonsense"}, "The 'scoring' parameter"),
        ({"space": hp.uniform("x", 0, 1)}, "must be a dict of the estimator's parameters"),
    ],
)
def test_what_is_refused(given, message, iris):
    with pytest.raises(ValueError, match=message):
        search(**given).fit(*iris)


@pytest.mark.newest
def test_hyperopts_name_and_signature(iris):
    X, y = iris
    found = HyperoptSearchCV(tree(), DEPTH, 3, None, None, False, "accuracy", cv=3, random_state=0)
    found.fit(X, y)
    assert len(found.trials_) == 3
    assert found.best_score_ == found.cv_results_["mean_test_score"].max()
    assert found.get_params()["pre_dispatch"] == "2*n_jobs"
    assert clone(found).max_evals == 3


@pytest.mark.newest
@pytest.mark.skipif(SKLEARN < (1, 9), reason="there are no callbacks")
def test_callbacks_are_for_the_estimator(iris):
    found = search()
    found._skl_callbacks = [object()]
    with pytest.raises(InvalidArgument, match="calls no callbacks"):
        found.fit(*iris)


def test_a_fit_that_is_refused_keeps_the_trials(iris):
    X, y = iris
    search = SparkTrialsSearchCV(SVC(), {"C": hp.uniform("C", 1, 2)}, 1, trials=Trials(), cv=2)
    search.fit(X, y)
    kept = search.trials_
    with pytest.raises(InvalidArgument, match="other data"):
        search.set_params(trials=pickle.loads(pickle.dumps(kept))).fit(X, 1 - y)
    assert search.trials_ is kept


def test_a_class_instead_of_an_estimator(iris):
    with pytest.raises(InvalidArgumentType, match=r"class SVC: give an estimator, SVC\(\)"):
        SparkTrialsSearchCV(SVC, {"C": hp.uniform("C", 1, 2)}, 1).fit(*iris)


def test_weights_of_other_samples_are_refused(iris):
    trials = Trials()
    with pytest.raises(ValueError, match="sample_weight has 5 values, but there are 150 samples"):
        search(trials=trials).fit(*iris, sample_weight=np.ones(5))
    assert not len(trials)


@pytest.mark.parametrize(("places", "wrong"), [((140, 160), 159), ((-151, -140), -151)])
def test_places_that_are_none_are_refused(iris, places, wrong):
    trials = Trials()
    cv = [(np.arange(10), np.arange(10, 20)), (np.arange(10), np.arange(*places))]
    match = f"cv has the place {wrong} in fold 2 of 2, but there are 150 samples"
    for found in (
        search(trials=trials, cv=cv),
        HyperoptEstimator(classifier=gaussian_nb("n"), trials=trials, cv=cv),
    ):
        with pytest.raises(InvalidArgument, match=match):
            found.fit(*iris)
    assert not len(trials)


@pytest.mark.skipif(SKLEARN < (1, 6), reason="it is an error there, for which error_score stands")
def test_an_area_that_is_never_defined_is_refused_whatever_stands_for_errors():
    X, y = np.arange(40.0).reshape(-1, 1), np.repeat([0, 1], 20)
    space = {"C": hp.loguniform("C", -3, 3)}
    search = SparkTrialsSearchCV(SVC(), space, 2, scoring="roc_auc", cv=KFold(4), error_score=0)
    with pytest.raises(InvalidArgument, match="the area is not defined"):
        search.fit(X, y)
