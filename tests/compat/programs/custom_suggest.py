"""Algorithms of one's own: wrapped around tpe.suggest, and written by hand."""

import itertools

import numpy as np
from hyperopt import Trials, fmin, hp, rand, tpe
from hyperopt.base import miscs_update_idxs_vals

space = {"x": hp.quniform("x", 0, 9, 1), "kind": hp.choice("kind", ["a", "b"])}


def objective(p):
    return (p["x"] - 6) ** 2 + (p["kind"] == "a")


# 1. Try tpe.suggest again while it repeats itself, then fall back on chance.
seen = set()


def without_repeats(new_ids, domain, trials, seed):
    for attempt in range(5):
        algo = tpe.suggest if attempt < 4 else rand.suggest
        docs = algo(new_ids, domain, trials, seed + attempt)
        vals = docs[0]["misc"]["vals"]
        key = tuple(sorted((label, float(v[0])) for label, v in vals.items()))
        if key not in seen:
            break
    seen.add(key)
    return docs


trials = Trials()
fmin(
    objective,
    space,
    algo=without_repeats,
    max_evals=15,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert len(trials) == 15
assert len(seen) >= 10

# 2. A grid: documents made by hand with what the domain and the trials offer.
grid = itertools.product(range(10), range(2))


def grid_suggest(new_ids, domain, trials, seed):
    docs = []
    for new_id in new_ids:
        point = next(grid, None)
        if point is None:
            break
        vals = dict(zip(("x", "kind"), point, strict=True))
        miscs = [{"tid": new_id, "cmd": domain.cmd, "workdir": domain.workdir}]
        miscs_update_idxs_vals(
            miscs, {label: [new_id] for label in vals}, {label: [v] for label, v in vals.items()}
        )
        docs.extend(trials.new_trial_docs([new_id], [None], [domain.new_result()], miscs))
    return docs


trials = Trials()
best = fmin(
    objective,
    space,
    algo=grid_suggest,
    max_evals=1000,  # the grid ends before: an empty list stops the run
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert len(trials) == 20
assert best == {"x": 6, "kind": 1}
assert min(trials.losses()) == 0

# 3. A seed arrives, and is another one each time.
seeds = []


def watched(new_ids, domain, trials, seed):
    assert sorted(domain.params) == ["kind", "x"]
    assert len(new_ids) == 1
    seeds.append(int(seed))
    return rand.suggest(new_ids, domain, trials, seed)


fmin(
    objective,
    space,
    algo=watched,
    max_evals=6,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
assert len(set(seeds)) == 6
print("OK")
