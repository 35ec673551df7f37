"""Our nodes as Hyperopt's expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeGuard, TypeVar

from sparktrials.errors import BadSearchSpace
from sparktrials.space.distributions import Categorical, Distribution, Integer, Uniform
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Node,
    Switch,
    TupleNode,
    children,
)

__all__ = ["Translation", "written"]

_A = TypeVar("_A")


class Translation(Generic[_A]):
    """Turns nodes into expressions of the shape that Hyperopt's ``hp`` makes.

    Nodes that are shared stay shared, also between calls of `of`.

    Parameters
    ----------
    make
        `Apply`.
    constant
        `Literal`.
    operations
        Of the scope: calls of these functions get their names.
    """

    def __init__(
        self,
        make: Callable[..., _A],
        constant: Callable[[Any], _A],
        operations: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.make = make
        self.constant = constant
        self.operations = operations
        self.names: dict[int, str] = {}
        self.made: dict[int, _A] = {}
        self.drawn: dict[int, _A] = {}  # a parameter without int() or float() around it
        self.kept: list[Node] = []  # what `made` names by id must stay alive

    def of(self, root: Node) -> _A:
        """Return the expression of a node."""
        self.kept.append(root)
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) in self.made:
                stack.pop()
                continue
            missing = [n for n in self._needed(node) if id(n) not in self.made]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self.made[id(node)] = self._one(node)
        return self.made[id(root)]

    @staticmethod
    def _needed(node: Node) -> Sequence[Node]:
        return node.options if _is_choice(node) else children(node)  # a choice's index is bare

    def _one(self, node: Node) -> _A:
        if isinstance(node, Constant):
            return self.constant(node.value)
        if isinstance(node, Draw):
            return self._wrapped(node)
        parts = [self.made[id(n)] for n in self._needed(node)]
        if isinstance(node, Switch):
            if isinstance(node.index, Draw) and _is_choice(node):
                parts = [self._bare(node.index), *parts]
            return self.make("switch", parts, [], None, pure=True)
        if isinstance(node, TupleNode):
            return self.make("pos_args", parts, [], len(parts))
        if isinstance(node, MappingNode):
            return self._mapping(node.keys, parts)
        if isinstance(node, Call):
            return self._call(node, parts)
        msg = f"a node of an unknown kind: {type(node).__name__}"
        raise BadSearchSpace(msg)

    def _mapping(self, keys: Sequence[Any], parts: Sequence[_A]) -> _A:
        if all(isinstance(key, str) for key in keys):
            return self.make("dict", [], list(zip(keys, parts, strict=True)), len(keys))
        pairs = [
            self.make("pos_args", [self.constant(key), part], [], 2)
            for key, part in zip(keys, parts, strict=True)
        ]
        return self.make("dict", [self.make("pos_args", pairs, [], None)], [], None)

    def _call(self, node: Call, parts: list[_A]) -> _A:
        n = len(node.args)
        named = sorted(zip([key for key, _ in node.kwargs], parts[n:], strict=True))
        function = getattr(node.function, "implementation", node.function)  # as `node_of` wraps it
        if not self.names:
            self.names = {id(f): name for name, f in self.operations.items()}
        name = self.names.get(id(function))
        if name is not None:
            return self.make(name, parts[:n], named, None, pure=True)
        return self.make(
            "call",
            [
                self.constant(node.function),
                self.make("pos_args", parts[:n], [], n),
                self.make("dict", [], named, len(named)),
            ],
            [],
        )

    def _wrapped(self, draw: Draw) -> _A:
        bare, d = self._bare(draw), draw.distribution
        if isinstance(d, Categorical):
            return bare
        if isinstance(d, Integer):
            return self.make("int", [bare], [], None, pure=True)
        number = self.make("float", [bare], [], None, pure=True)
        whole = isinstance(d, Uniform) and d.integer
        return self.make("int", [number], [], None, pure=True) if whole else number

    def _bare(self, draw: Draw) -> _A:
        if id(draw) not in self.drawn:
            name, arguments = written(draw.distribution)
            parts = [
                self.make("pos_args", [self.constant(p) for p in a], [], len(a))
                if isinstance(a, tuple)
                else self.constant(a)
                for a in arguments
            ]
            drawn = self.make(name, parts, [])
            parameter = self.make("hyperopt_param", [self.constant(draw.label), drawn], [])
            # Two expressions of one node are one parameter: so it comes back as itself.
            parameter.origin = draw  # type: ignore[attr-defined]  # an Apply
            self.drawn[id(draw)] = parameter
        return self.drawn[id(draw)]


def _is_choice(node: Node) -> TypeGuard[Switch]:
    """Whether a node is what ``hp.choice`` and ``hp.pchoice`` make."""
    return (
        isinstance(node, Switch)
        and isinstance(node.index, Draw)
        and isinstance(node.index.distribution, Categorical)
    )


def written(d: Distribution) -> tuple[str, tuple[Any, ...]]:
    """Return the name and the arguments of Hyperopt's distribution."""
    if isinstance(d, Categorical):
        p = d.probabilities
        return ("randint", (len(p),)) if len(set(p)) == 1 else ("categorical", (p,))
    if isinstance(d, Integer):
        return "randint", (d.low, d.high) if d.low else (d.high,)
    kind, first, second = (
        ("uniform", d.low, d.high) if isinstance(d, Uniform) else ("normal", d.mu, d.sigma)
    )
    name = ("q" if d.q else "") + ("log" if d.log else "") + kind
    return name, (first, second, d.q) if d.q else (first, second)
