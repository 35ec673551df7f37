"""The parameters of an expression, and the conditions that they stand under."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sparktrials.compat.pyll.binding import MissingArgument
from sparktrials.compat.pyll.graph import Apply, Literal, as_apply
from sparktrials.errors import DuplicateLabel

__all__ = ["EQ", "Cond", "expr_to_config"]


class Cond:
    """``name op val``: a condition on one parameter."""

    def __init__(self, name: str, val: Any, op: str) -> None:  # noqa: ANN401
        self.op = op
        self.name = name
        self.val = val

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"Cond{{{self.name} {self.op} {self.val}}}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cond):
            return NotImplemented
        return (self.op, self.name, self.val) == (other.op, other.name, other.val)

    def __hash__(self) -> int:
        return hash((self.op, self.name, self.val))


EQ = partial(Cond, op="=")


def expr_to_config(expr: object, conditions: tuple[Any, ...] | None, hps: dict[str, Any]) -> None:
    """Fill `hps` with the parameters of an expression.

    Parameters
    ----------
    conditions
        What must hold for the expression to be evaluated at all.
    hps
        Gets ``label -> {"node": distribution, "conditions": set of tuples of `Cond`, "label"}``:
        the parameter is active where all conditions of one of the tuples hold.

    Raises
    ------
    DuplicateLabel
        If one label names two distributions.
    """
    start = conditions or ()
    _collect(as_apply(expr), start, hps)
    _remove_allpaths(hps, start)


def _collect(root: Apply, start: tuple[Any, ...], hps: dict[str, Any]) -> None:
    seen: set[tuple[Apply, tuple[Any, ...]]] = set()
    stack = [(root, start)]
    while stack:
        node, conditions = stack.pop()
        if (node, conditions) in seen:
            continue
        seen.add((node, conditions))
        if node.name == "hyperopt_param":
            _add(node, conditions, hps)
            continue
        below = [(arg, conditions) for arg in node.inputs()]
        if node.name == "switch":
            index = _parameter(node.pos_args[0])
            if index is not None:  # else computed: any option may be needed
                label = _label(index)
                for i, option in enumerate(node.pos_args[1:]):
                    below[i + 1] = (option, (*conditions, EQ(label, i)))
        stack.extend(reversed(below))


def _parameter(index: Apply) -> Apply | None:
    """Return the parameter that is a switch's index, also where it is an ``hp.randint``."""
    while index.name == "int" and len(index.pos_args) == 1:
        index = index.pos_args[0]
    if index.name != "hyperopt_param" or index.arg["obj"].name not in {"randint", "categorical"}:
        return None
    return index


def _label(parameter: Apply) -> Any:  # noqa: ANN401 - text or bytes
    label: Literal = parameter.arg["label"]
    return label.obj


def _add(parameter: Apply, conditions: tuple[Any, ...], hps: dict[str, Any]) -> None:
    label, node = _label(parameter), parameter.arg["obj"]
    known = hps.setdefault(label, {"node": node, "conditions": set(), "label": label})
    if known["node"] is not node:
        msg = f"the label {label!r} names two parameters; give each its own label"
        raise DuplicateLabel(msg)
    known["conditions"].add(conditions)


def _remove_allpaths(hps: Mapping[str, Any], start: tuple[Any, ...]) -> None:
    """Drop conditions that together name all values of one parameter: they always hold."""
    whole = {label: _values(found["node"]) for label, found in hps.items()}
    for found in hps.values():
        terms = found["conditions"]
        if len(terms) < 2:  # noqa: PLR2004
            continue
        conds = [[c for c in term if c is not True] for term in terms]
        conds = [term for term in conds if term]
        if not conds:
            found["conditions"] = {start}
        elif all(len(term) == 1 for term in conds):
            name = conds[0][0].name
            if {term[0] for term in conds} == {EQ(name, i) for i in whole.get(name) or ()}:
                found["conditions"] = {start}


def _values(node: Apply) -> range | None:
    """Return the values that a parameter can have, where it has few."""
    if node.name == "randint":
        low, high = node.arg["low"], node.arg["high"]
        if not isinstance(low, Literal):
            return None
        if high is MissingArgument or getattr(high, "obj", low) is None:
            return range(int(low.obj))
        return range(int(low.obj), int(high.obj)) if isinstance(high, Literal) else None
    if node.name == "categorical":
        p = node.arg["p"]
        return range(len(p.pos_args) if p.name == "pos_args" else len(p))
    return None
