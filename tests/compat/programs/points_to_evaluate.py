"""Known points first: `points_to_evaluate`, `generate_trials_to_calculate`."""

import numpy as np
from hyperopt import fmin, hp, space_eval, tpe
from hyperopt.fmin import generate_trials_to_calculate

space = {
    "x": hp.uniform("x", -10, 10),
    "y": hp.uniform("y", -10, 10),
    "kind": hp.choice("kind", ["a", "b", "c"]),
}
points = [
    {"x": 0.0, "y": 0.0, "kind": 2},
    {"x": 1.0, "y": 2.0, "kind": 0},
]
received = []


def objective(p):
    received.append(p)
    return p["x"] ** 2 + p["y"] ** 2 + (p["kind"] != "c")


best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=10,
    points_to_evaluate=points,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert received[0] == {"x": 0.0, "y": 0.0, "kind": "c"}
assert received[1] == {"x": 1.0, "y": 2.0, "kind": "a"}
assert len(received) >= 10
assert best == {"x": 0.0, "y": 0.0, "kind": 2}
assert space_eval(space, best)["kind"] == "c"

received.clear()
trials = generate_trials_to_calculate(points)
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=10,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert received[0] == {"x": 0.0, "y": 0.0, "kind": "c"}
assert trials.losses()[:2] == [0.0, 6.0]
assert trials.trials[1]["misc"]["vals"] == {"x": [1.0], "y": [2.0], "kind": [0]}
assert trials.argmin == best == {"x": 0.0, "y": 0.0, "kind": 2}
assert len(trials) == len(received)
print("OK")
