"""What it saves, and costs, to spare hopeless pipelines their later folds.

    .venv-pipelines/bin/python benchmarks/pipelines_pruning.py [--sets sonar,boston] [--trials 60]
        [--folds 5] [--results FILE]

Random pipelines of the default space are judged by all folds, once. Then searches among them are
replayed in thousands of random orders, with and without pruning: half the time that all take. One
line a data set: the part of the folds that pruning spares; the mean rank, among all pipelines, of
what is found in that time without and with pruning (1 is the best); and in how many orders each
finds a better one. "missed": in how many orders pruning misses the best of all 60, if none is
left out for want of time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import numpy as np  # noqa: E402
import pipelines_sets as sets  # noqa: E402

from sparktrials import rand  # noqa: E402
from sparktrials.sklearn import HyperoptEstimator, any_regressor  # noqa: E402
from sparktrials.sklearn.racing import Race  # noqa: E402

Judged = tuple[list[float], float]


def judged(name: str, trials: int, folds: int) -> list[Judged]:
    """Return the losses of random pipelines by one fold, two, ...; and their seconds."""
    X, _, y, _ = sets.parts(name, 0)
    model = {} if sets.SETS[name][1] else {"regressor": any_regressor("model")}
    search = HyperoptEstimator(
        max_evals=trials, algo=rand.suggest, seed=0, refit=False, prune=True, **model
    )
    never = Race.hopeless
    Race.hopeless = lambda self, losses: None  # type: ignore[method-assign]  # noqa: ARG005
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y, n_folds=folds, cv_shuffle=True)
    Race.hopeless = never  # type: ignore[method-assign]
    kept = [t for t in search.trials.history if t.loss is not None and "losses" in t.result]
    return [(t.result["losses"], t.result["fit_s"] + t.result["score_s"]) for t in kept]


def replayed(order: list[Judged], budget: float, *, prune: bool) -> tuple[float, int, int]:
    """Return the best loss found within some seconds, and how many folds were fitted and spared."""
    race = Race()
    best, spent, fitted, spared = np.inf, 0.0, 0, 0
    for losses, seconds in order:
        n = len(losses)
        done = n
        if prune:
            done = next((k for k in range(1, n) if race.hopeless(losses[:k]) is not None), n)
        spent += seconds * done / n
        if spent > budget:
            break
        fitted, spared = fitted + done, spared + n - done
        if done == n:
            race.ended(losses)
            best = min(best, losses[-1])
    return best, fitted, spared


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--sets", type=lambda t: t.split(","), default=["sonar", "diabetes", "boston"]
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    known = {}
    if options.results is not None and options.results.exists():
        known = json.loads(options.results.read_text())
    print(
        "| data | pipelines | folds spared | rank without | with | better without, with | missed |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in options.sets:
        key = f"{name} {options.trials} {options.folds}"
        if key not in known:
            known[key] = judged(name, options.trials, options.folds)
            if options.results is not None:
                options.results.write_text(json.dumps(known))
        runs = [(losses, seconds) for losses, seconds in known[key]]
        budget = sum(seconds for _, seconds in runs) / 2
        finals = np.array([losses[-1] for losses, _ in runs])
        rng = np.random.default_rng(0)
        found = []
        for _ in range(options.orders):
            order = [runs[i] for i in rng.permutation(len(runs))]
            without, _, _ = replayed(order, budget, prune=False)
            best, fitted, spared = replayed(order, budget, prune=True)
            whole, _, _ = replayed(order, np.inf, prune=True)
            found.append((without, best, spared / max(1, fitted + spared), whole > finals.min()))
        a, b, spared, missed = np.array(found).T
        rank_a, rank_b = ((1 + (finals[None, :] < x[:, None]).sum(axis=1)).mean() for x in (a, b))
        print(
            f"| {name} | {len(runs)} | {spared.mean():.0%} | {rank_a:.2f} | {rank_b:.2f} | "
            f"{(a < b).mean():.1%}, {(b < a).mean():.1%} | {missed.mean():.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
