"""`trials_save_file`: the run is on disk after every trial, and goes on from there."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
from hyperopt import Trials, fmin, hp, tpe

space = hp.uniform("x", -5, 5)
calls = []


def objective(x):
    calls.append(x)
    return (x - 1) ** 2


with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "trials.pkl"
    settings = {"algo": tpe.suggest, "trials_save_file": str(path), "show_progressbar": False}
    first = fmin(objective, space, max_evals=10, rstate=np.random.default_rng(0), **settings)
    assert path.exists()
    assert len(calls) == 10
    with path.open("rb") as file:
        saved = pickle.load(file)
    assert isinstance(saved, Trials)
    assert len(saved) == 10
    assert saved.argmin == first

    # The second call reads the file: ten trials are there already.
    best = fmin(objective, space, max_evals=30, rstate=np.random.default_rng(1), **settings)
    assert len(calls) == 30
    with path.open("rb") as file:
        saved = pickle.load(file)
    assert len(saved) == 30
    assert saved.vals["x"] == calls
    assert saved.argmin == best
    assert abs(best["x"] - 1) < 1
print("OK")
