"""Objectives that raise: by default the run ends, with catch_eval_exceptions it goes on."""

import numpy as np
from hyperopt import JOB_STATE_DONE, JOB_STATE_ERROR, Trials, fmin, hp, rand

space = hp.uniform("x", -1, 1)


def objective(x):
    if x < 0:
        raise ValueError(f"negative: {x}")
    return x


trials = Trials()
try:
    fmin(
        objective,
        space,
        algo=rand.suggest,
        max_evals=30,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
except ValueError as error:
    message = str(error)
else:
    raise AssertionError("the error of the objective must come out")
assert message.startswith("negative: ")
# What was evaluated before is kept; the trial that raised is not among trials.trials.
last = trials._dynamic_trials[-1]
assert last["state"] == JOB_STATE_ERROR
assert "ValueError" in last["misc"]["error"][0]
assert "negative" in last["misc"]["error"][1]
assert len(trials) == len(trials._dynamic_trials) - 1
assert all(t["state"] == JOB_STATE_DONE for t in trials.trials)

trials = Trials()
best = fmin(
    objective,
    space,
    algo=rand.suggest,
    max_evals=30,
    trials=trials,
    rstate=np.random.default_rng(1),
    catch_eval_exceptions=True,
    show_progressbar=False,
)
assert best["x"] >= 0
done = [t for t in trials._dynamic_trials if t["state"] == JOB_STATE_DONE]
errors = [t for t in trials._dynamic_trials if t["state"] == JOB_STATE_ERROR]
assert len(done) + len(errors) == 30
assert len(errors) > 5
assert [t["tid"] for t in done] == trials.tids
assert all(loss >= 0 for loss in trials.losses())
assert all(t["misc"]["vals"]["x"][0] < 0 for t in errors)

# If all raise, there is no answer.
try:
    fmin(
        lambda x: 1 / 0 * x,
        space,
        algo=rand.suggest,
        max_evals=3,
        catch_eval_exceptions=True,
        rstate=np.random.default_rng(2),
        show_progressbar=False,
    )
except Exception as error:
    message = str(error)
else:
    raise AssertionError("no trial succeeded")
assert "no evaluation tasks" in message or "fail" in message.lower(), message
nothing = fmin(
    lambda x: 1 / 0 * x,
    space,
    algo=rand.suggest,
    max_evals=3,
    catch_eval_exceptions=True,
    return_argmin=False,
    rstate=np.random.default_rng(2),
    show_progressbar=False,
)
assert nothing is None
print("OK")
