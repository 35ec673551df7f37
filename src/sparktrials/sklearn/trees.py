"""Components that are made of trees: single trees, forests, boosting, bagging."""

from __future__ import annotations

from sparktrials.sklearn.component import FLAG, SKLEARN, Component, OneOf, Real, Whole

__all__ = [
    "ada_boost_classifier",
    "ada_boost_regressor",
    "bagging_classifier",
    "bagging_regressor",
    "catboost_classification",
    "catboost_regression",
    "decision_tree_classifier",
    "decision_tree_regressor",
    "extra_tree_classifier",
    "extra_tree_regressor",
    "extra_trees_classifier",
    "extra_trees_regressor",
    "gradient_boosting_classifier",
    "gradient_boosting_regressor",
    "hist_gradient_boosting_classifier",
    "hist_gradient_boosting_regressor",
    "isolation_forest",
    "lightgbm_classification",
    "lightgbm_regression",
    "random_forest_classifier",
    "random_forest_regressor",
    "xgboost_classification",
    "xgboost_regression",
]

_SHARE_OF_FEATURES = OneOf("sqrt", "log2", None, Real(0.05, 1.0))
_FOREST = {
    "n_estimators": Whole(30, 500, log=True),
    "max_features": _SHARE_OF_FEATURES,
    "max_depth": OneOf(None, Whole(2, 30, log=True)),
    "min_samples_split": Whole(2, 20, log=True),
    "min_samples_leaf": Whole(1, 20, log=True),
    "bootstrap": FLAG,
}
_CLASSES = {"criterion": OneOf("gini", "entropy")}
_NUMBERS = {"criterion": OneOf("squared_error", "absolute_error")}
_WEIGHTS = {"class_weight": OneOf(None, "balanced")}
_TREE = {
    "splitter": OneOf("best", "random"),
    "max_depth": OneOf(None, Whole(1, 30, log=True)),
    "max_features": _SHARE_OF_FEATURES,
    "min_samples_split": Whole(2, 50, log=True),
    "min_samples_leaf": Whole(1, 50, log=True),
    "ccp_alpha": OneOf(0.0, Real(1e-6, 1e-1, log=True)),
}
_GRADIENT_BOOSTING = {
    "learning_rate": Real(0.005, 0.5, log=True),
    "n_estimators": Whole(30, 500, log=True),
    "max_depth": Whole(1, 8),
    "subsample": Real(0.4, 1.0),
    "max_features": _SHARE_OF_FEATURES,
    "min_samples_split": Whole(2, 50, log=True),
    "min_samples_leaf": Whole(1, 50, log=True),
}
_HISTOGRAMS = {
    "learning_rate": Real(0.01, 0.5, log=True),
    "max_iter": Whole(30, 500, log=True),
    "max_leaf_nodes": Whole(4, 128, log=True),
    "min_samples_leaf": Whole(1, 100, log=True),
    "l2_regularization": OneOf(0.0, Real(1e-6, 10.0, log=True)),
    "max_features": Real(0.2, 1.0),
}
_BAGGING = {
    "n_estimators": Whole(5, 100, log=True),
    "max_samples": Real(0.3, 1.0),
    "max_features": Real(0.3, 1.0),
    "bootstrap": FLAG,
    "bootstrap_features": FLAG,
}
_ADA_BOOST = {
    "n_estimators": Whole(20, 500, log=True),
    "learning_rate": Real(0.01, 3.0, log=True),
}

decision_tree_classifier = Component(
    "decision_tree_classifier",
    "decision_tree",
    "sklearn.tree.DecisionTreeClassifier",
    "classifier",
    {**_TREE, **_CLASSES, **_WEIGHTS},
)
decision_tree_regressor = Component(
    "decision_tree_regressor",
    "decision_tree",
    "sklearn.tree.DecisionTreeRegressor",
    "regressor",
    {**_TREE, **_NUMBERS},
)
extra_tree_classifier = Component(
    "extra_tree_classifier",
    "extra_tree",
    "sklearn.tree.ExtraTreeClassifier",
    "classifier",
    {**_TREE, **_CLASSES, **_WEIGHTS, "splitter": OneOf("random", "best")},
)
extra_tree_regressor = Component(
    "extra_tree_regressor",
    "extra_tree",
    "sklearn.tree.ExtraTreeRegressor",
    "regressor",
    {**_TREE, **_NUMBERS, "splitter": OneOf("random", "best")},
)
random_forest_classifier = Component(
    "random_forest_classifier",
    "random_forest",
    "sklearn.ensemble.RandomForestClassifier",
    "classifier",
    {**_FOREST, **_CLASSES, **_WEIGHTS},
)
random_forest_regressor = Component(
    "random_forest_regressor",
    "random_forest",
    "sklearn.ensemble.RandomForestRegressor",
    "regressor",
    {**_FOREST, **_NUMBERS},
)
extra_trees_classifier = Component(
    "extra_trees_classifier",
    "extra_trees",
    "sklearn.ensemble.ExtraTreesClassifier",
    "classifier",
    {**_FOREST, **_CLASSES, **_WEIGHTS, "bootstrap": FLAG},
)
extra_trees_regressor = Component(
    "extra_trees_regressor",
    "extra_trees",
    "sklearn.ensemble.ExtraTreesRegressor",
    "regressor",
    {**_FOREST, **_NUMBERS, "bootstrap": FLAG},
)
bagging_classifier = Component(
    "bagging_classifier",
    "bagging",
    "sklearn.ensemble.BaggingClassifier",
    "classifier",
    _BAGGING,
)
bagging_regressor = Component(
    "bagging_regressor", "bagging", "sklearn.ensemble.BaggingRegressor", "regressor", _BAGGING
)
ada_boost_classifier = Component(
    "ada_boost_classifier",
    "ada_boost",
    "sklearn.ensemble.AdaBoostClassifier",
    "classifier",
    # The other one is deprecated, and was the default, before this one was all there is.
    {**_ADA_BOOST, **({"algorithm": "SAMME"} if SKLEARN < (1, 6) else {})},
)
ada_boost_regressor = Component(
    "ada_boost_regressor",
    "ada_boost",
    "sklearn.ensemble.AdaBoostRegressor",
    "regressor",
    {**_ADA_BOOST, "loss": OneOf("linear", "square", "exponential")},
)
gradient_boosting_classifier = Component(
    "gradient_boosting_classifier",
    "grad_boosting",
    "sklearn.ensemble.GradientBoostingClassifier",
    "classifier",
    # The loss "exponential" is for two classes only.
    _GRADIENT_BOOSTING,
)
gradient_boosting_regressor = Component(
    "gradient_boosting_regressor",
    "grad_boosting",
    "sklearn.ensemble.GradientBoostingRegressor",
    "regressor",
    {**_GRADIENT_BOOSTING, "loss": OneOf("squared_error", "absolute_error", "huber")},
)
hist_gradient_boosting_classifier = Component(
    "hist_gradient_boosting_classifier",
    "hist_grad_boosting",
    "sklearn.ensemble.HistGradientBoostingClassifier",
    "classifier",
    {**_HISTOGRAMS, **_WEIGHTS},
)
hist_gradient_boosting_regressor = Component(
    "hist_gradient_boosting_regressor",
    "hist_grad_boosting",
    "sklearn.ensemble.HistGradientBoostingRegressor",
    "regressor",
    {**_HISTOGRAMS, "loss": OneOf("squared_error", "absolute_error")},
)
isolation_forest = Component(
    "isolation_forest",
    "isolation_forest",
    "sklearn.ensemble.IsolationForest",
    "detector",
    {
        "n_estimators": Whole(30, 500, log=True),
        "max_samples": OneOf("auto", Real(0.1, 1.0)),
        "max_features": Real(0.2, 1.0),
        "contamination": OneOf("auto", Real(0.005, 0.3, log=True)),
        "bootstrap": FLAG,
    },
)

TREES = (
    decision_tree_classifier,
    decision_tree_regressor,
    extra_tree_classifier,
    extra_tree_regressor,
    random_forest_classifier,
    random_forest_regressor,
    extra_trees_classifier,
    extra_trees_regressor,
    bagging_classifier,
    bagging_regressor,
    ada_boost_classifier,
    ada_boost_regressor,
    gradient_boosting_classifier,
    gradient_boosting_regressor,
    hist_gradient_boosting_classifier,
    hist_gradient_boosting_regressor,
    isolation_forest,
)

# --------------------------------------------------------------- packages beside scikit-learn

_XGBOOST = {
    "n_estimators": Whole(30, 500, log=True),
    "learning_rate": Real(0.01, 0.5, log=True),
    "max_depth": Whole(1, 11),
    "min_child_weight": Real(0.5, 50.0, log=True),
    "gamma": OneOf(0.0, Real(1e-4, 5.0, log=True)),
    "subsample": Real(0.5, 1.0),
    "colsample_bytree": Real(0.3, 1.0),
    "colsample_bylevel": Real(0.3, 1.0),
    "reg_alpha": OneOf(0.0, Real(1e-4, 10.0, log=True)),
    "reg_lambda": Real(1e-3, 10.0, log=True),
    "n_jobs": 1,
    "verbosity": 0,
}
_LIGHTGBM = {
    "n_estimators": Whole(30, 500, log=True),
    "learning_rate": Real(0.01, 0.5, log=True),
    "num_leaves": Whole(4, 128, log=True),
    "min_child_samples": Whole(2, 100, log=True),
    "subsample": Real(0.5, 1.0),
    "subsample_freq": 1,  # else LightGBM pays subsample no heed
    "colsample_bytree": Real(0.3, 1.0),
    "reg_alpha": OneOf(0.0, Real(1e-4, 10.0, log=True)),
    "reg_lambda": OneOf(0.0, Real(1e-4, 10.0, log=True)),
    "n_jobs": 1,
    "verbosity": -1,
}
_CATBOOST = {
    "iterations": Whole(30, 500, log=True),
    "learning_rate": Real(0.01, 0.5, log=True),
    "depth": Whole(2, 8),
    "l2_leaf_reg": Real(0.5, 30.0, log=True),
    "random_strength": Real(0.1, 10.0, log=True),
    "bagging_temperature": Real(0.0, 2.0),
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}

xgboost_classification = Component(
    "xgboost_classification", "xgboost", "xgboost.XGBClassifier", "classifier", _XGBOOST
)
xgboost_regression = Component(
    "xgboost_regression", "xgboost", "xgboost.XGBRegressor", "regressor", _XGBOOST
)
lightgbm_classification = Component(
    "lightgbm_classification",
    "lightgbm",
    "lightgbm.LGBMClassifier",
    "classifier",
    {**_LIGHTGBM, **_WEIGHTS},
)
lightgbm_regression = Component(
    "lightgbm_regression", "lightgbm", "lightgbm.LGBMRegressor", "regressor", _LIGHTGBM
)
catboost_classification = Component(
    "catboost_classification",
    "catboost",
    "catboost.CatBoostClassifier",
    "classifier",
    {**_CATBOOST, "auto_class_weights": OneOf(None, "Balanced")},
)
catboost_regression = Component(
    "catboost_regression", "catboost", "catboost.CatBoostRegressor", "regressor", _CATBOOST
)

BOOSTING_PACKAGES = (
    xgboost_classification,
    xgboost_regression,
    lightgbm_classification,
    lightgbm_regression,
    catboost_classification,
    catboost_regression,
)
