"""A study on Spark that is seen: in MLflow, in the log, in the Spark UI."""

from __future__ import annotations

import logging
import warnings

import pytest

from sparktrials import SparkTrials, current_trial, fmin, hp, rand


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"file://{tmp_path}/mlruns")
        mlflow.set_experiment("tests")
    yield mlflow
    mlflow.set_tracking_uri(before)


def test_trials_are_seen(spark_local, mlflow, caplog):
    """An active run is enough; executors need no MLflow."""
    caplog.set_level(logging.DEBUG, logger="sparktrials.study")

    def objective(x):
        current_trial().report(1, 2 * x)
        if x > 0.9:
            raise ValueError("too large")
        return x

    trials = SparkTrials(exp_key="seen")
    with mlflow.start_run() as parent:
        fmin(
            objective,
            hp.uniform("x", 0, 1),
            algo=rand.suggest,
            max_evals=20,
            trials=trials,
            rstate=3,
            verbose=False,
        )
        assert mlflow.active_run().info.run_id == parent.info.run_id
    children = mlflow.MlflowClient().search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    children.sort(key=lambda run: int(run.data.tags["sparktrials.trial"]))
    assert len(children) == 20
    for trial, child in zip(trials.history, children, strict=True):
        assert child.data.tags["sparktrials.host"] == trial.host
        assert child.data.metrics["reported"] == 2 * trial.point["x"]
        assert child.info.status == ("FINISHED" if trial.failure is None else "FAILED")
        assert child.data.metrics.get("loss") == trial.loss
    ended = [r for r in caplog.records if getattr(r, "state", "running") != "running"]
    assert sorted(r.trial_id for r in ended) == list(range(20))
    assert {r.experiment for r in ended} == {"seen"}
    assert all(r.host and r.duration_s is not None for r in ended)
