"""Functions whose body is an expression, and what applies functions within expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sparktrials.compat.pyll.graph import (
    Apply,
    Literal,
    UndefinedValue,
    apply,
    as_apply,
    scope,
)
from sparktrials.compat.pyll.symbols import SymbolTableEntry
from sparktrials.compat.pyll.walks import clone

__all__ = ["Lambda", "call", "callpipe1", "p0", "p1", "p2", "p3", "p4", "partial"]


class Lambda:
    """A function of expressions, given as an expression of its parameters.

    Parameters
    ----------
    name
        What it is called in the scope.
    params
        ``(name, symbol)`` for each parameter; the symbols stand in `expr`.
    expr
        The result.
    """

    def __init__(self, name: str, params: Sequence[tuple[str, Apply]], expr: Apply) -> None:
        self.__name__ = name
        self.params = list(params)
        self.expr = expr

    def __call__(self, *args: object, **kwargs: object) -> Apply:
        """Return the expression with arguments in the parameters' place."""
        if len(args) > len(self.params):
            msg = f"too many arguments for {self.__name__!r}: {len(args)}, not {len(self.params)}"
            raise TypeError(msg)
        if len(args) != len(self.params) or kwargs:
            names = [p[0] for p in self.params]
            msg = f"{self.__name__!r} takes {names}, by position; got {args!r} and {kwargs!r}"
            raise NotImplementedError(msg)
        memo = {param[1]: as_apply(arg) for arg, param in zip(args, self.params, strict=True)}
        return clone(self.expr, memo)


#: Symbols for the parameters of Lambdas.
p0, p1, p2, p3, p4 = (Literal(UndefinedValue) for _ in range(5))


class _PartialSymbolTableEntry(SymbolTableEntry):
    """An operation that lacks its last argument. It is in no table."""

    def __init__(self, name: str, body: Lambda) -> None:
        super().__init__(scope, name, None, False)  # noqa: FBT003
        self.body = body

    def __call__(self, *args: object, **kwargs: object) -> Apply:
        return self.body(*args, **kwargs)


@scope.define
def partial(name: Any, *args: object, **kwargs: object) -> SymbolTableEntry:  # noqa: ANN401
    """Return an operation, given by name or as an entry of the scope, with its first arguments."""
    entry = name if isinstance(name, SymbolTableEntry) else None
    if entry is None:
        body = apply(name, *args, p0, **kwargs)
    else:
        body = entry(*args, p0, **kwargs)
        name = entry.apply_name
    whole = f"partial_{name}"
    return _PartialSymbolTableEntry(whole, Lambda(whole, [("x", p0)], body))


@scope.define
def call(
    fn: Callable[..., Any],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] = {},
) -> Any:  # noqa: ANN401
    """``fn(*args, **kwargs)``: what calling an expression means."""
    return fn(*args, **kwargs)


@scope.define
def callpipe1(fn_list: Iterable[Callable[[Any], Any]], arg: Any) -> Any:  # noqa: ANN401
    """Return ``fn_list[-1](...fn_list[0](arg))``; the functions may return expressions."""
    for f in fn_list:
        arg = f(arg)
    return arg
