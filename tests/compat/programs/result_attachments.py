"""Tutorial notebook 5: large results beside the loss, read one by one afterwards."""

import json
import pickle

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, tpe


def objective(x):
    curve = (x - np.linspace(0, 1, 50)) ** 2
    return {
        "loss": float(curve.mean()),
        "status": STATUS_OK,
        "attachments": {
            "curve": pickle.dumps(curve),
            "config.json": json.dumps({"x": float(x)}).encode(),
        },
    }


trials = Trials()
best = fmin(
    objective,
    hp.uniform("x", -5, 5),
    algo=tpe.suggest,
    max_evals=20,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)

for trial in trials.trials:
    attached = trials.trial_attachments(trial)
    assert "curve" in attached
    assert "nothing" not in attached
    curve = pickle.loads(attached["curve"])
    assert curve.shape == (50,)
    assert float(curve.mean()) == trial["result"]["loss"]
    config = json.loads(attached["config.json"])
    assert config["x"] == trial["misc"]["vals"]["x"][0]

attached = trials.trial_attachments(trials.best_trial)
attached["note"] = b"the best one"
assert trials.trial_attachments(trials.best_trial)["note"] == b"the best one"
del attached["note"]
assert "note" not in attached

# Attachments of the experiment as a whole
trials.attachments["dataset"] = b"0 1 2"
assert trials.attachments["dataset"] == b"0 1 2"
assert json.loads(attached["config.json"])["x"] == best["x"]
print("OK")
