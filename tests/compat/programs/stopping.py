"""`timeout`, `loss_threshold`, no max_evals at all, bad values for them."""

import time

import numpy as np
from hyperopt import Trials, fmin, hp, rand, tpe

space = hp.uniform("x", -10, 10)
common = {"algo": rand.suggest, "show_progressbar": False}

trials = Trials()
best = fmin(
    abs,
    space,
    max_evals=10_000,
    loss_threshold=0.5,
    trials=trials,
    rstate=np.random.default_rng(0),
    **common,
)
assert abs(best["x"]) < 0.5
assert len(trials) < 1000
assert sum(loss < 0.5 for loss in trials.losses()) == 1
assert trials.losses()[-1] < 0.5

# max_evals is unlimited by default; the time is not.
trials = Trials()
start = time.monotonic()
fmin(abs, space, timeout=1, trials=trials, rstate=np.random.default_rng(0), **common)
assert time.monotonic() - start >= 1
assert len(trials) > 1

# Both: what comes first
trials = Trials()
fmin(abs, space, algo=tpe.suggest, max_evals=5, timeout=60, trials=trials, show_progressbar=False)
assert len(trials) == 5

for bad in ({"timeout": -1}, {"timeout": True}, {"timeout": "1"}, {"loss_threshold": "0"}):
    try:
        fmin(abs, space, max_evals=1, **bad, **common)
    except Exception as error:
        message = str(error)
    else:
        raise AssertionError(f"accepted: {bad}")
    assert next(iter(bad)) in message, message
print("OK")
