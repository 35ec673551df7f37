"""Run with a Python that has the real Hyperopt and pyspark, and this package on its path."""

import os
import sys

import hyperopt
import numpy as np
from hyperopt import anneal, fmin, hp, rand, tpe
from pyspark.sql import SparkSession

from sparktrials import SparkTrials

os.environ["PYSPARK_PYTHON"] = sys.executable
SPACE = {
    "x": hp.uniform("x", -5, 5),
    "k": hp.choice("k", ["a", {"z": 1 + hp.quniform("z", 0, 10, 2)}]),
}


def objective(point):
    if point["x"] > 4:
        raise ValueError("too far")
    return {"loss": (point["x"] - 1) ** 2, "status": hyperopt.STATUS_OK}


spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
trials = SparkTrials(parallelism=2)
best = fmin(
    objective,
    SPACE,
    algo=tpe.suggest,
    max_evals=20,
    trials=trials,
    rstate=np.random.default_rng(0),
)
assert trials.count_total_trials() == 20
assert (best["x"] - 1) ** 2 == min(trials.losses())

# Algorithms that take one id at a time.
trials = SparkTrials(parallelism=2)
rng = np.random.default_rng(1)
fmin(objective, SPACE, algo=anneal.suggest, max_evals=12, trials=trials, rstate=rng)
assert trials.count_total_trials() == 12

# One objective that raises does not end a run on Spark.
trials = SparkTrials(parallelism=2)
rng = np.random.default_rng(2)
fmin(objective, SPACE, algo=rand.suggest, max_evals=30, trials=trials, timeout=300, rstate=rng)
assert trials.count_failed_trials() > 0
assert trials.count_total_trials() == 30


def annotated(x: hp.uniform("x", -1, 1), y: hp.choice("y", [1, 2])):
    return x + y


trials = SparkTrials(parallelism=2)
best = fmin(annotated, "annotated", algo=tpe.suggest, max_evals=10, trials=trials)
assert set(best) == {"x", "y"}
spark.stop()
print("OK")
