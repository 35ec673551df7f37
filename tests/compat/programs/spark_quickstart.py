"""Databricks' first example: scikit-learn's SVC tuned in parallel with SparkTrials."""

import numpy as np
from hyperopt import STATUS_OK, SparkTrials, fmin, hp, tpe
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

X, y = load_iris(return_X_y=True)


def objective(C):
    clf = SVC(C=C)
    accuracy = cross_val_score(clf, X, y, cv=3).mean()
    # Hyperopt tries to minimize the objective function: a higher accuracy is a better model.
    return {"loss": -accuracy, "status": STATUS_OK}


search_space = hp.lognormal("C", 0, 1.0)
spark_trials = SparkTrials(parallelism=2)

argmin = fmin(
    fn=objective,
    space=search_space,
    algo=tpe.suggest,
    max_evals=8,
    trials=spark_trials,
    rstate=np.random.default_rng(0),
)
print("Best value found:", argmin)
assert list(argmin) == ["C"]
assert argmin["C"] > 0

assert len(spark_trials) == len(spark_trials.results) == 8
assert spark_trials.statuses() == ["ok"] * 8
assert min(spark_trials.losses()) < -0.93
assert spark_trials.count_successful_trials() == 8
assert spark_trials.count_failed_trials() == 0
assert spark_trials.count_cancelled_trials() == 0
assert spark_trials.count_total_trials() == 8
assert spark_trials.parallelism == 2
assert spark_trials.best_trial["result"]["loss"] == min(spark_trials.losses())
assert spark_trials.argmin == argmin
assert spark_trials.fmin_cancelled_reason is None
print("OK")
