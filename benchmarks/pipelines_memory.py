"""What a large frame costs executors: resident memory of each while trials of pipelines run.

    scripts/with-spark local-cluster .venv/bin/python benchmarks/pipelines_memory.py
        [--heap 1024] [--megabytes 500] [--trials 200] [--columns 100] [--folds 0]

``--heap`` is the memory of an executor's JVM in MB.

An executor's memory is that of its JVM and of the Python processes below it, each page that they
share counted once (Pss), ten times a second. Prints the largest of each executor, beside the frame
and what is allowed: the frame and 1 GB. ``--folds 3`` judges by three folds instead of by the last
fifth; each fold is a copy of most of the frame then.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections import defaultdict

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import psutil
from pyspark.sql import SparkSession

from sparktrials import SparkTrials, rand
from sparktrials.sklearn import HyperoptEstimator, sgd_classifier

MB = 1e6
ALLOWED = 1e9
#: Seconds after which new executors are looked for.
_LOOK_S = 2


class Watch(threading.Thread):
    """Notes the most memory that each executor had."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most: dict[int, float] = defaultdict(float)
        self.parts: dict[int, tuple[float, float]] = {}
        self._over = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        executors: dict[int, psutil.Process] = {}
        looked = 0.0
        while not self._over.wait(0.1):
            if time.monotonic() - looked > _LOOK_S or not executors:
                looked = time.monotonic()
                for process in me.children(recursive=True):
                    if process.pid not in executors and _is_executor(process):
                        executors[process.pid] = process
            for pid, executor in executors.items():
                try:
                    jvm = executor.memory_full_info().pss
                    python = sum(
                        c.memory_full_info().pss for c in executor.children(recursive=True)
                    )
                except psutil.Error:
                    continue
                if jvm + python > self.most[pid]:
                    self.most[pid], self.parts[pid] = jvm + python, (jvm, python)

    def stop(self) -> None:
        self._over.set()
        self.join()


def _is_executor(process: psutil.Process) -> bool:
    try:
        return any("CoarseGrainedExecutorBackend" in word for word in process.cmdline())
    except psutil.Error:
        return False


def frame_of(megabytes: float, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return numbers of some megabytes, and labels that depend on them."""
    rng = np.random.default_rng(0)
    n = int(megabytes * MB / 8 / columns)
    values = rng.standard_normal((n, columns))
    labels = (values[:, 0] + values[:, 1] ** 2 + rng.standard_normal(n) > 1).astype(int)
    return pd.DataFrame(values, columns=[f"c{i}" for i in range(columns)], copy=False), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--heap", type=int, default=1024)
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--folds", type=int, default=0)
    options = parser.parse_args()

    spark = (
        SparkSession.builder.master(f"local-cluster[2,1,{options.heap}]")
        .config("spark.executor.memory", f"{options.heap}m")
        .getOrCreate()
    )
    X, y = frame_of(options.megabytes, options.columns)
    watch = Watch()
    watch.start()
    start = time.perf_counter()
    search = HyperoptEstimator(
        classifier=sgd_classifier("model", max_iter=1, tol=None),
        preprocessing=[],
        algo=rand.suggest,
        max_evals=options.trials,
        trials=SparkTrials(parallelism=2, spark_session=spark),
        refit=False,
        seed=0,
    )
    search.fit(X, y, **({"n_folds": options.folds} if options.folds else {}))
    seconds = time.perf_counter() - start
    watch.stop()
    frame = X.memory_usage().sum()
    failed = sum(t.loss is None for t in search.trials.history)
    print(
        f"frame {frame / MB:.0f} MB, {len(X)} x {X.shape[1]}; {options.trials} trials on ", end=""
    )
    print(f"{spark.conf.get('spark.master')} in {seconds:.0f} s, {failed} of them failed")
    for pid, most in watch.most.items():
        jvm, python = watch.parts[pid]
        verdict = "ok" if most <= frame + ALLOWED else "TOO MUCH"
        print(
            f"executor {pid}: at most {most / MB:.0f} MB (JVM {jvm / MB:.0f}, Python "
            f"{python / MB:.0f}), allowed {(frame + ALLOWED) / MB:.0f}: {verdict}"
        )
    spark.stop()


if __name__ == "__main__":
    main()
