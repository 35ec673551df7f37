"""SparkTrials with a time-out: what is under way is cancelled, what was found is kept."""

import time

import numpy as np
from hyperopt import SparkTrials, fmin, hp, rand
from pyspark.sql import SparkSession


def objective(x):
    import time

    time.sleep(0.1 if x < 0.8 else 60)
    return x


# Spark and its Python workers start before the time counts.
spark = SparkSession.builder.getOrCreate()
assert spark.sparkContext.parallelize(range(2), 2).map(lambda i: i + 1).collect() == [1, 2]

trials = SparkTrials(parallelism=2, timeout=6)
start = time.monotonic()
best = fmin(
    objective,
    hp.uniform("x", 0, 1),
    algo=rand.suggest,
    max_evals=100,
    trials=trials,
    rstate=np.random.default_rng(1),
    show_progressbar=False,
)
print(time.monotonic() - start, "seconds,", len(trials), "trials")
assert best["x"] < 0.8
assert trials.timeout == 6
assert trials.count_successful_trials() >= 1
assert trials.count_cancelled_trials() >= 1
assert trials.fmin_cancelled_reason == "fmin run timeout"
assert trials.argmin == best
print("OK")
