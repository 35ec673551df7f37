"""Flattens an expression tree into a `Space`: a table of parameters and a program to build values.

All walks are iterative and memoised by node, so shared subtrees cost nothing and depth is free.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sparktrials.errors import BadSearchSpace, DuplicateLabel, InvalidPoint
from sparktrials.space.distributions import Categorical, Distribution, Integer, Normal, Uniform
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Node,
    Switch,
    TupleNode,
    as_node,
)

__all__ = ["Condition", "Parameter", "Point", "Space", "compile_space", "space_eval"]

#: ``label -> raw draw`` of the active parameters; a choice is its branch index.
Point: TypeAlias = Mapping[str, "int | float"]
#: An OR of ANDs of ``(index of the choice's parameter, branch)``; empty: always active.
Condition: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table: what is drawn, and when it is active."""

    label: str
    distribution: Distribution
    condition: Condition = ()


@dataclass(frozen=True, slots=True)
class _Instruction:
    """One step of the program: its operands are the results of earlier steps."""

    kind: str  # constant, draw, switch, tuple, mapping, call
    payload: Any
    operands: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A compiled search space.

    Attributes
    ----------
    parameters
        In topological order: a parameter comes after those that its condition names.
    program
        The tree in postorder; the last instruction yields what the objective receives.
    fingerprint
        Covers labels, distributions, conditions and numbers of options, never constants.
    """

    parameters: tuple[Parameter, ...]
    program: tuple[_Instruction, ...]
    fingerprint: str
    index: Mapping[str, int]

    def active(self, point: Point) -> list[str]:
        """Return the labels that are active given the choices in `point`, in table order.

        Labels of `point` that turn out inactive are ignored.
        """
        on: list[bool] = []
        for parameter in self.parameters:
            condition = parameter.condition
            on.append(
                not condition
                or any(
                    all(
                        on[k] and point.get(self.parameters[k].label) == branch for k, branch in term
                    )
                    for term in condition
                )
            )
        return [p.label for p, active in zip(self.parameters, on, strict=True) if active]

    def build(self, point: Point) -> Any:  # noqa: ANN401 - whatever the user's tree describes
        """Return what the objective receives for `point`: branches not taken are not evaluated.

        Raises
        ------
        InvalidPoint
            If an active parameter is missing, or a branch index is out of range.
        """
        program = self.program
        values: dict[int, Any] = {}
        stack = [len(program) - 1]
        while stack:
            at = stack[-1]
            if at in values:
                stack.pop()
                continue
            step = program[at]
            kind, operands = step.kind, step.operands
            if kind == "draw":
                values[at] = _drawn(point, *step.payload)
                stack.pop()
                continue
            if kind == "constant":
                values[at] = step.payload
                stack.pop()
                continue
            if kind == "switch":
                if operands[0] not in values:
                    stack.append(operands[0])
                    continue
                chosen = _branch(step.payload, values[operands[0]], len(operands) - 1)
                operands = (operands[chosen + 1],)
            missing = [o for o in operands if o not in values]
            if missing:
                stack.extend(missing)
                continue
            values[at] = _apply(kind, step.payload, [values[o] for o in operands])
            stack.pop()
        return values[len(program) - 1]

    def checked(self, point: Mapping[str, object], *, name: str = "point") -> dict[str, int | float]:
        """Return a user's point as raw draws of the active labels only.

        Parameters
        ----------
        point
            ``label -> value``, a choice's value being its branch index.
        name
            What error messages call it.

        Raises
        ------
        InvalidPoint
            If a label is unknown, an active one is missing, a value is not a finite number, or a
            branch index is out of range.
        """
        if not isinstance(point, Mapping):
            msg = f"{name} must be a dict of label: value, got {point!r}"
            raise InvalidPoint(msg)
        unknown = [label for label in point if label not in self.index]
        if unknown:
            msg = f"{name} has the label {unknown[0]!r}, which the space has not; it has {self.labels}"
            raise InvalidPoint(msg)
        raw = {
            label: _raw(name, self.parameters[self.index[label]], value)
            for label, value in point.items()
        }
        checked = {}
        for label in self.active(raw):
            if label not in raw:
                msg = f"{name} lacks {label!r}, which is active in it: {dict(point)!r}"
                raise InvalidPoint(msg)
            checked[label] = raw[label]
        return checked

    @property
    def labels(self) -> list[str]:
        """The parameters' labels in table order."""
        return [p.label for p in self.parameters]

    def describe(self) -> list[dict[str, str]]:
        """Return the table as text: label, distribution, condition; what a store keeps to show."""
        return [
            {
                "label": p.label,
                "distribution": str(p.distribution),
                "condition": " or ".join(
                    " and ".join(f"{self.parameters[k].label} == {b}" for k, b in term)
                    for term in p.condition
                ),
            }
            for p in self.parameters
        ]


def _drawn(point: Point, label: str, cast: str) -> int | float:
    try:
        value = point[label]
    except KeyError:
        msg = f"the point lacks {label!r}, which is active in it: {dict(point)!r}"
        raise InvalidPoint(msg) from None
    return int(value) if cast == "int" else float(value)


def _branch(label: str, index: object, n: int) -> int:
    try:
        branch = int(index)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        branch = -1
    if branch != index or not 0 <= branch < n:
        msg = f"{label}: the branch index must be one of 0 to {n - 1}, got {index!r}"
        raise InvalidPoint(msg)
    return branch


def _apply(kind: str, payload: Any, operands: list[Any]) -> Any:  # noqa: ANN401
    if kind == "mapping":
        return dict(zip(payload, operands, strict=True))
    if kind == "tuple":
        return tuple(operands)
    if kind == "switch":
        return operands[0]
    function, names = payload
    positional = len(operands) - len(names)
    return function(
        *operands[:positional], **dict(zip(names, operands[positional:], strict=True))
    )


def _raw(name: str, parameter: Parameter, value: object) -> int | float:
    label, distribution = parameter.label, parameter.distribution
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, str) or not np.isscalar(value) or isinstance(value, complex):
        msg = f"{name}: {label!r} must be a number ({distribution}), got {value!r}"
        raise InvalidPoint(msg)
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        msg = f"{name}: {label!r} must be finite, got {value!r}"
        raise InvalidPoint(msg)
    if isinstance(distribution, (Categorical, Integer)):
        if number != int(number):
            rule = "a branch index" if isinstance(distribution, Categorical) else "an integer"
            msg = f"{name}: {label!r} must be {rule} ({distribution}), got {value!r}"
            raise InvalidPoint(msg)
        if isinstance(distribution, Categorical):
            return _branch(f"{name}: {label!r}", int(number), len(distribution.probabilities))
        return int(number)
    if isinstance(distribution, (Uniform, Normal)) and distribution.log and number < 0:
        msg = f"{name}: {label!r} must not be negative ({distribution}), got {value!r}"
        raise InvalidPoint(msg)
    return number


def compile_space(tree: object) -> Space:
    """Flatten a user's tree of nodes, containers and constants.

    Raises
    ------
    BadSearchSpace
        `DuplicateLabel` if two nodes have one label; the base class for a self-containing tree.
    """
    root = as_node(tree)
    order = _postorder(root)
    position = {id(node): i for i, node in enumerate(order)}
    parameters, conditions = _table(order)
    number = {draw.label: i for i, draw in enumerate(parameters)}
    rows = tuple(
        Parameter(
            draw.label,
            draw.distribution,
            tuple(
                tuple(sorted((number[label], branch) for label, branch in term))
                for term in conditions[draw.label]
            ),
        )
        for draw in parameters
    )
    program = tuple(
        _instruction(node, tuple(position[id(child)] for child in _children(node)))
        for node in order
    )
    return Space(rows, program, _fingerprint(rows), number)


def space_eval(space: object, assignment: Mapping[str, object]) -> Any:  # noqa: ANN401
    """Return what the objective would receive for ``{label: value or branch index}``.

    Raises
    ------
    InvalidPoint
        If a label that is active is missing or a value does not fit; unknown labels are refused.
    """
    compiled = space if isinstance(space, Space) else compile_space(space)
    return compiled.build(compiled.checked(assignment, name="the assignment"))


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Switch):
        return (node.index, *node.options)
    if isinstance(node, TupleNode):
        return node.items
    if isinstance(node, MappingNode):
        return node.values
    if isinstance(node, Call):
        return (*node.args, *(value for _, value in node.kwargs))
    return ()


def _instruction(node: Node, operands: tuple[int, ...]) -> _Instruction:
    if isinstance(node, Constant):
        return _Instruction("constant", node.value)
    if isinstance(node, Draw):
        d = node.distribution
        integer = isinstance(d, (Categorical, Integer)) or (isinstance(d, Uniform) and d.integer)
        return _Instruction("draw", (node.label, "int" if integer else "float"))
    if isinstance(node, Switch):
        return _Instruction("switch", repr(node), operands)
    if isinstance(node, TupleNode):
        return _Instruction("tuple", None, operands)
    if isinstance(node, MappingNode):
        return _Instruction("mapping", node.keys, operands)
    if isinstance(node, Call):
        return _Instruction("call", (node.function, tuple(k for k, _ in node.kwargs)), operands)
    msg = f"a node of an unknown kind: {type(node).__name__}"
    raise BadSearchSpace(msg)


def _postorder(root: Node) -> list[Node]:
    """Return each node once, children before parents, in the order in which a reader meets them."""
    order: list[Node] = []
    done: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
            continue
        stack.append((node, True))
        stack.extend((child, False) for child in reversed(_children(node)) if id(child) not in done)
    return order


_Terms: TypeAlias = frozenset[frozenset[tuple[str, int]]]
_ALWAYS: _Terms = frozenset({frozenset()})


def _table(order: list[Node]) -> tuple[list[Draw], dict[str, list[frozenset[tuple[str, int]]]]]:
    """Return the draws in topological order, and under which choices each is reached."""
    draws: dict[str, Draw] = {}
    for node in order:
        if isinstance(node, Draw) and draws.setdefault(node.label, node) is not node:
            msg = (
                f"the label {node.label!r} names two parameters ({draws[node.label]} and {node}); "
                "give each its own label, or use one node object in both places to share it"
            )
            raise DuplicateLabel(msg)
    reached: dict[int, set[frozenset[tuple[str, int]]]] = {id(node): set() for node in order}
    reached[id(order[-1])] = set(_ALWAYS)
    for node in reversed(order):  # parents before children
        terms = _simplified(reached[id(node)])
        reached[id(node)] = set(terms)
        if not isinstance(node, Switch):
            for child in _children(node):
                reached[id(child)] |= terms
            continue
        reached[id(node.index)] |= terms
        for branch, option in enumerate(node.options):
            reached[id(option)] |= _under(node, branch, terms)
    conditions = {
        label: [term for term in sorted(reached[id(draw)], key=sorted) if term]
        for label, draw in draws.items()
    }
    level: dict[str, int] = {}
    for node in reversed(order):
        if isinstance(node, Draw):
            level[node.label] = 0
    # Conditions name labels above; depth is bounded by the number of draws.
    changed = True
    while changed:
        changed = False
        for label, terms_ in conditions.items():
            deepest = max((level[k] + 1 for term in terms_ for k, _ in term), default=0)
            if deepest != level[label]:
                level[label] = deepest
                changed = True
    appearance = {label: i for i, label in enumerate(draws)}
    ordered = sorted(draws.values(), key=lambda d: (level[d.label], appearance[d.label]))
    return ordered, conditions


def _under(node: Switch, branch: int, terms: _Terms) -> _Terms:
    """Return the terms under which a switch's option is reached."""
    index = node.index
    if not isinstance(index, Draw):
        return terms  # computed index: any option may be needed
    if isinstance(index.distribution, Categorical):
        # hp.choice makes the index and the switch together, so the index is active just when the
        # switch is reached, and naming the branch is enough.
        return frozenset({frozenset({(index.label, branch)})})
    if isinstance(index.distribution, Integer):
        return frozenset(term | {(index.label, branch)} for term in terms)
    return terms


def _simplified(terms: set[frozenset[tuple[str, int]]]) -> _Terms:
    """Drop terms that contain another one."""
    if frozenset() in terms:
        return _ALWAYS
    return frozenset(t for t in terms if not any(other < t for other in terms))


def _fingerprint(rows: tuple[Parameter, ...]) -> str:
    def plain(d: Distribution) -> list[Any]:
        fields = [getattr(d, name) for name in d.__slots__]
        return [type(d).__name__, *(list(f) if isinstance(f, tuple) else f for f in fields)]

    table = sorted(
        [
            row.label,
            plain(row.distribution),
            sorted(sorted([rows[k].label, b] for k, b in term) for term in row.condition),
        ]
        for row in rows
    )
    return hashlib.sha256(json.dumps(table).encode()).hexdigest()[:32]
