"""A space of scikit-learn pipelines, and the objective that scores one.

Both the demo and its executors import this module, so it travels as a file: ``addPyFile`` or
``spark-submit --py-files``. What is loaded once is cached here, once per executor process.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from sparktrials import hp, scope

__all__ = ["DEFAULTS", "SPACE", "as_code", "build", "data", "objective"]

#: One step of a pipeline: a class and its arguments; None is no step.
Step = tuple[type, Mapping[str, Any]] | None

SCALER = hp.choice(
    "scaler",
    [
        None,
        (StandardScaler, {}),
        (MinMaxScaler, {}),
        (
            QuantileTransformer,
            {
                "n_quantiles": scope.int(hp.quniform("quantiles", 10, 400, 10)),
                "output_distribution": hp.choice("quantiles to", ["uniform", "normal"]),
            },
        ),
    ],
)

REDUCER = hp.choice(
    "reducer",
    [
        None,
        (
            PCA,
            {
                "n_components": hp.uniform("variance kept", 0.7, 0.999),
                "whiten": hp.choice("whiten", [False, True]),
            },
        ),
        (SelectKBest, {"k": hp.uniformint("features kept", 3, 30)}),
    ],
)

MODEL = hp.choice(
    "model",
    [
        (
            LinearSVC,
            {
                "C": hp.loguniform("linear C", log(1e-4), log(1e2)),
                # One of the four combinations does not exist: l1 with hinge raises.
                "penalty": hp.choice("linear penalty", ["l2", "l1"]),
                "loss": hp.choice("linear loss", ["squared_hinge", "hinge"]),
                "random_state": 0,
            },
        ),
        (
            SVC,
            {
                "C": hp.loguniform("svc C", log(1e-2), log(1e3)),
                "gamma": hp.choice(
                    "svc gamma", ["scale", hp.loguniform("svc gamma value", log(1e-5), log(1e1))]
                ),
            },
        ),
        (
            KNeighborsClassifier,
            {
                "n_neighbors": scope.int(hp.qloguniform("neighbors", log(1), log(50), 1)),
                "weights": hp.choice("neighbors weights", ["uniform", "distance"]),
                "p": hp.uniform("neighbors p", 1, 3),
            },
        ),
        (
            ExtraTreesClassifier,
            {
                "n_estimators": scope.int(hp.quniform("trees", 25, 200, 25)),
                "max_features": hp.choice(
                    "trees features", ["sqrt", hp.uniform("trees features share", 0.02, 0.5)]
                ),
                "min_samples_leaf": hp.uniformint("trees leaf", 1, 10),
                "random_state": 0,
            },
        ),
    ],
)
SPACE = [SCALER, REDUCER, MODEL]
PLAIN={"scaler": 0, "reducer": 0}
#: scikit-learn's own settings of each model family, as points of the space.
DEFAULTS = (
    {**PLAIN,"model": 0, "linear C": 1.0, "linear penalty": 0, "linear loss": 0},
    {**PLAIN,"model": 1, "svc C": 1.0, "svc gamma": 0},
    {**PLAIN,"model": 2, "neighbors": 5, "neighbors weights": 0, "neighbors p": 2.0},
    {**PLAIN,"model": 3, "trees": 100, "trees features": 0, "trees leaf": 1},
)


@functools.cache
def data() -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return X, y


def build(steps: Sequence[Step]) -> Pipeline:
    return make_pipeline(*(cls(**arguments) for cls, arguments in filter(None, steps)))


def objective(steps):
    X, y = data()
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(build(steps), X, y, cv=folds, error_score="raise")
    return {"loss": 1 - scores.mean(), "status": "ok"}
