"""What travels to executors: as little as possible, once, and loadable without the package."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from importlib.resources import files

import pytest

from sparktrials import SparkTrials, fmin, hp, rand
from sparktrials.dispatch.shipping import digest_of, make_task, package_zip

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(fn, **keywords):
    defaults = {"algo": rand.suggest, "max_evals": 30, "rstate": 0, "verbose": False}
    trials = SparkTrials()
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials


def test_the_same_code_makes_the_same_zip():
    assert package_zip() == package_zip()
    assert len(digest_of(package_zip())) == 32
    assert len(package_zip()) < 1_000_000  # it goes to every executor


def test_the_zip_is_this_package_and_no_more():
    names = zipfile.ZipFile(io.BytesIO(package_zip())).namelist()
    root = files("sparktrials")
    there = sorted(str(path.relative_to(root.parent)) for path in root.rglob("*.py"))
    assert sorted(names) == there


RUN_A_TRIAL = """
import sys

sys.path.insert(0, sys.argv[1])
for name in ("scipy", "pandas", "tqdm", "cloudpickle", "pyspark", "py4j"):
    sys.modules[name] = None

import pickle
import sparktrials
from sparktrials import hp
from sparktrials.dispatch.worker import Pack, run_pack
from sparktrials.space import compile_space

space = compile_space(hp.uniform("x", 0, 1))
payload = pickle.dumps(((), pickle.dumps(abs), pickle.dumps(space)))
pack = Pack(study="s", trials=((0, 1, 7, {"x": -2.0}),), time_box_s=1.0)
report = pickle.loads(run_pack(pack, lambda: payload, 0))
print(sparktrials.__file__, pickle.loads(report.outcomes[0]).loss)
"""

LOAD_A_TASK = """
import sys

sys.modules["sparktrials"] = None
from pyspark import cloudpickle

print(callable(cloudpickle.loads(sys.stdin.buffer.read())))
"""


def test_the_zip_runs_a_trial_where_there_is_nothing_but_numpy(tmp_path):
    path = tmp_path / "package.zip"
    path.write_bytes(package_zip())
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            RUN_A_TRIAL,
            path,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "package.zip" in done.stdout
    assert done.stdout.endswith(" 2.0\n")


def test_the_task_needs_no_sparktrials_to_be_loaded():
    task = make_task(b"pack", None, (), "digest")
    source = pyspark.cloudpickle.dumps(task)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD_A_TASK,
        ],
        input=source,
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"True\n", done.stderr


class Counted:
    """An objective that notes each time it is loaded."""

    def __init__(self, path):
        self.path = path

    def __call__(self, x):
        return x

    def __setstate__(self, state):
        self.__dict__ = state
        with self.path.open("a") as file:
            file.write("loaded\n")


@pytest.mark.spark35
def test_the_objective_is_loaded_once_per_worker_process(spark_local, tmp_path):
    path = tmp_path / "loads"
    run(Counted(path), max_evals=100)
    assert 1 <= len(path.read_text().splitlines()) <= 2


def test_studies_do_not_see_each_others_objectives(spark_local):
    def objective(number):
        return lambda x: x + number

    for number in (10, 20, 10, 30, 40, 50, 60, 10):  # more than a process keeps
        trials = run(objective(number), max_evals=4)
        assert trials.losses() == [x + number for x in trials.vals["x"]]


def test_objects_of_classes_that_the_driver_alone_knows(spark_local):
    class Local:
        def __init__(self, x):
            self.x = x

        def __call__(self, x):
            return {"loss": x, "status": "ok", "mine": Local(x)}

    trials = run(Local(1), max_evals=3)
    assert [r["mine"].x for r in trials.results] == trials.vals["x"]


def test_workers_stay(spark_local):
    import os

    def objective(x):
        return {"loss": x, "status": "ok", "pid": os.getpid()}

    pids = {r["pid"] for r in run(objective, max_evals=200).results}
    assert len(pids) <= 3  # a process for each slot, not for each trial
