"""``python -m sparktrials.compat program.py args...``: a Hyperopt program, unmodified."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

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
    install()
    _pass_on()
    if arguments[0] == "-m":
        if len(arguments) == 1:
            sys.stderr.write(_USAGE)
            return 2
        sys.argv = arguments[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    program = Path(arguments[0])
    if not program.exists():
        sys.stderr.write(f"python -m sparktrials.compat: no program {arguments[0]!r}\n")
        return 2
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)
    runpy.run_path(str(program), run_name="__main__")
    return 0


def _pass_on() -> None:
    """Have the processes that the program starts find this package under Hyperopt's name, too."""
    package = Path(sparktrials.compat.shim.__file__).parent
    source = package.parents[2]
    paths = [str(package), os.environ.get("PYTHONPATH", ""), str(source)]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    sys.path.insert(1, str(package))  # multiprocessing's children take this one over


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
