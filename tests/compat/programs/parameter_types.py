"""Tutorial notebook 3: every kind of parameter, its range and its type in the objective."""

import math

import numpy as np
from hyperopt import Trials, fmin, hp, rand

space = {
    "choice": hp.choice("choice", ["relu", "tanh", None]),
    "pchoice": hp.pchoice("pchoice", [(0.9, "often"), (0.1, "rare")]),
    "randint": hp.randint("randint", 5),
    "randint2": hp.randint("randint2", 3, 9),
    "uniform": hp.uniform("uniform", -2, 2),
    "quniform": hp.quniform("quniform", 10, 30, 5),
    "uniformint": hp.uniformint("uniformint", 1, 4),
    "loguniform": hp.loguniform("loguniform", math.log(1e-4), math.log(1e-1)),
    "qloguniform": hp.qloguniform("qloguniform", 0, 5, 2),
    "normal": hp.normal("normal", 100, 1),
    "qnormal": hp.qnormal("qnormal", 0, 10, 3),
    "lognormal": hp.lognormal("lognormal", 0, 1),
    "qlognormal": hp.qlognormal("qlognormal", 0, 2, 0.5),
}
seen = {name: [] for name in space}


def objective(params):
    for name, value in params.items():
        seen[name].append(value)
    return params["uniform"]


trials = Trials()
best = fmin(
    objective,
    space,
    algo=rand.suggest,
    max_evals=150,
    trials=trials,
    rstate=np.random.default_rng(5),
    show_progressbar=False,
)

assert set(seen["choice"]) == {"relu", "tanh", None}
assert seen["pchoice"].count("often") > 100
assert set(seen["pchoice"]) == {"often", "rare"}
for name in ("randint", "randint2", "uniformint"):
    assert all(isinstance(v, (int, np.integer)) for v in seen[name]), name
assert set(seen["randint"]) == set(range(5))
assert set(seen["randint2"]) == set(range(3, 9))
assert set(seen["uniformint"]) == {1, 2, 3, 4}
for name in set(space) - {"choice", "pchoice", "randint", "randint2", "uniformint"}:
    assert all(isinstance(v, float) for v in seen[name]), name
assert all(-2 <= v <= 2 for v in seen["uniform"])
assert set(seen["quniform"]) == {10.0, 15.0, 20.0, 25.0, 30.0}
assert all(1e-4 <= v <= 1e-1 for v in seen["loguniform"])
assert 10 < sum(v < 1e-3 for v in seen["loguniform"]) < 90  # uniform in the logarithm
assert all(v % 2 == 0 and v <= 150 for v in seen["qloguniform"])
assert 99 < np.mean(seen["normal"]) < 101
assert all(v % 3 == 0 for v in seen["qnormal"])
assert all(v > 0 for v in seen["lognormal"])
assert 0.6 < np.median(seen["lognormal"]) < 1.6
assert all(v % 0.5 == 0 and v >= 0 for v in seen["qlognormal"])

# What fmin returns is the raw value: a choice is its index.
assert best["choice"] in {0, 1, 2}
assert best["pchoice"] in {0, 1}
assert best["uniform"] == min(trials.losses())
print("OK")
