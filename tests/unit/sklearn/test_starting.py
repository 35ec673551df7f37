"""The portfolio: what a search among several models begins with."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, SplineTransformer, StandardScaler
from sklearn.svm import SVC

from sparktrials import Trials, hp, scope
from sparktrials.sklearn import (
    HyperoptEstimator,
    any_classifier,
    any_regressor,
    any_sparse_classifier,
    any_sparse_regressor,
    extra_trees_classifier,
    gaussian_nb,
    logistic_regression,
    standard_scaler,
    svc,
)
from sparktrials.sklearn.assembly import Recipe, assemble
from sparktrials.sklearn.menus import component_named
from sparktrials.sklearn.spaces import space_of
from sparktrials.sklearn.starting import starting_points
from sparktrials.sklearn.starts import STARTS
from sparktrials.space import as_node, compile_space
from sparktrials.space.codec import Codec

pytestmark = pytest.mark.newest


def begun(X=None, **given):
    tree = space_of(HyperoptEstimator(**given), X)
    space = compile_space(as_node(tree))
    return space, starting_points(tree, space)


def built(X=None, **given):
    space, points = begun(X, **given)
    return [Recipe.of(space.build(point)) for point in points]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@pytest.mark.parametrize(
    "menu", [any_classifier, any_regressor, any_sparse_classifier, any_sparse_regressor]
)
def test_points_lie_in_the_space(menu):
    part = "regressor" if "regressor" in menu.__name__ else "classifier"
    space, points = begun(**{part: menu("m")})
    codec = Codec.of(space)
    assert len(points) >= 3
    for point in points:
        assert space.checked(point) == point
        assert codec.decode(codec.encode([point]))[0] == pytest.approx(point)
    assert len({tuple(point.items()) for point in points}) == len(points)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.component)
def test_each_start_is_what_it_says(start):
    component = component_named(start.component)
    if not component.available:
        pytest.skip(f"{component.package} is not installed")
    kind = component.kind
    tree = space_of(HyperoptEstimator(**{kind: hp.choice("m", [component("a"), None])}))
    space = compile_space(as_node(tree))
    (point,) = starting_points(tree, space, [start])
    recipe = Recipe.of(space.build(point))
    made = recipe.learner.get_params()
    for name, value in start.parameters.items():
        assert made[name] == (pytest.approx(value) if isinstance(value, float) else value), name
    assert recipe.preprocessing_names == ([start.before] if start.before else [])


def test_each_fits(iris):
    X, y = iris
    numbers = make_regression(60, 5, noise=1.0, random_state=0)
    for recipe in built(classifier=any_classifier("m")):
        model = assemble(recipe, (4,), seed=0, n_jobs=1, classes=np.unique(y))
        small = model.set_params(**_few(model)).fit(X, y)
        assert small.score(X, y) > 0.8
    for recipe in built(regressor=any_regressor("m")):
        model = assemble(recipe, (5,), seed=0, n_jobs=1)
        assert model.set_params(**_few(model)).fit(*numbers).score(*numbers) > 0.3


def _few(model):
    """Return parameters for so few trees that a test takes no time."""
    counts = ("n_estimators", "max_iter")
    of_trees = "GradientBoosting", "Forest", "Trees", "XGB", "LGBM"
    return {
        name: 30
        for name, value in model.get_params().items()
        if name.endswith(counts)
        and value is not None
        and any(word in type(model[-1]).__name__ for word in of_trees)
    }


def test_a_space_of_ones_own_is_kept_to():
    narrow = hp.choice(
        "m", [svc("a", C=hp.uniform("C", 0.1, 0.5), kernel="linear"), logistic_regression("b", C=7)]
    )
    first, second, *_ = built(classifier=narrow)
    assert pytest.approx(0.5) == first.learner.C
    assert first.learner.kernel == "linear"
    assert second.learner.C == 7


RBF = svc("rbf", kernel="rbf")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (svc("a", C=10 ** hp.uniform("c", -3, 3)), 1.0),  # an expression stays in the middle
        (svc("a", C=hp.choice("c", [0.1, 1, 10, 100])), 10),
        (svc("a", C=hp.choice("c", [None, 4])), 4),
        (hp.choice("k", [svc("lin", kernel="linear", C=9), RBF]), 5.0),
        (hp.choice("k", [gaussian_nb("n"), hp.choice("l", [svc("lin", kernel="linear"), RBF])]), 5),
    ],
)
def test_what_is_nearest(option, value):
    first = built(classifier=hp.choice("m", [option, logistic_regression("b")]))[0].learner
    assert (first.kernel, pytest.approx(value)) == ("rbf", first.C)


@pytest.mark.parametrize(
    ("transformers", "scaled", "plain"),
    [
        ([[MinMaxScaler()], [StandardScaler()], []], ["StandardScaler"], []),
        ([PCA(2), StandardScaler(), None], ["StandardScaler"], []),
        ([[], [MaxAbsScaler()], [MinMaxScaler()]], ["MinMaxScaler"], []),
        (
            [scope.call(SplineTransformer, knots=np.zeros((2, 1))), standard_scaler("s")],
            ["StandardScaler"],
            ["SplineTransformer"],
        ),
    ],
)
def test_which_transformer_goes_before_a_model(transformers, scaled, plain):
    for recipe in built(
        classifier=hp.choice("m", [svc("a"), extra_trees_classifier("b")]),
        preprocessing=hp.choice("p", transformers),
    ):
        is_scaled = isinstance(recipe.learner, SVC)
        assert recipe.preprocessing_names == (scaled if is_scaled else plain)


def test_kernels_are_for_few_samples():
    tree = space_of(HyperoptEstimator(classifier=any_classifier("m")))
    space = compile_space(as_node(tree))
    for samples, some in ((1000, True), (100_000, False)):
        points = starting_points(tree, space, samples=samples)
        learners = {type(Recipe.of(space.build(point)).learner).__name__ for point in points}
        assert ("SVC" in learners) == some
        assert "ExtraTreesClassifier" in learners


def test_frames_have_their_columns_dealt_with():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": [1.0, 2.0, None] * 4, "b": ["x", "y", "z"] * 4})
    for recipe in built(X, classifier=any_classifier("m")):
        (columns,) = recipe.preprocessing
        steps = {type(s).__name__ for _, part, _ in columns.transformers for _, s in part.steps}
        of_scaled = type(recipe.learner).__name__ in {"SVC", "LogisticRegression"}
        assert steps & {"StandardScaler", "QuantileTransformer"} or not of_scaled
        assert ("TargetEncoder" in steps) != ("OneHotEncoder" in steps)


@pytest.mark.parametrize(
    "given",
    [
        {"classifier": svc("m")},
        {"classifier": hp.choice("m", [gaussian_nb("a"), ExtraTreesClassifier()])},
        {"space": {"classifier": any_classifier("m")}},
        {"portfolio": False},
    ],
)
def test_other_searches_begin_as_they_did(iris, given):
    X, y = iris
    found = HyperoptEstimator(**given, max_evals=1, seed=0, refit=False)
    search = found.fit_iter(X[::3], y[::3])
    next(search)
    search.send(1)
    assert not any(trial.given for trial in found.trials.history)


def test_a_search_begins_with_them_once(iris):
    X, y = iris[0][::2], iris[1][::2]
    pair = hp.choice("m", [extra_trees_classifier("b", n_estimators=5), gaussian_nb("c")])
    given = {"classifier": pair, "seed": 0, "preprocessing": []}
    _, points = begun(classifier=pair, preprocessing=[])
    assert len(points) == 2

    def history(found):
        return [(dict(t.point), t.given) for t in found.trials.history]

    whole = HyperoptEstimator(**given, max_evals=5, fit_increment=1).fit(X, y)
    assert history(whole)[:2] == [(point, True) for point in points]
    assert [of_us for _, of_us in history(whole)] == [True] * 2 + [False] * 3
    # One at a time, with a new estimator, or fewer than there are: the same trials.
    trials = Trials()
    for n in (1, 3, 5):
        HyperoptEstimator(**given, max_evals=n, trials=trials, refit=False).fit(X, y)
        assert len(trials.history) == n
    assert [(dict(t.point), t.given) for t in trials.history] == history(whole)
    more = whole.fit(X, y, warm_start=True)
    assert sum(t.given for t in more.trials.history) == 2
    assert len(more.trials) == 10
