"""Runs of one system for ``efficiency.py``, in a process and an environment of its own.

    echo '{"algo": "optuna-tpe", "cells": [["tables", "HPOBench car", 0]], "workers": 1,
           "clock": false, "trials": null}' | python efficiency_run.py

Prints a line of JSON for the system's version, then one per run: ``steps`` are those trials that
improved on all before them, as ``[number, simulated seconds, regret]``.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import efficiency_problems as problems  # noqa: E402
import efficiency_systems as systems  # noqa: E402
from simulator import Durations, run_ask_tell  # noqa: E402


def in_batches(optimizer: Any, loss: Any, workers: int, trials: int) -> list[tuple[float, float]]:
    """Return (round, loss) of each trial: `workers` points at a time, told together."""
    found: list[tuple[float, float]] = []
    while len(found) < trials:
        asked = optimizer.ask(min(workers, trials - len(found)))
        losses = [loss(point) for _, point in asked]
        optimizer.tell(asked, losses)
        rounds = math.ceil(len(found) / workers) + 1
        found += [(float(rounds), value) for value in losses]
    return found


def on_workers(
    optimizer: Any, loss: Any, workers: int, trials: int, durations: Durations
) -> list[tuple[float, float]]:
    """Return (simulated seconds, loss) of each trial in the order of their ends."""
    done = run_ask_tell(optimizer, lambda asked: loss(asked[1]), workers, trials, durations)
    return [(end, value) for end, _, value in done.ends[:trials]]


def run(
    algo: str, suite: problems.Suite, name: str, seed: int, request: dict[str, Any]
) -> dict[str, Any]:
    """Return one run."""
    problem = suite.problem(name)
    workers, trials = request["workers"], request["trials"] or suite.budget
    start = time.process_time()
    optimizer = systems.optimizer(algo, problem.space, seed, workers, trials)
    if request["clock"]:
        durations = Durations("lognormal", 60.0, 0.5, seed)
        found = on_workers(optimizer, problem.loss, workers, trials, durations)
    else:
        found = in_batches(optimizer, problem.loss, workers, trials)
    steps: list[tuple[int, float, float]] = []
    best = math.inf
    for number, (seconds, loss) in enumerate(found, 1):
        if loss < best:
            best = loss
            steps.append((number, round(seconds, 2), float(f"{problem.regret(loss):.6g}")))
    return {
        "steps": steps,
        "trials": trials,
        "seconds": round(found[-1][0], 2),
        "cpu": round(time.process_time() - start, 2),
    }


def main() -> None:
    request = json.loads(sys.stdin.read())
    algo = request["algo"]
    try:
        print(json.dumps({"version": systems.version(algo)}), flush=True)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    suites = problems.suites()
    for suite, name, seed in request["cells"]:
        found = run(algo, suites[suite], name, seed, request)
        print(json.dumps({"cell": [suite, name, seed], **found}), flush=True)


if __name__ == "__main__":
    main()
