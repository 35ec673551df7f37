"""A tuning job for ``spark-submit``.

The pipelines come from a file of their own, which executors need, too::

    spark-submit --py-files examples/pipelines.py examples/spark_submit_job.py \
        --trials 60 --store sqlite:////data/history.db --exp-key breast-cancer

The last line that it prints is the result as JSON, and it exits with 0; or it says what went wrong
and exits with 1. Run again with the same store and key, it goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from typing import Any

import pipelines

from sparktrials import SparkTrials, errors, fmin, rand, space_eval, tpe

ALGORITHMS = {"tpe": tpe.suggest, "random": rand.suggest}


def main() -> int:
    parser = argparse.ArgumentParser(description="Tune a scikit-learn pipeline on Spark.")
    parser.add_argument("--trials", type=int, default=60, help="in all, earlier runs included")
    parser.add_argument("--parallelism", type=int, help="trials at once; default: all slots")
    parser.add_argument("--store", help="sqlite:///FILE; default: in memory")
    parser.add_argument("--exp-key", default="spark-submit", help="the study's name in the store")
    parser.add_argument("--algorithm", choices=sorted(ALGORITHMS), default="tpe")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    try:
        result = tune(arguments)
    except errors.SparkTrialsError as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - a job must not end with 0 whatever happens
        traceback.print_exc()
        return 1
    print(json.dumps(result))
    return 0


def tune(arguments: argparse.Namespace) -> dict[str, Any]:
    trials = SparkTrials(
        parallelism=arguments.parallelism, store=arguments.store, exp_key=arguments.exp_key
    )
    best = fmin(
        pipelines.objective,
        pipelines.SPACE,
        algo=ALGORITHMS[arguments.algorithm],
        max_evals=arguments.trials,
        trials=trials,
        rstate=arguments.seed,
        show_progressbar=False,  # logs are read later
    )
    return {
        "exp_key": trials.exp_key,
        "store": trials.store.url,
        "trials": trials.count_total_trials(),
        "failed": trials.count_failed_trials(),
        "best_trial": trials.best_trial["tid"],
        "best_accuracy": 1 - trials.best_trial["result"]["loss"],
        "code": pipelines.as_code(space_eval(pipelines.SPACE, best)),
    }


if __name__ == "__main__":
    sys.exit(main())
