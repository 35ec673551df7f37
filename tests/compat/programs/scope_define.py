"""Functions of one's own in the space: `@scope.define`, arithmetic, operations of pyll."""

import math

import numpy as np
from hyperopt import Trials, fmin, hp, space_eval, tpe
from hyperopt.pyll import scope
from hyperopt.pyll.stochastic import sample


@scope.define
def foo(a, b=0):
    return a + b / 2


@scope.define
class Model:
    def __init__(self, width, activation="relu"):
        self.width = width
        self.activation = activation


@scope.define_info(o_len=2)
def divided(total, share):
    return total * share, total * (1 - share)


x = hp.uniform("x", 0, 10)
left, right = divided_nodes = scope.divided(x, hp.uniform("share", 0, 1))
assert len(divided_nodes) == 2

space = {
    "plain": x,
    "foo": scope.foo(x, b=hp.normal("b", 0, 1)),
    "power": 2 ** scope.int(hp.quniform("e", 1, 5, 1)),
    "ratio": (x + 1) / 2 - 1,
    "log": scope.log(1 + x),
    "left": left,
    "right": right,
    "model": scope.Model(scope.int(x), activation=hp.choice("act", ["relu", "elu"])),
    "max": scope.max([x, 5.0]),
}

assert foo(1, 2) == 2  # it stays a plain function

point = sample(space, np.random.default_rng(1))
assert isinstance(point["model"], Model)


def objective(p):
    assert p["power"] in {2, 4, 8, 16, 32}
    assert isinstance(p["power"], int)
    assert math.isclose(p["ratio"], (p["plain"] + 1) / 2 - 1)
    assert math.isclose(p["log"], math.log(1 + p["plain"]))
    assert math.isclose(p["left"] + p["right"], p["plain"])
    assert p["max"] == max(p["plain"], 5.0)
    assert isinstance(p["model"], Model)
    assert p["model"].width == int(p["plain"])
    return abs(p["foo"] - 4) + p["power"]


trials = Trials()
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=60,
    trials=trials,
    rstate=np.random.default_rng(2),
    verbose=False,
)
assert set(best) == {"x", "b", "e", "act", "share"}
assert best["e"] == 1.0
config = space_eval(space, best)
assert math.isclose(config["foo"], best["x"] + best["b"] / 2)
assert config["model"].activation == ["relu", "elu"][best["act"]]
print("OK")
