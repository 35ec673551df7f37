"""FMinIter: one trial at a time, in one's own loop."""

import numpy as np
from hyperopt import Domain, FMinIter, Trials, hp, rand, tpe

space = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", [1, 2])}


def objective(p):
    return p["x"] ** 2 * p["k"]


domain = Domain(objective, space)
trials = Trials()
iterator = FMinIter(
    tpe.suggest, domain, trials, rstate=np.random.default_rng(0), max_evals=12, verbose=False
)
assert iter(iterator) is iterator

lengths = []
for _ in iterator:
    lengths.append(len(trials))
    if len(trials) == 5:
        break
assert lengths == [1, 2, 3, 4, 5]
assert trials.statuses() == ["ok"] * 5

next(iterator)
assert len(trials) == 6
assert len(trials.losses()) == 6

iterator.exhaust()
assert len(trials) == 12
assert trials.argmin["k"] in {0, 1}

# Without waiting: so many suggestions, then their evaluation.
trials = Trials()
iterator = FMinIter(rand.suggest, domain, trials, rstate=np.random.default_rng(1), max_evals=100)
iterator.run(4)
assert len(trials) == 4
iterator.run(3, block_until_done=True)
assert len(trials) == 7
assert all(loss is not None for loss in trials.losses())
print("OK")
