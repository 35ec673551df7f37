"""`space="annotated"`: the space stands in the objective's signature."""

import numpy as np
from hyperopt import Trials, fmin, hp, tpe
from hyperopt.exceptions import InvalidAnnotatedParameter


def objective(
    x: hp.uniform("x", -10, 10),
    y: hp.choice("y", ["near", "far"]),
    n: hp.uniformint("n", 1, 3),
):
    assert y in {"near", "far"}
    assert isinstance(n, int)
    return x**2 + (0 if y == "near" else 100) + n


trials = Trials()
best = fmin(
    objective,
    space="annotated",
    algo=tpe.suggest,
    max_evals=80,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
print(best)
assert set(best) == {"x", "y", "n"}
assert best["y"] == 0
assert best["n"] == 1
assert abs(best["x"]) < 1


def unfit(x: hp.uniform("x", -10, 10), y: float):
    return x + y


try:
    fmin(unfit, space="annotated", algo=tpe.suggest, max_evals=1, show_progressbar=False)
except InvalidAnnotatedParameter as error:
    print("refused:", error)
else:
    raise AssertionError("a type that is no parameter must be refused")
print("OK")
