"""Whole scikit-learn pipelines as a search space, and the objective that scores one.

A point of the space is a list of steps, each a class with its arguments or None: a scaler, a
reducer of columns, a model. What belongs to one class only is drawn only with that class.

Executors import this module, so its file travels with the job: ``SparkContext.addPyFile``, or
``spark-submit --py-files``. The data set is loaded once per process.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from math import log
from typing import Any, Optional

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

from sparktrials import STATUS_OK, hp, scope

__all__ = ["DEFAULTS", "SPACE", "as_code", "build", "data", "objective", "score"]

#: A class and its arguments; None is no step.
Step = Optional[tuple[type, Mapping[str, Any]]]  # noqa: UP045 - evaluated, also by Python 3.10

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
                "n_components": hp.uniformint("components", 2, 30),
                "whiten": hp.choice("whiten", [False, True]),
            },
        ),
        (SelectKBest, {"k": hp.uniformint("features", 3, 30)}),
    ],
)
LINEAR = (
    LinearSVC,
    {
        "C": hp.loguniform("linear C", log(1e-4), log(1e2)),
        # LinearSVC has no l1 penalty with the hinge loss: a quarter of its trials fails.
        "penalty": hp.choice("linear penalty", ["l2", "l1"]),
        "loss": hp.choice("linear loss", ["squared_hinge", "hinge"]),
        "random_state": 0,
    },
)
KERNEL = (
    SVC,
    {
        "C": hp.loguniform("svc C", log(1e-2), log(1e3)),
        "gamma": hp.choice(
            "svc gamma", ["scale", hp.loguniform("svc gamma value", log(1e-5), log(1e1))]
        ),
    },
)
NEIGHBORS = (
    KNeighborsClassifier,
    {
        "n_neighbors": scope.int(hp.qloguniform("neighbors", log(1), log(50), 1)),
        "weights": hp.choice("neighbors weights", ["uniform", "distance"]),
        "p": hp.uniform("neighbors p", 1, 3),
    },
)
TREES = (
    ExtraTreesClassifier,
    {
        "n_estimators": scope.int(hp.quniform("trees", 20, 160, 20)),
        "max_features": hp.choice(
            "trees features", ["sqrt", hp.uniform("trees features share", 0.02, 0.5)]
        ),
        "min_samples_leaf": hp.uniformint("trees leaf", 1, 10),
        "random_state": 0,
    },
)
SPACE = [SCALER, REDUCER, hp.choice("model", [LINEAR, KERNEL, NEIGHBORS, TREES])]

_ALONE = {"scaler": 0, "reducer": 0}
#: Each model as scikit-learn comes with it, alone: class name -> point of the space.
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "LinearSVC": {
        **_ALONE,
        "model": 0,
        "linear C": 1.0,
        "linear penalty": 0,
        "linear loss": 0,
    },
    "SVC": {**_ALONE, "model": 1, "svc C": 1.0, "svc gamma": 0},
    "KNeighborsClassifier": {
        **_ALONE,
        "model": 2,
        "neighbors": 5,
        "neighbors weights": 0,
        "neighbors p": 2.0,
    },
    "ExtraTreesClassifier": {
        **_ALONE,
        "model": 3,
        "trees": 100,
        "trees features": 0,
        "trees leaf": 1,
    },
}


@functools.cache
def data() -> tuple[Any, Any]:
    """Return features and labels: 569 tumours, 30 measurements of each."""
    X, y = load_breast_cancer(return_X_y=True)
    return X, y


def build(steps: Sequence[Step]) -> Pipeline:
    """Return the pipeline that a point of the space describes."""
    return make_pipeline(*(make(**arguments) for make, arguments in filter(None, steps)))


def score(pipeline: Pipeline) -> Any:
    """Return accuracies by 5-fold cross-validation, twice: the same folds for everyone."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    return cross_val_score(pipeline, *data(), cv=folds, error_score="raise")


def objective(steps: Sequence[Step]) -> dict[str, Any]:
    """Return the share of wrong predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        accuracies = score(build(steps))
    return {
        "status": STATUS_OK,
        "loss": 1 - float(accuracies.mean()),
        "accuracies": accuracies.tolist(),
    }


def as_code(steps: Sequence[Step]) -> str:
    """Return Python code that makes the pipeline and calls it ``pipeline``."""
    imports = {"from sklearn.pipeline import make_pipeline"}
    lines = []
    for make, arguments in filter(None, steps):
        public = make.__module__.partition("._")[0]  # sklearn.svm._classes
        imports.add(f"from {public} import {make.__name__}")
        given = ", ".join(f"{name}={_plain(value)!r}" for name, value in arguments.items())
        lines.append(f"    {make.__name__}({given}),")
    return "\n".join([*sorted(imports), "", "pipeline = make_pipeline(", *lines, ")", ""])


def _plain(value: Any) -> Any:
    """Return a numpy scalar as Python's own."""
    return value.item() if hasattr(value, "item") else value
