"""Databricks' model selection: several kinds of model, broadcast data, failures, space_eval."""

import hyperopt
import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, SparkTrials, fmin, hp, rand
from pyspark.sql import SparkSession
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

spark = SparkSession.builder.getOrCreate()
X, y = load_wine(return_X_y=True)
bc_x = spark.sparkContext.broadcast(X)
bc_y = spark.sparkContext.broadcast(y)


def objective(params):
    params = dict(params)
    classifier_type = params.pop("type")
    if classifier_type == "svm":
        clf = SVC(**params)
    elif classifier_type == "rf":
        clf = RandomForestClassifier(**params, random_state=0)
    elif classifier_type == "logreg":
        clf = LogisticRegression(**params)
    elif classifier_type == "broken":
        return {"status": STATUS_FAIL, "why": params["why"]}
    else:
        raise ValueError(f"no such classifier: {classifier_type}")
    model = make_pipeline(StandardScaler(), clf)
    accuracy = cross_val_score(model, bc_x.value, bc_y.value, cv=3).mean()
    return {"loss": -accuracy, "status": STATUS_OK, "type": classifier_type}


search_space = hp.choice(
    "classifier_type",
    [
        {
            "type": "svm",
            "C": hp.lognormal("SVM_C", 0, 1.0),
            "kernel": hp.choice("kernel", ["linear", "rbf"]),
        },
        {
            "type": "rf",
            "max_depth": hyperopt.pyll.scope.int(hp.quniform("max_depth", 2, 5, 1)),
            "criterion": hp.choice("criterion", ["gini", "entropy"]),
            "n_estimators": 5,
        },
        {"type": "logreg", "C": hp.lognormal("LR_C", 0, 1.0)},
        {"type": "broken", "why": "on purpose"},
        {"type": "unknown"},
    ],
)

spark_trials = SparkTrials(parallelism=2)
best_result = fmin(
    fn=objective,
    space=search_space,
    algo=rand.suggest,
    max_evals=16,
    trials=spark_trials,
    max_queue_len=2,
    rstate=np.random.default_rng(4),
    show_progressbar=False,
)
point = hyperopt.space_eval(search_space, best_result)
print(point, spark_trials.best_trial["result"])
assert point["type"] == spark_trials.best_trial["result"]["type"]
assert spark_trials.best_trial["result"]["loss"] < -0.9

results = spark_trials.results
by_status = {status: [r for r in results if r["status"] == status] for status in ("ok", "fail")}
assert by_status["ok"]
assert by_status["fail"]
assert all(r["why"] == "on purpose" for r in by_status["fail"])

# What raised is not among the trials; the run went on.
raised = [t for t in spark_trials._dynamic_trials if t["state"] == hyperopt.base.JOB_STATE_ERROR]
assert raised
assert all("no such classifier" in "".join(map(str, t["misc"]["error"])) for t in raised)
assert len(spark_trials) + len(raised) >= 16
assert spark_trials.count_failed_trials() == len(raised)
assert spark_trials.count_successful_trials() == len(results)

losses = [loss for loss in spark_trials.losses() if loss is not None]
assert min(losses) == spark_trials.best_trial["result"]["loss"]
print("OK")
