"""Saving a Trials object by pickle and going on from the file, as thousands of scripts do."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, tpe

space = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", ["a", "b"])}


def objective(p):
    return {
        "loss": p["x"] ** 2,
        "status": STATUS_OK,
        "array": np.arange(3),
        "attachments": {"blob": b"\x00\x01"},
    }


def run(path, more):
    """Load the trials of earlier calls, if any, and add `more` evaluations."""
    try:
        with path.open("rb") as file:
            trials = pickle.load(file)
    except FileNotFoundError:
        trials = Trials()
    fmin(
        objective,
        space,
        algo=tpe.suggest,
        max_evals=len(trials.trials) + more,
        trials=trials,
        rstate=np.random.default_rng(len(trials)),
        show_progressbar=False,
    )
    with path.open("wb") as file:
        pickle.dump(trials, file)
    return trials


with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "model.hyperopt"
    before = run(path, 5)
    assert len(before) == 5
    after = run(path, 7)
    assert len(after) == 12
    assert len(before) == 5
    assert after.losses()[:5] == before.losses()
    assert after.vals["x"][:5] == before.vals["x"]
    with path.open("rb") as file:
        loaded = pickle.load(file)

assert type(loaded) is Trials
assert loaded.argmin == after.argmin
assert loaded.best_trial["tid"] == after.best_trial["tid"]
assert loaded.losses() == after.losses()
assert loaded.statuses() == after.statuses()
assert loaded.miscs == after.miscs
assert loaded.trials[3]["book_time"] == after.trials[3]["book_time"]
assert loaded.results[4]["array"].tolist() == [0, 1, 2]
assert loaded.trial_attachments(loaded.trials[11])["blob"] == b"\x00\x01"
assert loaded.new_trial_ids(1) == [max(loaded.tids) + 1]

copied = copy.deepcopy(after)
run_on = {"algo": tpe.suggest, "show_progressbar": False, "rstate": np.random.default_rng(0)}
fmin(objective, space, trials=copied, max_evals=14, **run_on)
assert len(copied) == 14
assert len(after) == 12
print("OK")
