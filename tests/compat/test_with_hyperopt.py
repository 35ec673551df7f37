"""The other way round: the real Hyperopt, in an environment of its own, on our trials."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.conftest import spark_environment

PROGRAMS = Path(__file__).parent / "with_hyperopt"
SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def python():
    """Return the Python that has the real Hyperopt."""
    found = os.environ.get("SPARKTRIALS_PEERS")
    if not found:
        pytest.skip("SPARKTRIALS_PEERS names no Python with Hyperopt (make setup-peers makes one)")
    return found


def run(python, program, environment):
    done = subprocess.run(
        [python, PROGRAMS / program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "OK"


def test_in_this_process(python):
    run(python, "local.py", {**os.environ, "PYTHONPATH": str(SRC)})


@pytest.mark.spark
def test_on_spark(python):
    run(python, "on_spark.py", spark_environment("local", PYSPARK_PYTHON=python))
