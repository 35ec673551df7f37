"""The example job, started by ``spark-submit`` against a standalone master with two workers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pyspark
import pytest
from tests.conftest import spark_environment

from sparktrials import Trials

ROOT = Path(__file__).parents[2]
SUBMIT = Path(pyspark.__file__).parent / "bin" / "spark-submit"


@pytest.fixture
def submit(standalone_cluster, tmp_path):
    """Return a function that submits the job with arguments, the package travelling as a zip."""
    package = shutil.make_archive(
        str(tmp_path / "sparktrials"), "zip", root_dir=ROOT / "src", base_dir="sparktrials"
    )
    environment = spark_environment("standalone")
    del environment["PYTHONPATH"]  # --py-files must do

    def run(*arguments):
        return spark_submit(
            *("--master", standalone_cluster.url),
            *("--py-files", f"{package},{ROOT / 'examples' / 'pipelines.py'}"),
            ROOT / "examples" / "spark_submit_job.py",
            *arguments,
            cwd=tmp_path,
            env=environment,
        )

    return run


def spark_submit(*arguments, cwd, env):
    """Run ``spark-submit`` to its end."""
    return subprocess.run(
        [SUBMIT, *map(str, arguments)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_job_runs_and_goes_on_in_its_history(submit, tmp_path):
    store = f"sqlite:///{tmp_path}/history.db"
    common = ("--store", store, "--exp-key", "job", "--seed", 3, "--algorithm", "random")

    done = submit("--trials", 6, *common)
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[-1])
    assert (first["trials"], first["exp_key"]) == (6, "job")
    assert 0.5 < first["best_accuracy"] <= 1
    assert "pipeline = make_pipeline(" in first["code"]

    done = submit("--trials", 8, *common, "--parallelism", 1)
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout.splitlines()[-1])
    assert second["trials"] == 8
    assert second["best_accuracy"] >= first["best_accuracy"]

    history = Trials(store, exp_key="job").history
    assert [t.id for t in history] == list(range(8))
    assert {t.attempt for t in history} == {1}


def test_failure_ends_with_an_error_and_a_code(submit, tmp_path):
    (tmp_path / "not.db").write_text("this is no database" * 100)
    done = submit("--trials", 2, "--store", f"sqlite:///{tmp_path}/not.db")
    assert done.returncode == 1
    assert "error: StoreCorrupt" in done.stdout  # spark-submit prints both of Python's streams here
    assert '{"exp_key"' not in done.stdout


ARCHIVED = """
from pyspark.sql import SparkSession
from sparktrials import SparkTrials, fmin, hp, rand

SparkSession.builder.getOrCreate()

def objective(x):
    import sys
    import only_in_the_archive
    return {"loss": only_in_the_archive.square(x), "status": "ok", "python": sys.executable}

trials = SparkTrials(parallelism=2)
fmin(objective, hp.uniform("x", 0, 1), rand.suggest, 4, trials=trials, rstate=1, verbose=False)
print("python", *sorted({r["python"] for r in trials.results}))
"""


@pytest.mark.slow
def test_an_environment_travels_as_an_archive(standalone_cluster, tmp_path):
    """As Spark's pages have it: the executors' Python is the one in the archive."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "only_in_the_archive.py").write_text("def square(x):\n    return x * x\n")
    with tarfile.open(tmp_path / "environment.tar.gz", "w:gz") as archive:
        archive.add(environment, arcname=".")
    (tmp_path / "job.py").write_text(ARCHIVED)
    done = spark_submit(
        *("--master", standalone_cluster.url),
        *("--archives", f"{tmp_path}/environment.tar.gz#unpacked"),
        tmp_path / "job.py",
        cwd=tmp_path,
        env=spark_environment(
            "standalone",
            PYSPARK_DRIVER_PYTHON=sys.executable,
            PYSPARK_PYTHON="./unpacked/bin/python",
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("python")]
    assert line.endswith("/unpacked/bin/python")
