"""What a Hyperopt shows of itself to its users, as JSON: the real one's, or the alias's.

    python probe.py OUT FIRST LAST                           the real Hyperopt
    python -m sparktrials.compat probe.py OUT FIRST LAST     ours

Writes OUT/spaces.json, OUT/draws.npz and OUT/snippets.json. Uses Hyperopt's names only.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import logging
import math
import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import hyperopt
import hyperopt.base
import hyperopt.exceptions
import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Ctrl, Trials, fmin, hp, pyll, rand, space_eval, tpe
from hyperopt.base import Domain
from hyperopt.pyll import as_apply, dfs, scope, toposort
from hyperopt.pyll.stochastic import sample
from hyperopt.pyll_utils import expr_to_config
from shapes import attempted, layout, numbers_in, plain, refusal, shown
from snippets import PRELUDE, SNIPPETS
from spaces import make_space

POINTS = 6  # given to every space, equal in all programs
RANDOM_TRIALS = 150
BATCH = 1000
TPE_TRIALS = 25
SAMPLES = 15
KINDS = {"float64", "int64"}  # of the values of a point

# ------------------------------------------------------------------- what a user's program defines

DAY = dt.date(2024, 2, 29)


class Plain:
    """A class with nothing special."""

    def __init__(self, value=0, name="plain"):
        self.value = value
        self.name = name

    def __repr__(self):
        return "PLAIN itself" if self is PLAIN else "another Plain"

    def twice(self):
        return 2 * self.value


class Made(Plain):
    """What a function in a space makes."""

    def parts_shown(self):
        return [self.value, self.name]


PLAIN = Plain()


class Colour(enum.Enum):
    RED = "red"


class Single(NamedTuple):
    a: Any


class Pair(NamedTuple):
    a: Any
    b: Any


class Triple(NamedTuple):
    a: Any
    b: Any
    c: Any


def double(x):
    return x * 2


@scope.define
def plus(a, b=2):
    return a + b


@scope.define_pure
def doubled(a):
    return a * 2


@scope.define_info(o_len=2)
def pair(a):
    return a, "second"


@scope.define
def made_plain(value, name="plain"):
    return Made(value, name)


class Objective:
    """Notes what it receives, and returns what programs return."""

    def __init__(self, seed):
        self.seed = seed
        self.received = []

    def __call__(self, value):
        self.received.append(value)
        loss = sum(math.sin(x) + 0.01 * abs(x) for x in numbers_in(value)) + 0.0
        if self.seed % 3 == 0:
            return loss
        if self.seed % 3 == 1:
            return {"loss": np.float32(loss), "status": STATUS_OK, "extra": [1, ("a", None)]}
        if len(self.received) % 5 == 4:
            return {"status": STATUS_FAIL, "why": "every fifth"}
        extra = {"loss_variance": 0.1, "true_loss": loss, "attachments": {"note": b"bytes"}}
        return {"loss": loss, "status": STATUS_OK, **extra}


#: What spaces and snippets may name.
NAMES = {
    "hp": hp,
    "fmin": fmin,
    "hyperopt": hyperopt,
    "pyll": pyll,
    "rand": rand,
    "tpe": tpe,
    "Ctrl": Ctrl,
    "Domain": Domain,
    "Trials": Trials,
    "space_eval": space_eval,
    "scope": scope,
    "as_apply": as_apply,
    "dfs": dfs,
    "toposort": toposort,
    "sample": sample,
    "expr_to_config": expr_to_config,
    "STATUS_FAIL": STATUS_FAIL,
    "STATUS_OK": STATUS_OK,
    "np": np,
    "math": math,
    "json": json,
    "OrderedDict": OrderedDict,
    "double": double,
    "Plain": Plain,
    "PLAIN": PLAIN,
    "Colour": Colour,
    "DAY": DAY,
    "Single": Single,
    "Pair": Pair,
    "Triple": Triple,
    "__name__": "__main__",
}


def executed(text, names):
    exec(compile(text, "text", "exec", dont_inherit=True), names)
    return names


def run(fn, space, **more):
    """Fmin as snippets call it: three random trials, nothing printed."""
    options = {"algo": rand.suggest, "max_evals": 3, "verbose": False}
    return fmin(fn, space, **{**options, "rstate": np.random.default_rng(0), **more})


# --------------------------------------------------------------------------------- generated spaces


def probe_points(made, space, _draws):
    """Evaluate the same points everywhere."""
    objective = Objective(0)
    points = made.points(POINTS)
    run(objective, space, max_evals=1, points_to_evaluate=points)
    return {
        "received": [shown(value) for value in objective.received[:POINTS]],
        "space_eval": [shown(space_eval(space, point)) for point in points],
    }


def active(trials):
    """Return each trial's point."""
    return [{k: float(v[0]) for k, v in m["vals"].items() if v} for m in trials.miscs]


def probe_random(made, space, draws):
    objective, trials = Objective(made.seed), Trials()
    rstate = np.random.default_rng(made.seed)
    run(objective, space, trials=trials, rstate=rstate, max_evals=RANDOM_TRIALS)
    for label in made.params:
        found = [m["vals"][label] for m in trials.miscs]
        draws[f"{made.seed}|{label}|fmin"] = np.array([float(v[0]) for v in found if v])
    choices = sorted(k for k, p in made.params.items() if p.kind in {"choice", "randint"})
    by_branch = {}
    for misc, value in zip(trials.miscs, objective.received, strict=True):
        vals = misc["vals"]
        key = json.dumps([[k, int(vals[k][0])] for k in choices if vals[k]])
        by_branch[key] = shown(value, values=False)
    rngs = [np.random.default_rng(i) for i in range(SAMPLES)]
    return {
        "by_branch": by_branch,
        "active": active(trials),
        "sampled": [shown(sample(space, rng), values=False) for rng in rngs],
    }


def probe_batch(made, space, draws):
    domain = Domain(double, space)
    idxs, vals = rand.suggest_batch(list(range(BATCH)), domain, Trials(), made.seed)
    for label in made.params:
        draws[f"{made.seed}|{label}|batch"] = np.asarray(vals[label], dtype=float)
    same = all(len(idxs[k]) == len(vals[k]) for k in vals)
    return {"labels": sorted(vals), "as many idxs as vals": same}


def probe_tpe(made, space, _draws):
    objective, trials = Objective(made.seed), Trials()
    rstate = np.random.default_rng(made.seed)
    options = {"algo": tpe.suggest, "max_evals": TPE_TRIALS, "rstate": rstate}
    best = run(objective, space, trials=trials, **options)
    best_trial, received = trials.best_trial, objective.received
    best_vals = best_trial["misc"]["vals"]
    losses = [loss for loss in trials.losses() if loss is not None]
    first = trials.miscs[0]
    _, vals = trials.idxs_vals
    types = {label: set() for label in first["vals"]}
    for misc in trials.miscs:
        for label, value in misc["vals"].items():
            types[label].update(type(v).__name__ for v in value)
    # what was active when differs from run to run: its layout is in other fields
    bare = [{**t, "misc": {**t["misc"], "vals": 0, "idxs": 0}} for t in trials.trials]
    attached = trials.trial_attachments(trials.trials[0])
    return {
        "types of best": sorted({type(v).__name__ for v in best.values()} - KINDS),
        "best is argmin": best == trials.argmin,
        "labels of best": list(best) == [k for k, v in best_vals.items() if v],
        "best trial is the lowest": best_trial["result"]["loss"] == min(losses),
        "space_eval gives what was received": shown(space_eval(space, best))
        == shown(received[best_trial["tid"]]),
        "documents": [layout(document) for document in bare[:5]],
        "keys": list(trials.trials[0]),
        "keys of misc": list(first),
        "states": [t["state"] for t in trials.trials],
        "misc": {k: repr(v) for k, v in first.items() if k not in {"vals", "idxs"}},
        "idxs hold the tid": all(
            idxs == ([misc["tid"]] if misc["vals"][label] else [])
            for misc in trials.miscs
            for label, idxs in misc["idxs"].items()
        ),
        "labels": list(first["vals"]),
        "labels of idxs": list(first["idxs"]),
        "value types": {label: sorted(kinds) for label, kinds in types.items()},
        "vals": [[label, type(v).__name__] for label, v in vals.items()],
        "losses": layout(trials.losses()),
        "statuses": trials.statuses(),
        "results": layout(trials.results[:1]),
        "specs": trials.specs[:2],
        "len": len(trials),
        "tids": [trials.tids, [t["tid"] for t in trials]],
        "attached": attached["note"].decode() if "note" in attached else None,
        "attachments": sorted(str(k) for k in trials.attachments)[:3],
        "counts": [trials.count_by_state_unsynced(state) for state in range(5)],
        "average_best_error": type(trials.average_best_error()).__name__,
        "active": active(trials),
    }


def probe_graph(_made, space, _draws):
    graph = as_apply(space)
    names = [node.name for node in dfs(graph)]
    return {
        "text": plain(str(graph)),
        "names": names,
        "toposort": len(toposort(graph)),
        "type": type(graph).__name__,
    }


def probe_domain(_made, space, _draws):
    domain = Domain(double, space)
    params = [[label, node.name] for label, node in domain.params.items()]
    return {"params": params, "cmd": list(domain.cmd), "new_result": domain.new_result()}


def probe_config(_made, space, _draws):
    found = {}
    expr_to_config(space, None, found)
    return {
        label: [
            one["node"].name,
            one["label"],
            sorted(sorted(map(str, terms)) for terms in one["conditions"]),
        ]
        for label, one in found.items()
    }


PROBES = {
    "points": probe_points,
    "random": probe_random,
    "batch": probe_batch,
    "tpe": probe_tpe,
    "graph": probe_graph,
    "domain": probe_domain,
    "config": probe_config,
}


def probe_space(seed, draws):
    made = make_space(seed)
    space = executed(made.text, dict(NAMES))["space"]
    answers = {part: attempted(probe, made, space, draws) for part, probe in PROBES.items()}
    return {"seed": seed, **answers}


def probe_snippet(text):
    names = executed(PRELUDE, {**NAMES, "run": run})
    try:
        executed(text, names)
    except Exception as error:
        return refusal(error)
    return {"value": shown(names.get("result"))}


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    out, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draws = {}
    spaces = [probe_space(seed, draws) for seed in range(first, last)]
    (out / "spaces.json").write_text(json.dumps(spaces))
    np.savez(out / "draws.npz", **draws)
    # with names behind: only these
    names = sys.argv[4:] or SNIPPETS
    snippets = {name: probe_snippet(SNIPPETS[name]) for name in names}
    (out / "snippets.json").write_text(json.dumps(snippets))


if __name__ == "__main__":
    main()
