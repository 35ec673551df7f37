"""Made the pickles beside it: run with a Python that has the Hyperopt of a file's name.

    python make.py OUTPUT.pkl

Each holds 12 trials of one space: a failed status, an error, attachments, and one that never ran.
"""

import pathlib
import pickle
import sys

import hyperopt
import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, tpe
from hyperopt.fmin import generate_trial

SPACE = {
    "x": hp.uniform("x", -5, 5),
    "kind": hp.choice("kind", ["plain", {"n": hp.quniform("n", 1, 9, 2), "i": hp.randint("i", 4)}]),
}


CALLS = []


def objective(point):
    CALLS.append(point)
    if len(CALLS) == 4:
        raise RuntimeError("the fourth goes wrong")
    if len(CALLS) == 6:
        return {"status": STATUS_FAIL, "failure": "on purpose"}
    loss = (point["x"] - 1) ** 2
    attachments = {"note": b"about x"}
    return {"loss": loss, "status": STATUS_OK, "extra": [1, 2.5], "attachments": attachments}


TRIALS = Trials()
OLD = hyperopt.__version__ in {"0.2.5", "0.2.6"}  # what rstate had to be has changed since
rstate = np.random.RandomState(0) if OLD else np.random.default_rng(0)
fmin(
    objective,
    SPACE,
    algo=tpe.suggest,
    max_evals=11,
    trials=TRIALS,
    rstate=rstate,
    show_progressbar=False,
    catch_eval_exceptions=True,
)
TRIALS.insert_trial_docs([generate_trial(TRIALS.new_trial_ids(1)[0], {"x": 1.0, "kind": 0})])
TRIALS.refresh()
pathlib.Path(sys.argv[1]).write_bytes(pickle.dumps(TRIALS))
