"""What a search begins with: configurations that are good on most data, the first ones first.

They are scikit-learn's defaults and what is common for small tables, looked at on data sets that no
benchmark here has: docs/decisions/0042-portfolio.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["STARTS", "Start"]


@dataclass(frozen=True, slots=True)
class Start:
    """A configuration of a component.

    Attributes
    ----------
    component
        Its name.
    parameters
        Parameter to value; of what is not named the first option or the middle is taken.
    before
        The class of the transformer before it; features stay as they are where there is none, and
        categories become numbers, else a column for each.
    prepared
        Parameter to value, of that.
    most_samples
        For how many it is meant; it takes too long with more.
    """

    component: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    before: str = ""
    prepared: Mapping[str, object] = field(default_factory=dict)
    most_samples: float = math.inf


_SCALED = "StandardScaler"
#: Samples up to which kernels are worked out: their time grows with the square and more.
_KERNELS = 5_000
_TREES = {"n_estimators": 200, "max_depth": None, "min_samples_split": 2, "min_samples_leaf": 1}
_FOREST = {**_TREES, "bootstrap": True}
_EXTRA = {**_TREES, "bootstrap": False}
_LIGHTGBM = {
    "n_estimators": 300,
    "learning_rate": 0.04,
    "num_leaves": 16,
    "min_child_samples": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "reg_alpha": 0.0,
    "reg_lambda": 1.0,
}
_SMALL_LEAVES = {**_LIGHTGBM, "num_leaves": 6, "learning_rate": 0.06, "reg_lambda": 10.0}
_STUMPS = {**_LIGHTGBM, "num_leaves": 4, "learning_rate": 0.03, "min_child_samples": 20}
_XGBOOST = {
    "n_estimators": 300,
    "learning_rate": 0.05,
    "max_depth": 4,
    "min_child_weight": 1.0,
    "gamma": 0.0,
    "subsample": 0.75,
    "colsample_bytree": 0.6,
    "colsample_bylevel": 0.8,
    "reg_alpha": 0.0,
    "reg_lambda": 1.0,
}
_DEEP = {
    **_XGBOOST,
    "n_estimators": 400,
    "learning_rate": 0.03,
    "max_depth": 6,
    "min_child_weight": 3.0,
}
_HISTOGRAMS = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 20,
    "l2_regularization": 0.0,
    "max_features": 1.0,
}
_GRADIENTS = {
    "learning_rate": 0.05,
    "n_estimators": 300,
    "max_depth": 5,
    "subsample": 0.6,
    "max_features": "sqrt",
    "min_samples_split": 2,
    "min_samples_leaf": 3,
}
_RBF = {"kernel": "rbf", "gamma": "scale", "shrinking": True}
_POLY = {"kernel": "poly", "gamma": "scale", "degree": 3, "coef0": 1.0, "shrinking": True}
_NEAR = {"n_neighbors": 10, "metric": "manhattan", "weights": "distance"}
_ALIKE = {"class_weight": None}
_SQUARES = {"loss": "squared_error"}
_ERROR = {"criterion": "squared_error"}

_CLASSIFIERS = (
    Start("extra_trees_classifier", {**_EXTRA, **_ALIKE, "max_features": "sqrt"}),
    Start("lightgbm_classification", {**_LIGHTGBM, **_ALIKE}),
    Start("svc", {**_RBF, **_ALIKE, "C": 5.0}, _SCALED, most_samples=_KERNELS),
    Start("logistic_regression", {**_ALIKE, "C": 1.0, "solver": "lbfgs"}, _SCALED),
    Start("random_forest_classifier", {**_FOREST, **_ALIKE, "max_features": "sqrt"}),
    Start("xgboost_classification", _XGBOOST),
    Start("svc", {**_RBF, **_ALIKE, "C": 100.0, "gamma": 0.01}, _SCALED, most_samples=_KERNELS),
    Start("hist_gradient_boosting_classifier", {**_HISTOGRAMS, **_ALIKE}),
    Start("gradient_boosting_classifier", _GRADIENTS),
    Start("k_neighbors_classifier", _NEAR, _SCALED),
    Start(
        "extra_trees_classifier", {**_EXTRA, **_ALIKE, "max_features": 0.5, "criterion": "entropy"}
    ),
    Start(
        "svc",
        {**_POLY, **_ALIKE, "C": 1.0},
        "QuantileTransformer",
        {"output_distribution": "normal"},
        most_samples=_KERNELS,
    ),
    Start("lightgbm_classification", {**_SMALL_LEAVES, **_ALIKE}),
    Start("svc", {**_RBF, **_ALIKE, "C": 1.0}, _SCALED, most_samples=_KERNELS),
    Start(
        "k_neighbors_classifier",
        {"n_neighbors": 1, "metric": "manhattan", "weights": "uniform"},
        _SCALED,
    ),
    # Of menus for sparse data.
    Start("linear_svc", {**_ALIKE, "C": 1.0, "penalty": "l2", "loss": "squared_hinge"}),
    Start("multinomial_nb", {"alpha": 0.1}),
)
_REGRESSORS = (
    Start("xgboost_regression", _XGBOOST),
    Start("lightgbm_regression", _LIGHTGBM),
    Start("extra_trees_regressor", {**_EXTRA, **_ERROR, "max_features": 0.5}),
    Start("ridge", {"alpha": 1.0}, _SCALED),
    Start("random_forest_regressor", {**_FOREST, **_ERROR, "max_features": 0.35}),
    Start("gradient_boosting_regressor", {**_GRADIENTS, **_SQUARES}),
    Start("hist_gradient_boosting_regressor", {**_HISTOGRAMS, **_SQUARES}),
    Start(
        "svr", {**_RBF, "C": 1000.0, "gamma": 0.01, "epsilon": 0.1}, _SCALED, most_samples=_KERNELS
    ),
    Start("svr", {**_RBF, "C": 20.0, "epsilon": 0.1}, _SCALED, most_samples=_KERNELS),
    Start("k_neighbors_regressor", _NEAR, _SCALED),
    Start("xgboost_regression", _DEEP),
    Start("lightgbm_regression", _STUMPS),
    Start("gradient_boosting_regressor", {**_GRADIENTS, "loss": "huber"}),
    Start("svr", {**_RBF, "C": 1000.0, "epsilon": 0.1}, _SCALED, most_samples=_KERNELS),
    # Of menus for sparse data.
    Start("elastic_net", {"alpha": 0.01, "l1_ratio": 0.5}, _SCALED),
)

STARTS: tuple[Start, ...] = (*_CLASSIFIERS, *_REGRESSORS)
