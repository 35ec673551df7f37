"""Losses of cross-validation with their variance, true losses, anything else in the result."""

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, tpe


def objective(p):
    folds = (p["x"] - 1) ** 2 + np.array([0.1, 0.2, 0.3, 0.2])
    return {
        "loss": folds.mean(),
        "loss_variance": folds.var(ddof=1),
        "true_loss": float((p["x"] - 1) ** 2),
        "true_loss_variance": 0.0,
        "status": STATUS_OK,
        "params": p,
        "folds": folds,
        "n": np.int64(4),
    }


trials = Trials()
best = fmin(
    objective,
    {"x": hp.uniform("x", -4, 4)},
    algo=tpe.suggest,
    max_evals=50,
    trials=trials,
    rstate=np.random.default_rng(12),
    show_progressbar=False,
)
assert abs(best["x"] - 1) < 0.5

for result in trials.results:
    assert isinstance(result["loss"], float)
    assert np.isclose(result["loss_variance"], np.var([0.1, 0.2, 0.3, 0.2], ddof=1))
    assert np.isclose(result["loss"], result["true_loss"] + 0.2)
    assert result["folds"].shape == (4,)
    assert result["n"] == 4

# With variances the best is chosen by average over those that cannot be told apart.
near = [r for r in trials.results if r["loss"] <= min(trials.losses()) + 0.2]
average = trials.average_best_error()
assert min(r["true_loss"] for r in near) <= average <= max(r["true_loss"] for r in near)
assert trials.best_trial["result"]["params"] == {"x": best["x"]}

# People sort and keep the ten best.
top = sorted(trials.results, key=lambda r: r["loss"])[:10]
assert top[0]["params"]["x"] == best["x"]
print("OK")
