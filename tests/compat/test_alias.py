"""``import hyperopt`` means this package: by alias, by install, from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sparktrials
import sparktrials.compat as hyperopt
from sparktrials.compat.alias import _MODULES

pytestmark = pytest.mark.newest

SRC = Path(sparktrials.__file__).parents[1]


def run(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SRC), **environment},
    )


def program(text, **environment):
    done = run("-c", text, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_names_are_ours():
    assert hyperopt.Trials is sparktrials.Trials
    assert hyperopt.SparkTrials is sparktrials.SparkTrials
    assert hyperopt.fmin is sparktrials.fmin
    assert hyperopt.tpe.suggest is sparktrials.tpe.suggest
    assert hyperopt.rand.suggest is sparktrials.rand.suggest
    assert hyperopt.exceptions.AllTrialsFailed is sparktrials.errors.AllTrialsFailed


INSTALLED = "import sparktrials.compat; sparktrials.compat.install()\n"


def test_every_module_resolves():
    lines = "\n".join(f"import hyperopt.{name}" for name in _MODULES)
    names = program(
        f"{INSTALLED}{lines}\n"
        "import hyperopt, sys\n"
        "from hyperopt.pyll.base import scope\n"
        "from hyperopt.fmin import generate_trials_to_calculate\n"
        "from hyperopt import fmin, hp, pyll\n"
        "assert callable(hyperopt.fmin) and hyperopt.fmin is fmin\n"
        "print(*(n for n in sys.modules if n.startswith('hyperopt')))"
    )
    assert set(names) == {"hyperopt", *(f"hyperopt.{name}" for name in _MODULES)}


def test_install_may_be_repeated():
    program(
        f"{INSTALLED}{INSTALLED}import hyperopt; assert hyperopt.__name__ == 'sparktrials.compat'"
    )


def test_a_hyperopt_that_is_installed_is_passed_over(tmp_path):
    (tmp_path / "hyperopt").mkdir()
    (tmp_path / "hyperopt" / "__init__.py").write_text("raise RuntimeError('the real one')")
    (tmp_path / "hyperopt" / "pyll_extra.py").write_text("")
    path = os.pathsep.join([str(tmp_path), str(SRC)])
    program(f"{INSTALLED}from hyperopt import hp\nimport hyperopt.pyll.base", PYTHONPATH=path)
    done = run("-c", f"{INSTALLED}import hyperopt.pyll_extra", PYTHONPATH=path)
    assert "sparktrials has no hyperopt.pyll_extra" in done.stderr


def test_a_hyperopt_that_was_imported_before_is_an_error(tmp_path):
    (tmp_path / "hyperopt.py").write_text("")
    path = os.pathsep.join([str(tmp_path), str(SRC)])
    done = run("-c", f"import hyperopt\n{INSTALLED}", PYTHONPATH=path)
    assert "call install() first" in done.stderr
    program(
        "import hyperopt, sparktrials.compat\nsparktrials.compat.install(replace=True)\n"
        "import hyperopt\nassert hyperopt is sparktrials.compat",
        PYTHONPATH=path,
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("main", "hyperopt"),
        ("vectorize", "sparktrials has no hyperopt.vectorize"),
    ],
)
def test_what_is_not_here_says_so(name, text):
    done = run("-c", f"{INSTALLED}import hyperopt.{name}")
    assert done.returncode == 1
    assert "ImportError" in done.stderr.splitlines()[-1] or "ModuleNotFound" in done.stderr
    assert text in done.stderr.splitlines()[-1]


def test_it_needs_numpy_and_nothing_more():
    """On executors there is no more, and objectives may import hyperopt there."""
    heavy = program(
        f"{INSTALLED}import sys\n"
        "print(*({'scipy', 'tqdm', 'cloudpickle', 'pyspark', 'matplotlib', 'networkx', 'sklearn'}"
        " & set(sys.modules)))"
    )
    assert heavy == []


@pytest.mark.parametrize("name", ["hpsklearn", "hyperopt.sklearn"])
def test_to_find_a_module_is_not_to_import_it(name):
    found = program(
        f"{INSTALLED}import importlib.util, sys\n"
        f"spec = importlib.util.find_spec({name!r})\n"
        "print(spec.name, 'sklearn' in sys.modules)\n"
        f"import {name}\n"
        f"print(sys.modules[{name!r}].__spec__.name, 'sklearn' in sys.modules)"
    )
    assert found == [name, "False", f"sparktrials.compat.{name.removeprefix('hyperopt.')}", "True"]


# ---------------------------------------------------------------------- python -m

PROGRAM = """\
import sys
from hyperopt import fmin, hp, rand
import helper
if __name__ == "__main__":
    print(sys.argv[1:], __name__, helper.VALUE)
    best = fmin(lambda x: x * x, hp.uniform("x", 0, 1), rand.suggest, 5, verbose=False)
    assert set(best) == {"x"}
"""


def test_programs_run_unmodified(tmp_path):
    (tmp_path / "helper.py").write_text("VALUE = 7")
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run("-m", "sparktrials.compat", str(tmp_path / "program.py"), "-a", "b")
    assert (done.returncode, done.stdout) == (0, "['-a', 'b'] __main__ 7\n"), done.stderr


def test_modules_run_unmodified(tmp_path):
    (tmp_path / "helper.py").write_text("VALUE = 7")
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__init__.py").write_text("")
    (tmp_path / "tool" / "__main__.py").write_text(PROGRAM)
    done = run("-m", "sparktrials.compat", "-m", "tool", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "['x'] __main__ 7\n"), done.stderr


def test_a_programs_exit_code_is_its_own(tmp_path):
    (tmp_path / "program.py").write_text("import sys; sys.exit(3)")
    assert run("-m", "sparktrials.compat", str(tmp_path / "program.py")).returncode == 3
    (tmp_path / "program.py").write_text("raise ValueError('mine')")
    done = run("-m", "sparktrials.compat", str(tmp_path / "program.py"))
    assert done.returncode == 1
    assert "ValueError: mine" in done.stderr


def test_usage():
    assert "PROGRAM.py" in run("-m", "sparktrials.compat", "--help").stdout
    assert run("-m", "sparktrials.compat").returncode == 2
    assert run("-m", "sparktrials.compat", "-m").returncode == 2
    done = run("-m", "sparktrials.compat", "nowhere.py")
    assert (done.returncode, "no program 'nowhere.py'" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["ipy", "main"])
def test_an_absent_module_says_why_however_it_is_asked_for(name):
    assert not hasattr(hyperopt, name)
    with pytest.raises(AttributeError, match=f"hyperopt.{name}.* is not part of"):
        getattr(hyperopt, name)
    text = f"try:\n    from hyperopt import {name}\nexcept ImportError as error:\n    print(error)"
    assert program(INSTALLED + text)[0] == f"hyperopt.{name}"


def test_a_program_finds_its_file_wherever_it_goes(tmp_path):
    text = "import os, sys\nos.chdir('/')\nprint(__file__, sys.argv[0])"
    (tmp_path / "program.py").write_text(text)
    done = run("-m", "sparktrials.compat", "program.py", cwd=tmp_path)
    assert done.stdout.split() == [str(tmp_path / "program.py"), "program.py"]


def test_mongoexp_is_there():
    text = (
        "from hyperopt.mongoexp import MongoTrials, as_mongo_str\n"
        "import hyperopt, sparktrials\n"
        "assert hyperopt.mongoexp.MongoTrials is MongoTrials is sparktrials.MongoTrials\n"
        "print(as_mongo_str('localhost:1234/foo_db'), as_mongo_str('mongo://h/d/jobs'))"
    )
    assert program(INSTALLED + text) == ["mongo://localhost:1234/foo_db", "mongo://h/d/jobs"]
