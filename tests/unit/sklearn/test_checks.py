"""scikit-learn's own checks of estimators."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparktrials import hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    decision_tree_classifier,
    decision_tree_regressor,
)
from sparktrials.sklearn.component import SKLEARN

# Before 1.6 what an estimator cannot do is said in another way.
pytestmark = pytest.mark.newest

#: The checks ask for what no other model has: weights, gaps, sparse data, and weights that count as
#: often as samples do.
TREE = {
    "max_depth": hp.uniformint("depth", 3, 9),
    "min_samples_leaf": 1,
    "min_samples_split": 2,
    "splitter": "best",
    "ccp_alpha": 0.0,
    "max_features": None,
}


def search(**given):
    return HyperoptEstimator(preprocessing=[], max_evals=2, seed=0, **given)


CLASSIFIER = search(classifier=decision_tree_classifier("m", class_weight=None, **TREE))
REGRESSOR = search(regressor=decision_tree_regressor("m", **TREE))
CLASSIFIER_CV = SparkTrialsSearchCV(
    LogisticRegression(), {"C": hp.loguniform("C", -3, 3)}, 2, cv=2, random_state=0
)
REGRESSOR_CV = SparkTrialsSearchCV(
    Ridge(), {"alpha": hp.loguniform("a", -3, 3)}, 2, cv=2, error_score="raise", random_state=0
)


def not_possible(estimator):
    """Return the checks that scikit-learn's own searches do not pass either."""
    if isinstance(estimator, SparkTrialsSearchCV):
        return {"check_supervised_y_2d": "DataConversionWarning not caught"}
    return {}


def checks(*estimators):
    known = {} if SKLEARN < (1, 6) else {"expected_failed_checks": not_possible}
    return parametrize_with_checks(list(estimators), **known)


@checks(CLASSIFIER)
def test_a_search(estimator, check):
    check(estimator)


@pytest.mark.soak
@checks(REGRESSOR, CLASSIFIER_CV, REGRESSOR_CV)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:.*scores are non-finite:UserWarning")
def test_all_searches(estimator, check):
    check(estimator)
