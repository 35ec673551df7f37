"""Low-level objectives: expression, memo and Ctrl are passed in instead of the point."""

import numpy as np
from hyperopt import (
    STATUS_OK,
    Ctrl,
    Trials,
    fmin,
    fmin_pass_expr_memo_ctrl,
    hp,
    partial,
    pyll,
    rand,
    tpe,
)

calls = []


@fmin_pass_expr_memo_ctrl
def objective(expr, memo, ctrl):
    point = pyll.rec_eval(expr, memo=memo)
    assert isinstance(ctrl, Ctrl)
    assert ctrl.current_trial["misc"]["vals"]["x"] == [point["x"]]
    tid = ctrl.current_trial["tid"]
    calls.append((tid, point))
    ctrl.attachments["point"] = repr(point["x"]).encode()
    assert ctrl.attachments["point"].decode() == repr(point["x"])
    ctrl.info("trial %i", tid)
    ctrl.checkpoint({"status": "running", "half": point["x"] / 2})
    # Other trials can be read from inside.
    earlier = [loss for loss in ctrl.trials.losses() if loss is not None]
    return {
        "loss": (point["x"] - 1) ** 2 + point["y"],
        "status": STATUS_OK,
        "best_so_far": min(earlier, default=None),
    }


space = {"x": hp.uniform("x", -3, 3), "y": hp.choice("y", [0.0, 0.5])}
trials = Trials()
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=40,
    trials=trials,
    rstate=np.random.default_rng(4),
    show_progressbar=False,
)
assert [tid for tid, _ in calls] == trials.tids
assert best["y"] == 0
for (_, point), trial in zip(calls, trials.trials, strict=True):
    assert trials.trial_attachments(trial)["point"].decode() == repr(point["x"])
assert trials.results[0]["best_so_far"] is None
assert trials.results[-1]["best_so_far"] == min(trials.losses()[:-1])
assert "half" not in trials.results[0]  # the final result replaces the checkpoint


# The same by argument, and with functools.partial's work-alike
def scaled(expr, memo, ctrl, factor=1):
    assert ctrl is not None
    return factor * abs(pyll.rec_eval(expr, memo=memo))


fmin(
    scaled,
    hp.normal("z", 0, 1),
    algo=rand.suggest,
    max_evals=5,
    pass_expr_memo_ctrl=True,
    rstate=np.random.default_rng(0),
    verbose=False,
)
marked = fmin_pass_expr_memo_ctrl(scaled)
bound = partial(marked, factor=10)
assert bound.fmin_pass_expr_memo_ctrl
best = fmin(
    bound,
    hp.normal("z", 0, 1),
    algo=rand.suggest,
    max_evals=5,
    rstate=np.random.default_rng(0),
    verbose=False,
)
assert set(best) == {"z"}
print("OK")
