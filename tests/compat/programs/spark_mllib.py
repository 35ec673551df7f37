"""Databricks' distributed training: MLlib inside the objective, plain Trials on the driver."""

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, tpe
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rng = np.random.default_rng(0)
rows = [
    (*map(float, x), float(x @ [1.0, -2.0, 0.0] + rng.normal())) for x in rng.normal(size=(60, 3))
]
data = spark.createDataFrame(rows, ["a", "b", "c", "label"])
data = VectorAssembler(inputCols=["a", "b", "c"], outputCol="features").transform(data)
train, valid = data.randomSplit([0.7, 0.3], seed=1)
train, valid = train.coalesce(1).cache(), valid.coalesce(1).cache()
evaluator = RegressionEvaluator(metricName="rmse")


def train_model(params):
    model = LinearRegression(
        regParam=params["regParam"], elasticNetParam=params["elasticNetParam"], maxIter=5
    ).fit(train)
    return {
        "loss": evaluator.evaluate(model.transform(valid)),
        "status": STATUS_OK,
        "coefficients": model.coefficients.toArray(),
    }


space = {
    "regParam": hp.loguniform("regParam", np.log(1e-3), np.log(10)),
    "elasticNetParam": hp.uniform("elasticNetParam", 0, 1),
}
trials = Trials()
best = fmin(
    train_model,
    space,
    algo=tpe.suggest,
    max_evals=4,
    trials=trials,
    rstate=np.random.default_rng(0),
)
print(best, min(trials.losses()))
assert len(trials) == 4
assert trials.best_trial["result"]["loss"] == min(trials.losses())
assert trials.best_trial["result"]["coefficients"].shape == (3,)
assert best["regParam"] == trials.best_trial["misc"]["vals"]["regParam"][0]
print("OK")
