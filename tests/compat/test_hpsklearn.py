"""``import hpsklearn`` means this package: where there is no other one, or on request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparktrials
import sparktrials.sklearn
from sparktrials.compat import hpsklearn, hpsklearn_old
from sparktrials.compat.pyll.stochastic import sample
from sparktrials.errors import InvalidArgument

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


OLD = """\
from hpsklearn import HyperoptEstimator, any_sparse_classifier, knn, random_forest, svc_rbf, tfidf
from hpsklearn.components import gaussian_random_projection
from hyperopt import hp, tpe
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True)
models = [knn("knn", n_neighbors=5), random_forest("forest", n_estimators=10), svc_rbf("svm", C=1)]
found = HyperoptEstimator(
    classifier=hp.choice("model", models),
    preprocessing=[gaussian_random_projection("pre", n_components=3)],
    algo=tpe.suggest,
    max_evals=4,
    seed=0,
)
found.fit(X, y, cv_shuffle=True)
assert found.score(X, y) > 0.8
texts = ["a cat", "a dog", "the cat sat", "the dog sat", "cat cat", "dog dog"] * 5
found = HyperoptEstimator(
    classifier=any_sparse_classifier("model"), preprocessing=[tfidf("words")], max_evals=3, seed=0
)
found.fit(texts, [0, 1, 0, 1, 0, 1] * 5)
print("OK")
"""


def test_a_program_of_version_0_runs(tmp_path):
    (tmp_path / "program.py").write_text(OLD)
    done = run("-m", "sparktrials.compat", tmp_path / "program.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("OK\n")


@pytest.mark.parametrize("name", hpsklearn_old.__all__)
def test_each_old_name_makes_an_estimator(name):
    make = getattr(hpsklearn, name)
    given = {"kernel": "rbf"} if name in {"svc_kernel", "svr_kernel"} else {}
    node = make("label", **given)
    for seed in range(3):
        made = sample(node, np.random.default_rng(seed))
        assert hasattr(made, "fit")
        assert made.get_params().get("kernel", "rbf") in {"rbf", name.rpartition("_")[2]}


@pytest.mark.parametrize("name", ["gaussian_random_projection", "rbm", "sparse_random_projection"])
def test_what_version_1_dropped_transforms(name):
    X = np.random.default_rng(0).random((40, 300))
    for seed in range(5):
        made = sample(getattr(hpsklearn, name)("pre"), np.random.default_rng(seed))
        assert made.fit_transform(X).shape[0] == len(X)


NAMES = """\
import types
import sparktrials.compat
sparktrials.compat.install()
import hpsklearn
assert "sparktrials" not in hpsklearn.__name__
print(*(n for n, v in vars(hpsklearn).items() if isinstance(v, (type, types.FunctionType))))
"""


def test_every_name_of_the_real_one_is_here():
    python = os.environ.get("SPARKTRIALS_PACKAGES")
    if not python:
        pytest.skip("SPARKTRIALS_PACKAGES names no Python with it (scripts/packages makes one)")
    done = subprocess.run(
        [python, "-c", NAMES], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.split("\n")[-2].split())
    assert len(names) > 120
    helpers = {"lightgbm_check", "xg_boost_check"}
    assert {n for n in names if not hasattr(hpsklearn, n)} == helpers


@pytest.mark.parametrize("name", ["svc_rbf", "svr_poly"])
def test_a_name_with_a_kernel_takes_no_other(name):
    of, kernel = name.split("_")
    with pytest.raises(InvalidArgument, match=rf"{name} is '{kernel}': .* {of}\('label', kernel"):
        getattr(hpsklearn, name)("label", kernel="linear")
