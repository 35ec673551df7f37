"""The tables of ``efficiency.py``."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from efficiency_problems import Suite

Cell = tuple[Any, ...]
Runs = dict[str, dict[Cell, Any]]

REFERENCE = "hyperopt-tpe"
#: What the project set itself, of mean regrets: by suites, points at a time and algorithm, after
#: so many trials.
REQUIRED: dict[tuple[str, int, str], dict[int, float]] = {
    ("bbob", 1, "tpe"): {100: 1.55},
    ("bbob", 1, "auto"): {100: 1.40},
    ("bbob5", 1, "gp"): {100: 0.70},
    ("bbob", 8, "auto"): {100: 1.50},
    ("bbob", 32, "auto"): {100: 1.75},
    ("mixint", 1, "tpe"): {100: 0.0},
    ("mixint", 1, "auto"): {100: -0.30},
    ("tables", 1, "tpe"): {50: 0.055, 100: 0.027},
    ("tables", 1, "auto"): {50: 0.040, 100: 0.020},
    ("tables", 8, "tpe"): {100: 0.042},
    ("tables", 8, "auto"): {100: 0.033},
    ("surrogate", 1, "auto"): {100: 0.12},
}
#: Suites that are reported together.
TOGETHER = {"bbob": ("bbob5", "bbob10"), "mixint": ("mixint5", "mixint10")}


def regret_after(run: dict[str, Any], n: int) -> float:
    """Return the regret after `n` trials."""
    return float([regret for number, _, regret in run["steps"] if number <= n][-1])


def reached(run: dict[str, Any], regret: float) -> tuple[int, float] | None:
    """Return after how many trials and simulated seconds a regret was reached."""
    for number, seconds, found in run["steps"]:
        if found <= regret:
            return number, seconds
    return None


def expected_trials(runs: list[dict[str, Any]], regret: float) -> float:
    """Return the trials of all runs until they reach a regret, by the runs that do.

    Source: ERT of Hansen et al., arXiv:1603.08785, section 3.
    """
    spent = found = 0
    for run in runs:
        hit = reached(run, regret)
        spent += run["trials"] if hit is None else hit[0]
        found += hit is not None
    return spent / found if found else math.inf


def common(found: Runs, suites: tuple[str, ...]) -> list[Cell]:
    """Return the cells of some suites that all algorithms have run."""
    cells = [set(runs) for runs in found.values()]
    return sorted(cell for cell in set.intersection(*cells) if cell[0] in suites)


def scores(found: Runs, cells: list[Cell], suite: Suite, n: int) -> Any:
    """Return (algorithms, cells)."""
    return np.array(
        [[suite.score(regret_after(runs[c], n)) for c in cells] for runs in found.values()]
    )


def show(found: Runs, suites: dict[str, Suite], options: argparse.Namespace) -> None:
    """Print all tables."""
    ranks: dict[str, dict[str, float]] = {}
    groups = {name: (name,) for name in suites}
    groups |= {name: parts for name, parts in TOGETHER.items() if set(parts) <= set(suites)}
    for name, parts in groups.items():
        runners = {a: r for a, r in found.items() if any(c[0] in parts for c in r)}
        if not runners:
            continue
        cells = common(runners, parts)
        by_rank = table(name, runners, cells, suites[parts[0]], options)
        if name not in TOGETHER:
            ranks[name] = by_rank
    if len(ranks) > 1:
        print("\nmean rank over suites")
        means = {
            algo: float(np.mean([by[algo] for by in ranks.values() if algo in by]))
            for algo in found
        }
        for algo, mean in sorted(means.items(), key=lambda pair: pair[1]):
            print(f"{algo:<24}{mean:8.2f}")


def table(
    name: str, found: Runs, cells: list[Cell], suite: Suite, options: argparse.Namespace
) -> dict[str, float]:
    """Print one table; return the mean ranks at the end."""
    points = (
        suite.checkpoints
        if options.trials is None
        else (*(n for n in suite.checkpoints if n < options.trials), options.trials)
    )
    by_point = {n: scores(found, cells, suite, n) for n in points}
    last = by_point[points[-1]]
    ranks = dict(zip(found, rankdata(last.round(9), axis=0).mean(axis=1).tolist(), strict=True))
    target = None if suite.solved is None else suite.solved()
    print(f"\n{name}: {suite.measure}, {len(cells)} runs")
    head = "".join(f"{f'@{n}':>9}" for n in points)
    extra = "" if target is None else f"{f'<= {target:.2g}':>9}{'ERT':>8}"
    print(f"{'':<24}{head}{'wins':>7}{'rank':>7}{extra}{'cpu s':>8}  required")
    rows = list(found)
    reference = last[rows.index(REFERENCE)] if REFERENCE in rows else None
    for i, algo in enumerate(rows):
        runs = [found[algo][c] for c in cells]
        line = "".join(f"{by_point[n][i].mean():9.3f}" for n in points)
        line += "" if reference is None or algo == REFERENCE else f"{wins(last[i], reference):7.0%}"
        line = f"{line:<{9 * len(points) + 7}}{ranks[algo]:7.2f}"
        if target is not None:
            hits = np.mean([reached(run, target) is not None for run in runs])
            line += f"{hits:9.0%}{expected_trials(runs, target):8.0f}"
        line += f"{np.mean([run['cpu'] for run in runs]):8.1f}"
        limits = REQUIRED.get((name, options.workers, algo), {}) if not options.clock else {}
        line += "  " + ", ".join(f"@{n} <= {limit:g}" for n, limit in limits.items())
        print(f"{algo:<24}{line}".rstrip())
    return ranks


def wins(mine: Any, theirs: Any) -> float:
    """Return in how many runs the first has the lower score; ties count half."""
    return float(np.mean((mine < theirs) + 0.5 * (mine == theirs)))
