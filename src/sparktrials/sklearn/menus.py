"""Choices among components: ``any_classifier("model")`` and the like.

The first options of each ``any_*`` are Hyperopt-Sklearn's, in its order; what it has not follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sparktrials import hp
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.kernels import (
    KERNELS,
    k_neighbors_classifier,
    k_neighbors_regressor,
    linear_svc,
    linear_svr,
    svc,
    svr,
)
from sparktrials.sklearn.linear import LINEAR_CLASSIFIERS, logistic_regression, sgd_classifier
from sparktrials.sklearn.linear_regressors import (
    LINEAR_REGRESSORS,
    elastic_net,
    ridge,
    sgd_regressor,
)
from sparktrials.sklearn.others import OTHERS, multinomial_nb
from sparktrials.sklearn.transforms import (
    TEXT,
    TRANSFORMS,
    count_vectorizer,
    hashing_vectorizer,
    max_abs_scaler,
    min_max_scaler,
    normalizer,
    pca,
    quantile_transformer,
    standard_scaler,
    tfidf_vectorizer,
    ts_lagselector,
)
from sparktrials.sklearn.trees import (
    BOOSTING_PACKAGES,
    TREES,
    ada_boost_classifier,
    ada_boost_regressor,
    extra_trees_classifier,
    extra_trees_regressor,
    gradient_boosting_classifier,
    gradient_boosting_regressor,
    hist_gradient_boosting_classifier,
    hist_gradient_boosting_regressor,
    lightgbm_classification,
    lightgbm_regression,
    random_forest_classifier,
    random_forest_regressor,
    xgboost_classification,
    xgboost_regression,
)

if TYPE_CHECKING:
    from sparktrials.sklearn.component import Component
    from sparktrials.space.nodes import Node

__all__ = [
    "COMPONENTS",
    "all_classifiers",
    "all_preprocessing",
    "all_regressors",
    "any_classifier",
    "any_preprocessing",
    "any_regressor",
    "any_sparse_classifier",
    "any_sparse_preprocessing",
    "any_sparse_regressor",
    "any_text_preprocessing",
    "forest_classifiers",
    "forest_regressors",
]

#: Every component of the tables.
COMPONENTS: tuple[Component, ...] = (
    *TREES,
    *KERNELS,
    *LINEAR_CLASSIFIERS,
    *LINEAR_REGRESSORS,
    *OTHERS,
    *BOOSTING_PACKAGES,
    *TRANSFORMS,
    *TEXT,
)

_ANY_CLASSIFIER = (
    svc,
    k_neighbors_classifier,
    random_forest_classifier,
    extra_trees_classifier,
    ada_boost_classifier,
    gradient_boosting_classifier,
    sgd_classifier,
    xgboost_classification,
    logistic_regression,
    hist_gradient_boosting_classifier,
    lightgbm_classification,
)
_ANY_REGRESSOR = (
    svr,
    k_neighbors_regressor,
    random_forest_regressor,
    extra_trees_regressor,
    ada_boost_regressor,
    gradient_boosting_regressor,
    sgd_regressor,
    xgboost_regression,
    ridge,
    hist_gradient_boosting_regressor,
    lightgbm_regression,
)


def _models(name: str, components: Iterable[Component]) -> Node:
    return hp.choice(name, [c(f"{name}.{c.short}") for c in components if c.available])


def any_classifier(name: str) -> Node:
    """One of the classifiers that are worth a try on most data.

    XGBoost and LightGBM are among them where they are installed.
    """
    return _models(name, _ANY_CLASSIFIER)


def any_regressor(name: str) -> Node:
    """One of the regressors that are worth a try on most data.

    XGBoost and LightGBM are among them where they are installed.
    """
    return _models(name, _ANY_REGRESSOR)


def any_sparse_classifier(name: str) -> Node:
    """One of the classifiers for sparse data without negative values, such as text."""
    return hp.choice(
        name,
        [
            linear_svc(f"{name}.linear_svc"),
            sgd_classifier(f"{name}.sgd"),
            k_neighbors_classifier(f"{name}.knn", metric="euclidean"),
            multinomial_nb(f"{name}.multinomial_nb"),
            logistic_regression(f"{name}.logistic_regression"),
        ],
    )


def any_sparse_regressor(name: str) -> Node:
    """One of the regressors for sparse data."""
    return hp.choice(
        name,
        [
            sgd_regressor(f"{name}.sgd"),
            k_neighbors_regressor(f"{name}.knn", metric="euclidean"),
            ridge(f"{name}.ridge", fit_intercept=True),
            elastic_net(f"{name}.elastic_net"),
            linear_svr(f"{name}.linear_svr"),
        ],
    )


def _steps(name: str, components: Iterable[Component]) -> Node:
    return hp.choice(name, [[c(f"{name}.{c.short}")] for c in components])


def any_preprocessing(name: str) -> Node:
    """A list of one transformer for dense numbers, or an empty one."""
    chosen = (pca, standard_scaler, min_max_scaler, normalizer, quantile_transformer)
    return hp.choice(name, [*([c(f"{name}.{c.short}")] for c in chosen), []])


def any_text_preprocessing(name: str) -> Node:
    """A list of one vectorizer for text."""
    return _steps(name, (tfidf_vectorizer, hashing_vectorizer, count_vectorizer))


def any_sparse_preprocessing(name: str) -> Node:
    """A list of one transformer that keeps sparse data sparse, or an empty one."""
    return hp.choice(
        name,
        [
            [standard_scaler(f"{name}.standard_scaler", with_mean=False)],
            [normalizer(f"{name}.normalizer")],
            [max_abs_scaler(f"{name}.max_abs_scaler")],
            [],
        ],
    )


def _of_kind(kind: str) -> list[Component]:
    return [
        c
        for c in COMPONENTS
        if c.kind == kind and c.available and c.needs not in ("text", "several targets")
    ]


def all_classifiers(name: str) -> Node:
    """One of all classifiers.

    Outlier detectors and mixtures, which Hyperopt-Sklearn has among them, learn no labels and are
    left out; name them to use them.
    """
    return _models(name, _of_kind("classifier"))


def all_regressors(name: str) -> Node:
    """One of all regressors of one target.

    Those that need several targets, and clusters and mixtures, which learn none, are left out; name
    them to use them.
    """
    return _models(name, _of_kind("regressor"))


def all_preprocessing(name: str) -> Node:
    """A list of one of all transformers, those of text and of categories among them.

    Most of them do not fit any one data set: such trials fail.
    """
    lags: Callable[[str], Node] = ts_lagselector
    return hp.choice(
        name,
        [
            *([c(f"{name}.{c.short}")] for c in (*TRANSFORMS, *TEXT)),
            [lags(f"{name}.ts_lagselector")],
        ],
    )


def forest_classifiers(name: str) -> list[Node]:
    """Return the two forests, to choose among or add to."""
    return [c(f"{name}.{c.short}") for c in (random_forest_classifier, extra_trees_classifier)]


def forest_regressors(name: str) -> list[Node]:
    """Return the two forests, to choose among or add to."""
    return [c(f"{name}.{c.short}") for c in (random_forest_regressor, extra_trees_regressor)]


def component_named(name: str) -> Component:
    """Return the component of a name.

    Raises
    ------
    InvalidArgument
        If there is none.
    """
    for component in COMPONENTS:
        if component.name == name:
            return component
    msg = f"there is no component {name!r}: sparktrials.sklearn.COMPONENTS lists them"
    raise InvalidArgument(msg)
