"""``python -m sparktrials.compat program.py args...``: a Hyperopt program, unmodified."""

from __future__ import annotations

import builtins
import importlib.util
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

import sparktrials.compat.shim
from sparktrials.compat.alias import install

_USAGE = """\
usage: python -m sparktrials.compat PROGRAM.py [ARGUMENT ...]
       python -m sparktrials.compat -m MODULE [ARGUMENT ...]

Runs a program for which `import hyperopt` means sparktrials.
"""


def main(arguments: list[str]) -> int:
    """Run the program that the arguments name."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(_USAGE)
        return 0 if arguments else 2
    _pass_on(sklearn=importlib.util.find_spec("hpsklearn") is None)
    install()
    if arguments[0] == "-m":
        if len(arguments) == 1:
            sys.stderr.write(_USAGE)
            return 2
        sys.argv = arguments[1:]
        sys.path[0] = str(Path.cwd())
        if importlib.util.find_spec(arguments[1].partition(".")[0]) is None:
            sys.stderr.write(f"python -m sparktrials.compat: no module {arguments[1]!r}\n")
            return 2
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    program = Path(arguments[0])
    if not program.exists():
        sys.stderr.write(f"python -m sparktrials.compat: no program {arguments[0]!r}\n")
        return 2
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)
    _run(program)
    return 0


def _run(program: Path) -> None:
    """Run a program as ``python program.py`` does: its module stays ``__main__`` to the very end.

    ``runpy.run_path`` takes it away when the program is over, before its threads and exit handlers
    are.
    """
    module = ModuleType("__main__")
    module.__file__ = str(program.absolute())  # as Python has it, wherever the program goes
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    exec(compile(program.read_bytes(), str(program), "exec"), module.__dict__)  # noqa: S102 - the user's


def _pass_on(*, sklearn: bool) -> None:
    """Have the processes that the program starts find this package under Hyperopt's name, too.

    Parameters
    ----------
    sklearn
        Whether also under Hyperopt-Sklearn's.
    """
    package = Path(sparktrials.compat.shim.__file__).parent
    ours = [str(package), str(package.with_name("shim_hpsklearn"))][: 1 + sklearn]
    paths = [*ours, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    os.environ[sparktrials.compat.shim.SOURCE] = str(package.parents[2])
    sys.path[1:1] = ours  # multiprocessing's children take these over


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
