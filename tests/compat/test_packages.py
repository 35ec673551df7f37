"""Packages from PyPI that import hyperopt run unmodified over the alias.

``scripts/packages`` installs them beside this project, without Hyperopt; the environment variable
SPARKTRIALS_PACKAGES names the Python of that environment. Each script in ``packages/`` uses one of
them as its documentation does, and ends by printing OK.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.newest

SCRIPTS = sorted((Path(__file__).parent / "packages").glob("use_*.py"))


@pytest.fixture(scope="module")
def python():
    python = os.environ.get("SPARKTRIALS_PACKAGES")
    if not python:
        pytest.skip("SPARKTRIALS_PACKAGES names no Python with them (scripts/packages makes one)")
    if not Path(python).exists():
        pytest.skip(f"SPARKTRIALS_PACKAGES: there is no {python} (scripts/packages makes one)")
    return python


def run(python, *arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONWARNINGS"}}
    # One thread each: small models on busy cores are otherwise slower by a factor of five.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [python, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_there_are_packages():
    assert len(SCRIPTS) >= 5
    assert "use_hyperopt_sklearn" in {p.stem for p in SCRIPTS}


def test_the_environment_has_no_hyperopt_of_its_own(python, tmp_path):
    done = run(python, "-c", "import hyperopt", cwd=tmp_path)
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem.removeprefix("use_"))
def test_package(script, python, tmp_path):
    done = run(python, "-m", "sparktrials.compat", script, cwd=tmp_path)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    assert done.stdout.splitlines()[-1] == "OK"
