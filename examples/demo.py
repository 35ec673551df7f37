"""Tune a whole scikit-learn pipeline on Spark, and go on tomorrow: ``make demo [TRIALS=60]``.

Two studies with the same budget, TPE and random search, on two executors in processes of their
own. Both start from scikit-learn's default settings. Every trial is in an SQLite file when it
ends: stop the demo whenever you like, and run it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipelines

from sparktrials import SparkTrials, Trials, fmin, rand, space_eval, tpe

CONF = Path(__file__).resolve().parents[1] / "conf" / "local-cluster"
ALGORITHMS = {"tpe": tpe.suggest, "random": rand.suggest}
SEED = 0


@dataclass(frozen=True)
class Run:
    """What one study did just now."""

    trials: int
    seconds: float
    busy: float  # seconds inside the objective, all slots together
    slots: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "--trials", type=int, default=60, metavar="N", help="trials of each study, earlier included"
    )
    parser.add_argument(
        "--history", type=Path, default=Path("runs/demo.db"), metavar="FILE", help="SQLite file"
    )
    arguments = parser.parse_args()
    if arguments.trials < 1:
        parser.error(f"--trials must be 1 or more, got {arguments.trials}")
    arguments.history.parent.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{arguments.history}"
    try:
        runs = {key: study(key, store, arguments.trials) for key in ALGORITHMS}
    except KeyboardInterrupt:
        print(
            f"\nStopped. The trials that ended are in {arguments.history}; the same command goes "
            "on from there.",
            file=sys.stderr,
        )
        return 130
    finally:
        stop_spark()
    report({key: Trials(store, exp_key=key) for key in ALGORITHMS}, runs, arguments.history)
    return 0


def study(key: str, store: str, n: int) -> Run | None:
    """Bring a study to `n` trials beside the defaults; None if it has them."""
    if ended(Trials(store, exp_key=key)) >= n + len(pipelines.DEFAULTS):
        return None
    trials = spark_trials(store, key)
    before = {t.id for t in trials.history}
    print(f"\nStudy {key!r}:", file=sys.stderr)
    start = time.perf_counter()
    fmin(
        pipelines.objective,
        pipelines.SPACE,
        algo=ALGORITHMS[key],
        max_evals=n,
        trials=trials,
        points_to_evaluate=list(pipelines.DEFAULTS.values()),
        rstate=SEED,
    )
    seconds = time.perf_counter() - start
    new = [t for t in trials.history if t.id not in before]
    return Run(len(new), seconds, sum(t.duration_s or 0 for t in new), trials.parallelism)


def spark_trials(store: str, key: str) -> SparkTrials:
    """Return trials on Spark; the first call starts it."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_CONF_DIR", str(CONF))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    first = SparkSession.getActiveSession() is None
    if first:
        print("Starting Spark ...", file=sys.stderr)
    trials = SparkTrials(store=store, exp_key=key)
    if first:
        session = SparkSession.getActiveSession()
        if hasattr(session, "addArtifacts") and os.environ.get("SPARK_REMOTE"):
            session.addArtifacts(pipelines.__file__, pyfile=True)  # a Spark Connect server's
            return trials
        context = session.sparkContext
        context.addPyFile(pipelines.__file__)
        # Executors come up while the driver goes on: wait for one in each slot.
        slots = trials.parallelism
        context.parallelize(range(slots), slots).foreach(load)
    return trials


def stop_spark() -> None:
    """Stop Spark if it was started: at the end of the process it complains."""
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
        if session is not None:
            session.stop()


def load(_: int) -> None:
    """Import scikit-learn on an executor."""
    import sklearn.ensemble
    import sklearn.svm  # noqa: F401


def ended(trials: Trials) -> int:
    return sum(t.state.terminal and t.state.value != "cancelled" for t in trials.history)


# ---------------------------------------------------------------------------- the result


def report(studies: dict[str, Trials], runs: dict[str, Run | None], history: Path) -> None:
    key = min(studies, key=lambda k: studies[k].best_trial["result"]["loss"])
    best = studies[key].best_trial
    code = pipelines.as_code(space_eval(pipelines.SPACE, studies[key].argmin))
    print(f"\nThe best pipeline, trial {best['tid']} of study {key!r}:\n")
    print("\n".join(f"    {line}".rstrip() for line in code.splitlines()))
    print("\nAccuracy in cross-validation (5 folds, twice, the same for all):\n")
    rows = [(f"{k}, {ended(t)} trials", accuracy(t.best_trial)) for k, t in studies.items()]
    first = next(iter(studies.values()))
    rows += [
        (f"{name}() as it comes", accuracy(given(first, point)))
        for name, point in pipelines.DEFAULTS.items()
    ]
    for name, value in rows:
        print(f"    {name:<36}{value:.2%}" if value is not None else f"    {name:<36}failed")
    print()
    for k, run in runs.items():
        print(f"{k + ':':<10}{what_it_did(run)}")
    failed = Counter(
        str(t.failure).partition(", Parameters")[0]
        for trials in studies.values()
        for t in trials.history
        if t.failure is not None
    )
    print(f"failures: {failed.total() or 'none'}")
    for text, count in failed.most_common():
        print(f"          {count} x {text}")
    most = max(ended(t) for t in studies.values()) - len(pipelines.DEFAULTS)
    print(f"history:  {history}, studies {' and '.join(map(repr, studies))}")
    if not any(runs.values()):
        print("Both studies were complete: nothing was run, Spark was not started.")
    print(f"go on:    make demo TRIALS={2 * most}   (start anew: rm {history}*)")


def given(trials: Trials, point: Any) -> Any:
    """Return the document of the trial of a given point, None if it failed."""
    ids = {t.id for t in trials.history if t.given and dict(t.point) == dict(point)}
    return next((d for d in trials.trials if d["tid"] in ids), None)


def accuracy(document: Any) -> float | None:
    loss = None if document is None else document["result"].get("loss")
    return None if loss is None else 1 - loss


def what_it_did(run: Run | None) -> str:
    if run is None:
        return "complete, nothing to do"
    return (
        f"{run.trials} trials in {run.seconds:.0f} s ({run.trials / run.seconds:.1f} a second), "
        f"{run.slots} slots busy {run.busy / (run.slots * run.seconds):.0%} of the time"
    )


if __name__ == "__main__":
    sys.exit(main())
