"""Programs written for Hyperopt run unchanged: ``python -m sparktrials.compat PROGRAM``.

Each program in ``programs/`` makes the calls of a published Hyperopt program, asserts itself what
its user would rely on, and ends by printing OK. They pass on the real Hyperopt 0.3.0, too:
``.venv-peers/bin/python tests/compat/programs/quickstart.py`` (``plotting.py`` needs matplotlib).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.newest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
ON_SPARK = [p for p in PROGRAMS if p.stem.startswith("spark_")]
PLAIN = [p for p in PROGRAMS if p not in ON_SPARK]

NEEDS = {
    "gradient_boosting": "sklearn",
    "model_selection": "sklearn",
    "plotting": "matplotlib",
    "spark_model_selection": "sklearn",
    "spark_quickstart": "sklearn",
}

#: What ``python -m sparktrials.compat`` does, for the fixture that runs scripts.
AS_MODULE = """
import runpy
runpy.run_module("sparktrials.compat", run_name="__main__", alter_sys=True)
"""

#: One thread each: small models on busy cores are otherwise slower by a factor of five.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def skip_without_needs(program):
    needed = NEEDS.get(program.stem)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{program.name} needs {needed}")


def test_there_are_programs():
    assert len(PLAIN) >= 28
    assert len(ON_SPARK) >= 4
    assert set(NEEDS) <= {p.stem for p in PROGRAMS}


@pytest.mark.parametrize("program", PLAIN, ids=lambda p: p.stem)
def test_program(program, tmp_path):
    skip_without_needs(program)
    environment = {k: v for k, v in os.environ.items() if k != "HYPEROPT_FMIN_SEED"} | ONE_THREAD
    done = subprocess.run(
        [sys.executable, "-m", "sparktrials.compat", str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    assert done.stdout.splitlines()[-1] == "OK"


@pytest.mark.parametrize("program", ON_SPARK, ids=lambda p: p.stem)
def test_program_on_spark(program, spark_script):
    skip_without_needs(program)
    done = spark_script(AS_MODULE, program, conf="local", **ONE_THREAD)
    assert done.stdout.splitlines()[-1] == "OK"
