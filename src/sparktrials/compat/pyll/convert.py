"""From Hyperopt's expressions to our nodes, which ``compile_space`` takes.

Expressions of an installed Hyperopt are taken, too; it is recognised, never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from sparktrials import scope as native
from sparktrials.compat.pyll.distributions import DISTRIBUTIONS, distribution_of
from sparktrials.compat.pyll.evaluation import rec_eval
from sparktrials.compat.pyll.foreign import evaluated, is_foreign, operations_of, stochastic_of
from sparktrials.compat.pyll.graph import Apply, graph_of, scope
from sparktrials.compat.pyll.stochastic import implicit_stochastic_symbols
from sparktrials.compat.pyll.translation import written
from sparktrials.errors import BadSearchSpace, DuplicateLabel, EmptyChoice, InvalidLabel
from sparktrials.space.compile import compile_space
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
    children,
)

__all__ = ["Operation", "graph_of", "is_graph", "node_of"]

#: Operations from the start whose result may be an expression, which is then evaluated.
_MAY_RETURN_GRAPHS = frozenset(
    {
        "call",
        "call_method",
        "call_method_pure",
        "callpipe1",
        "copy_call_method_pure",
    }
)
#: Those that make expressions themselves, and so must stay with the package that they are from.
_MAKE_GRAPHS = frozenset({"callpipe1", "partial"})


@dataclass(frozen=True, slots=True)
class Operation:
    """A user's operation as the function of a `Call`: what it returns is evaluated further.

    It holds the function itself, so that it runs in processes where nobody defined it.
    """

    name: str
    implementation: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, /, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        """Call the function; where it returns an expression, return its value."""
        value = self.implementation(*args, **kwargs)
        if isinstance(value, Apply):
            return rec_eval(value)
        return evaluated(value) if is_foreign(value) else value


def is_graph(obj: object) -> bool:
    """Whether `obj` is an expression, ours or Hyperopt's own, or holds one.

    Lists, tuples, the values of dicts, and nodes are searched.
    """
    if _is_expression(obj):
        return True
    seen: set[int] = set()
    stack: list[Any] = [obj]
    while stack:
        item = stack.pop()
        if _is_expression(item):
            return True
        if isinstance(item, Constant):
            item = item.value
            if _is_expression(item):
                return True
        if isinstance(item, (list, tuple, dict, Node)) and id(item) not in seen:
            seen.add(id(item))
            if isinstance(item, Node):
                stack.extend(children(item))
            else:
                stack.extend(item.values() if isinstance(item, dict) else item)
    return False


def _is_expression(value: object) -> bool:
    return isinstance(value, Apply) or is_foreign(value)


def node_of(obj: object) -> Node:
    """Return a search space as one node: containers, constants, nodes and expressions, mixed.

    What is shared stays shared: one expression becomes one node. What the compiled space builds
    equals what ``rec_eval`` gives for the same draws.

    Raises
    ------
    BadSearchSpace
        `DuplicateLabel` if two parameters have one label; `InvalidBounds` if the arguments of a
        distribution are not known in advance or break its rule; the base class where a draw has no
        label, a label's distribution is not one of Hyperopt's, an operation is not defined, or the
        space contains itself.
    """
    return _Conversion(obj).result


class _Conversion:
    """All things of a space, parts before wholes, and the nodes made of them."""

    def __init__(self, root: object) -> None:
        #: Who uses a thing: names of operations, "" for containers and nodes.
        self.users: dict[int, list[Any]] = {}
        #: Parameters that are the index of a switch, with the most options they choose from.
        self.options: dict[int, int] = {}
        self.parts: dict[int, list[Any]] = {}
        self.made: dict[int, Node] = {}
        self.labels: dict[str, Draw] = {}
        #: Parameters that are read through float() and then int() only: uniformint is written so.
        self.whole: set[int] = set()
        for thing in self._ordered(root):
            self.made[id(thing)] = self._one(thing)
        self.result = self.made[id(root)]

    def _ordered(self, root: object) -> list[Any]:
        """Return all things once, parts before wholes."""
        order: list[Any] = []
        above: set[int] = set()
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            thing, entered = stack.pop()
            if entered:
                above.discard(id(thing))
                order.append(thing)
                continue
            if id(thing) in self.parts:
                if id(thing) in above:
                    name = "expression" if _is_expression(thing) else type(thing).__name__
                    msg = f"a search space must be a tree, but this {name} contains itself"
                    raise BadSearchSpace(msg)
                continue
            parts = self.parts[id(thing)] = _parts(thing)
            above.add(id(thing))
            stack.append((thing, True))
            stack.extend((part, False) for part in reversed(parts))
            for part in parts:
                self.users.setdefault(id(part), []).append(thing)
            if _is_expression(thing) and thing.name == "switch" and parts:
                n = len(parts) - 1
                self.options[id(parts[0])] = max(n, self.options.get(id(parts[0]), 0))
        return order

    def _one(self, thing: Any) -> Node:  # noqa: ANN401 - anything
        parts = [self.made[id(part)] for part in self.parts[id(thing)]]
        if _is_expression(thing):
            return self._expression(thing, parts)
        if isinstance(thing, Node):
            return _rebuilt(thing, parts)
        if isinstance(thing, dict):
            return as_node(dict(zip(_keys(thing), parts, strict=True)))
        if isinstance(thing, (list, tuple)):
            return as_node(parts)
        return _constant(thing)

    def _expression(self, thing: Any, parts: list[Node]) -> Node:  # noqa: ANN401 - an Apply
        name: str = thing.name
        if name == "literal":
            return parts[0] if parts else _constant(thing.obj)
        positional = parts[: len(thing.pos_args)]
        named = dict(zip((k for k, _ in thing.named_args), parts[len(positional) :], strict=True))
        if name == "hyperopt_param":
            return self._draw(thing, positional, named)
        if self._draws(thing) and "rng" not in named:
            if all(_is(user, "hyperopt_param") for user in self.users.get(id(thing), [None])):
                return Constant(None)  # `_draw` reads its arguments
            msg = (
                f"the space draws from {name} without a label; write hp.{name}(label, ...), so "
                "that the parameter has a name"
            )
            raise BadSearchSpace(msg)
        return self._computed(thing, positional, named)

    def _computed(
        self,
        thing: Any,  # noqa: ANN401 - an Apply
        positional: list[Node],
        named: dict[str, Node],
    ) -> Node:
        name: str = thing.name
        if name == "switch":
            return native.switch(*positional)
        if name == "pos_args":
            return as_node(positional)
        if name == "dict" and not positional:
            return as_node(named)
        if name in {"int", "float"} and len(positional) == 1:
            (part,) = positional
            if _yields(part) == name or id(thing.pos_args[0]) in self.whole:
                return part
        return Call(_function(thing), tuple(positional), tuple(named.items()))

    def _draws(self, thing: Any) -> bool:  # noqa: ANN401
        return thing.name in implicit_stochastic_symbols or (
            is_foreign(thing) and thing.name in stochastic_of(thing)
        )

    def _draw(self, thing: Any, positional: list[Node], named: Mapping[str, Node]) -> Node:  # noqa: ANN401
        arguments = dict(zip(("label", "obj"), positional, strict=False)) | dict(named)
        if set(arguments) != {"label", "obj"}:
            msg = f"hyperopt_param takes a label and a distribution, got {sorted(arguments)}"
            raise BadSearchSpace(msg)
        label = _label(arguments["label"])
        given: Any = next((a for k, a in thing.named_args if k == "obj"), None)
        if given is None:
            given = thing.pos_args[-1]
        if given.name not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            msg = (
                f"{label!r}: a parameter must be drawn from one of {known}, not from "
                f"{given.name!r}; draw from one of them and compute the rest of it in the "
                "expression"
            )
            raise BadSearchSpace(msg)
        if self.options.get(id(thing)) == 0:
            msg = f"{label!r}: a choice needs at least one option"
            raise EmptyChoice(msg)
        values = [_value(self.made[id(arg)]) for arg in given.inputs()]
        n = len(given.pos_args)
        keywords = dict(zip((k for k, _ in given.named_args), values[n:], strict=True))
        d = distribution_of(label, given.name, values[:n], keywords)
        draw = Draw(label, self._as_used(thing, d))
        origin = getattr(thing, "origin", None)
        if (
            isinstance(origin, Draw)
            and origin.label == label
            and written(origin.distribution) == written(d)
        ):
            draw = origin  # several expressions of one node of ours are one parameter
        if self.labels.setdefault(label, draw) is not draw:
            msg = (
                f"the label {label!r} names two parameters; give each its own label, or use one "
                "expression in both places to share it"
            )
            raise DuplicateLabel(msg)
        return draw

    def _as_used(self, thing: Any, d: Distribution) -> Distribution:  # noqa: ANN401
        """Return the distribution as what ``hp`` would have made of a choice or a uniformint."""
        if isinstance(d, Integer) and d.low == 0 and d.high <= self.options.get(id(thing), 0):
            return Categorical((1.0 / d.high,) * d.high)
        if isinstance(d, Uniform) and not d.log and d.q is not None and d.q == int(d.q):
            floats = self.users.get(id(thing), [])
            ints = [user for number in floats for user in self.users.get(id(number), [None])]
            if ints and all(_is(f, "float") for f in floats) and all(_is(i, "int") for i in ints):
                self.whole.add(id(thing))
                return Uniform(d.low, d.high, d.log, d.q, integer=True)
        return d


def _parts(thing: Any) -> list[Any]:  # noqa: ANN401
    if _is_expression(thing):
        if thing.name != "literal":
            return list(thing.inputs())
        return [thing.obj] if isinstance(thing.obj, Node) or _is_expression(thing.obj) else []
    if isinstance(thing, Constant):
        return [thing.value] if is_graph(thing.value) else []
    if isinstance(thing, Node):
        return list(children(thing))
    if isinstance(thing, dict):
        return [thing[key] for key in _keys(thing)]
    return list(thing) if isinstance(thing, (list, tuple)) else []


def _keys(mapping: dict[Any, Any]) -> list[Any]:
    for key in mapping:
        if is_graph(key):
            msg = "an expression cannot be a dict's key, where it would stay without a value"
            raise BadSearchSpace(msg)
    try:
        return sorted(mapping)
    except TypeError:  # of several types
        return sorted(mapping, key=str)


def _is(thing: object, name: str) -> bool:
    return _is_expression(thing) and thing.name == name  # type: ignore[attr-defined]  # an Apply


def _constant(value: Any) -> Node:  # noqa: ANN401
    lost = (isinstance(value, (set, frozenset)) and any(map(is_graph, value))) or (
        isinstance(value, np.ndarray) and value.dtype == object and is_graph(value.ravel().tolist())
    )
    if lost:
        msg = (
            f"an expression cannot be an element of a {type(value).__name__}, where it would stay "
            "without a value; use a list"
        )
        raise BadSearchSpace(msg)
    return Constant(value)


def _rebuilt(node: Node, parts: Sequence[Node]) -> Node:
    """Return a node of ours over other parts, itself where they are the same."""
    if isinstance(node, Constant):
        return parts[0] if parts else node
    if all(a is b for a, b in zip(parts, children(node), strict=True)):
        return node
    if isinstance(node, Switch):
        return Switch(parts[0], tuple(parts[1:]))
    if isinstance(node, TupleNode):
        return TupleNode(tuple(parts))
    if isinstance(node, MappingNode):
        return MappingNode(node.keys, tuple(parts))
    if isinstance(node, Call):
        n = len(node.args)
        named = zip((key for key, _ in node.kwargs), parts[n:], strict=True)
        return Call(node.function, tuple(parts[:n]), tuple(named))
    msg = f"a node of an unknown kind: {type(node).__name__}"
    raise BadSearchSpace(msg)


def _label(node: Node) -> str:
    label = node.value if isinstance(node, Constant) else node
    if isinstance(label, bytes):
        return label.decode(errors="backslashreplace")
    if not isinstance(label, str):
        msg = f"require string label, got {label!r} of type {type(label).__name__}"
        raise InvalidLabel(msg)
    return str.__str__(label)


def _value(node: Node) -> Any:  # noqa: ANN401
    """Return the value of a node, or itself where it depends on draws."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, TupleNode):
        return tuple(map(_value, node.items))
    space = compile_space(node)
    return node if space.parameters else space.build({})


def _yields(node: Node) -> str | None:
    """Return the type of number that a parameter's value is already."""
    if not isinstance(node, Draw):
        return None
    d = node.distribution
    if isinstance(d, Uniform) and d.integer:
        return "int"
    return "float" if isinstance(d, (Uniform, Normal)) else "int"


def _function(thing: Any) -> Callable[..., Any]:  # noqa: ANN401 - an Apply
    name: str = thing.name
    ours: Mapping[str, Callable[..., Any]] = scope._impls  # noqa: SLF001
    found = ours.get(name)
    if is_foreign(thing):
        theirs = operations_of(thing).get(name)
        module = getattr(theirs, "__module__", None) or ""
        # Its own operations are ours, too, so that executors need no Hyperopt.
        if found is None or name in _MAKE_GRAPHS or not module.startswith("hyperopt."):
            found = theirs
    if found is None:
        msg = (
            f"the space uses the operation {name!r}, which scope does not have; define it with "
            "@scope.define before the search"
        )
        raise BadSearchSpace(msg)
    return found if _is_plain(name, found) else Operation(name, found)


def _is_plain(name: str, function: Callable[..., Any]) -> bool:
    """Whether an operation is one from the start and returns values, never expressions."""
    if name in _MAY_RETURN_GRAPHS or not isinstance(
        function, (FunctionType, BuiltinFunctionType, type)
    ):
        return False  # a Lambda, for one
    module = function.__module__ or ""  # what exec defines may have none
    return module.partition(".")[0] in {"sparktrials", "builtins", "_operator"}
