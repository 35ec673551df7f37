# Databricks notebook source
# MAGIC %md
# MAGIC # sparktrials: whole scikit-learn pipelines on Spark
# MAGIC
# MAGIC One search chooses the preprocessing, the model and the hyperparameters; each pipeline is tried
# MAGIC as a Spark task of its own. What comes out is plain scikit-learn. This notebook searches a
# MAGIC pipeline for a table, looks at what was found, and tunes the parameters of an estimator as
# MAGIC `GridSearchCV` does.
# MAGIC
# MAGIC It also runs as a plain script: `python 02_sklearn_pipelines.py`. The executors need
# MAGIC scikit-learn.

# COMMAND ----------

# MAGIC %pip install /Volumes/main/default/wheels/sparktrials-0.1.0-py3-none-any.whl

# COMMAND ----------

# DBTITLE 1,A Spark session, on Databricks or anywhere
try:
    spark  # Databricks has made one
except NameError:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()

try:
    display  # of Databricks or Jupyter
except NameError:
    display = print

# COMMAND ----------

# MAGIC %md
# MAGIC ## A table as people have it
# MAGIC
# MAGIC Numbers with gaps, words, dates: 400 customers, and whether they stayed.

# COMMAND ----------

# DBTITLE 1,The data
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
n = 400
customers = pd.DataFrame(
    {
        "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(45, 15, n)),
        "orders": rng.poisson(4, n),
        "town": rng.choice(["Bonn", "Ulm", "Jena", None], n),
        "since": pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 1500, n), unit="D"),
    }
)
score = customers["orders"] - (customers["town"] == "Ulm") * 3 - (customers["since"].dt.year > 2021)
stayed = np.where(score + rng.normal(0, 0.5, n) > 2.5, "stayed", "left")
X_train, X_test, y_train, y_test = train_test_split(customers, stayed, random_state=0)
display(customers.head())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Search
# MAGIC
# MAGIC The data goes to each executor once. Without `preprocessing` it is what suits the table: a
# MAGIC `ColumnTransformer` that fills gaps, scales numbers, encodes words and takes dates apart, in
# MAGIC ways that are part of the search. A pipeline that fails, or takes longer than a minute, costs
# MAGIC one trial.

# COMMAND ----------

# DBTITLE 1,HyperoptEstimator with SparkTrials
from sparktrials import SparkTrials, hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    decision_tree_classifier,
    gaussian_nb,
    logistic_regression,
)

search = HyperoptEstimator(
    classifier=hp.choice(
        "model",
        [decision_tree_classifier("tree"), logistic_regression("logistic"), gaussian_nb("bayes")],
    ),
    scoring="balanced_accuracy",
    cv=3,
    max_evals=30,
    trial_timeout=60,
    trials=SparkTrials(spark_session=spark),
    seed=0,
)
search.fit(X_train, y_train)
held_out = search.score(X_test, y_test)
display(held_out)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What was found
# MAGIC
# MAGIC `best_pipeline_` is fitted on all of the training data and unpickles where sparktrials is not
# MAGIC installed; `to_code()` writes it down.

# COMMAND ----------

# DBTITLE 1,The best first, a report, and the pipeline as code
board = search.leaderboard()
display(board.head(10))
print(search.report())
code = search.to_code()
print(code)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The parameters of one estimator
# MAGIC
# MAGIC `SparkTrialsSearchCV` is used as scikit-learn's own search classes are, and leaves behind what
# MAGIC they do.

# COMMAND ----------

# DBTITLE 1,SparkTrialsSearchCV
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sparktrials.sklearn import SparkTrialsSearchCV

X, y = load_wine(return_X_y=True)
tuned = SparkTrialsSearchCV(
    make_pipeline(StandardScaler(), SVC()),
    {
        "svc__C": hp.loguniform("C", -4, 5),
        "svc__gamma": hp.loguniform("gamma", -8, 1),
    },
    max_evals=20,
    cv=3,
    trials=SparkTrials(spark_session=spark),
    random_state=0,
)
tuned.fit(X, y)
display(pd.DataFrame(tuned.cv_results_).sort_values("rank_test_score").head())

# COMMAND ----------

# MAGIC %md
# MAGIC Next: `docs/how-to/sklearn.md` says what else there is, `docs/sklearn-components.md` lists the
# MAGIC components and what they search. `SparkTrials(store=...)` keeps the trials, so that the next
# MAGIC run goes on.
