"""Large values on real Spark: once to each executor, shared by its workers, freed in the end."""

from __future__ import annotations

import json
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from sparktrials import SparkTrials, broadcast, fmin, hp, rand
from sparktrials.dispatch.pickling import CLOSURE_LIMIT
from sparktrials.dispatch.spark_broadcast import LARGE, publish_on

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(fn, trials=None, **keywords):
    trials = SparkTrials() if trials is None else trials
    defaults = {"algo": rand.suggest, "max_evals": 4, "rstate": 0, "verbose": False}
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials.results


@pytest.mark.spark35
@pytest.mark.parametrize("channel", [True, False], ids=["channel", "pushed"])
def test_an_objective_reads_the_value(spark_local, channel):
    data = broadcast({"array": np.arange(1000.0), "frame": [1, 2]})

    def inner(x):
        return data.value["array"].sum() + x

    def objective(x):
        own = bool(data.value["array"].flags.owndata)
        return {"loss": inner(x), "status": "ok", "own": own}

    results = run(objective, SparkTrials(channel=channel))
    assert {round(r["loss"] // 1) for r in results} == {499500}
    assert not any(r["own"] for r in results)  # it is mapped


def test_several_studies_and_a_broadcast_of_sparks_own(spark_local):
    first, second = broadcast(np.ones(10)), broadcast(np.zeros(10))
    sparks = spark_local.sparkContext.broadcast(5)
    for _ in range(2):
        for data, total in ((first, 10), (second, 0)):
            results = run(lambda x, data=data: data.value.sum() + sparks.value + 0 * x)
            assert {r["loss"] for r in results} == {total + 5}
    assert len(first._published) == len(second._published) == 1
    first.unpersist()
    assert {r["loss"] for r in run(lambda x: first.value.sum())} == {10}
    first.destroy()
    assert {r["loss"] for r in run(lambda x: second.value.sum())} == {0}


def test_a_large_value(spark_local):
    data = broadcast(np.ones(LARGE // 8))
    for channel in (True, False):
        results = run(lambda x: data.value.sum() + 0 * x, SparkTrials(channel=channel))
        assert {r["loss"] for r in results} == {LARGE // 8}
    (publication,) = data._published.values()
    assert Path(publication.reference).stat().st_size > LARGE
    data.destroy()
    assert not Path(publication.reference).parent.exists()


def test_a_value_in_the_search_space(spark_local):
    data = broadcast(np.ones(10))
    space = {"x": hp.uniform("x", 0, 1), "data": data}
    trials = SparkTrials()
    fmin(
        lambda p: p["data"].value.sum(), space, algo=rand.suggest, max_evals=2, trials=trials,
        verbose=False,
    )  # fmt: skip
    assert trials.losses() == [10.0, 10.0]


def test_a_large_closure_is_warned_of(spark_local):
    table = np.zeros(CLOSURE_LIMIT // 8 + 1000)
    with pytest.warns(UserWarning, match="variable 'table' of <lambda>") as caught:
        run(lambda x: table[0] + x)
    assert caught[0].filename == __file__
    data = broadcast(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(lambda x: data.value[0] + x)


ONCE = """
    import functools, json, os, sys, threading, time
    from pathlib import Path
    import numpy as np
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, broadcast, fmin, hp, rand
    from sparktrials.dispatch.spark_broadcast import publish_on

    session = SparkSession.builder.getOrCreate()
    context = session.sparkContext
    folder = Path(sys.argv[1])
    data = broadcast(np.arange(9_000_000.0))  # 72 MB
    little = broadcast(np.ones(1000))

    def executor():
        daemon = os.getppid()
        stat = Path(f"/proc/{daemon}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[1])

    def mapped():
        # The file that the array is in, and what of it this process has copied (written to).
        found, copied, ours = set(), 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                ours = len(words) > 5 and "sparktrials-data" in words[5]
                if ours:
                    found.add(words[5])
            elif ours and words[0] == "Anonymous:":
                copied += int(words[1])
        return sorted(found), copied

    def until(true):
        deadline = time.monotonic() + 60
        while not true() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert true()

    def files():
        # Of such values on this executor: what Spark brought, and its own copies of that.
        own = Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0]).parent
        there = [*Path(".").glob("sparktrials-data-*"), *own.glob("**/*_cache")]
        return sum(path.stat().st_size > 1e6 for path in there)

    def objective(x):
        total = float(data.value.sum() + little.value.sum())
        (folder / f"{os.getpid()}").touch()
        until(lambda: len(list(folder.iterdir())) >= 2)
        paths, copied = mapped()
        return {"loss": total, "status": "ok", "paths": paths, "copied_kb": copied,
                "own": bool(little.value.flags.owndata), "executor": executor(), "files": files()}

    def run(objective):
        trials = SparkTrials()
        fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=6, trials=trials,
             verbose=False, rstate=0)
        return trials.results

    rows = run(objective) + run(objective)
    listed = [len(context.listFiles)]
    data.destroy()
    listed.append(len(context.listFiles))
    left = [row["loss"] for row in run(lambda x: files())]

    # Another job's stage is made while a value is there, its tasks begin when it is not.
    def busy(i):
        Path(folder / f"busy{i}").touch()
        until((folder / "free").exists)

    more = []
    def submit(work, n):
        job = threading.Thread(target=lambda: more.append(
            len(context.parallelize(range(n), n).map(work).collect())), daemon=True)
        job.start()
        return job

    jobs = [submit(busy, 2)]
    until(lambda: all((folder / f"busy{i}").exists() for i in range(2)))
    other = broadcast(np.ones(200_000))
    other.published(context, functools.partial(publish_on, context, large=1 << 20))
    jobs.append(submit(lambda i: i, 4))
    until(lambda: len(context.statusTracker().getActiveJobsIds()) == 2)
    other.destroy()
    (folder / "free").touch()
    for job in jobs:
        job.join()
    print(json.dumps([rows, listed, left, sorted(more)]))
    session.stop()
"""


@pytest.mark.slow
@pytest.mark.spark35
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_value_comes_once_to_each_executor(spark_script, tmp_path):
    folder = tmp_path / "seen"
    folder.mkdir()
    rows, listed, left, others = json.loads(spark_script(ONCE, folder, timeout=390).stdout)
    assert len(rows) == 12
    assert {row["loss"] for row in rows} == {9_000_000 * 8_999_999 / 2 + 1000}
    executors = {row["executor"] for row in rows}
    assert len(executors) == 2
    for executor in executors:
        paths = {p for row in rows if row["executor"] == executor for p in row["paths"]}
        assert len(paths) == 1  # one file, for both studies
    assert max(row["copied_kb"] for row in rows) < 1000
    assert not any(row["own"] for row in rows)  # it is mapped, too
    assert {row["files"] for row in rows} == {2}  # Spark keeps a copy for the machine's others
    assert listed == [1, 0]
    assert left == [0] * 6
    assert others == [2, 4]


def test_a_value_that_cannot_be_pickled_leaves_no_file(spark_local):
    context = spark_local.sparkContext
    before = set(Path(context._temp_dir).iterdir())
    with pytest.raises(TypeError, match="pickle"):
        publish_on(context, [np.ones(LARGE // 8), threading.Lock()])
    assert set(Path(context._temp_dir).iterdir()) == before
