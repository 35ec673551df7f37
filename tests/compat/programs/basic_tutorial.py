"""Tutorial notebook 1: a function of one variable, results as dictionaries, attachments."""

import pickle
import time

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, tpe

best = fmin(
    fn=lambda x: x**2,
    space=hp.uniform("x", -10, 10),
    algo=tpe.suggest,
    max_evals=100,
    rstate=np.random.default_rng(1),
    show_progressbar=False,
)
print(best)
assert list(best) == ["x"]
assert abs(best["x"]) < 0.3, best


def objective(x):
    return {"loss": x**2, "status": STATUS_OK}


best = fmin(
    objective,
    space=hp.uniform("x", -10, 10),
    algo=tpe.suggest,
    max_evals=100,
    rstate=np.random.default_rng(2),
    verbose=False,
)
assert abs(best["x"]) < 0.3, best


def objective_with_more(x):
    return {
        "loss": x**2,
        "status": STATUS_OK,
        # -- store other results like this
        "eval_time": time.time(),
        "other_stuff": {"type": None, "value": [0, 1, 2]},
        # -- attachments are handled differently
        "attachments": {"time_module": pickle.dumps(time.time)},
    }


trials = Trials()
best = fmin(
    objective_with_more,
    space=hp.uniform("x", -10, 10),
    algo=tpe.suggest,
    max_evals=100,
    trials=trials,
    rstate=np.random.default_rng(3),
)
assert len(trials.trials) == len(trials.results) == len(trials.losses()) == 100
assert trials.statuses() == ["ok"] * 100
assert trials.results[7]["other_stuff"] == {"type": None, "value": [0, 1, 2]}
assert "attachments" not in trials.results[7]
assert min(trials.losses()) == best["x"] ** 2

msg = trials.trial_attachments(trials.trials[5])["time_module"]
time_module = pickle.loads(msg)
assert time_module is time.time
assert trials.results[5]["eval_time"] <= time_module()
print("OK")
