"""How good the pipelines are that a search finds: ours beside scikit-learn's, Optuna and FLAML.

    .venv-pipelines/bin/python benchmarks/pipelines.py [--sets cancer,boston] [--seeds 3]
        [--evals 40] [--systems ours,random] [--results FILE]

For each data set and seed a quarter is held out; each system searches the rest, by the same three
folds and with as many evaluations (FLAML with as many seconds as ours took), and is judged by the
score of its model on the quarter: accuracy, or R². Printed are the mean ranks, 1 being the best,
the scores by data set, and seconds of CPU. Runs are kept in the file of ``--results`` and not done
again.

    .venv-pipelines/bin/python benchmarks/pipelines.py --speed --results FILE

prints how much faster 8 workers are than 1, on a virtual clock, by the durations of our runs.

``sklearn.py`` would hide scikit-learn from the scripts beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import numpy as np  # noqa: E402
import pipelines_sets as sets  # noqa: E402
import pipelines_systems as systems  # noqa: E402

PACKAGES = ("scikit-learn", "optuna", "flaml", "xgboost", "lightgbm", "numpy")


def key_of(system: str, name: str, seed: int, evals: int) -> str:
    """Return what a run is kept under."""
    return json.dumps([system, name, seed, evals])


def kept(file: Path | None) -> dict[str, dict[str, Any]]:
    """Return the runs of a file; a later one of the same key counts."""
    if file is None or not file.exists():
        return {}
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return {line["key"]: line for line in lines}


def run(system: str, name: str, seed: int, evals: int, seconds: float | None) -> dict[str, Any]:
    """Return what a system finds on a data set."""
    X_train, X_test, y_train, y_test = sets.parts(name, seed)
    problem = systems.Problem(
        X=X_train,
        y=y_train,
        classification=sets.SETS[name][1],
        seed=seed,
        evals=evals,
        seconds=seconds,
    )
    start = time.process_time()
    model, notes = systems.search(system, problem)
    took = time.process_time() - start
    from sklearn.metrics import accuracy_score, r2_score

    judge = accuracy_score if problem.classification else r2_score
    predicted = (model.pipeline_ if hasattr(model, "pipeline_") else model).predict(X_test)
    return {"score": float(judge(y_test, predicted)), "seconds": took, **notes}


def measured(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Do the runs that the file has not, data set by data set, and return all."""
    known = kept(options.results)
    for seed in range(options.seeds):
        for name in options.sets:
            for system in options.systems:
                key = key_of(system, name, seed, options.evals)
                if key in known:
                    continue
                ours = known.get(key_of("ours", name, seed, options.evals))
                found = run(system, name, seed, options.evals, ours and ours["seconds"])
                known[key] = {"key": key, **found}
                print(
                    f"{name} {seed} {system}: {found['score']:.4f}, {found['seconds']:.0f} s",
                    flush=True,
                )
                if options.results is not None:
                    with options.results.open("a") as out:
                        out.write(json.dumps(known[key]) + "\n")
    return known


def ranks(scores: list[float]) -> np.ndarray:
    """Return ranks, 1 for the highest; equal ones share."""
    a = np.array(scores)
    return np.array([1 + (a > s).sum() + ((a == s).sum() - 1) / 2 for s in a])


def report(known: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Print the tables, over the cells that all systems have."""
    cells = [
        (name, seed)
        for name in options.sets
        for seed in range(options.seeds)
        if all(key_of(s, name, seed, options.evals) in known for s in options.systems)
    ]
    if not cells:
        print("no data set and seed has runs of all systems yet")
        return

    def of(system: str, cell: tuple[str, int], what: str) -> Any:
        return known[key_of(system, *cell, options.evals)][what]

    table = np.array([ranks([of(s, c, "score") for s in options.systems]) for c in cells])
    print(f"\n{len(cells)} runs each: data sets {', '.join(dict.fromkeys(n for n, _ in cells))}")
    print(f"\n| system | mean rank | {' | '.join(options.sets)} | s |")
    print("|---|---|" + "---|" * (len(options.sets) + 1))
    for i in np.argsort(table.mean(axis=0)):
        system = options.systems[i]
        means = []
        for name in options.sets:
            found = [of(system, c, "score") for c in cells if c[0] == name]
            means.append(f"{np.mean(found):.4f}" if found else "-")
        seconds = sum(of(system, c, "seconds") for c in cells)
        print(f"| {system} | {table[:, i].mean():.2f} | {' | '.join(means)} | {seconds:.0f} |")


def speed(known: dict[str, dict[str, Any]], workers: int = 8, trials: int = 200) -> None:
    """Print the simulated speed-up: the real driver, trials that take as long as those of a run."""
    from simulator import Durations, run_study

    from sparktrials import tpe

    class Recorded(Durations):
        """How long the trials of a run took, over and over."""

        def of(self, trial: int) -> float:
            return float(took[trial % len(took)])

    print(f"\n| run | median trial, s | longest | seconds on 1 | on {workers} | speed-up |")
    print("|---|---|---|---|---|---|")
    for key, found in known.items():
        system, name, seed, evals = json.loads(key)
        if system != "ours" or seed:
            continue
        took = [d for d in found["durations"] if d is not None]
        losses = iter(np.resize([x for x in found["losses"] if x is not None], 2 * trials))
        X, _, y, _ = sets.parts(name, seed)
        space = systems.Problem(
            X=X, y=y, classification=sets.SETS[name][1], seed=seed, evals=evals
        ).space()
        one, many = (
            run_study(
                space,
                lambda _: float(next(losses)),  # noqa: B023 - called in the loop
                tpe.suggest.configured(),
                n,
                trials,
                Recorded(),
                seed=seed,
                charge=True,
            ).seconds
            for n in (1, workers)
        )
        print(
            f"| {name} | {np.median(took):.2f} | {max(took):.1f} | {one:.0f} | {many:.0f} | "
            f"{one / many:.2f} |"
        )


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=lambda t: t.split(","), default=list(sets.SETS))
    parser.add_argument("--systems", type=lambda t: t.split(","), default=list(systems.SYSTEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evals", type=int, default=40)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--speed", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parsed()
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    print(f"Python {platform.python_version()}, {', '.join(found)}; {os.cpu_count()} cores")
    if options.speed:
        speed(kept(options.results))
        return
    report(measured(options), options)


if __name__ == "__main__":
    main()
