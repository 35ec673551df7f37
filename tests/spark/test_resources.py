"""What a trial's task has of its machine: cpus, GPUs, threads; and that trials keep apart."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from sparktrials import SparkTrials, current_trial, fmin, hp, rand
from sparktrials.dispatch.task_environment import THREAD_VARIABLES
from sparktrials.errors import InvalidArgumentType

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(fn, trials, **keywords):
    defaults = {"algo": rand.suggest, "max_evals": 4, "rstate": 0, "verbose": False}
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials.results


def threads(x):
    import numpy as np

    found = {"loss": float((np.eye(300) @ np.eye(300))[0, 0]), "status": "ok"}
    found |= {name: os.environ.get(name) for name in THREAD_VARIABLES}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return found
    return found | {"pools": [pool["num_threads"] for pool in threadpool_info()]}


@pytest.mark.spark35
def test_libraries_keep_to_the_cpus_of_a_task(spark_local):
    for result in run(threads, SparkTrials()):
        assert {name: result[name] for name in THREAD_VARIABLES} == dict.fromkeys(
            THREAD_VARIABLES, "1"
        )
        assert set(result.get("pools", [1])) == {1}


def test_the_limit_on_threads_can_be_declined(spark_local):
    for result in run(threads, SparkTrials(limit_threads=False)):
        assert result["OMP_NUM_THREADS"] == "1"  # Spark's own
        assert result["MKL_NUM_THREADS"] is None


@pytest.mark.spark35
@pytest.mark.parametrize("channel", [True, False], ids=["channel", "pushed"])
def test_trials_find_environment_and_directory_as_the_first_did(spark_local, tmp_path, channel):
    def objective(x):
        found = {"cwd": str(Path.cwd()), "environment": dict(os.environ)}
        os.chdir(tmp_path)
        os.environ["LEFT"] = "by a trial"
        del os.environ["PATH"]
        if x < 0.5:
            raise ValueError("and this one raises")
        return {"loss": x, "status": "ok", **found}

    trials = SparkTrials(channel=channel)
    run(objective, trials, max_evals=20, rstate=1)
    found = [r for r in trials.results if "cwd" in r]
    assert 2 <= len(found) < 20
    for result in found:
        assert "LEFT" not in result["environment"]
        assert "PATH" in result["environment"]
        assert result["cwd"] != str(tmp_path)


def test_a_trial_knows_what_its_task_has(spark_local):
    def objective(x):
        return {"loss": x, "status": "ok", "has": dict(current_trial().resources)}

    results = run(objective, SparkTrials(), max_evals=2)
    assert [result["has"] for result in results] == [{"cpus": 1}, {"cpus": 1}]


def profile(executor=None, **task):
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    requests = TaskResourceRequests()
    requests.cpus(task.pop("cpus", 1))
    for name, amount in task.items():
        requests.resource(name, amount)
    builder = ResourceProfileBuilder().require(requests)
    return (builder.require(executor) if executor is not None else builder).build


def test_a_profile_has_no_effect_on_local_spark(spark_local, caplog):
    caplog.set_level(logging.WARNING, "sparktrials")
    trials = SparkTrials(resource_profile=profile(cpus=2))
    assert trials.parallelism == 2
    assert len(run(lambda x: x, trials)) == 4
    assert "resource_profile has no effect on spark.master=local[2]" in caplog.text


def test_a_profile_that_is_none(spark_local):
    with pytest.raises(InvalidArgumentType, match="resource_profile must be"):
        SparkTrials(resource_profile={"cpus": 2})


ON_GPUS = """
    import json, os, sys, time
    from pathlib import Path
    from pyspark.resource import (
        ExecutorResourceRequests, ResourceProfile, ResourceProfileBuilder, TaskResourceRequests,
    )
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, current_trial, fmin, hp, rand
    from sparktrials.errors import InvalidArgument

    folder = Path(sys.argv[1])

    def profile(cpus, gpu):
        return ResourceProfileBuilder().require(
            TaskResourceRequests().cpus(cpus).resource("gpu", gpu)).build

    try:
        before_spark = profile(2, 1.0)  # made without a JVM: it has none yet
    except Exception as error:
        before_spark = None
    session = SparkSession.builder.getOrCreate()
    session.sparkContext.parallelize([0], 1).count()  # an executor is there

    def together(n, mark):
        # Each trial waits until there are n of them at once.
        def objective(x):
            (folder / f"{mark}-{x}").touch()
            deadline = time.monotonic() + 60
            while len(list(folder.glob(f"{mark}-*"))) < n and time.monotonic() < deadline:
                time.sleep(0.02)
            names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
            return {"loss": x, "status": "ok", "has": dict(current_trial().resources),
                    "env": [os.environ.get(name) for name in names],
                    "at once": len(list(folder.glob(f"{mark}-*")))}
        return objective

    def study(name, n, resource_profile, **keywords):
        trials = SparkTrials(resource_profile=resource_profile, **keywords)
        slots = trials.parallelism
        fmin(together(n, name), hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=n,
             trials=trials, verbose=False, rstate=0)
        rows = [[r["has"], r["env"], r["at once"]] for r in trials.results]
        return {"slots": slots, "rows": rows}

    found = {
        "whole": study("whole", 2, before_spark or profile(2, 1.0)),
        "half": study("half", 4, profile(1, 0.5)),
        "pushed": study("pushed", 2, profile(2, 1.0), channel=False),
        "both": study("both", 1, profile(1, 2.0)),
    }
    request = ExecutorResourceRequests().cores(2).memory("512m")
    try:
        SparkTrials(resource_profile=ResourceProfileBuilder().require(request).require(
            TaskResourceRequests().cpus(1)).build)
    except InvalidArgument as error:
        found["refused"] = str(error)
    print(json.dumps(found))
    session.stop()
"""


@pytest.mark.slow
def test_gpus(spark_script, gpu_cluster, tmp_path):
    done = spark_script(ON_GPUS, tmp_path, master=gpu_cluster.url, conf="standalone-gpu")
    found = json.loads(done.stdout)

    for name in ("whole", "pushed"):
        assert found[name]["slots"] == 2
        rows = found[name]["rows"]
        assert sorted(has["gpu"] for has, _, _ in rows) == [["0"], ["1"]]
        for has, (visible, openmp, mkl), together in rows:
            assert has["cpus"] == 2
            assert [visible] == has["gpu"]
            assert (openmp, mkl) == ("2", "2")
            assert together == 2

    assert found["half"]["slots"] == 4
    visible = [env[0] for _, env, _ in found["half"]["rows"]]
    assert sorted(visible) == ["0", "0", "1", "1"]
    assert {row[2] for row in found["half"]["rows"]} == {4}

    (row,) = found["both"]["rows"]
    assert row[1][0] == "0,1"

    assert "spark.dynamicAllocation.enabled" in found["refused"]
