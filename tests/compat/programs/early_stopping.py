"""`early_stop_fn`: the one that comes with Hyperopt, and one with a state of its own."""

import numpy as np
from hyperopt import Trials, fmin, hp, rand, tpe
from hyperopt.early_stop import no_progress_loss

curve = iter([9, 8, 7, 6, 5, 4, 3, 2, 1] + [0] * 500)  # after ten trials there is nothing to gain
trials = Trials()
fmin(
    lambda x: next(curve),
    hp.uniform("x", -5, 5),
    algo=rand.suggest,
    max_evals=500,
    trials=trials,
    early_stop_fn=no_progress_loss(10),
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
print(len(trials), "trials")
assert len(trials) == 20
assert trials.losses()[9:] == [0] * 11

# Progress counts only if it is at least so many per cent.
greedy, modest = Trials(), Trials()
for percent, kept in ((0.0, greedy), (50.0, modest)):
    fmin(
        lambda x: 100 + x,
        hp.uniform("x", 0, 1),
        algo=tpe.suggest,
        max_evals=100,
        trials=kept,
        early_stop_fn=no_progress_loss(iteration_stop_count=8, percent_increase=percent),
        rstate=np.random.default_rng(1),
        verbose=False,
    )
assert 8 <= len(modest) <= 10
assert len(greedy) >= len(modest)

states = []


def after_three_good_ones(trials, count=0):
    states.append(count)
    if trials.losses()[-1] < 1.0:
        count += 1
    return count >= 3, [count]


trials = Trials()
fmin(
    abs,
    hp.uniform("x", -5, 5),
    algo=rand.suggest,
    max_evals=300,
    trials=trials,
    early_stop_fn=after_three_good_ones,
    rstate=np.random.default_rng(2),
    show_progressbar=False,
)
assert sum(loss < 1.0 for loss in trials.losses()) == 3
assert trials.losses()[-1] < 1.0
assert states[0] == 0
assert max(states) == 2
print("OK")
