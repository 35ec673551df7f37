"""How much faster a search of pipelines is on two slots than on one, on Spark, on this machine.

    scripts/with-spark local .venv/bin/python benchmarks/pipelines_speed.py
        [--trials 60] [--repeats 3] [--slots 2]

The same random pipelines of the default space (a seed has the same whatever the slots) are judged
by three folds of scikit-learn's digits, half of them, on ``local[SLOTS]`` with ``parallelism`` 1
and SLOTS, by turns; one study before them warms everything up. Prints the seconds of each and the
median of the ratios. Only a machine with as many free cores can show it. ``pipelines.py --speed``
has 8 workers on a virtual clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402, TC002
from pyspark.sql import SparkSession  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

from sparktrials import SparkTrials, rand  # noqa: E402
from sparktrials.sklearn import HyperoptEstimator  # noqa: E402

#: What is required of two slots.
REQUIRED = 1.7


def seconds_of(
    X: np.ndarray, y: np.ndarray, slots: int, trials: int, spark: SparkSession
) -> tuple[float, float]:
    """Return how long a search takes, and how long its trials do together."""
    search = HyperoptEstimator(
        algo=rand.suggest,
        max_evals=trials,
        trial_timeout=60,
        trials=SparkTrials(parallelism=slots, spark_session=spark),
        refit=False,
        portfolio=False,
        seed=0,
    )
    start = time.perf_counter()
    search.fit(X, y, n_folds=3)
    took = time.perf_counter() - start
    return took, sum(t.duration_s or 0.0 for t in search.trials.history)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    session = SparkSession.builder.master(f"local[{options.slots}]").getOrCreate()
    X, y = load_digits(return_X_y=True)
    X, y = X[::2], y[::2]
    seconds_of(X, y, options.slots, 6, session)
    ratios = []
    print(f"| repeat | s on 1 | s on {options.slots} | speed-up | s of trials on 1 | on all |")
    print("|---|---|---|---|---|---|")
    for repeat in range(options.repeats):
        one, alone = seconds_of(X, y, 1, options.trials, session)
        many, together = seconds_of(X, y, options.slots, options.trials, session)
        ratios.append(one / many)
        print(
            f"| {repeat} | {one:.1f} | {many:.1f} | {one / many:.2f} | {alone:.1f} | "
            f"{together:.1f} |",
            flush=True,
        )
    print(f"\nmedian {statistics.median(ratios):.2f}, required of two slots {REQUIRED}")
    session.stop()


if __name__ == "__main__":
    main()
