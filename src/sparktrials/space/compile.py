"""Flattens an expression tree into a `Space`: a table of parameters and a program to build values.

All walks are iterative and memoised by node, so shared subtrees cost nothing and depth is free.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sparktrials.errors import BadSearchSpace, InvalidPoint
from sparktrials.space.conditions import Condition, holds, table_of
from sparktrials.space.distributions import (
    MAX_EXACT_INTEGER,
    Categorical,
    Distribution,
    Integer,
    Uniform,
    as_float,
)
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Node,
    Switch,
    TupleNode,
    as_node,
    children,
)

__all__ = ["Condition", "Parameter", "Point", "Space", "compile_space", "space_eval"]

#: ``label -> raw draw`` of the active parameters; a choice is its branch index.
Point: TypeAlias = Mapping[str, "int | float"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table: what is drawn, and when it is active."""

    label: str
    distribution: Distribution
    condition: Condition = ()


#: What a step of the program does with its operands. Plain integers for the inner loop's sake.
_CONSTANT, _DRAW, _SWITCH, _TUPLE, _MAPPING, _CALL = range(6)


#: Labels that an error message lists.
_MOST_SHOWN = 20


class _Instruction(NamedTuple):
    """One step of the program: its operands are the positions of earlier steps."""

    kind: int
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
        found: list[str] = []
        drawn: list[object] = []  # None where inactive, so that no branch compares equal
        for parameter in self.parameters:
            label = parameter.label
            on = not parameter.condition or holds(parameter.condition, drawn)
            drawn.append(point.get(label) if on else None)
            if on:
                found.append(label)
        return found

    def build(self, point: Point) -> Any:  # noqa: ANN401 - whatever the user's tree describes
        """Return what the objective receives for `point`: branches not taken are not evaluated.

        Raises
        ------
        InvalidPoint
            If an active parameter is missing, or a branch index is out of range.
        """
        return self._run(point)[len(self.program) - 1]

    def values(self, point: Point) -> dict[str, Any]:
        """Return ``label -> value`` as the objective receives it: of a choice the option.

        Parameters that `build` does not reach are left out.

        Raises
        ------
        InvalidPoint
            As `build` does.
        """
        results = self._run(point)
        place: dict[str, int] = {}
        for at, (kind, payload, operands) in enumerate(self.program):
            if kind == _DRAW:
                place.setdefault(payload[0], at)
            elif kind == _SWITCH and self.program[operands[0]].kind == _DRAW:
                label = self.program[operands[0]].payload[0]
                if isinstance(self.parameters[self.index[label]].distribution, Categorical):
                    place[label] = at
        return {label: results[place[label]] for label in self.labels if place[label] in results}

    def _run(self, point: Point) -> dict[int, Any]:
        """Return the results of the steps that `point` leads to, by position."""
        program = self.program
        values: dict[int, Any] = {}
        # Depth first with a stack of our own. Leaves are evaluated where they are met: most of a
        # usual space is leaves.
        stack = [len(program) - 1]
        while stack:
            at = stack[-1]
            if at in values:  # shared, and reached before
                stack.pop()
                continue
            kind, payload, operands = program[at]
            indexed = False
            if kind == _SWITCH:
                indexed = operands[0] in values
                chosen = (
                    _branch(payload, values[operands[0]], len(operands) - 1) + 1 if indexed else 0
                )
                operands = operands[chosen : chosen + 1]
            ready = True
            for o in operands:
                if o not in values:
                    leaf, content, _ = program[o]
                    if leaf == _DRAW:
                        values[o] = _drawn(point, content)
                    elif leaf == _CONSTANT:
                        values[o] = content
                    else:
                        stack.append(o)
                        ready = False
            if not ready or (kind == _SWITCH and not indexed):
                continue
            stack.pop()
            if kind == _MAPPING:
                values[at] = dict(zip(payload, [values[o] for o in operands], strict=True))
            elif kind == _TUPLE:
                values[at] = tuple([values[o] for o in operands])
            elif kind == _CALL:
                values[at] = _called(payload, [values[o] for o in operands])
            elif kind == _SWITCH:
                values[at] = values[operands[0]]
            else:  # the whole tree is one leaf
                values[at] = _drawn(point, payload) if kind == _DRAW else payload
        return values

    def checked(self, point: object, *, name: str = "point") -> dict[str, int | float]:
        """Return a user's point as raw draws of the active labels only.

        Parameters
        ----------
        point
            ``label -> value``, a choice's value being its branch index. Values of labels that are
            not active in it are ignored, whatever they are.
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
            known = ", ".join(self.labels[:_MOST_SHOWN]) + ", …" * (len(self.labels) > _MOST_SHOWN)
            msg = f"{name} has the label {unknown[0]!r}, which the space has not; it has {known}"
            raise InvalidPoint(msg)
        drawn: list[int | float | None] = []
        checked: dict[str, int | float] = {}
        for parameter in self.parameters:
            value = None
            if not parameter.condition or holds(parameter.condition, drawn):
                if parameter.label not in point:
                    raise InvalidPoint(_lacking(name, parameter.label, point))
                value = checked[parameter.label] = _raw(name, parameter, point[parameter.label])
            drawn.append(value)
        return checked

    @property
    def labels(self) -> list[str]:
        """The parameters' labels in table order."""
        return [p.label for p in self.parameters]

    def options(self, label: str) -> list[object]:
        """Return the options of a choice: constants as they are, its branch index for others."""
        n = 0
        distribution = self.parameters[self.index[label]].distribution
        if isinstance(distribution, Categorical):
            n = len(distribution.probabilities)
        for kind, _, operands in self.program:
            if kind == _SWITCH and len(operands) == n + 1:
                decider = self.program[operands[0]]
                if decider.kind == _DRAW and decider.payload[0] == label:
                    steps = [self.program[o] for o in operands[1:]]
                    return [s.payload if s.kind == _CONSTANT else i for i, s in enumerate(steps)]
        return list(range(n))

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


def _drawn(point: Point, draw: tuple[str, type[int | float]]) -> int | float:
    label, cast = draw
    value = point.get(label)
    if value is None:
        raise InvalidPoint(_lacking("the point", label, point))
    return cast(value)


def _lacking(name: str, label: str, point: Mapping[str, object]) -> str:
    return f"{name} lacks {label!r}, which is active in it: {dict(point)!r}"


def _branch(switch: str, index: Any, n: int) -> int:  # noqa: ANN401 - what the user computed
    try:
        branch = int(index)
        if branch == index and 0 <= branch < n:
            return branch
    except (TypeError, ValueError, OverflowError):
        pass  # not a number, or not one that is whole
    msg = f"{switch}: the branch index must be one of 0 to {n - 1}, got {index!r}"
    raise InvalidPoint(msg)


def _called(payload: tuple[Callable[..., Any], tuple[str, ...]], operands: list[Any]) -> Any:  # noqa: ANN401
    function, names = payload
    if not names:
        return function(*operands)
    positional = len(operands) - len(names)
    return function(*operands[:positional], **dict(zip(names, operands[positional:], strict=True)))


def _raw(name: str, parameter: Parameter, value: object) -> int | float:
    """Return a user's value for a parameter as a raw draw."""
    label, distribution = parameter.label, parameter.distribution
    number = as_float(value)
    if number is None and isinstance(distribution, Categorical):
        last = len(distribution.probabilities) - 1
        msg = f"{name}: {label!r} must be the index of an option, 0 to {last}, got {value!r}"
        raise InvalidPoint(msg)
    if number is None or not math.isfinite(number):
        msg = f"{name}: {label!r} must be a finite number ({distribution}), got {value!r}"
        raise InvalidPoint(msg)
    if isinstance(distribution, Categorical):
        return _branch(f"{name}: {label!r}", value, len(distribution.probabilities))
    if isinstance(distribution, Integer) or (
        isinstance(distribution, Uniform) and distribution.integer and distribution.q == 1
    ):
        if number != int(number) or abs(number) > MAX_EXACT_INTEGER:
            msg = f"{name}: {label!r} must be an integer ({distribution}), got {value!r}"
            raise InvalidPoint(msg)
        return int(number) if isinstance(distribution, Integer) else number
    if distribution.log and number < 0:
        msg = f"{name}: {label!r} must not be negative ({distribution}), got {value!r}"
        raise InvalidPoint(msg)
    return number


def compile_space(tree: object) -> Space:
    """Flatten a user's tree of nodes, containers and constants.

    Raises
    ------
    BadSearchSpace
        `DuplicateLabel` if two nodes have one label; the base class for a tree that contains
        itself, or whose parameters decide on each other.
    """
    order = _postorder(as_node(tree))
    position = {id(node): i for i, node in enumerate(order)}
    rows = tuple(
        Parameter(draw.label, draw.distribution, condition) for draw, condition in table_of(order)
    )
    program = tuple(
        _instruction(node, tuple(position[id(child)] for child in children(node))) for node in order
    )
    index = {row.label: i for i, row in enumerate(rows)}
    return Space(rows, program, _fingerprint(rows), index)


def space_eval(space: object, assignment: Mapping[str, object]) -> Any:  # noqa: ANN401
    """Return what the objective would receive for ``{label: value or branch index}``.

    Raises
    ------
    InvalidPoint
        If a label that is active is missing or a value does not fit; unknown labels are refused.
    """
    compiled = space if isinstance(space, Space) else compile_space(space)
    return compiled.build(compiled.checked(assignment, name="the assignment"))


def _instruction(node: Node, operands: tuple[int, ...]) -> _Instruction:
    if isinstance(node, Constant):
        return _Instruction(_CONSTANT, node.value)
    if isinstance(node, Draw):
        d = node.distribution
        whole = isinstance(d, (Categorical, Integer)) or (isinstance(d, Uniform) and d.integer)
        return _Instruction(_DRAW, (node.label, int if whole else float))
    if isinstance(node, Switch):
        return _Instruction(_SWITCH, repr(node), operands)
    if isinstance(node, TupleNode):
        return _Instruction(_TUPLE, None, operands)
    if isinstance(node, MappingNode):
        return _Instruction(_MAPPING, node.keys, operands)
    if isinstance(node, Call):
        return _Instruction(_CALL, (node.function, tuple(k for k, _ in node.kwargs)), operands)
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
        stack.extend((child, False) for child in reversed(children(node)) if id(child) not in done)
    return order


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
