"""Two runs in one Trials object: `trials_from_docs`, and by hand with new ids."""

import numpy as np
from hyperopt import Trials, fmin, hp, rand, tpe, trials_from_docs
from hyperopt.exceptions import InvalidTrial

space = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", [0, hp.uniform("u", 0, 1)])}


def objective(p):
    return p["x"] ** 2 + p["k"]


runs = []
for seed in range(2):
    trials = Trials()
    fmin(
        objective,
        space,
        algo=rand.suggest,
        max_evals=15,
        trials=trials,
        rstate=np.random.default_rng(seed),
        show_progressbar=False,
    )
    runs.append(trials)
first, second = runs


def merge_trials(trials1, trials2_slice):
    """A much-copied answer: shift the ids of the second run behind the first."""
    max_tid = max(trial["tid"] for trial in trials1.trials)
    for trial in trials2_slice:
        tid = trial["tid"] + max_tid + 1
        hyperopt_trial = Trials().new_trial_docs(
            tids=[None], specs=[None], results=[None], miscs=[None]
        )
        hyperopt_trial[0] = trial
        hyperopt_trial[0]["tid"] = tid
        hyperopt_trial[0]["misc"]["tid"] = tid
        for key in hyperopt_trial[0]["misc"]["idxs"]:
            if hyperopt_trial[0]["misc"]["idxs"][key]:
                hyperopt_trial[0]["misc"]["idxs"][key] = [tid]
        trials1.insert_trial_docs(hyperopt_trial)
        trials1.refresh()
    return trials1


losses = first.losses() + second.losses()
some = trials_from_docs([t for t in first.trials if t["result"]["loss"] < 5])
assert 0 < len(some) <= 15
assert some.argmin == first.argmin
assert sorted(some.losses()) == sorted(loss for loss in first.losses() if loss < 5)

merged = merge_trials(first, second.trials)
assert len(merged) == 30
assert merged.losses() == losses
assert merged.tids == list(range(30))
assert merged.best_trial["result"]["loss"] == min(losses)
assert len(merged.vals["x"]) == 30
assert len(merged.vals["u"]) == sum(merged.vals["k"])

# The next run learns from both.
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=45,
    trials=merged,
    rstate=np.random.default_rng(5),
    show_progressbar=False,
)
assert len(merged) == 45
assert min(merged.losses()) <= min(losses)
assert best == merged.argmin
assert len(set(merged.tids)) == 45

# What is no document is refused.
for broken in ({}, {"tid": 100}, dict(merged.trials[0], misc={})):
    try:
        trials_from_docs([broken])
    except InvalidTrial:
        pass
    else:
        raise AssertionError(f"accepted: {broken}")
print("OK")
