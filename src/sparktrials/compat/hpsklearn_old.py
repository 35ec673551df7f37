"""The names that components had in Hyperopt-Sklearn 0; version 1 gave them longer ones.

Each is today's component with today's search space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.component import Component, OneOf, Real, Whole
from sparktrials.sklearn.kernels import (
    k_neighbors_classifier,
    k_neighbors_regressor,
    linear_svc,
    svc,
    svr,
)
from sparktrials.sklearn.linear import passive_aggressive_classifier, sgd_classifier
from sparktrials.sklearn.linear_regressors import elastic_net, sgd_regressor
from sparktrials.sklearn.multiclass import (
    one_vs_one_classifier,
    one_vs_rest_classifier,
    output_code_classifier,
)
from sparktrials.sklearn.transforms import tfidf_vectorizer
from sparktrials.sklearn.trees import (
    ada_boost_classifier,
    ada_boost_regressor,
    decision_tree_classifier,
    extra_trees_classifier,
    extra_trees_regressor,
    gradient_boosting_classifier,
    gradient_boosting_regressor,
    random_forest_classifier,
    random_forest_regressor,
)

if TYPE_CHECKING:
    from sparktrials.space.nodes import Node

__all__ = [
    "ada_boost",
    "ada_boost_regression",
    "decision_tree",
    "elasticnet",
    "extra_trees",
    "extra_trees_regression",
    "gaussian_random_projection",
    "gradient_boosting",
    "gradient_boosting_regression",
    "knn",
    "knn_regression",
    "liblinear_svc",
    "one_vs_one",
    "one_vs_rest",
    "output_code",
    "passive_aggressive",
    "random_forest",
    "random_forest_regression",
    "rbm",
    "sgd",
    "sgd_regression",
    "sparse_random_projection",
    "svc_kernel",
    "svc_linear",
    "svc_poly",
    "svc_rbf",
    "svc_sigmoid",
    "svr_kernel",
    "svr_linear",
    "svr_poly",
    "svr_rbf",
    "svr_sigmoid",
    "tfidf",
]

ada_boost, ada_boost_regression = ada_boost_classifier, ada_boost_regressor
decision_tree = decision_tree_classifier
elasticnet = elastic_net
extra_trees, extra_trees_regression = extra_trees_classifier, extra_trees_regressor
gradient_boosting = gradient_boosting_classifier
gradient_boosting_regression = gradient_boosting_regressor
knn, knn_regression = k_neighbors_classifier, k_neighbors_regressor
liblinear_svc = linear_svc
one_vs_one, one_vs_rest = one_vs_one_classifier, one_vs_rest_classifier
output_code = output_code_classifier
passive_aggressive = passive_aggressive_classifier
random_forest, random_forest_regression = random_forest_classifier, random_forest_regressor
sgd, sgd_regression = sgd_classifier, sgd_regressor
tfidf = tfidf_vectorizer


def _of_kernel(component: Component, kernel: str) -> Callable[..., Node]:
    def make(name: str, **given: Any) -> Node:  # noqa: ANN401
        if "kernel" in given:
            msg = (
                f"the kernel of {component.name}_{kernel} is {kernel!r}: leave kernel="
                f"{given['kernel']!r} out, or call {component.name}('label', kernel=...)"
            )
            raise InvalidArgument(msg)
        return component(name, kernel=kernel, **given)

    return make


svc_linear, svc_rbf = _of_kernel(svc, "linear"), _of_kernel(svc, "rbf")
svc_poly, svc_sigmoid = _of_kernel(svc, "poly"), _of_kernel(svc, "sigmoid")
svr_linear, svr_rbf = _of_kernel(svr, "linear"), _of_kernel(svr, "rbf")
svr_poly, svr_sigmoid = _of_kernel(svr, "poly"), _of_kernel(svr, "sigmoid")


def svc_kernel(name: str, kernel: object, **given: Any) -> Node:  # noqa: ANN401
    """Return ``svc(name, kernel=kernel, ...)``."""
    return svc(name, kernel=kernel, **given)


def svr_kernel(name: str, kernel: object, **given: Any) -> Node:  # noqa: ANN401
    """Return ``svr(name, kernel=kernel, ...)``."""
    return svr(name, kernel=kernel, **given)


# What version 1 has dropped.
rbm = Component(
    "rbm",
    "rbm",
    "sklearn.neural_network.BernoulliRBM",
    "preprocessor",
    {
        "n_components": Whole(8, 256, log=True),
        "learning_rate": Real(1e-3, 0.3, log=True),
        "n_iter": Whole(5, 50, log=True),
    },
)
gaussian_random_projection = Component(
    "gaussian_random_projection",
    "gaussian_random_projection",
    "sklearn.random_projection.GaussianRandomProjection",
    "preprocessor",
    {"n_components": Whole(2, 256, log=True)},
)
sparse_random_projection = Component(
    "sparse_random_projection",
    "sparse_random_projection",
    "sklearn.random_projection.SparseRandomProjection",
    "preprocessor",
    {
        "n_components": Whole(2, 256, log=True),
        "density": OneOf("auto", Real(1e-3, 1.0, log=True)),
    },
)
