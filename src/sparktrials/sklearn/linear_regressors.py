"""Components for regression that are linear in the features, with those made of several targets."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrials.sklearn.component import FLAG, SKLEARN, Cases, Component, OneOf, Real, Whole
from sparktrials.sklearn.earlier import Translation, passive_aggressive, renamed

__all__ = [
    "ard_regression",
    "bayesian_ridge",
    "elastic_net",
    "elastic_net_cv",
    "gamma_regressor",
    "huber_regressor",
    "lars",
    "lars_cv",
    "lasso",
    "lasso_cv",
    "lasso_lars",
    "lasso_lars_cv",
    "lasso_lars_ic",
    "linear_regression",
    "multi_task_elastic_net",
    "multi_task_elastic_net_cv",
    "multi_task_lasso",
    "multi_task_lasso_cv",
    "orthogonal_matching_pursuit",
    "orthogonal_matching_pursuit_cv",
    "passive_aggressive_regressor",
    "poisson_regressor",
    "quantile_regression",
    "ransac_regression",
    "ridge",
    "ridge_cv",
    "sgd_regressor",
    "theil_sen_regressor",
    "tweedie_regressor",
]

#: Since 1.8 passive-aggressive learning is a learning rate of SGD, and its class is deprecated.
_HAS_PASSIVE_AGGRESSIVE = SKLEARN < (1, 8)
#: Since 1.7 ``alphas`` may be their number.
_N_ALPHAS = renamed({"n_alphas": "alphas"}) if SKLEARN >= (1, 7) else None

_ALPHA = Real(1e-5, 1e3, log=True)
_SPARSE_ALPHA = Real(1e-5, 10.0, log=True)
_L1_RATIO = Real(0.05, 1.0)
_L1_RATIOS = OneOf(0.5, (0.1, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0))
_FOLDS = Whole(3, 7)
_SELECTION = OneOf("cyclic", "random")
_PRECISION = Real(1e-8, 1e-2, log=True)
_BAYES = {
    "alpha_1": _PRECISION,
    "alpha_2": _PRECISION,
    "lambda_1": _PRECISION,
    "lambda_2": _PRECISION,
}
_MORE = {"max_iter": 3000}
_GLM = {"alpha": Real(1e-6, 10.0, log=True), "max_iter": 300}
_RATES = Cases(
    "learning_rate",
    {
        "learning_rate": "invscaling",
        "eta0": Real(1e-4, 0.1, log=True),
        "power_t": Real(0.1, 0.8),
    },
    {"learning_rate": "adaptive", "eta0": Real(1e-4, 0.1, log=True)},
    {"learning_rate": "constant", "eta0": Real(1e-5, 1e-2, log=True)},
)


def _regressor(
    name: str,
    short: str,
    made_by: str,
    table: Mapping[str, object],
    *cases: Cases,
    earlier: Translation | None = None,
) -> Component:
    path = f"sklearn.linear_model.{made_by}"
    return Component(name, short, path, "regressor", table, cases, earlier=earlier)


def _of_several(
    name: str, made_by: str, table: Mapping[str, object], earlier: Translation | None = None
) -> Component:
    path = f"sklearn.linear_model.{made_by}"
    return Component(name, name, path, "regressor", table, needs="several targets", earlier=earlier)


def _of_positive(name: str, made_by: str, table: Mapping[str, object]) -> Component:
    path = f"sklearn.linear_model.{made_by}"
    return Component(name, name, path, "regressor", table, needs="positive target")


linear_regression = _regressor(
    "linear_regression",
    "linear_regression",
    "LinearRegression",
    {"fit_intercept": FLAG, "positive": FLAG},
)
bayesian_ridge = _regressor("bayesian_ridge", "bayesian_ridge", "BayesianRidge", _BAYES)
ard_regression = _regressor(
    "ard_regression",
    "ard",
    "ARDRegression",
    {**_BAYES, "threshold_lambda": Real(1e2, 1e6, log=True)},
)
lars = _regressor(
    "lars", "lars", "Lars", {"n_nonzero_coefs": Whole(1, 500, log=True), "jitter": None}
)
lars_cv = _regressor("lars_cv", "lars_cv", "LarsCV", {"cv": _FOLDS})
lasso_lars = _regressor("lasso_lars", "lasso_lars", "LassoLars", {"alpha": _SPARSE_ALPHA})
lasso_lars_cv = _regressor("lasso_lars_cv", "lasso_lars_cv", "LassoLarsCV", {"cv": _FOLDS})
lasso_lars_ic = _regressor(
    "lasso_lars_ic", "lasso_lars_ic", "LassoLarsIC", {"criterion": OneOf("aic", "bic")}
)
lasso = _regressor(
    "lasso", "lasso", "Lasso", {"alpha": _SPARSE_ALPHA, "selection": _SELECTION, **_MORE}
)
elastic_net = _regressor(
    "elastic_net",
    "elastic_net",
    "ElasticNet",
    {"alpha": _SPARSE_ALPHA, "l1_ratio": _L1_RATIO, "selection": _SELECTION, **_MORE},
)
lasso_cv = _regressor(
    "lasso_cv",
    "lasso_cv",
    "LassoCV",
    {"eps": Real(1e-5, 1e-2, log=True), "cv": _FOLDS, "selection": _SELECTION, **_MORE},
    earlier=_N_ALPHAS,
)
elastic_net_cv = _regressor(
    "elastic_net_cv",
    "elastic_net_cv",
    "ElasticNetCV",
    {
        "eps": Real(1e-5, 1e-2, log=True),
        "l1_ratio": _L1_RATIOS,
        "cv": _FOLDS,
        "selection": _SELECTION,
        **_MORE,
    },
    earlier=_N_ALPHAS,
)
multi_task_lasso = _of_several(
    "multi_task_lasso", "MultiTaskLasso", {"alpha": _SPARSE_ALPHA, **_MORE}
)
multi_task_elastic_net = _of_several(
    "multi_task_elastic_net",
    "MultiTaskElasticNet",
    {"alpha": _SPARSE_ALPHA, "l1_ratio": _L1_RATIO, **_MORE},
)
multi_task_lasso_cv = _of_several(
    "multi_task_lasso_cv",
    "MultiTaskLassoCV",
    {"eps": Real(1e-5, 1e-2, log=True), "cv": _FOLDS, **_MORE},
    _N_ALPHAS,
)
multi_task_elastic_net_cv = _of_several(
    "multi_task_elastic_net_cv",
    "MultiTaskElasticNetCV",
    {"eps": Real(1e-5, 1e-2, log=True), "l1_ratio": _L1_RATIOS, "cv": _FOLDS, **_MORE},
    _N_ALPHAS,
)
poisson_regressor = _of_positive("poisson_regressor", "PoissonRegressor", _GLM)
gamma_regressor = _of_positive("gamma_regressor", "GammaRegressor", _GLM)
tweedie_regressor = _of_positive(
    "tweedie_regressor",
    "TweedieRegressor",
    {**_GLM, "power": OneOf(0.0, 1.0, Real(1.05, 1.95), 2.0, 3.0), "link": OneOf("auto", "log")},
)
huber_regressor = _regressor(
    "huber_regressor",
    "huber_regressor",
    "HuberRegressor",
    {
        "epsilon": Real(1.01, 4.0),
        "alpha": Real(1e-6, 10.0, log=True),
        "max_iter": 1000,
    },
)
sgd_regressor = _regressor(
    "sgd_regressor",
    "sgd",
    "SGDRegressor",
    {"alpha": Real(1e-7, 1e-1, log=True), "average": FLAG, "max_iter": 1000},
    Cases(
        "loss",
        {"loss": "squared_error"},
        {"loss": "huber", "epsilon": Real(0.01, 2.0, log=True)},
        {"loss": "epsilon_insensitive", "epsilon": Real(0.001, 1.0, log=True)},
        {"loss": "squared_epsilon_insensitive", "epsilon": Real(0.001, 1.0, log=True)},
    ),
    Cases(
        "penalty",
        {"penalty": "l2"},
        {"penalty": "l1"},
        {"penalty": "elasticnet", "l1_ratio": Real(0.05, 0.95)},
    ),
    _RATES,
)
ridge = _regressor("ridge", "ridge", "Ridge", {"alpha": _ALPHA, "fit_intercept": FLAG})
ridge_cv = _regressor(
    "ridge_cv",
    "ridge_cv",
    "RidgeCV",
    {"alphas": OneOf((0.1, 1.0, 10.0), (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3))},
)
orthogonal_matching_pursuit = _regressor(
    "orthogonal_matching_pursuit",
    "orthogonal_matching_pursuit",
    "OrthogonalMatchingPursuit",
    # How many coefficients is a matter of how many features there are: the tolerance is not.
    {"tol": OneOf(None, Real(1e-5, 1.0, log=True)), "fit_intercept": FLAG},
)
orthogonal_matching_pursuit_cv = _regressor(
    "orthogonal_matching_pursuit_cv",
    "orthogonal_matching_pursuit_cv",
    "OrthogonalMatchingPursuitCV",
    {"cv": _FOLDS},
)
quantile_regression = _regressor(
    "quantile_regression",
    "quantile_regression",
    "QuantileRegressor",
    {
        "quantile": Real(0.3, 0.7),
        "alpha": OneOf(0.0, Real(1e-5, 1.0, log=True)),
        "fit_intercept": FLAG,
        "solver": "highs",
    },
)
ransac_regression = _regressor(
    "ransac_regression",
    "ransac_regression",
    "RANSACRegressor",
    {
        "min_samples": OneOf(None, Real(0.1, 0.9)),
        "loss": OneOf("absolute_error", "squared_error"),
        "max_trials": Whole(50, 200),
        "stop_probability": Real(0.9, 0.999),
    },
)
theil_sen_regressor = _regressor(
    "theil_sen_regressor",
    "theil_sen_regressor",
    "TheilSenRegressor",
    {"max_subpopulation": Whole(200, 5000, log=True), "max_iter": 300},
)
passive_aggressive_regressor = (
    _regressor(
        "passive_aggressive_regressor",
        "passive_aggressive",
        "PassiveAggressiveRegressor",
        {
            "C": Real(1e-4, 10.0, log=True),
            "epsilon": Real(0.001, 1.0, log=True),
            "average": FLAG,
            "max_iter": 1000,
        },
    )
    if _HAS_PASSIVE_AGGRESSIVE
    else _regressor(
        "passive_aggressive_regressor",
        "passive_aggressive",
        "SGDRegressor",
        {
            "eta0": Real(1e-4, 10.0, log=True),
            "learning_rate": OneOf("pa1", "pa2"),
            "loss": "epsilon_insensitive",
            "epsilon": Real(0.001, 1.0, log=True),
            "penalty": None,
            "average": FLAG,
            "max_iter": 1000,
        },
        earlier=passive_aggressive("epsilon_insensitive"),
    )
)

LINEAR_REGRESSORS = (
    linear_regression,
    bayesian_ridge,
    ard_regression,
    lars,
    lasso_lars,
    lars_cv,
    lasso_lars_cv,
    lasso_lars_ic,
    lasso,
    elastic_net,
    lasso_cv,
    elastic_net_cv,
    multi_task_lasso,
    multi_task_elastic_net,
    multi_task_lasso_cv,
    multi_task_elastic_net_cv,
    poisson_regressor,
    gamma_regressor,
    tweedie_regressor,
    huber_regressor,
    sgd_regressor,
    ridge,
    ridge_cv,
    orthogonal_matching_pursuit,
    orthogonal_matching_pursuit_cv,
    passive_aggressive_regressor,
    quantile_regression,
    ransac_regression,
    theil_sen_regressor,
)
