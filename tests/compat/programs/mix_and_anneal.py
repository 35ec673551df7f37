"""Other algorithms: random search, annealing, a mixture of them."""

from functools import partial

import numpy as np
from hyperopt import Trials, anneal, fmin, hp, mix, rand, tpe

space = {
    "x": hp.uniform("x", -10, 10),
    "lr": hp.loguniform("lr", -8, 0),
    "branch": hp.choice("branch", [{"kind": "a"}, {"kind": "b", "y": hp.normal("y", 0, 2)}]),
    "n": hp.randint("n", 10),
}


def objective(p):
    loss = (p["x"] - 2) ** 2 + (np.log(p["lr"]) + 4) ** 2 + abs(p["n"] - 3)
    return loss + (p["branch"]["y"] ** 2 if p["branch"]["kind"] == "b" else 2)


mixture = partial(
    mix.suggest,
    p_suggest=[(0.1, rand.suggest), (0.2, anneal.suggest), (0.7, tpe.suggest)],
)
best = {}
for name, algo in {
    "rand": rand.suggest,
    "anneal": anneal.suggest,
    "slow anneal": partial(anneal.suggest, avg_best_idx=4.0, shrink_coef=0.05),
    "mix": mixture,
}.items():
    trials = Trials()
    fmin(
        objective,
        space,
        algo=algo,
        max_evals=80,
        trials=trials,
        rstate=np.random.default_rng(6),
        show_progressbar=False,
    )
    assert len(trials) == 80
    assert trials.statuses() == ["ok"] * 80
    assert {t["misc"]["vals"]["branch"][0] for t in trials.trials} == {0, 1}
    best[name] = min(trials.losses())
    # What learns gets better, what does not stays as it is.
    if name != "rand":
        assert np.mean(trials.losses()[-30:]) < np.mean(trials.losses()[:20]), name
print(best)

try:
    fmin(
        objective,
        space,
        algo=partial(mix.suggest, p_suggest=[(0.5, rand.suggest), (0.1, tpe.suggest)]),
        max_evals=2,
        show_progressbar=False,
    )
except ValueError as error:
    message = str(error)
else:
    raise AssertionError("probabilities that do not sum to 1 must be refused")
assert "sum to 1" in message
print("OK")
