"""The two examples of Hyperopt-Sklearn's documentation, as they stand there, on data of their kind.

There the first has sonar returns (208 samples, 60 features, two classes), the second prices of
houses.
"""

from __future__ import annotations

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

from sparktrials import tpe
from sparktrials.compat.hpsklearn import (
    HyperoptEstimator,
    any_classifier,
    any_preprocessing,
    any_regressor,
)

pytestmark = pytest.mark.soak


def test_classification():
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.33, random_state=1)
    model = HyperoptEstimator(
        classifier=any_classifier("cla"),
        preprocessing=any_preprocessing("pre"),
        algo=tpe.suggest,
        max_evals=50,
        trial_timeout=30,
    )
    model.fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.93
    assert model.best_model()["learner"] is not None


def test_regression():
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.33, random_state=1)
    model = HyperoptEstimator(
        regressor=any_regressor("reg"),
        preprocessing=any_preprocessing("pre"),
        loss_fn=mean_absolute_error,
        algo=tpe.suggest,
        max_evals=50,
        trial_timeout=30,
    )
    model.fit(X_train, y_train)
    mean = DummyRegressor().fit(X_train, y_train).predict(X_test)
    found = mean_absolute_error(y_test, model.predict(X_test))
    assert found < 0.75 * mean_absolute_error(y_test, mean)
