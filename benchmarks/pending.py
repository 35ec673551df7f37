"""Does it matter that TPE keeps its points apart from the latest pending trials only?

    pip install coco-experiment
    python benchmarks/pending.py --workers 1024 --trials 3072 --limits 0 500 5000

Runs the development problems (BBOB f1, 3, 8, 10, 15, 17, 21, 24 in 5 and 10 dimensions) on
simulated workers with log-normal durations, and prints the mean log10 regret and the CPU per trial
for each number of pending trials that are looked at, with the paired difference to the last.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import numpy as np  # noqa: E402
from simulator import Durations, run_study  # noqa: E402

from sparktrials import hp  # noqa: E402
from sparktrials.space import compile_space  # noqa: E402
from sparktrials.suggest import crowding, tpe  # noqa: E402

FUNCTIONS = (1, 3, 8, 10, 15, 17, 21, 24)


def problems(dimensions: list[int], instances: list[int]) -> list[tuple[str, Any, float, int]]:
    """Return (name, function, its optimum, dimension) of each problem."""
    import cocoex

    suite = cocoex.Suite("bbob", "", "")
    found = []
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where cocoex writes
        for d in dimensions:
            for f in FUNCTIONS:
                for instance in instances:
                    problem = suite.get_problem_by_function_dimension_instance(f, d, instance)
                    problem._best_parameter("print")  # noqa: SLF001 - there is no other way
                    best = np.loadtxt("._bbob_problem_best_parameter.txt")
                    found.append((f"f{f} {d}-D i{instance}", problem, float(problem(best)), d))
        os.chdir(here)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1024)
    parser.add_argument("--trials", type=int, default=3072)
    parser.add_argument("--limits", type=int, nargs="+", default=[0, 500, 5000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--instances", type=int, nargs="+", default=[1])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--durations", default="lognormal:60:0.5")
    options = parser.parse_args()
    regrets: dict[int, list[float]] = {limit: [] for limit in options.limits}
    costs: dict[int, list[float]] = {limit: [] for limit in options.limits}
    for name, problem, optimum, d in problems(options.dimensions, options.instances):
        space = compile_space([hp.uniform(f"x{i}", -5, 5) for i in range(d)])
        for seed in range(options.seeds):
            for limit in options.limits:
                crowding.MAX_PENDING = limit or 1
                crowding.REPULSION = 0.5 if limit else 0.0
                result = run_study(
                    space,
                    problem,
                    tpe.suggest.configured(),
                    options.workers,
                    options.trials,
                    Durations.parsed(options.durations, seed),
                    seed=seed,
                )
                best = min(loss for _, _, loss in result.ends)
                regrets[limit].append(math.log10(max(best - optimum, 1e-8)))
                costs[limit].append(float(np.median(result.per_trial_ms())))
            row = "".join(f"{regrets[limit][-1]:9.2f}" for limit in options.limits)
            print(f"{name:14} seed {seed}{row}", flush=True)
    print(f"\n{options.workers} workers, {options.trials} trials, {options.durations}")
    reference = np.array(regrets[options.limits[-1]])
    for limit in options.limits:
        mine = np.array(regrets[limit])
        difference = mine - reference
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        print(
            f"latest {limit:6}: log10 regret {mine.mean():6.3f}, against {options.limits[-1]}: "
            f"{difference.mean():+.3f} +- {error:.3f}; {np.median(costs[limit]):.2f} ms per trial"
        )


if __name__ == "__main__":
    main()
