"""TPE's settings by `functools.partial`, as the wiki and many answers show it."""

from functools import partial

import numpy as np
from hyperopt import Trials, fmin, hp, tpe

space = [hp.uniform("x", -10, 10), hp.quniform("n", 1, 20, 1)]


def objective(args):
    x, n = args
    return (x - 3) ** 2 + (n - 7) ** 2


algo = partial(
    tpe.suggest,
    # Sample 1000 candidates and select the one with the highest expected improvement.
    n_EI_candidates=1000,
    # Use 20 % of best observations to estimate the next parameters.
    gamma=0.2,
    # First 20 trials are going to be random.
    n_startup_jobs=20,
    prior_weight=1.0,
)
trials = Trials()
best = fmin(
    objective,
    space,
    algo=algo,
    max_evals=80,
    trials=trials,
    rstate=np.random.default_rng(8),
    show_progressbar=False,
)
print(best)
losses = trials.losses()
assert min(losses) < 8
assert np.median(losses[20:]) < np.median(losses[:20])

nested = partial(partial(tpe.suggest, n_startup_jobs=5), gamma=0.3)
again = [
    fmin(
        objective,
        space,
        algo=nested,
        max_evals=25,
        rstate=np.random.default_rng(9),
        show_progressbar=False,
    )
    for _ in range(2)
]
assert again[0] == again[1]  # a seed gives the same run
print("OK")
