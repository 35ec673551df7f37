"""Synthetic conditional trees with known optima: ten shapes, any number of instances of each.

The loss is 0 at the optimum, which lies in one leaf of the tree; all other leaves end above it.
Where the optima lie within the leaves, and which option leads where, depends on the instance.

| tree | what it asks for |
|---|---|
| `easy` | 3 branches; the best one is obvious |
| `hard` | 4 branches; one is good at once, the best one only in a small part of its 4 parameters |
| `deceptive` | 2 branches; .2 is reached at once in one, 0 in a narrow basin of the other |
| `ten` | 10 branches with 2 parameters each, their best losses evenly apart |
| `nested` | 3 x 2 branches; the best leaf lies beside the worst one |
| `deep` | a chain of 5 switches: each opens one more parameter and the next switch |
| `pipeline` | 3 choices side by side, each with parameters of its own; the losses add up |
| `shared` | 3 branches and 3 parameters for all, whose best values differ by the branch |
| `mixed` | 3 branches of integers, categories and logarithmic parameters, some unconditional |
| `steps` | 6 branches of 1 to 6 parameters; that with the most wins |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Point = dict[str, Any]
#: Instances for development; the judgement is made on others.
INSTANCES = (1, 2, 3)


class Tree(NamedTuple):
    """A space as in ``efficiency_problems.py``, its loss, and the point where it is 0."""

    space: dict[str, Any]
    loss: Callable[[Point], float]
    best: Point


class Leaf(NamedTuple):
    """A loss of some parameters, and where it is lowest."""

    loss: Callable[[Point], float]
    best: Point


def _uniforms(prefix: str, d: int) -> dict[str, Any]:
    return {f"{prefix}{i}": ("uniform", -1.0, 1.0) for i in range(d)}


def _bowl(labels: list[str], rng: Any, floor: float, steep: float = 1.0) -> Leaf:
    """Return a rotated ellipsoid with condition 10 that ends at `floor`."""
    d = len(labels)
    centre = rng.uniform(-0.7, 0.7, d)
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    weights = 10.0 ** np.linspace(-0.5, 0.5, d)

    def loss(point: Point) -> float:
        z = rotation @ (np.array([point[label] for label in labels]) - centre)
        return floor + steep * float(weights @ (z * z)) / d

    return Leaf(loss, dict(zip(labels, centre.tolist(), strict=True)))


def _basin(labels: list[str], rng: Any, floor: float, width: float, depth: float) -> Leaf:
    """Return a gentle slope with a narrow basin that ends at `floor`."""
    centre = rng.uniform(-0.7, 0.7, len(labels))

    def loss(point: Point) -> float:
        z = np.array([point[label] for label in labels]) - centre
        r = float(z @ z) / len(labels)
        return floor + depth * (1 - math.exp(-r / (2 * width * width))) + 0.3 * math.sqrt(r)

    return Leaf(loss, dict(zip(labels, centre.tolist(), strict=True)))


def _branches(
    rng: Any, makers: list[tuple[int, Callable[[list[str], Any], Leaf]]], **shared: Any
) -> Tree:
    """Return a choice among leaves, shuffled, the first of which is the best.

    `makers`: numbers of parameters, and the losses.
    """
    order = rng.permutation(len(makers))
    options, leaves = [], []
    for place, number in enumerate(order):
        d, make = makers[number]
        own = _uniforms(f"b{place}_", d)
        options.append(own)
        leaves.append(make([*own, *shared], rng))
    winner = int(np.flatnonzero(order == 0)[0])
    return Tree(
        {**shared, "branch": ("choice", options)},
        lambda point: leaves[point["branch"]].loss(point),
        {**leaves[winner].best, "branch": winner},
    )


def _easy(rng: Any) -> Tree:
    return _branches(
        rng,
        [(3, lambda la, r, f=floor: _bowl(la, r, f)) for floor in (0.0, 1.5, 2.0)],
    )


def _hard(rng: Any) -> Tree:
    return _branches(
        rng,
        [
            (4, lambda la, r: _basin(la, r, 0.0, 0.22, 1.0)),
            (3, lambda la, r: _bowl(la, r, 0.24, 0.15)),
            (5, lambda la, r: _bowl(la, r, 2.0)),
            (3, lambda la, r: _bowl(la, r, 2.5)),
        ],
    )


def _deceptive(rng: Any) -> Tree:
    return _branches(
        rng,
        [
            (3, lambda la, r: _basin(la, r, 0.0, 0.15, 0.8)),
            (2, lambda la, r: _bowl(la, r, 0.2, 0.1)),
        ],
    )


def _ten(rng: Any) -> Tree:
    return _branches(rng, [(2, lambda la, r, f=k: _bowl(la, r, 0.05 * f)) for k in range(10)])


def _steps(rng: Any) -> Tree:
    return _branches(
        rng, [(d, lambda la, r, d=d: _bowl(la, r, 0.1 * (6 - d), 0.7)) for d in range(6, 0, -1)]
    )


def _shared(rng: Any) -> Tree:
    return _branches(
        rng,
        [(1, lambda la, r, f=floor: _bowl(la, r, f)) for floor in (0.0, 0.15, 0.6)],
        **_uniforms("s", 3),
    )


def _nested(rng: Any) -> Tree:
    floors = rng.permutation(3)
    inner = {0: (0.0, 2.0), 1: (0.3, 0.4), 2: (0.6, 0.8)}
    options: list[Any] = []
    leaves: dict[tuple[int, int], Leaf] = {}
    best: Point = {}
    for place, which in enumerate(floors):
        label = f"inner{place}"
        parts = []
        for k, number in enumerate(rng.permutation(2)):
            own = _uniforms(f"n{place}{k}_", 2)
            parts.append(own)
            floor = inner[int(which)][number]
            leaves[place, k] = _bowl([*own, f"o{place}"], rng, floor)
            if not floor:
                best = {**leaves[place, k].best, "branch": place, label: k}
        options.append({f"o{place}": ("uniform", -1.0, 1.0), label: ("choice", parts)})
    return Tree(
        {"branch": ("choice", options)},
        lambda point: leaves[point["branch"], point[f"inner{point['branch']}"]].loss(point),
        best,
    )


def _deep(rng: Any) -> Tree:
    depth = 5
    right = rng.integers(0, 2, depth)  # which option goes on
    centre = rng.uniform(-0.7, 0.7, depth + 1)
    space: dict[str, Any] = {"x5": ("uniform", -1.0, 1.0)}
    for k in reversed(range(depth)):
        options: list[Any] = [{}, {}]
        options[int(right[k])] = space
        space = {f"x{k}": ("uniform", -1.0, 1.0), f"go{k}": ("choice", options)}

    def loss(point: Point) -> float:
        total, k = (point["x0"] - centre[0]) ** 2, 0
        while k < depth and point[f"go{k}"] == right[k]:
            k += 1
            total += (point[f"x{k}"] - centre[k]) ** 2
        return float(0.2 * (depth - k) + 0.5 * total)

    best = {f"x{k}": float(c) for k, c in enumerate(centre)}
    return Tree(space, loss, best | {f"go{k}": int(right[k]) for k in range(depth)})


def _pipeline(rng: Any) -> Tree:
    space: dict[str, Any] = {}
    stages: list[list[Leaf]] = []
    best: Point = {}
    for s, n in enumerate((3, 4, 2)):
        options, leaves = [], []
        for place, rank in enumerate(rng.permutation(n)):
            own = _uniforms(f"p{s}{place}_", 1 + int(rank) % 2)
            options.append(own)
            leaves.append(_bowl(list(own), rng, 0.25 * int(rank), 0.5))
            if not rank:
                best |= {**leaves[-1].best, f"stage{s}": place}
        space[f"stage{s}"] = ("choice", options)
        stages.append(leaves)
    return Tree(
        space,
        lambda point: sum(v[point[f"stage{s}"]].loss(point) for s, v in enumerate(stages)),
        best,
    )


def _mixed(rng: Any) -> Tree:
    floors = rng.permutation([0.0, 0.2, 0.8])
    options, wanted = [], []
    for k in range(3):
        options.append(
            {
                f"rate{k}": ("log", 1e-5, 1e0),
                f"units{k}": ("int", 1, 64),
                f"kind{k}": ("choice", ["a", "b", "c"]),
            }
        )
        wanted.append((rng.uniform(-9, -2), rng.integers(8, 57), rng.integers(3)))
    scale, mode = rng.uniform(-0.7, 0.7), int(rng.integers(4))
    space = {
        "scale": ("uniform", -1.0, 1.0),
        "mode": ("choice", ["p", "q", "r", "s"]),
        "branch": ("choice", options),
    }

    def loss(point: Point) -> float:
        k = point["branch"]
        rate, units, kind = wanted[k]
        found = 0.3 * (point["mode"] != mode) + 0.3 * (point[f"kind{k}"] != kind)
        found += (point["scale"] - scale) ** 2 + (abs(point[f"units{k}"] - units) / 64) ** 2
        return float(floors[k] + found + ((math.log(point[f"rate{k}"]) - rate) / 6) ** 2)

    k = int(np.argmin(floors))
    rate, units, kind = wanted[k]
    best = {"scale": scale, "mode": mode, "branch": k, f"rate{k}": math.exp(rate)}
    return Tree(space, loss, best | {f"units{k}": int(units), f"kind{k}": int(kind)})


_SHAPES: dict[str, Callable[[Any], Tree]] = {
    "easy": _easy,
    "hard": _hard,
    "deceptive": _deceptive,
    "ten": _ten,
    "nested": _nested,
    "deep": _deep,
    "pipeline": _pipeline,
    "shared": _shared,
    "mixed": _mixed,
    "steps": _steps,
}


def tree(name: str) -> Tree:
    """Return a tree by its name: ``hard i3`` is the third instance of ``hard``."""
    shape, number = name.split()
    instance = int(number.removeprefix("i"))
    rng = np.random.Generator(np.random.PCG64([list(_SHAPES).index(shape), instance]))
    return _SHAPES[shape](rng)


def names(instances: tuple[int, ...] = INSTANCES) -> list[str]:
    """Return the names of instances of all shapes."""
    return [f"{shape} i{i}" for shape in _SHAPES for i in instances]
