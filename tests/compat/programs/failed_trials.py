"""Trials that fail: `STATUS_FAIL`, none that succeeds, NaN."""

import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, STATUS_STRINGS, Trials, fmin, hp, tpe
from hyperopt.exceptions import AllTrialsFailed

assert {"new", "running", "suspended", "ok", "fail"} <= set(STATUS_STRINGS)


def objective(x):
    if x < 0:
        return {"status": STATUS_FAIL, "exception": "negative"}
    return {"loss": (x - 2) ** 2, "status": STATUS_OK}


trials = Trials()
best = fmin(
    objective,
    hp.uniform("x", -10, 10),
    algo=tpe.suggest,
    max_evals=60,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert 0 <= best["x"] < 5
assert len(trials) == 60
failed = [t for t in trials.trials if t["result"]["status"] == STATUS_FAIL]
assert failed
assert all(t["misc"]["vals"]["x"][0] < 0 for t in failed)
assert {t["result"]["exception"] for t in failed} == {"negative"}
assert [loss is None for loss in trials.losses()] == [s == "fail" for s in trials.statuses()]
assert trials.best_trial["result"]["status"] == "ok"
losses = [loss for loss in trials.losses() if loss is not None]
assert trials.best_trial["result"]["loss"] == min(losses)

# A failed trial's loss does not count, however low it is.
trials = Trials()
fmin(
    lambda x: {"loss": x if x > 0 else -1000.0, "status": "ok" if x > 0 else "fail"},
    hp.uniform("x", -1, 1),
    algo=tpe.suggest,
    max_evals=30,
    trials=trials,
    rstate=np.random.default_rng(1),
    show_progressbar=False,
)
assert trials.best_trial["result"]["loss"] > 0
assert trials.argmin["x"] > 0

# All fail
trials = Trials()
try:
    fmin(
        lambda x: {"status": STATUS_FAIL, "x": x},
        hp.uniform("x", 0, 1),
        algo=tpe.suggest,
        max_evals=5,
        trials=trials,
        show_progressbar=False,
    )
except AllTrialsFailed:
    pass
else:
    raise AssertionError("no trial succeeded")
assert len(trials) == 5
assert trials.statuses() == ["fail"] * 5

# NaN is never the best.
trials = Trials()
best = fmin(
    lambda x: float("nan") if x < 0.5 else x,
    hp.uniform("x", 0, 1),
    algo=tpe.suggest,
    max_evals=30,
    trials=trials,
    rstate=np.random.default_rng(2),
    show_progressbar=False,
)
assert best["x"] >= 0.5
assert trials.argmin == best
print("OK")
