"""The expression tree of a search space: frozen nodes, built by ``hp`` and by operators on nodes.

A node is equal only to itself: two nodes with one label are two parameters. Nothing here evaluates
a tree; ``compile`` flattens it first.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sparktrials.errors import BadSearchSpace, NodeNotEvaluated

if TYPE_CHECKING:
    from sparktrials.space.distributions import Distribution

__all__ = ["Call", "Constant", "Draw", "MappingNode", "Node", "Switch", "TupleNode", "as_node"]


class Node:
    """Base of the tree's nodes: operators on it make new nodes."""

    __slots__ = ()
    #: Keeps numpy from taking the node for an array element: ``np.float64(2) * node`` is a node.
    __array_ufunc__ = None
    _is_space_node = True

    def __add__(self, other: object) -> Call:
        return Call(operator.add, (self, as_node(other)))

    def __radd__(self, other: object) -> Call:
        return Call(operator.add, (as_node(other), self))

    def __sub__(self, other: object) -> Call:
        return Call(operator.sub, (self, as_node(other)))

    def __rsub__(self, other: object) -> Call:
        return Call(operator.sub, (as_node(other), self))

    def __mul__(self, other: object) -> Call:
        return Call(operator.mul, (self, as_node(other)))

    def __rmul__(self, other: object) -> Call:
        return Call(operator.mul, (as_node(other), self))

    def __truediv__(self, other: object) -> Call:
        return Call(operator.truediv, (self, as_node(other)))

    def __rtruediv__(self, other: object) -> Call:
        return Call(operator.truediv, (as_node(other), self))

    def __floordiv__(self, other: object) -> Call:
        return Call(operator.floordiv, (self, as_node(other)))

    def __rfloordiv__(self, other: object) -> Call:
        return Call(operator.floordiv, (as_node(other), self))

    def __mod__(self, other: object) -> Call:
        return Call(operator.mod, (self, as_node(other)))

    def __rmod__(self, other: object) -> Call:
        return Call(operator.mod, (as_node(other), self))

    def __pow__(self, other: object) -> Call:
        return Call(operator.pow, (self, as_node(other)))

    def __rpow__(self, other: object) -> Call:
        return Call(operator.pow, (as_node(other), self))

    def __neg__(self) -> Call:
        return Call(operator.neg, (self,))

    def __pos__(self) -> Call:
        return Call(operator.pos, (self,))

    def __abs__(self) -> Call:
        return Call(operator.abs, (self,))

    def __lt__(self, other: object) -> Call:
        return Call(operator.lt, (self, as_node(other)))

    def __le__(self, other: object) -> Call:
        return Call(operator.le, (self, as_node(other)))

    def __gt__(self, other: object) -> Call:
        return Call(operator.gt, (self, as_node(other)))

    def __ge__(self, other: object) -> Call:
        return Call(operator.ge, (self, as_node(other)))

    def __getitem__(self, key: object) -> Call:
        return Call(operator.getitem, (self, as_node(key)))

    def _refuse(self, use: str, remedy: str) -> NoReturn:
        msg = f"a search-space node has no value yet and cannot be used as {use} ({self}); {remedy}"
        raise NodeNotEvaluated(msg)

    def __bool__(self) -> bool:
        self._refuse("a truth value", "compare values inside the objective, or use hp.choice")

    def __int__(self) -> int:
        self._refuse("an int", "write scope.int(...)")

    def __index__(self) -> int:
        self._refuse("an index", "use hp.choice to pick from a list")

    def __float__(self) -> float:
        self._refuse("a float", "write scope.float(...)")

    def __iter__(self) -> NoReturn:
        self._refuse("an iterable", "index it: node[0], node[1]")

    def __len__(self) -> int:
        self._refuse("a sized container", "write scope.len(...)")

    def __contains__(self, item: object) -> bool:
        self._refuse("a container", "test membership inside the objective")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Node):
    """A value that is passed on as it is, by identity."""

    value: Any

    def __repr__(self) -> str:
        text = repr(self.value)
        return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Draw(Node):
    """A hyperparameter: a label and the distribution that it is drawn from."""

    label: str
    distribution: Distribution

    def __repr__(self) -> str:
        return f"{self.label!r}: {self.distribution}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Switch(Node):
    """One of several options, chosen by an index node; the others are not evaluated."""

    index: Node
    options: tuple[Node, ...]

    def __repr__(self) -> str:
        if isinstance(self.index, Draw):
            return f"choice {self.index.label!r} of {len(self.options)} options"
        return f"switch over {len(self.options)} options"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TupleNode(Node):
    """A list or tuple with nodes inside; the objective receives a tuple."""

    items: tuple[Node, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"tuple of {len(self.items)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MappingNode(Node):
    """A dict with nodes inside; the objective receives a dict, keys sorted."""

    keys: tuple[Any, ...]
    values: tuple[Node, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"dict of {len(self.keys)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Node):
    """A function applied to nodes when the point is known."""

    function: Callable[..., Any]
    args: tuple[Node, ...]
    kwargs: tuple[tuple[str, Node], ...] = ()

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", repr(self.function))
        return f"{name}(...)"


def as_node(value: object) -> Node:
    """Return `value` as a node: containers are searched for nodes, all else is a constant.

    Lists and tuples become tuples and dicts get their keys sorted, as in Hyperopt, also where they
    hold no node.

    Raises
    ------
    BadSearchSpace
        If a container contains itself.
    """
    return _as_node(value, {}, set())


def _as_node(value: object, known: dict[int, Node], above: set[int]) -> Node:
    if isinstance(value, Node):
        return value
    if not isinstance(value, (list, tuple, dict)):
        return Constant(value)
    key = id(value)
    if key in known:
        return known[key]
    if key in above:
        msg = f"a search space must be a tree, but this {type(value).__name__} contains itself"
        raise BadSearchSpace(msg)
    above.add(key)
    node: Node
    if isinstance(value, dict):
        keys = tuple(sort_keys(value))
        node = MappingNode(keys, tuple(_as_node(value[k], known, above) for k in keys))
    else:
        items = tuple(_as_node(item, known, above) for item in value)
        # A list of constants is one constant; dicts are rebuilt, for objectives may change them.
        node = (
            Constant(tuple(item.value for item in items if isinstance(item, Constant)))
            if all(isinstance(item, Constant) for item in items)
            else TupleNode(items)
        )
    above.discard(key)
    # `value` stays alive as long as the caller's container does, so its id stays its own.
    known[key] = node
    return node


def sort_keys(mapping: Mapping[Any, object]) -> list[Any]:
    """Return the mapping's keys sorted, by their text where they do not compare."""
    try:
        return sorted(mapping)
    except TypeError:
        return sorted(mapping, key=str)
