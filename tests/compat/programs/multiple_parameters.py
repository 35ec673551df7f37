"""Tutorial notebook 2: several parameters as a list, a tuple, a dictionary."""

import numpy as np
from hyperopt import Trials, fmin, hp, rand, space_eval, tpe

space = [hp.uniform("x", 0, 1), hp.normal("y", 0, 1)]
received = []


def distance(point):
    x, y = point
    received.append(type(point))
    return (x - 0.3) ** 2 + (y + 0.5) ** 2


best = fmin(distance, space, algo=tpe.suggest, max_evals=100, rstate=np.random.default_rng(10))
assert set(received) == {tuple}  # lists arrive as tuples
assert abs(best["x"] - 0.3) < 0.2, best
assert abs(best["y"] + 0.5) < 0.4, best
assert space_eval(space, best) == (best["x"], best["y"])

space = {
    "x": hp.uniform("x", 0, 1),
    "y": hp.normal("y", 0, 1),
    "name": "alice",
    "nested": ({"z": hp.loguniform("z", -5, 0)}, 3),
}
keys = set()


def named(params):
    keys.add(tuple(params))
    assert params["name"] == "alice"
    inner, three = params["nested"]
    assert three == 3
    return params["x"] + params["y"] ** 2 + inner["z"]


trials = Trials()
best = fmin(
    fn=named,
    space=space,
    algo=rand.suggest,
    max_evals=50,
    trials=trials,
    rstate=np.random.default_rng(11),
    verbose=False,
)
assert keys == {("name", "nested", "x", "y")}  # sorted
point = space_eval(space, best)
assert named(point) == min(trials.losses())
assert point["nested"][0]["z"] == best["z"]
print("OK")
