"""What is refused, and with which exception."""

import numpy as np
from hyperopt import Trials, fmin, hp, rand, tpe
from hyperopt.exceptions import (
    AllTrialsFailed,
    BadSearchSpace,
    DuplicateLabel,
    InvalidLoss,
    InvalidResultStatus,
    InvalidTrial,
)

assert issubclass(DuplicateLabel, BadSearchSpace)
for kind in (AllTrialsFailed, BadSearchSpace, InvalidTrial):
    assert issubclass(kind, Exception)


def refused(exception, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except exception as error:
        print(type(error).__name__, "-", str(error)[:100])
    else:
        raise AssertionError(f"accepted: {args} {kwargs}")


def run(objective, space=None):
    space = hp.uniform("x", 0, 1) if space is None else space
    return fmin(objective, space, algo=tpe.suggest, max_evals=2, show_progressbar=False)


refused(DuplicateLabel, run, sum, [hp.uniform("x", 0, 1), hp.uniform("x", 0, 2)])
refused(InvalidResultStatus, run, lambda x: {"loss": x, "status": "good"})
refused(InvalidLoss, run, lambda x: {"status": "ok", "x": x})
refused(InvalidLoss, run, lambda x: {"status": "ok", "loss": None, "x": x})
refused(TypeError, run, lambda _: None)
refused((KeyError, InvalidResultStatus), run, lambda x: {"loss": x})
refused(TypeError, hp.uniform, 1, 0, 1)  # the label is missing
refused(ValueError, hp.uniform, "x", 2, 1)
refused(ValueError, hp.loguniform, "x", 5, -5)
refused(ValueError, hp.quniform, "x", 7, 3, 1)

# One and the same parameter at several places is no duplicate.
x = hp.uniform("x", 0, 1)
best = run(lambda p: p["a"] + p["b"], {"a": x, "b": x})
assert set(best) == {"x"}

# Trials made by hand are checked.
trials = Trials()
refused(InvalidTrial, trials.insert_trial_doc, {"state": 0})
doc = trials.new_trial_docs([0], [None], [{"status": "new"}], [{"tid": 0, "cmd": None}])[0]
refused(InvalidTrial, trials.insert_trial_doc, doc)
doc["misc"].update(idxs={"x": [0]}, vals={"x": [0.25]})
doc["misc"]["workdir"] = None
doc["tid"] = 1  # misc says 0
refused(InvalidTrial, trials.insert_trial_doc, doc)
doc["tid"] = 0
assert trials.insert_trial_doc(doc) == 0
trials.refresh()
received = []
fmin(
    lambda x: received.append(x) or x,
    hp.uniform("x", 0, 1),
    algo=rand.suggest,
    max_evals=2,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert received[0] == 0.25  # a new trial that was put there is evaluated, and counts
assert len(received) == len(trials) == 2
print("OK")
