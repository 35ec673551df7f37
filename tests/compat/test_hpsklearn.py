"""``import hpsklearn`` means this package: where there is no other one, or on request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sparktrials
import sparktrials.sklearn

pytestmark = pytest.mark.newest

SRC = Path(sparktrials.__file__).parents[1]
USE = Path(__file__).parent / "packages" / "use_hyperopt_sklearn.py"
INSTALLED = "import sparktrials.compat as c; c.install()\n"


def run(*arguments, path=str(SRC)):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_program_runs_unmodified():
    """It is the one that test_packages runs with the real Hyperopt-Sklearn."""
    done = run("-m", "sparktrials.compat", USE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("OK\n")


def test_modules_and_names():
    done = run(
        "-c",
        f"{INSTALLED}from hpsklearn.components import svc\n"
        "import hpsklearn.estimator, hpsklearn, sparktrials.sklearn as s\n"
        "from hpsklearn.estimator import hyperopt_estimator\n"
        "assert hpsklearn.HyperoptEstimator is hyperopt_estimator is s.HyperoptEstimator\n"
        "assert hpsklearn.svc is svc is s.svc and hpsklearn.components.svc is svc\n"
        "assert hpsklearn.__spec__.name == 'sparktrials.compat.hpsklearn'\n"
        "from hyperopt.sklearn import HyperoptSearchCV\n"
        "import hyperopt\n"
        "assert hyperopt.sklearn.HyperoptSearchCV is HyperoptSearchCV is s.HyperoptSearchCV",
    )
    assert done.returncode == 0, done.stderr


def test_one_that_is_installed_is_used_unless_it_shall_not(tmp_path):
    (tmp_path / "hpsklearn.py").write_text("HyperoptEstimator = 'the real one'")
    path = os.pathsep.join([str(SRC), str(tmp_path)])
    code = "import hpsklearn; print(hpsklearn.HyperoptEstimator)"
    assert run("-c", INSTALLED + code, path=path).stdout == "the real one\n"
    wanted = INSTALLED.replace("install()", "install(hpsklearn=True)")
    assert "sparktrials" in run("-c", wanted + code, path=path).stdout
    late = "import hpsklearn\n" + wanted
    assert "hpsklearn was imported before" in run("-c", late, path=path).stderr


CHILD = """\
import subprocess, sys
child = "import hpsklearn, hpsklearn.components as c; print(hpsklearn.__name__, c is hpsklearn)"
subprocess.run([sys.executable, "-c", child], check=False)
"""


def test_processes_that_a_program_starts_find_it_too(tmp_path):
    (tmp_path / "program.py").write_text(CHILD)
    done = run("-m", "sparktrials.compat", tmp_path / "program.py")
    assert done.stdout == "sparktrials.compat.hpsklearn True\n", done.stderr
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "hpsklearn").mkdir()
    (tmp_path / "real" / "hpsklearn" / "__init__.py").write_text("")
    (tmp_path / "real" / "hpsklearn" / "components.py").write_text("")
    path = os.pathsep.join([str(SRC), str(tmp_path / "real")])
    done = run("-m", "sparktrials.compat", tmp_path / "program.py", path=path)
    assert done.stdout == "hpsklearn False\n", done.stderr
