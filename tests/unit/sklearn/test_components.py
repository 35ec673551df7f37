"""Every component's space, sampled: what it draws is made and fits, or fails as its row says."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn import menus
from sparktrials.sklearn.component import Cases, Component, OneOf, Real, Whole, class_of
from sparktrials.sklearn.kernels import k_neighbors_classifier, linear_svc, svc
from sparktrials.sklearn.linear import logistic_regression
from sparktrials.sklearn.menus import COMPONENTS
from sparktrials.sklearn.others import mlp_classifier
from sparktrials.sklearn.transforms import one_hot_encoder, ts_lagselector
from sparktrials.sklearn.trees import random_forest_classifier
from sparktrials.space import compile_space
from sparktrials.suggest.random import suggest as random_suggest

TEXTS = [
    "the cat sat on the mat",
    "a dog and a cat in the house",
    "the house of the dog is on the hill",
    "cats and dogs and mats on hills",
    "one mat for the cat and one for the dog",
    "on the hill there is a house for a cat",
] * 6
#: Parameters that make a fit take long, and the most that this test lets them be.
CHEAP = {
    "n_estimators": 20,
    "iterations": 10,
    "max_subpopulation": 100,
    "n_init": 2,
    "max_iter": 100,
    "cv": 3,
}


def data_for(component: Component, rng: np.random.Generator):
    """Return 60 samples of the kind that a component takes."""
    if component.needs == "text":
        return TEXTS, None
    X = rng.normal(size=(60, 250 if component.name == "truncated_svd" else 12))
    if component.needs == "non-negative":
        X = np.abs(X)
    if component.needs == "categories":
        X = rng.integers(0, 4, size=(60, 5))
    target = 3 * X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=60)
    if component.kind == "classifier":
        return X, np.digitize(target, np.quantile(target, [0.33, 0.66]))
    if component.needs == "positive target":
        return X, np.exp(target / 3)
    if component.needs == "several targets":
        return X, np.column_stack([target, -target + X[:, 2]])
    return X, target


def sampled(node, seed: int):
    """Return what a random point of a space builds."""
    space = compile_space({"made": node})
    rng = np.random.default_rng(seed)
    point = {}
    for parameter in space.parameters:
        point[parameter.label] = draw(parameter.distribution, rng)
    return space.build({label: point[label] for label in space.active(point)})["made"]


def draw(distribution, rng):
    name = type(distribution).__name__
    if name == "Categorical":
        return int(rng.integers(len(distribution.probabilities)))
    if name == "Integer":
        return int(rng.integers(distribution.low, distribution.high))
    value = rng.uniform(distribution.low, distribution.high)
    value = np.exp(value) if distribution.log else value
    return float(np.round(value / distribution.q) * distribution.q if distribution.q else value)


def fit_one(component: Component, seed: int) -> str:
    """Fit a sampled configuration; return why it could not be, or nothing."""
    rng = np.random.default_rng(seed)
    estimator = sampled(component("c"), seed)
    known = estimator.get_params()
    cheap = {k: min(known[k], v) for k, v in CHEAP.items() if known.get(k) is not None}
    estimator.set_params(**cheap)
    X, y = data_for(component, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        warnings.simplefilter("error", DeprecationWarning)
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category)
        try:
            if component.kind in {"preprocessor", "text"}:
                out = estimator.fit_transform(X, y)
                assert out.shape[0] == len(X)
            elif component.kind == "detector":
                estimator.fit(X)
            else:
                predicted = np.asarray(estimator.fit(X, y).predict(X))
                assert len(predicted) == len(X)
        except (ValueError, TypeError) as error:
            return f"{type(error).__name__}: {error} ({estimator})"
    return ""


def available() -> list[Component]:
    return [c for c in COMPONENTS if c.available]


@pytest.mark.parametrize("component", available(), ids=lambda c: c.name)
def test_a_sample_fits(component):
    failure = fit_one(component, len(component.name))
    assert component.fails or not failure, failure


@pytest.mark.soak
@pytest.mark.parametrize("component", available(), ids=lambda c: c.name)
def test_twenty_samples_fit(component):
    failures = [why for seed in range(20) if (why := fit_one(component, seed))]
    assert component.fails or not failures, failures[0]
    assert len(failures) < 12, failures


@pytest.mark.newest
@pytest.mark.parametrize("name", menus.__all__)
def test_menus_build_what_they_offer(name):
    if name == "COMPONENTS" or name.startswith("forest"):
        return
    for seed in range(3):
        made = sampled(getattr(menus, name)("m"), seed)
        for estimator in made if isinstance(made, tuple) else [made]:
            assert hasattr(estimator, "fit")


@pytest.mark.newest
def test_names_and_labels_are_unique():
    assert len({c.name for c in COMPONENTS}) == len(COMPONENTS)
    for kind in ("classifier", "regressor"):
        shorts = [c.short for c in COMPONENTS if c.kind == kind]
        assert len(set(shorts)) == len(shorts)


@pytest.mark.newest
def test_what_is_given_is_not_searched():
    node = svc("s", C=2.0, kernel="rbf", tol=hp.loguniform("mine", -9, -2))
    space = compile_space({"made": node})
    assert "s.C" not in space.labels
    assert "mine" in space.labels
    assert not [label for label in space.labels if "degree" in label or "coef0" in label]
    made = sampled(node, 0)
    assert (made.C, made.kernel) == (2.0, "rbf")


@pytest.mark.newest
def test_a_given_value_keeps_the_cases_that_allow_it():
    for seed in range(20):
        made = sampled(linear_svc("l", penalty="l2"), seed)
        assert made.penalty == "l2"
        assert (made.loss, made.dual) in {("squared_hinge", "auto"), ("hinge", True)}
    assert sampled(svc("s", gamma=0.25), 3).gamma == 0.25


@pytest.mark.newest
def test_a_value_that_no_case_has_replaces_them():
    made = sampled(svc("s", kernel="precomputed"), 0)
    assert (made.kernel, made.degree) == ("precomputed", 3)
    assert sampled(svc("s", kernel=hp.choice("k", ["rbf", "linear"])), 0).kernel in {
        "rbf",
        "linear",
    }


@pytest.mark.newest
def test_a_list_that_is_given_stays_one():
    categories = [["a", "b"], ["c"]]
    assert sampled(one_hot_encoder("e", categories=categories), 0).categories is categories


@pytest.mark.newest
@pytest.mark.parametrize(
    "component", [c for c in available() if c.kind == "classifier"], ids=lambda c: c.name
)
def test_weights_of_classes_are_searched_where_a_class_takes_them(component):
    cases = (table for case in component.cases for table in case.tables)
    searched = {name for table in (component.table, *cases) for name in table}
    if "class_weight" in inspect.signature(class_of(component.path)).parameters:
        assert "class_weight" in searched


@pytest.mark.newest
def test_layers_stay_tuples():
    assert isinstance(sampled(mlp_classifier("m"), 0).hidden_layer_sizes, tuple)


@pytest.mark.newest
def test_bounds_of_whole_numbers_are_kept():
    space = compile_space(k_neighbors_classifier("k", weights="uniform", metric="euclidean"))
    label = "k.n_neighbors"
    d = space.parameters[space.index[label]].distribution
    assert round(np.exp(d.low)) == 1
    assert round(np.exp(d.high)) == 30


@pytest.mark.newest
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: svc("s", penalty="l1"), "svc has no parameter 'penalty'; SVC takes C, "),
        (lambda: ts_lagselector("l", 5, 2), "lower_lags <= upper_lags"),
        (lambda: menus.component_named("nope"), "there is no component 'nope'"),
        (
            lambda: Component("x", "x", "nonesuch.Thing", "classifier")("x"),
            "Thing needs the package nonesuch, which is not installed",
        ),
        (
            lambda: Component("x", "x", "sklearn.svm.Nonesuch", "classifier")("x"),
            "the installed version of sklearn has no sklearn.svm.Nonesuch",
        ),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        wrong()


@pytest.mark.newest
def test_a_label_is_text():
    with pytest.raises(InvalidArgumentType, match="svc takes a label"):
        svc(5)


@pytest.mark.newest
def test_lags_keep_columns():
    X = np.arange(12).reshape(3, 4)
    assert sampled(ts_lagselector("l", 2, 2), 0).fit_transform(X).tolist() == X[:, :2].tolist()
    assert sampled(ts_lagselector("l", -3, -3), 0).fit_transform(X).tolist() == X[:, -3:].tolist()


@pytest.mark.newest
def test_entries_are_what_the_docstring_says():
    table = {"a": Real(0.5, 1), "b": Whole(2, 4), "c": OneOf("x", Real(1, 2))}
    component = Component("d", "d", "builtins.dict", "preprocessor", table, (Cases("e", {"f": 1}),))
    made = sampled(component("d"), 0)
    assert 0.5 <= made["a"] <= 1
    assert made["b"] in {2, 3, 4}
    assert made["c"] == "x" or 1 <= made["c"] <= 2
    assert made["f"] == 1


@pytest.mark.newest
def test_spaces_travel():
    import cloudpickle

    space = compile_space(
        {"m": hp.choice("m", [svc("s"), logistic_regression("l"), random_forest_classifier("r")])}
    )
    assert len(cloudpickle.dumps(space)) < 20_000


@pytest.mark.newest
def test_algorithms_take_them():
    from sparktrials import fmin

    point = fmin(
        lambda made: float(made["m"].get_params()["C"]),
        {"m": svc("s")},
        algo=random_suggest,
        max_evals=3,
        rstate=0,
        verbose=False,
    )
    assert "s.C" in point


@pytest.mark.newest
def test_the_page_has_the_tables():
    from tests.unit.sklearn import list_components

    page = list_components.PAGE.read_text()
    if list_components.HEAD not in page:
        pytest.skip("docs/sklearn-components.md is of another version of scikit-learn")
    assert [c.name for c in COMPONENTS if list_components.row(c) not in page] == []
