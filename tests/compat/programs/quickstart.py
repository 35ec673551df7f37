"""The README's first program: two cases with a parameter each."""

import numpy as np
from hyperopt import fmin, hp, space_eval, tpe


def objective(args):
    case, val = args
    if case == "case 1":
        return val
    return val**2


space = hp.choice(
    "a",
    [
        ("case 1", 1 + hp.lognormal("c1", 0, 1)),
        ("case 2", hp.uniform("c2", -10, 10)),
    ],
)

best = fmin(objective, space, algo=tpe.suggest, max_evals=100, rstate=np.random.default_rng(0))

print(best)
assert best["a"] == 1, best
assert set(best) == {"a", "c2"}, best
assert abs(best["c2"]) < 0.5, best

case, val = space_eval(space, best)
print((case, val))
assert case == "case 2"
assert val == best["c2"]
print("OK")
