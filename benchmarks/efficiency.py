"""What a search finds, and with how few trials: ours beside the peers, on the same problems.

    python benchmarks/efficiency.py --peers path/to/python-with-them
        [--suites bbob5,tables] [--algos tpe,optuna-tpe] [--seeds 2] [--workers 8 | --clock]
        [--results FILE]

Prints, by suite, each algorithm's mean regret after some numbers of trials, in how many runs it did
better than Hyperopt's TPE (ties count half), its mean rank, and what is required; then the mean
ranks over all suites. README.md says what the suites are.

``--workers P`` gives points P at a time, and results P at a time. With ``--clock`` there are P
workers on a virtual clock instead, each free one gets its point at once, and a trial takes
log-normal time; ``efficiency_speedup.py`` says what that is worth in simulated seconds.

A run is a process's work on one problem with one seed. Runs are kept in the file of ``--results``
and not done again; ``--again ALGO`` does those of an algorithm again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import efficiency_problems as problems  # noqa: E402
import efficiency_report as report  # noqa: E402
import efficiency_systems as systems  # noqa: E402

DEFAULT = "tpe,atpe,anneal,rand,gp,auto,hyperopt-tpe,hyperopt-anneal,optuna-tpe,optuna-group"


def key_of(algo: str, mode: str, trials: int | None, cell: Iterable[Any]) -> str:
    """Return what a run is kept under."""
    return json.dumps([algo, mode, trials, *cell])


def kept(file: Path | None) -> dict[str, Any]:
    """Return the runs of a file; a later one of the same key counts."""
    if file is None or not file.exists():
        return {}
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return {line["key"]: line for line in lines}


def runs_of(
    python: str, algo: str, cells: list[list[Any]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Run an algorithm in a process of its own; the first is its version, or why there is none."""
    request = {
        "algo": algo,
        "cells": cells,
        "workers": options.workers,
        "clock": options.clock,
        "trials": options.trials,
    }
    with subprocess.Popen(
        [python, str(HERE / "efficiency_run.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        sys.exit(f"{algo}: ended with {process.returncode}")


def measured(
    algos: list[str], cells: list[list[Any]], options: argparse.Namespace
) -> tuple[dict[str, dict[tuple[Any, ...], Any]], list[str]]:
    """Return the runs by algorithm and cell, and notes on versions and on what is missing."""
    mode = f"{'clock' if options.clock else 'batch'} {options.workers}"
    file = options.results
    known = kept(file)
    found: dict[str, dict[tuple[Any, ...], Any]] = {}
    notes: list[str] = []
    for algo in algos:
        keys = {key_of(algo, mode, options.trials, cell): cell for cell in cells}
        again = algo in options.again
        missing = [cell for key, cell in keys.items() if again or key not in known]
        python = options.peers if algo in systems.PEERS else sys.executable
        if missing:
            for line in runs_of(python, algo, missing, options):
                if "missing" in line:
                    notes.append(f"{algo}: not measured ({line['missing']})")
                elif "version" in line:
                    notes.append(f"{algo}: {line['version']}")
                else:
                    key = key_of(algo, mode, options.trials, line["cell"])
                    known[key] = {"key": key, **line}
                    if file is not None:
                        with file.open("a") as out:
                            out.write(json.dumps(known[key]) + "\n")
        runs = {tuple(cell): known[key] for key, cell in keys.items() if key in known}
        if runs:
            found[algo] = runs
    return found, notes


def parsed() -> argparse.Namespace:
    """Return the options."""
    suites = problems.suites()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--peers", default=os.environ.get("SPARKTRIALS_PEERS", sys.executable), metavar="PYTHON"
    )
    parser.add_argument("--suites", default=",".join(suites), help=f"of {', '.join(suites)}")
    parser.add_argument("--algos", default=DEFAULT, help=f"also {', '.join(systems.PEERS)}")
    parser.add_argument("--problems", default="", help="only those whose name contains this")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="points at a time")
    parser.add_argument("--clock", action="store_true", help="workers on a virtual clock")
    parser.add_argument("--trials", type=int, help="instead of the suites' own budgets")
    parser.add_argument("--results", type=Path, metavar="FILE", help="where runs are kept")
    parser.add_argument("--again", default=[], nargs="*", metavar="ALGO", help="not from there")
    options = parser.parse_args()
    options.suites = options.suites.split(",")
    unknown = [name for name in options.suites if name not in suites]
    if unknown:
        parser.error(f"unknown suite {', '.join(unknown)}; there are {', '.join(suites)}")
    for name in ("seeds", "workers"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    return options


def main() -> None:
    options = parsed()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    suites = {name: problems.suites()[name] for name in options.suites}
    cells = [
        [suite, name, seed]
        for suite, one in suites.items()
        for name in one.names
        if options.problems in name
        for seed in seeds
    ]
    found, notes = measured(options.algos.split(","), cells, options)
    how = "workers on a clock" if options.clock else "points at a time"
    print(f"Python {platform.python_version()}, {len(seeds)} seeds from {seeds.start}")
    print(f"{options.workers} {how}", *notes, sep="\n")
    report.show(found, suites, options)


if __name__ == "__main__":
    main()
