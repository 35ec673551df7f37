"""Reproducible runs: `rstate`, and the environment variable HYPEROPT_FMIN_SEED."""

import os

import numpy as np
from hyperopt import Trials, anneal, fmin, hp, rand, tpe

space = {
    "x": hp.normal("x", 0, 3),
    "k": hp.pchoice("k", [(0.2, 0), (0.8, hp.uniformint("n", 1, 9))]),
}


def objective(p):
    return p["x"] ** 2 + p["k"]


def run(algo, **more):
    trials = Trials()
    fmin(
        objective,
        space,
        algo=algo,
        max_evals=30,
        trials=trials,
        show_progressbar=False,
        **more,
    )
    return trials.vals


for algo in (rand.suggest, tpe.suggest, anneal.suggest):
    one = run(algo, rstate=np.random.default_rng(42))
    assert one == run(algo, rstate=np.random.default_rng(42))
    assert one != run(algo, rstate=np.random.default_rng(43))

    # Without a seed each run is another one.
    assert run(algo) != run(algo)

    os.environ["HYPEROPT_FMIN_SEED"] = "7"
    seven = run(algo)
    assert seven == run(algo)
    os.environ["HYPEROPT_FMIN_SEED"] = "8"
    assert seven != run(algo)
    del os.environ["HYPEROPT_FMIN_SEED"]
print("OK")
