"""What the peers make of the rows of ``dispatch.py``: run with a Python that has them.

Objectives, slots and Spark are those of the row; ``mixed`` gives each trial the same durations, in
the order in which the peer numbers its trials.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dispatch_rows import MIXED, Row, Skip, ideal_seconds, no_op, session

__all__ = ["measure"]


def measure(peer: str, row: Row, trials: int) -> float:
    """Return a peer's figure in a row."""
    run = {"hyperopt": hyperopt, "mlflow": mlflow, "joblibspark": joblibspark}[peer]
    spark = session(row)
    try:
        run(spark, row, [0.0] * row.slots, row.slots, "warm-up")
    except ImportError as error:
        msg = f"it is not installed: {error}"
        raise Skip(msg) from error
    seconds = MIXED.many(trials).tolist()
    if row.name != "mixed":
        seconds = [1.0 if row.unit == "utilisation" else 0.0] * trials
    start = time.perf_counter()
    run(spark, row, seconds, trials, "measured")
    wall = time.perf_counter() - start
    if row.name == "mixed":
        return ideal_seconds(seconds, row.slots) / wall
    return trials * 1.0 / row.slots / wall if row.unit == "utilisation" else trials / wall


def hyperopt(_spark: Any, row: Row, seconds: Sequence[float], trials: int, name: str) -> None:
    """Hyperopt's SparkTrials; its objectives don't know their trial's number."""
    import hyperopt
    import numpy as np

    fixed = seconds[0]

    def objective(x: float) -> float:
        if fixed:
            time.sleep(fixed)
        return no_op(x)

    algo = hyperopt.rand.suggest if row.option("algo") == "rand" else hyperopt.tpe.suggest
    kept = hyperopt.SparkTrials(row.slots)
    hyperopt.fmin(objective, hyperopt.hp.uniform("x", -5, 5), algo=algo, max_evals=trials,
                  trials=kept, max_queue_len=row.slots, rstate=np.random.default_rng(1),
                  verbose=False, show_progressbar=False)  # fmt: skip
    done = sum(t["result"].get("status") == "ok" for t in kept.trials)
    if done != trials:
        msg = f"{name}: {done} of {trials} trials succeeded"
        raise RuntimeError(msg)


def mlflow(_spark: Any, row: Row, seconds: Sequence[float], trials: int, name: str) -> None:
    """MLflow's MlflowSparkStudy, tracking into SQLite on the same machine."""
    import logging

    import mlflow
    import optuna
    from mlflow.optuna.storage import MlflowStorage
    from mlflow.pyspark.optuna.study import MlflowSparkStudy

    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder = Path(os.environ["BENCH_FOLDER"])
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    found = mlflow.get_experiment_by_name("bench")
    experiment = found.experiment_id if found else mlflow.create_experiment(
        "bench", artifact_location=str(folder / "artifacts")
    )  # fmt: skip

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", -5, 5)
        wait = seconds[trial.number]
        if wait:
            time.sleep(wait)
        return no_op(x)

    study = MlflowSparkStudy(
        study_name=f"{row.name}-{name}",
        storage=MlflowStorage(experiment_id=experiment),
        mlflow_tracking_uri=uri,
    )
    study.optimize(objective, n_trials=trials, n_jobs=row.slots)


def joblibspark(_spark: Any, row: Row, seconds: Sequence[float], trials: int, name: str) -> None:
    """Random points through joblibspark: a map, not a search."""
    import joblib
    from joblibspark import register_spark

    register_spark()

    def objective(number: int) -> float:
        wait = seconds[number]
        if wait:
            time.sleep(wait)
        return no_op(float(number))

    calls = (joblib.delayed(objective)(number) for number in range(trials))
    with joblib.parallel_backend("spark", n_jobs=row.slots):
        done = joblib.Parallel(batch_size=1, pre_dispatch="all")(calls)
    if len(done) != trials:
        msg = f"{name}: {len(done)} of {trials} calls came back"
        raise RuntimeError(msg)
