"""`return_argmin=False`, space_eval, and spaces that hold functions, classes, arrays, None."""

import numpy as np
from hyperopt import Trials, fmin, hp, space_eval, tpe

data = np.arange(6).reshape(2, 3)


def relu(x):
    return max(x, 0)


class Adam:
    pass


space = {
    "activation": hp.choice("activation", [relu, np.tanh, None]),
    "optimizer": hp.choice("optimizer", [Adam, dict]),
    "rate": hp.choice("rate", [0.1, hp.loguniform("free_rate", -5, -1)]),
    "units": hp.choice("units", (16, 32, 64)),
    "betas": [0.9, hp.uniform("beta2", 0.99, 0.999)],
    "data": data,
    "flag": True,
    "nothing": None,
}


def objective(p):
    assert p["activation"] in {relu, np.tanh, None}
    assert p["optimizer"] in {Adam, dict}
    assert p["data"] is data or np.array_equal(p["data"], data)
    assert isinstance(p["betas"], tuple)
    assert p["flag"] is True
    assert p["nothing"] is None
    return p["rate"] + p["units"] / 64 + (p["activation"] is not relu)


trials = Trials()
settings = {
    "algo": tpe.suggest,
    "max_evals": 40,
    "show_progressbar": False,
}
point = fmin(
    objective,
    space,
    trials=trials,
    rstate=np.random.default_rng(0),
    return_argmin=False,
    **settings,
)
assert point["activation"] is relu
assert point["units"] == 16
assert list(point) == sorted(space)
assert point["betas"] == (0.9, trials.argmin["beta2"])

best = fmin(objective, space, rstate=np.random.default_rng(0), **settings)
assert best == trials.argmin
assert best["activation"] == 0
assert best["units"] == 0
assert ("free_rate" in best) == (best["rate"] == 1)
evaluated = space_eval(space, best)
assert {k: v for k, v in evaluated.items() if k != "data"} == {
    k: v for k, v in point.items() if k != "data"
}

# Plain values, as people save them
plain = {label: value.item() if hasattr(value, "item") else value for label, value in best.items()}
assert space_eval(space, plain)["units"] == 16
print("OK")
