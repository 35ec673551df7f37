"""Functions on search-space nodes: ``scope.int(hp.quniform('depth', 1, 10, 1))``.

Each takes nodes or plain values and returns a node that is computed once the point is known.
"""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.errors import EmptyChoice, InvalidArgumentType, InvalidBounds
from sparktrials.space.conditions import branches
from sparktrials.space.nodes import Call, Node, Switch, as_node

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "abs",
    "asarray",
    "call",
    "ceil",
    "cos",
    "eq",
    "exp",
    "float",
    "floor",
    "getattr",
    "int",
    "len",
    "list",
    "log",
    "log10",
    "max",
    "maximum",
    "min",
    "minimum",
    "ne",
    "pow",
    "range",
    "round",
    "sin",
    "sqrt",
    "str",
    "sum",
    "switch",
    "tan",
    "tanh",
]


def call(function: object, /, *args: object, **kwargs: object) -> Node:
    """Apply any function to nodes: ``scope.call(math.hypot, node_a, node_b)``.

    Raises
    ------
    InvalidArgumentType
        If `function` cannot be called.
    """
    if isinstance(function, Node):  # a function that is chosen
        return function(*args, **kwargs)
    if not callable(function):
        msg = f"scope.call takes a function and then its arguments, got {function!r}"
        raise InvalidArgumentType(msg)
    return Call(
        function,
        tuple(as_node(a) for a in args),
        tuple((k, as_node(v)) for k, v in kwargs.items()),
    )


def _one(function: Callable[..., Any], name: builtins.str) -> Callable[[object], Node]:
    def apply(value: object) -> Node:
        return call(function, value)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"``{name}(value)``, computed once the point is known."
    return apply


def _many(function: Callable[..., Any], name: builtins.str) -> Callable[..., Node]:
    def apply(*values: object) -> Node:
        return call(function, *values)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"``{name}(*values)``, computed once the point is known."
    return apply


def switch(index: object, *options: object) -> Node:
    """``options[index]``; the other options are not evaluated.

    Parameters of an option are conditional when `index` is a parameter itself: an ``hp.randint``
    or ``hp.uniformint``.

    Raises
    ------
    EmptyChoice
        If there are no options.
    InvalidBounds
        If `index` is a parameter that can have a value without an option.
    """
    node = as_node(index)
    n = builtins.len(options)
    if not options:
        msg = f"scope.switch needs at least one option after its index ({node})"
        raise EmptyChoice(msg)
    values = branches(node)
    if values is not None and not (values.start >= 0 and values.stop <= n):
        msg = (
            f"scope.switch has the options 0 to {n - 1}, but its index can be {values.start} to "
            f"{values.stop - 1} ({node})"
        )
        raise InvalidBounds(msg)
    return Switch(node, tuple(as_node(option) for option in options))


int = _one(builtins.int, "int")  # noqa: A001 - Hyperopt's name, only reached as scope.int
float = _one(builtins.float, "float")  # noqa: A001
str = _one(builtins.str, "str")  # noqa: A001
abs = _one(builtins.abs, "abs")  # noqa: A001
len = _one(builtins.len, "len")  # noqa: A001
round = _many(builtins.round, "round")  # noqa: A001
min = _many(builtins.min, "min")  # noqa: A001
max = _many(builtins.max, "max")  # noqa: A001
pow = _many(builtins.pow, "pow")  # noqa: A001
list = _one(builtins.list, "list")  # noqa: A001
range = _many(builtins.range, "range")  # noqa: A001
getattr = _many(builtins.getattr, "getattr")  # noqa: A001
asarray = _one(np.asarray, "asarray")
ceil = _one(math.ceil, "ceil")
floor = _one(math.floor, "floor")
exp = _one(np.exp, "exp")
log = _one(np.log, "log")
log10 = _one(np.log10, "log10")
sqrt = _one(np.sqrt, "sqrt")
sin = _one(np.sin, "sin")
cos = _one(np.cos, "cos")
tan = _one(np.tan, "tan")
tanh = _one(np.tanh, "tanh")
minimum = _many(np.minimum, "minimum")
maximum = _many(np.maximum, "maximum")


def sum(value: object, axis: object = None) -> Node:  # noqa: A001 - Hyperopt's name and arguments
    """``numpy.sum(value, axis)`` of an array or a list, computed once the point is known."""
    return call(np.sum, value, axis=axis)


def _equal(a: object, b: object) -> Any:  # noqa: ANN401 - what == returns depends on its operands
    return a == b


def _unequal(a: object, b: object) -> Any:  # noqa: ANN401
    return a != b


def eq(a: object, b: object) -> Node:
    """``a == b`` of the values (``==`` on nodes is identity)."""
    return call(_equal, a, b)


def ne(a: object, b: object) -> Node:
    """``a != b`` of the values (``!=`` on nodes is identity)."""
    return call(_unequal, a, b)
