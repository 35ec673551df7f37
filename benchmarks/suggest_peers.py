"""CPU time of the peers' suggestions: run by ``suggest.py`` with a Python that has them.

    python suggest_peers.py '{"peer": "optuna", "cells": [[10, 100]], "repeats": 5}'

Prints one JSON object: the version, and milliseconds of CPU per new suggestion by ``"d,n"``; or
``{"missing": reason}``. The space is that of ``suggest.py``: per five parameters two uniform, one
loguniform, one int, one choice of 4.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
import warnings
from typing import Any

import numpy as np

KINDS = ("uniform", "uniform", "loguniform", "int", "choice")
OPTIONS = ["a", "b", "c", "d"]
LOG_BOUNDS = (-9.0, 0.0)


def values(d: int, n: int) -> list[dict[str, Any]]:
    """Return the points of the history: the same for all systems."""
    rng = np.random.default_rng(0)
    draw = {
        "uniform": lambda: rng.uniform(-5, 5),
        "loguniform": lambda: math.exp(rng.uniform(*LOG_BOUNDS)),
        "int": lambda: int(rng.integers(1, 101)),
        "choice": lambda: int(rng.integers(4)),
    }
    return [{f"p{i}": draw[KINDS[i % 5]]() for i in range(d)} for _ in range(n)]


def losses(n: int) -> list[float]:
    """Return the losses of the history."""
    return np.random.default_rng(1).random(n).tolist()


def milliseconds(call: Any, repeats: int) -> float:
    """Return the median CPU time of a call, after a warm-up."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.process_time_ns()
        call()
        taken.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(taken)


def optuna_ms(d: int, n: int, repeats: int) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    make = {
        "uniform": optuna.distributions.FloatDistribution(-5, 5),
        "loguniform": optuna.distributions.FloatDistribution(
            *(math.exp(b) for b in LOG_BOUNDS), log=True
        ),
        "int": optuna.distributions.IntDistribution(1, 100),
        "choice": optuna.distributions.CategoricalDistribution([0, 1, 2, 3]),
    }
    space = {f"p{i}": make[KINDS[i % 5]] for i in range(d)}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.add_trials(
        [
            optuna.trial.create_trial(params=point, distributions=space, value=loss)
            for point, loss in zip(values(d, n), losses(n), strict=True)
        ]
    )
    return milliseconds(lambda: study.ask(space), repeats)


def hyperopt_ms(d: int, n: int, repeats: int) -> float:
    from hyperopt import Trials, hp, tpe
    from hyperopt.base import JOB_STATE_DONE, STATUS_OK, Domain

    make = {
        "uniform": lambda label: hp.uniform(label, -5, 5),
        "loguniform": lambda label: hp.loguniform(label, *LOG_BOUNDS),
        "int": lambda label: hp.randint(label, 1, 101),
        "choice": lambda label: hp.choice(label, OPTIONS),
    }
    labels = [f"p{i}" for i in range(d)]
    domain = Domain(lambda _: 0.0, {p: make[KINDS[i % 5]](p) for i, p in enumerate(labels)})
    trials = Trials()
    documents = [
        {
            "tid": tid,
            "spec": None,
            "result": {"status": STATUS_OK, "loss": loss},
            "misc": {
                "tid": tid,
                "cmd": ("domain_attachment", "FMinIter_Domain"),
                "workdir": None,
                "idxs": {p: [tid] for p in labels},
                "vals": {p: [point[p]] for p in labels},
            },
            "state": JOB_STATE_DONE,
            "exp_key": None,
            "owner": None,
            "version": 0,
            "book_time": None,
            "refresh_time": None,
        }
        for tid, (point, loss) in enumerate(zip(values(d, n), losses(n), strict=True))
    ]
    trials.insert_trial_docs(documents)
    trials.refresh()
    return milliseconds(lambda: tpe.suggest([n], domain, trials, seed=0), repeats)


def main() -> None:
    warnings.simplefilter("ignore")
    request = json.loads(sys.argv[1])
    name = request["peer"]
    try:
        module = __import__(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    measure = {"optuna": optuna_ms, "hyperopt": hyperopt_ms}[name]
    ms = {f"{d},{n}": measure(d, n, request["repeats"]) for d, n in request["cells"]}
    print(json.dumps({"version": module.__version__, "ms": ms}))


if __name__ == "__main__":
    main()
