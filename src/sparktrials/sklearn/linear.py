"""Components that are linear in the features."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparktrials.sklearn.component import FLAG, SKLEARN, Cases, Component, OneOf, Real, Whole
from sparktrials.sklearn.earlier import passive_aggressive

__all__ = [
    "logistic_regression",
    "logistic_regression_cv",
    "passive_aggressive_classifier",
    "perceptron",
    "ridge_classifier",
    "ridge_classifier_cv",
    "sgd_classifier",
    "sgd_one_class_svm",
]

#: Since 1.8 ``l1_ratio`` alone says which penalty it is, and ``penalty`` is deprecated.
_SAYS_PENALTY = SKLEARN < (1, 8)

_WEIGHTS: Mapping[str, object] = MappingProxyType({"class_weight": OneOf(None, "balanced")})
_C = Real(1e-4, 1e4, log=True)
_PENALTIES = Cases(
    "penalty",
    {"penalty": "l2"},
    {"penalty": "l1"},
    {"penalty": "elasticnet", "l1_ratio": Real(0.05, 0.95)},
)
#: What stochastic gradients descend by; "optimal" is for classifiers.
_RATES = Cases(
    "learning_rate",
    {"learning_rate": "optimal"},
    {
        "learning_rate": "invscaling",
        "eta0": Real(1e-4, 1.0, log=True),
        "power_t": Real(0.1, 0.8),
    },
    {"learning_rate": "adaptive", "eta0": Real(1e-4, 1.0, log=True)},
    {"learning_rate": "constant", "eta0": Real(1e-5, 0.1, log=True)},
)


def _named(penalty: str) -> dict[str, object]:
    return {"penalty": penalty} if _SAYS_PENALTY else {}


logistic_regression = Component(
    "logistic_regression",
    "logistic_regression",
    "sklearn.linear_model.LogisticRegression",
    "classifier",
    {"C": _C, "max_iter": 1000, **_WEIGHTS},
    (
        # Only saga has all penalties; lbfgs is the faster one where it is enough.
        Cases(
            "penalty",
            {**_named("l2"), "solver": "lbfgs"},
            {
                **_named("elasticnet"),
                "solver": "saga",
                "l1_ratio": OneOf(1.0, Real(0.05, 0.95)),
            },
        ),
    ),
)
logistic_regression_cv = Component(
    "logistic_regression_cv",
    "logistic_regression_cv",
    "sklearn.linear_model.LogisticRegressionCV",
    "classifier",
    {
        "Cs": Whole(5, 20),
        "cv": Whole(3, 5),
        "max_iter": 1000,
        **_WEIGHTS,
        # As of 1.10; saying so keeps 1.8 and 1.9 from warning.
        **({} if _SAYS_PENALTY else {"use_legacy_attributes": False, "l1_ratios": (0.0,)}),
        **({} if _SAYS_PENALTY else {"scoring": "accuracy"}),
    },
)
sgd_classifier = Component(
    "sgd_classifier",
    "sgd",
    "sklearn.linear_model.SGDClassifier",
    "classifier",
    {
        "loss": OneOf("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"),
        "alpha": Real(1e-7, 1e-1, log=True),
        "average": FLAG,
        "max_iter": 1000,
        **_WEIGHTS,
    },
    (_PENALTIES, _RATES),
)
sgd_one_class_svm = Component(
    "sgd_one_class_svm",
    "sgd_one_class_svm",
    "sklearn.linear_model.SGDOneClassSVM",
    "detector",
    {"nu": Real(0.05, 0.95), "average": FLAG, "max_iter": 1000},
    (_RATES,),
)
ridge_classifier = Component(
    "ridge_classifier",
    "ridge",
    "sklearn.linear_model.RidgeClassifier",
    "classifier",
    {"alpha": Real(1e-3, 1e4, log=True), **_WEIGHTS},
)
ridge_classifier_cv = Component(
    "ridge_classifier_cv",
    "ridge_cv",
    "sklearn.linear_model.RidgeClassifierCV",
    "classifier",
    {
        "alphas": OneOf((0.1, 1.0, 10.0), (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3)),
        **_WEIGHTS,
    },
)
perceptron = Component(
    "perceptron",
    "perceptron",
    "sklearn.linear_model.Perceptron",
    "classifier",
    {
        "alpha": Real(1e-7, 1e-1, log=True),
        "eta0": Real(0.1, 10.0, log=True),
        "max_iter": 1000,
        **_WEIGHTS,
    },
    (
        Cases(
            "penalty",
            {"penalty": None},
            {"penalty": "l2"},
            {"penalty": "l1"},
            {"penalty": "elasticnet", "l1_ratio": Real(0.05, 0.95)},
        ),
    ),
)
#: scikit-learn calls it SGDClassifier(learning_rate="pa1") since 1.8, and drops the class in 1.10.
passive_aggressive_classifier = (
    Component(
        "passive_aggressive_classifier",
        "passive_aggressive",
        "sklearn.linear_model.PassiveAggressiveClassifier",
        "classifier",
        {
            "C": Real(1e-4, 10.0, log=True),
            "loss": OneOf("hinge", "squared_hinge"),
            "average": FLAG,
            "max_iter": 1000,
            **_WEIGHTS,
        },
    )
    if _SAYS_PENALTY
    else Component(
        "passive_aggressive_classifier",
        "passive_aggressive",
        "sklearn.linear_model.SGDClassifier",
        "classifier",
        {
            "eta0": Real(1e-4, 10.0, log=True),
            "learning_rate": OneOf("pa1", "pa2"),
            "loss": "hinge",
            "penalty": None,
            "average": FLAG,
            "max_iter": 1000,
            **_WEIGHTS,
        },
        earlier=passive_aggressive("hinge"),
    )
)

LINEAR_CLASSIFIERS = (
    logistic_regression,
    logistic_regression_cv,
    sgd_classifier,
    sgd_one_class_svm,
    ridge_classifier,
    ridge_classifier_cv,
    perceptron,
    passive_aggressive_classifier,
)
