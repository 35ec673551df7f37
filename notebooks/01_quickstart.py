# Databricks notebook source
# MAGIC %md
# MAGIC # sparktrials: hyperparameter tuning on Spark
# MAGIC
# MAGIC You describe what may be tried, `fmin` tries it on your cluster, and every trial is kept.
# MAGIC This notebook shows spaces, `fmin` with `SparkTrials`, choices, failures, early stopping,
# MAGIC points of your own, and a history that outlives the driver.
# MAGIC
# MAGIC It also runs as a plain script: `python 01_quickstart.py`.

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
# MAGIC ## A first study
# MAGIC
# MAGIC The space is built of `hp` nodes in dicts, lists and tuples. The objective gets one point of
# MAGIC it and returns a loss: lower is better. `SparkTrials` runs each trial as a Spark task of its
# MAGIC own; the executors need Python with numpy and whatever the objective imports.

# COMMAND ----------

# DBTITLE 1,fmin with SparkTrials
from sparktrials import STATUS_OK, SparkTrials, fmin, hp, scope, space_eval, tpe

space = {
    "x": hp.uniform("x", -10, 10),
    "rate": hp.loguniform("rate", -7, 0),  # bounds are natural logarithms: 0.0009 to 1
    "layers": hp.uniformint("layers", 1, 5),
    "units": scope.int(hp.quniform("units", 16, 128, 16)),  # quniform alone gives floats
}


def valley(point):
    loss = (point["x"] - 2) ** 2 + abs(point["layers"] - 3) + point["rate"]
    return {"loss": loss, "status": STATUS_OK, "units": point["units"]}


trials = SparkTrials(spark_session=spark)
best = fmin(valley, space, algo=tpe.suggest, max_evals=40, trials=trials, rstate=0)
display(best)

# COMMAND ----------

# MAGIC %md
# MAGIC `parallelism` is the number of cluster slots unless you say otherwise. An algorithm that
# MAGIC learns wants many rounds: with 40 trials, 4 at a time teach it more than 40 at once.
# MAGIC
# MAGIC What the objective returned beside the loss is in the trials:

# COMMAND ----------

display(trials.best_trial["result"])
display([(t.id, t.loss, t.duration_s, t.host) for t in trials.history[:3]])

# COMMAND ----------

# MAGIC %md
# MAGIC ## Choices
# MAGIC
# MAGIC A `hp.choice` may hold parameters of its own, which exist only in their branch. In `argmin`,
# MAGIC which is what `fmin` returns, a choice is the **index** of its option, as in Hyperopt.
# MAGIC `trials.best_params` has the options themselves, and `space_eval` gives what the objective
# MAGIC received.

# COMMAND ----------

# DBTITLE 1,Index, option, and what the objective received
model_space = hp.choice(
    "model",
    [
        {"kind": "tree", "depth": hp.uniformint("depth", 1, 12)},
        {"kind": "line", "penalty": hp.choice("penalty", ["l1", "l2"])},
    ],
)


def model_loss(model):
    if model["kind"] == "tree":
        return abs(model["depth"] - 7)
    return 0.5 if model["penalty"] == "l2" else 2.0


model_trials = SparkTrials(spark_session=spark)
argmin = fmin(model_loss, model_space, max_evals=40, trials=model_trials, rstate=0)
received = space_eval(model_space, argmin)
display(argmin)
display(model_trials.best_params)
display(received)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Failures
# MAGIC
# MAGIC A trial that raises, or returns NaN, fails alone: the study goes on, the first failure is
# MAGIC shown with its traceback when it happens, and all are in `trials.history`.

# COMMAND ----------


# DBTITLE 1,Some points don't work
def fragile(x):
    if x < -5:
        raise ValueError(f"cannot train with x={x:.1f}")
    return float("nan") if x > 8 else x**2


fragile_trials = SparkTrials(spark_session=spark)
fmin(fragile, hp.uniform("x", -10, 10), max_evals=30, trials=fragile_trials, rstate=0)
failures = [
    (t.id, t.failure.kind.value, str(t.failure)) for t in fragile_trials.history if t.failure
]
display(failures)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Points of your own, and stopping early
# MAGIC
# MAGIC `points_to_evaluate` are tried first, on top of `max_evals`: the settings you have now, for
# MAGIC instance; a choice is given by its index. `early_stop_fn` is called after each trial and says
# MAGIC whether to stop; `loss_threshold` and `timeout` stop without a function.

# COMMAND ----------


# DBTITLE 1,Start from what you have, stop when it gets no better
def no_progress(trials, best=None, since=0):
    """Stop after 15 trials that were no better than the best before them."""
    now = trials.best_trial["result"]["loss"]
    since = 0 if best is None or now < best else since + 1
    return since >= 15, [now, since]


stopped_trials = SparkTrials(spark_session=spark)
fmin(
    valley,
    space,
    max_evals=1000,
    trials=stopped_trials,
    points_to_evaluate=[{"x": 1.5, "rate": 0.01, "layers": 3, "units": 64}],
    early_stop_fn=no_progress,
    rstate=0,
)
display((len(stopped_trials.history), stopped_trials.fmin_cancelled_reason))

# COMMAND ----------

# MAGIC %md
# MAGIC ## A history that outlives the driver
# MAGIC
# MAGIC With `store="sqlite:///..."` every trial is on disk when it ends. Run the same cell again,
# MAGIC after an interruption, a crash or a restart: finished trials are read, those that were in
# MAGIC flight run again, and the study ends with exactly `max_evals` trials. A larger `max_evals`
# MAGIC goes on from there. One file holds many studies, told apart by `exp_key`.

# COMMAND ----------

# DBTITLE 1,Keep it, and go on
import os
import tempfile

# A disk of the driver's own; see below for where to keep it.
directory = os.environ.get("QUICKSTART_DIR") or tempfile.mkdtemp()
store = f"sqlite:///{directory}/history.db"

first = SparkTrials(spark_session=spark, store=store, exp_key="quickstart")
fmin(valley, space, max_evals=20, trials=first, rstate=0)

# As another driver would, tomorrow:
second = SparkTrials(spark_session=spark, store=store, exp_key="quickstart")
fmin(valley, space, max_evals=30, trials=second)
display((len(first.history), len(second.history), second.best_params))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Where to keep the history on Databricks
# MAGIC
# MAGIC * A driver's local disk is fast and right for SQLite, but it **goes with the cluster**.
# MAGIC * SQLite does **not** work directly on `/dbfs` or `/Volumes`: these do not offer the random
# MAGIC   writes and locks that a database needs.
# MAGIC
# MAGIC So keep the file on the driver's disk, and copy it to a Volume: at the end, and every now and
# MAGIC then during long runs. SQLite's backup takes a consistent copy while a study is writing. At
# MAGIC the start of a new cluster, copy it back. Histories on database servers come with a later
# MAGIC version.

# COMMAND ----------

# DBTITLE 1,Save the history to a Volume, and bring it back
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


def save_history(file, target):
    """Copy a history, also one that is being written, to a place that only takes whole files."""
    copy = f"{file}.copy"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as snapshot:
        source.backup(snapshot)
        snapshot.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    shutil.copyfile(copy, f"{target}.new")
    os.replace(f"{target}.new", target)
    os.remove(copy)


def bring_history(target, file):
    """Copy it back, unless this driver has a history already."""
    if Path(target).exists() and not Path(file).exists():
        shutil.copyfile(target, file)


volume = os.environ.get("QUICKSTART_VOLUME") or tempfile.mkdtemp()  # /Volumes/main/me/histories
save_history(f"{directory}/history.db", f"{volume}/history.db")

# On another cluster:
another_disk = tempfile.mkdtemp()
bring_history(f"{volume}/history.db", f"{another_disk}/history.db")
restored = SparkTrials(
    spark_session=spark, store=f"sqlite:///{another_disk}/history.db", exp_key="quickstart"
)
display(restored)

# COMMAND ----------

# MAGIC %md
# MAGIC To save every few minutes during a long study, call `save_history` from `early_stop_fn` when
# MAGIC enough time has passed, and return `(False, [])`.
# MAGIC
# MAGIC Next: `docs/tutorial.md` tunes a whole scikit-learn pipeline.
