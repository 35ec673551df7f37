"""Shared hypothesis strategies: random conditional trees, compiled spaces, points, histories.

``from tests.property.strategies import spaces, points, histories``. Every tree has at least one
parameter, of every kind of ``hp``; nodes are shared between branches; conditions nest.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from sparktrials import hp, scope
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.study.history import History
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState

if TYPE_CHECKING:
    from sparktrials.space import Node, Point, Space

__all__ = [
    "KINDS",
    "histories",
    "parameters",
    "points",
    "sample",
    "spaces",
    "trees",
    "trials",
]

#: Every kind of numeric parameter.
KINDS = (
    "uniform",
    "quniform",
    "uniformint",
    "loguniform",
    "qloguniform",
    "normal",
    "qnormal",
    "lognormal",
    "qlognormal",
    "randint",
    "randint2",
)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


@st.composite
def parameters(
    draw: st.DrawFn, label: str, kinds: tuple[str, ...] = KINDS, *, extreme: bool = False
) -> Node:
    """One numeric parameter; with `extreme`, bounds from 1e-300 to 1e300 and sigmas from 1e-12."""
    kind = draw(st.sampled_from(kinds))
    size = 1e300 if extreme else 1e3
    log_size = 690.0 if extreme else 10.0
    if kind == "randint":
        return hp.randint(label, draw(st.integers(1, 2**53 if extreme else 50)))
    if kind == "randint2":
        low = draw(st.integers(-(2**53) if extreme else -50, 49))
        return hp.randint(label, low, draw(st.integers(low + 1, 2**53 if extreme else 50)))
    log = "log" in kind
    q = draw(
        _floats(1e-300, 1e300) if extreme else st.sampled_from([0.01, 0.3, 0.5, 1.0, 2.0, 7.0])
    )
    if "normal" in kind:
        bound = log_size if log else size
        mu = draw(_floats(-bound, bound))
        sigma = draw(_floats(1e-12, 1e6) if extreme else _floats(0.01, 3.0))
        arguments: tuple[float, ...] = (mu, sigma)
    elif kind == "uniformint":
        low = draw(st.integers(-1000, 1000))
        return hp.uniformint(label, low, draw(st.integers(low + 1, low + 1000)))
    else:
        bound = log_size if log else size
        low = draw(_floats(-bound, bound * 0.9))
        # Wide enough that both ends stay different in any unit.
        high = draw(_floats(max(low + bound * 1e-3, math.nextafter(low, math.inf)), bound))
        if log and low > 0 and high <= 1:  # it would be warned of if they were round numbers
            low = -low
        arguments = (low, high)
    if kind.startswith("q"):
        arguments = (*arguments, q)
    node: Node = getattr(hp, kind)(label, *arguments)
    return node


class _Labels:
    """Labels ``p0, p1, …`` of one tree, and the nodes made so far, for sharing."""

    def __init__(self) -> None:
        self.count = 0
        self.nodes: list[Any] = []
        self.indices: list[tuple[int, Node]] = []  # with how many values they have

    def next(self) -> str:
        self.count += 1
        return f"p{self.count - 1}"


_CONSTANTS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text("abc", max_size=3), st.just(int)
)


@st.composite
def _subtree(
    draw: st.DrawFn,
    labels: _Labels,
    depth: int,
    kinds: tuple[str, ...],
    extreme: bool,
    switches: bool,
    shared_indices: bool,
) -> Any:
    def child() -> Any:
        return draw(_subtree(labels, depth - 1, kinds, extreme, switches, shared_indices))

    def children(most: int) -> list[Any]:
        return [child() for _ in range(draw(st.integers(1, most)))]

    leaves = ["parameter", "parameter", "constant", "shared"]
    inner = ["choice", "choice", "pchoice", "dict", "list", "tuple", "expression"]
    kind = draw(st.sampled_from(leaves + (inner + ["switch"] * switches) * (depth > 0)))
    if kind == "shared" and labels.nodes:
        return draw(st.sampled_from(labels.nodes))
    if kind in ("parameter", "shared"):
        node: Any = draw(parameters(labels.next(), kinds, extreme=extreme))
    elif kind == "constant":
        return draw(_CONSTANTS)
    elif kind == "choice":
        node = hp.choice(labels.next(), children(3))
    elif kind == "pchoice":
        options = children(3)
        weights = [draw(st.integers(0, 4)) for _ in options]
        weights[0] += 1
        total = sum(weights)
        node = hp.pchoice(
            labels.next(), [(w / total, o) for w, o in zip(weights, options, strict=True)]
        )
    elif kind == "switch":
        options = children(3)
        n = len(options)
        known = [index for size, index in labels.indices if size <= n] if shared_indices else []
        if known and draw(st.booleans()):
            index = draw(st.sampled_from(known))
        elif draw(st.booleans()) or n == 1:
            index = hp.randint(labels.next(), n)
        else:
            index = hp.uniformint(labels.next(), 0, n - 1)
        labels.indices.append((n, index))
        if shared_indices:
            labels.nodes.append(index)
        node = scope.switch(index, *options)
    elif kind == "dict":
        return {f"k{i}": value for i, value in enumerate(children(2))}
    elif kind == "expression":
        # Text and tuples do not add up: pairing them is an expression that all values allow.
        node = scope.call(_pair, child(), child())
    else:
        found = children(2)
        return found if kind == "list" else tuple(found)
    labels.nodes.append(node)
    return node


def _pair(a: object, b: object) -> tuple[str, object, object]:
    return ("pair", a, b)


@st.composite
def trees(
    draw: st.DrawFn,
    *,
    depth: int = 3,
    kinds: tuple[str, ...] = KINDS,
    extreme: bool = False,
    switches: bool = True,
    shared_indices: bool = False,
) -> Any:
    """A user's tree: nested choices, containers, expressions, shared nodes, constants.

    Parameters
    ----------
    depth
        How deep choices and containers nest.
    kinds
        Which numeric parameters appear, of `KINDS`.
    extreme
        Bounds near the ends of float64.
    switches
        Also ``scope.switch`` over ``hp.randint`` and ``hp.uniformint``.
    shared_indices
        These may serve several switches and stand elsewhere, too. Such a tree may be refused by
        ``compile_space``: its parameters may decide on each other.
    """
    labels = _Labels()
    first = draw(parameters(labels.next(), kinds, extreme=extreme))
    if draw(st.booleans()):  # else it stands at the root alone, always active
        labels.nodes.append(first)
    branches = [
        draw(_subtree(labels, depth, kinds, extreme, switches, shared_indices))
        for _ in range(draw(st.integers(1, 2)))
    ]
    return {"first": first, "rest": branches}


def spaces(
    *,
    depth: int = 3,
    kinds: tuple[str, ...] = KINDS,
    extreme: bool = False,
    switches: bool = True,
) -> st.SearchStrategy[Space]:
    """Compiled random conditional spaces with at least one parameter, see `trees`."""
    return trees(depth=depth, kinds=kinds, extreme=extreme, switches=switches).map(compile_space)


def sample(space: Space, n: int, seed: int) -> list[Point]:
    """Draw `n` points from the prior."""
    codec = Codec.of(space)
    U = np.random.default_rng(seed).random((n, len(codec)))
    return list(codec.decode(codec.from_unit(U)))


@st.composite
def points(draw: st.DrawFn, space: Space, *, n: int = 1) -> list[Point]:
    """`n` points of `space`, drawn from its prior."""
    return sample(space, n, draw(st.integers(0, 2**32 - 1)))


@st.composite
def trials(
    draw: st.DrawFn, space: Space, *, max_size: int = 20, losses: tuple[float, float] = (-10, 10)
) -> list[Trial]:
    """Trials of `space` with ids 0, 1, …, in any states; losses may tie."""
    n = draw(st.integers(0, max_size))
    drawn = draw(points(space, n=n))
    found = []
    for i, point in enumerate(drawn):
        state = draw(st.sampled_from(list(TrialState)))
        trial = Trial(id=i, state=state, point=point)
        if state is TrialState.OK:
            loss = draw(st.one_of(st.sampled_from([0.0, 1.0]), _floats(*losses)))
            trial = dataclasses.replace(trial, loss=loss, result={"loss": loss})
        elif state is TrialState.FAILED:
            failure = Failure(kind=FailureKind.RAISED, type="ValueError", message="no")
            trial = dataclasses.replace(trial, failure=failure)
        found.append(trial)
    return found


@st.composite
def histories(draw: st.DrawFn, space: Space, *, max_size: int = 20) -> History:
    """A history of `space` with trials in any states."""
    return History(space, draw(trials(space, max_size=max_size)))
