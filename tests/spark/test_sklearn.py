"""Pipelines of scikit-learn, searched on Spark."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from sparktrials import SparkTrials, Trials, rand

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("sklearn_search")
    sys.modules.pop("sklearn_search")


@pytest.mark.newest
def test_the_example(spark_local, example):
    X, y = example.customers(240)
    found = example.search(X, y, SparkTrials(1, spark_session=spark_local), 4)
    assert [t.state.value for t in found.trials.history] == ["ok"] * 4
    assert found.best_loss_ < -0.6
    again = pickle.loads(pickle.dumps(found.best_pipeline_))
    assert (again.predict(X) == found.predict(X)).all()


@pytest.mark.newest
def test_the_tasks_of_a_trial_share_its_folds(spark_local):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    from sparktrials import hp
    from sparktrials.sklearn import SparkTrialsSearchCV

    def searched(trials):
        return SparkTrialsSearchCV(
            LogisticRegression(max_iter=1_000),
            {"C": hp.loguniform("C", -4, 4)},
            max_evals=2,
            algo=rand.suggest,  # whose points are the same anywhere
            cv=3,
            random_state=0,
            trials=trials,
        ).fit(*load_iris(return_X_y=True))

    shared = searched(SparkTrials(nodes_per_trial=2, spark_session=spark_local))
    alone = searched(Trials())
    for i in range(3):
        column = f"split{i}_test_score"
        np.testing.assert_array_equal(shared.cv_results_[column], alone.cv_results_[column])
