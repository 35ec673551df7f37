"""A run that goes on: the same Trials with a larger max_evals, ten more at a time."""

import numpy as np
from hyperopt import Trials, fmin, hp, tpe

space = {"x": hp.uniform("x", -10, 10), "y": hp.choice("y", [1, 2, 3])}
calls = []


def objective(p):
    calls.append(p)
    return p["x"] ** 2 + p["y"]


trials = Trials()
rstate = np.random.default_rng(1)
best_losses = []
for max_evals in (10, 20, 30, 40):  # max_evals is the total
    best = fmin(
        objective,
        space,
        algo=tpe.suggest,
        max_evals=max_evals,
        trials=trials,
        rstate=rstate,
        show_progressbar=False,
    )
    assert len(trials) == len(calls) == max_evals
    assert trials.argmin == best
    best_losses.append(min(trials.losses()))
assert best_losses == sorted(best_losses, reverse=True)
assert trials.tids == sorted(set(trials.tids))
assert trials.vals["x"] == [p["x"] for p in calls]

# Nothing is left to do: the answer stays.
again = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=40,
    trials=trials,
    rstate=rstate,
    show_progressbar=False,
)
assert again == best
assert len(calls) == 40

# As a method of the trials
best = trials.fmin(
    objective, space, algo=tpe.suggest, max_evals=42, rstate=rstate, show_progressbar=False
)
assert len(trials) == 42
assert best == trials.argmin

trials.delete_all()
assert len(trials) == 0
assert trials.trials == []
fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=3,
    trials=trials,
    rstate=rstate,
    show_progressbar=False,
)
assert len(trials) == 3
print("OK")
