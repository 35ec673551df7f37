"""Expressions of an installed Hyperopt, recognised and copied without importing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["adopted", "evaluated", "is_foreign", "operations_of", "stochastic_of"]

_A = TypeVar("_A")
_MODULE = "hyperopt.pyll.base"


def is_foreign(value: object) -> bool:
    """Whether `value` is an expression of Hyperopt's own package."""
    return _class_of(value) is not None


def _class_of(value: object) -> Any:  # noqa: ANN401 - Hyperopt's Apply
    for cls in type(value).__mro__:
        if cls.__module__ == _MODULE and cls.__name__ == "Apply":
            return cls
    return None


def _module_of(value: object) -> dict[str, Any]:
    # Not by sys.modules: our own modules may stand there under Hyperopt's names.
    found: dict[str, Any] = _class_of(value).eval.__globals__
    return found


def operations_of(value: object) -> Mapping[str, Callable[..., Any]]:
    """Return the operations that a foreign expression's names refer to."""
    found: Mapping[str, Callable[..., Any]] = _module_of(value)["scope"]._impls  # noqa: SLF001
    return found


def stochastic_of(value: object) -> set[str]:
    """Return the names of the operations that draw, where `value` is from."""
    uniform: Any = operations_of(value).get("uniform")
    found: set[str] = getattr(uniform, "__globals__", {}).get("implicit_stochastic_symbols", set())
    return found


def evaluated(value: object) -> Any:  # noqa: ANN401
    """Return the value of a foreign expression, by its own evaluation."""
    return _module_of(value)["rec_eval"](value)


def adopted(
    root: object,
    make: Callable[..., _A],
    constant: Callable[[Any], _A],
    learn: Callable[[str, Callable[..., Any]], None],
) -> _A:
    """Copy a foreign expression; what is shared stays shared.

    Parameters
    ----------
    make
        `Apply`, called as Hyperopt's.
    constant
        `Literal`.
    learn
        Told of every operation that the expression uses.
    """
    operations = operations_of(root)
    made: dict[int, _A] = {}
    stack: list[Any] = [root]
    while stack:
        node = stack[-1]
        if id(node) in made:
            stack.pop()
            continue
        missing = [a for a in node.inputs() if id(a) not in made]
        if missing:
            stack.extend(reversed(missing))
            continue
        stack.pop()
        if node.name == "literal":
            made[id(node)] = constant(node.obj)
            continue
        if node.name in operations:
            learn(node.name, operations[node.name])
        made[id(node)] = make(
            node.name,
            [made[id(a)] for a in node.pos_args],
            [[k, made[id(a)]] for k, a in node.named_args],
            node.o_len,
            node.pure,
        )
    return made[id(root)]
