"""How much sooner many workers find what one finds: ours and peers, on a virtual clock.

    python benchmarks/efficiency_speedup.py --peers path/to/python-with-them
        [--suites tables,bbob5] [--algos tpe,optuna-tpe] [--seeds 1] [--problems i1]
        [--crowd 64] [--results FILE]

A worker alone makes 300 trials of log-normal durations, as with ``efficiency.py --clock``; so many
workers as ``--crowd`` says make five for each second that it took a twentieth of. Printed are, by
suite and algorithm, the mean regret of the one, when the many are on average as good as that, in
simulated seconds, and the ratio; then the median over the runs of each one's own ratio, for which a
run that does not get there counts with the time that it had.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import efficiency  # noqa: E402
import efficiency_problems as problems  # noqa: E402
import numpy as np  # noqa: E402

ALONE = 300
#: The many get this many trials per worker; 15 would be 20 times fewer seconds.
PER_WORKER = 20
REQUIRED = 20.0


def regret_at(run: dict[str, Any], seconds: float) -> float:
    """Return the regret of a run at some time; before its first trial ended that of the first."""
    first = run["steps"][0][2]
    return float(([regret for _, at, regret in run["steps"] if at <= seconds] or [first])[-1])


def ends(run: dict[str, Any], regret: float) -> float:
    """Return when a run reaches a regret, or when it ended."""
    return float(next((at for _, at, r in run["steps"] if r <= regret), run["seconds"]))


def row(suite: problems.Suite, alone: list[dict[str, Any]], many: list[dict[str, Any]]) -> str:
    """Return what is printed of the runs of one algorithm on a suite's problems."""

    def mean(runs: list[dict[str, Any]], seconds: float) -> float:
        return float(np.mean([suite.score(regret_at(run, seconds)) for run in runs]))

    target = mean(alone, np.inf)
    one = next(
        t
        for t in sorted(at for run in alone for _, at, _ in run["steps"])
        if mean(alone, t) <= target + 1e-12
    )
    times = sorted(at for run in many for _, at, _ in run["steps"])
    soon = next((t for t in times if mean(many, t) <= target), None)
    own = [
        ends(a, a["steps"][-1][2]) / ends(m, a["steps"][-1][2])
        for a, m in zip(alone, many, strict=True)
    ]
    ratio = "not reached" if soon is None else f"{one / soon:.1f}"
    late = "" if soon is None else f"{soon:.0f}"
    return f"{target:9.3f}{one:10.0f}{late:>8}{ratio:>13}{np.median(own):9.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--peers", default=os.environ.get("SPARKTRIALS_PEERS", sys.executable), metavar="PYTHON"
    )
    parser.add_argument("--suites", default="tables,bbob5,trees")
    parser.add_argument("--algos", default="tpe")
    parser.add_argument("--problems", default="", help="only those whose name contains this")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--crowd", type=int, default=64, help="workers")
    parser.add_argument("--results", type=Path, metavar="FILE", help="where runs are kept")
    options = parser.parse_args()
    options.clock, options.again = True, []
    head = f"{'regret':>9}{'1 needs':>10}{'many':>8}{'ratio':>13}{'own':>9}"
    print(f"{options.crowd} workers; ratio >= {REQUIRED:g} is required\n{'':<28}{head}")
    for name in options.suites.split(","):
        suite = problems.suites()[name]
        cells = [
            [name, problem, seed]
            for problem in suite.names
            if options.problems in problem
            for seed in range(options.seeds)
        ]
        for algo in options.algos.split(","):
            found: list[list[dict[str, Any]]] = []
            for workers, trials in ((1, ALONE), (options.crowd, PER_WORKER * options.crowd)):
                options.workers, options.trials = workers, trials
                runs, notes = efficiency.measured([algo], cells, options)
                if algo not in runs:
                    sys.exit("\n".join(notes))
                found.append([runs[algo][tuple(cell)] for cell in cells])
            print(f"{name + ' ' + algo:<28}{row(suite, *found)}", flush=True)


if __name__ == "__main__":
    main()
