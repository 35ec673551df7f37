"""The expression tree of a search space: frozen nodes, built by ``hp`` and by operators on nodes.

A node is equal only to itself: two nodes with one label are two parameters. Nothing here evaluates
a tree; ``compile`` flattens it first.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from sparktrials.errors import BadSearchSpace, NodeNotEvaluated

if TYPE_CHECKING:
    from sparktrials.space.distributions import Distribution

__all__ = [
    "Call",
    "Constant",
    "Draw",
    "MappingNode",
    "Node",
    "Switch",
    "TupleNode",
    "as_node",
    "children",
]

#: What numpy calls the operators that a numpy value on the left hands over.
_UFUNC_OPERATORS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "add": operator.add,
        "subtract": operator.sub,
        "multiply": operator.mul,
        "divide": operator.truediv,
        "true_divide": operator.truediv,
        "floor_divide": operator.floordiv,
        "remainder": operator.mod,
        "power": operator.pow,
        "less": operator.lt,
        "less_equal": operator.le,
        "greater": operator.gt,
        "greater_equal": operator.ge,
    }
)
_LONGEST_REPR = 60


class Node:
    """Base of the tree's nodes: operators on it make new nodes."""

    __slots__ = ()

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

    def __round__(self, digits: object = None) -> Call:
        return Call(round, (self, as_node(digits)))

    def __call__(self, *args: object, **kwargs: object) -> Call:
        """Call the value, once it is known: ``hp.choice('kind', [Ridge, Lasso])(alpha=1)``."""
        return Call(
            _invoke,
            (self, *(as_node(a) for a in args)),
            tuple((k, as_node(v)) for k, v in kwargs.items()),
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: object, **kwargs: object) -> Any:  # noqa: ANN401 - numpy's protocol
        """Let ``np.float64(2) * node`` be a node, and refuse ``np.exp(node)`` by name."""
        name = ufunc.__name__
        if method == "__call__" and not kwargs:
            if name in _UFUNC_OPERATORS:
                return Call(_UFUNC_OPERATORS[name], tuple(as_node(x) for x in inputs))
            if name in ("equal", "not_equal"):  # identity, as for any two nodes
                return (inputs[0] is inputs[1]) == (name == "equal")
        return self._refuse(
            f"an argument of numpy.{name}",
            f"write scope.{name}(...) or, where scope has none, scope.call(numpy.{name}, ...)",
        )

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse to become an array of objects, which would reach the objective unevaluated."""
        self._refuse(
            "an array or an array's element", "use a list, or scope.call(numpy.array, ...)"
        )

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
        self._refuse("a float", "write scope.float(...), and scope.exp for math.exp and so on")

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
        return text if len(text) <= _LONGEST_REPR else text[: _LONGEST_REPR - 3] + "..."


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
        if self.function is _invoke:
            return f"{_brief(self.args[0])}(...)"
        name = getattr(self.function, "__name__", repr(self.function))
        named = [f"{key}={_brief(value)}" for key, value in self.kwargs]
        return f"{name}({', '.join([*map(_brief, self.args), *named])})"


def _brief(node: Node) -> str:
    """Return an operand in a few words: expressions in expressions may go on for thousands."""
    if isinstance(node, Draw):
        return repr(node.label)
    return "..." if isinstance(node, Call) else repr(node)


def _invoke(function: Callable[..., Any], /, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
    return function(*args, **kwargs)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes that `node` is made of, a switch's index first."""
    if isinstance(node, Switch):
        return (node.index, *node.options)
    if isinstance(node, TupleNode):
        return node.items
    if isinstance(node, MappingNode):
        return node.values
    if isinstance(node, Call):
        return (*node.args, *(value for _, value in node.kwargs))
    return ()


def as_node(value: object) -> Node:
    """Return `value` as a node: containers are searched for nodes, all else is a constant.

    Lists and tuples become tuples and dicts get their keys sorted, as in Hyperopt, also where they
    hold no node.

    Raises
    ------
    BadSearchSpace
        If a container contains itself, a node stands where it would not be found (in a set, or in
        a dict's keys), or a node is Hyperopt's.
    """
    if not isinstance(value, (list, tuple, dict)):
        return _leaf(value)
    # Depth first with a stack of our own: containers may nest deeper than Python recurses.
    made: dict[int, Node] = {}
    kept: list[object] = []  # what `made` names by id must stay alive
    above: set[int] = set()
    stack: list[tuple[Any, tuple[list[Any], list[Any]] | None]] = [(value, None)]
    while stack:
        container, content = stack.pop()
        key = id(container)
        if content is not None:
            keys, items = content
            nodes = tuple(_finished(item, made) for item in items)
            made[key] = (
                MappingNode(tuple(keys), nodes) if isinstance(container, dict) else _tuple(nodes)
            )
            above.discard(key)
            continue
        if key in made:
            continue
        if key in above:
            msg = (
                "a search space must be a tree, but this "
                f"{type(container).__name__} contains itself"
            )
            raise BadSearchSpace(msg)
        content = _content(container)
        kept.append((container, content))
        above.add(key)
        stack.append((container, content))
        # Reversed: what comes first is met first, as in the user's text.
        stack.extend(
            (item, None) for item in reversed(content[1]) if isinstance(item, (list, tuple, dict))
        )
    return made[id(value)]


def _content(container: Any) -> tuple[list[Any], list[Any]]:  # noqa: ANN401 - the user's
    """Return keys, none for sequences, and items."""
    if not isinstance(container, dict):
        return [], list(container)
    keys = sort_keys(container)
    return keys, [container[key] for key in keys]


def _finished(item: object, made: Mapping[int, Node]) -> Node:
    return made[id(item)] if isinstance(item, (list, tuple, dict)) else _leaf(item)


def _leaf(value: object) -> Node:
    if isinstance(value, Node):
        return value
    if isinstance(value, (set, frozenset)):
        _refuse_nodes(value, "an element of a set")
    if type(value).__module__ == "hyperopt.pyll.base":
        # Else the objective would get it as it is, and the space would seem to have no parameters.
        msg = "the space holds a node of Hyperopt's; make it with `from sparktrials import hp`"
        raise BadSearchSpace(msg)
    return Constant(value)


def _tuple(nodes: tuple[Node, ...]) -> Node:
    # A list of constants is one constant; dicts are rebuilt, for objectives may change them.
    if all(isinstance(node, Constant) for node in nodes):
        return Constant(tuple(node.value for node in nodes if isinstance(node, Constant)))
    return TupleNode(nodes)


def _refuse_nodes(values: Iterable[object], place: str) -> None:
    for value in values:
        if isinstance(value, Node):
            msg = (
                f"a search-space node cannot be {place}, where it would stay without a value "
                f"({value}); use a list, or a dict's values"
            )
            raise BadSearchSpace(msg)


def sort_keys(mapping: Mapping[Any, object]) -> list[Any]:
    """Return the mapping's keys sorted, by their text where they do not compare.

    Raises
    ------
    BadSearchSpace
        If a key is a node.
    """
    for key in mapping:
        _refuse_nodes(key if isinstance(key, tuple) else (key,), "a dict's key")
    try:
        return sorted(mapping)
    except TypeError:
        return sorted(mapping, key=str)
