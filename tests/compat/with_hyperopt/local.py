"""Run with a Python that has the real Hyperopt, and this package on its path."""

import pickle
from functools import partial

import hyperopt
import numpy as np
from hyperopt import anneal, fmin, hp, mix, pyll, rand, tpe
from hyperopt.early_stop import no_progress_loss
from hyperopt.fmin import generate_trials_to_calculate
from hyperopt.pyll import scope

import sparktrials

assert hyperopt.__name__ == hyperopt.Trials.__module__.partition(".")[0] == "hyperopt"


@scope.define
def doubled(value):
    return 2 * value


SHARED = hp.uniform("shared", 0, 1)
SPACE = {
    "x": hp.uniform("x", -5, 5),
    "k": hp.choice("k", ["a", {"z": 1 + hp.quniform("z", 0, 10, 2), "s": SHARED}, {"s": SHARED}]),
    "l": [hp.lognormal("l", 0, 1), 3],
    "n": scope.int(hp.quniform("n", 1, 9, 1)),
    "d": scope.doubled(hp.randint("d", 5)),
    "p": hp.pchoice("p", [(0.3, None), (0.7, "text")]),
}
SEEN = []


def objective(point):
    SEEN.append(point)
    return (point["x"] - 1) ** 2


# Hyperopt's fmin, algorithms and space, our trials.
mixed = partial(mix.suggest, p_suggest=[(0.5, rand.suggest), (0.5, tpe.suggest)])
for algo in (
    tpe.suggest,
    rand.suggest,
    anneal.suggest,
    partial(tpe.suggest, gamma=0.4, n_startup_jobs=5),
    mixed,
    sparktrials.tpe.suggest,
):
    trials = sparktrials.Trials()
    best = fmin(
        objective,
        SPACE,
        algo=algo,
        max_evals=25,
        trials=trials,
        rstate=np.random.default_rng(0),
        verbose=False,
    )
    assert len(trials) == 25
    assert best == trials.argmin
    point = SEEN[-1]
    assert list(point) == ["d", "k", "l", "n", "p", "x"]
    assert type(point["l"]) is tuple
    assert type(point["n"]) is int
    assert point["d"] % 2 == 0
    assert hyperopt.space_eval(SPACE, best) == sparktrials.space_eval(SPACE, best)


# Objectives that evaluate the space by themselves.
@hyperopt.fmin_pass_expr_memo_ctrl
def marked(expr, memo, ctrl):
    point = pyll.rec_eval(expr, memo=memo)
    ctrl.attachments["a"] = b"1"
    return (point["x"] - 1) ** 2


for minimize in (fmin, sparktrials.fmin):
    trials = sparktrials.Trials()
    minimize(marked, SPACE, algo=rand.suggest, max_evals=4, trials=trials, verbose=False)
    assert trials.trial_attachments(trials.trials[3])["a"] == b"1"

# What Hyperopt's fmin passes on.
trials = sparktrials.Trials()
found = fmin(
    objective,
    SPACE,
    algo=rand.suggest,
    max_evals=50,
    trials=trials,
    loss_threshold=4.0,
    return_argmin=False,
    verbose=False,
    rstate=np.random.default_rng(1),
    early_stop_fn=no_progress_loss(30),
)
assert min(trials.losses()) < 4.0
assert found["x"] == trials.argmin["x"]

# Our fmin, Hyperopt's trials and space: they get the results, and go on in Hyperopt.
trials = hyperopt.Trials()
best = sparktrials.fmin(objective, SPACE, max_evals=20, trials=trials, rstate=0, verbose=False)
assert len(trials) == len(trials.trials) == 20
assert trials.argmin == best
fmin(
    objective,
    SPACE,
    algo=tpe.suggest,
    max_evals=25,
    trials=trials,
    rstate=np.random.default_rng(0),
    verbose=False,
)
sparktrials.fmin(objective, SPACE, algo=tpe.suggest, max_evals=30, trials=trials, verbose=False)
assert trials.tids == list(range(30))
assert len(pickle.loads(pickle.dumps(trials))) == 30


def failing(point):
    if point["x"] > 0:
        raise ValueError(point["x"])
    return {"loss": point["x"], "status": "ok", "attachments": {"a": b"1"}}


trials = hyperopt.Trials()
try:
    sparktrials.fmin(failing, SPACE, algo=sparktrials.rand.suggest, trials=trials, verbose=False)
except ValueError:
    assert trials._dynamic_trials[-1]["state"] == hyperopt.JOB_STATE_ERROR
    assert all(trials.trial_attachments(t)["a"] == b"1" for t in trials.trials)
else:
    raise AssertionError

points = [{"x": 1.0, "k": 0, "l": 1.0, "n": 3, "d": 1, "p": 0}]
trials = generate_trials_to_calculate(points)
sparktrials.fmin(objective, SPACE, max_evals=3, trials=trials, rstate=0, verbose=False)
assert len(trials) == 4
assert trials.losses()[0] == 0.0

# What cannot be is said.
for wrong in (
    lambda: sparktrials.fmin(objective, sparktrials.hp.uniform("x", 0, 1), algo=tpe.suggest),
    lambda: sparktrials.hp.choice("c", [hp.uniform("x", 0, 1)]),
):
    try:
        wrong()
    except (TypeError, sparktrials.errors.BadSearchSpace) as error:
        if "hp" not in str(error):
            raise
    else:
        raise AssertionError(wrong)
assert pyll.as_apply(SPACE).name == "dict", "Hyperopt is as it was"
print("OK")
