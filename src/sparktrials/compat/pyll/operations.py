"""What expressions can compute from the start: ``scope.exp``, ``scope.getitem`` and so on."""

from __future__ import annotations

import copy
import operator
import time
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from sparktrials.compat.pyll.graph import Apply, scope

__all__ = [
    "Raise",
    "array_union",
    "array_union1",
    "asarray",
    "bincount",
    "call_method",
    "call_method_pure",
    "copy_call_method_pure",
    "cos",
    "curtime",
    "exp",
    "identity",
    "log",
    "maximum",
    "minimum",
    "pdb_settrace",
    "pos_args",
    "pow",
    "repeat",
    "sin",
    "sqrt",
    "str_join",
    "sum",
    "switch",
    "tan",
]


@scope.define_pure
def pos_args(*args: Any) -> tuple[Any, ...]:  # noqa: ANN401 - here and below: users' values
    """Return a tuple."""
    return args


@scope.define_pure
def identity(obj: Any) -> Any:  # noqa: ANN401
    """Return the argument."""
    return obj


for _operation in (
    operator.getitem,
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.neg,
    operator.eq,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
):
    scope.define_pure(_operation)
del _operation


@scope.define_pure
def exp(a: Any) -> Any:  # noqa: ANN401
    """``numpy.exp``."""
    return np.exp(a)


@scope.define_pure
def log(a: Any) -> Any:  # noqa: ANN401
    """``numpy.log``."""
    return np.log(a)


@scope.define_pure
def pow(a: Any, b: Any) -> Any:  # noqa: A001, ANN401 - Hyperopt's name
    """``a ** b``."""
    return a**b


@scope.define_pure
def sin(a: Any) -> Any:  # noqa: ANN401
    """``numpy.sin``."""
    return np.sin(a)


@scope.define_pure
def cos(a: Any) -> Any:  # noqa: ANN401
    """``numpy.cos``."""
    return np.cos(a)


@scope.define_pure
def tan(a: Any) -> Any:  # noqa: ANN401
    """``numpy.tan``."""
    return np.tan(a)


@scope.define_pure
def sum(x: Any, axis: Any = None) -> Any:  # noqa: A001, ANN401
    """``numpy.sum``."""
    return np.sum(x, axis=axis)


@scope.define_pure
def sqrt(x: Any) -> Any:  # noqa: ANN401
    """``numpy.sqrt``."""
    return np.sqrt(x)


@scope.define_pure
def minimum(x: Any, y: Any) -> Any:  # noqa: ANN401
    """``numpy.minimum``."""
    return np.minimum(x, y)


@scope.define_pure
def maximum(x: Any, y: Any) -> Any:  # noqa: ANN401
    """``numpy.maximum``."""
    return np.maximum(x, y)


@scope.define_pure
def array_union1(args: Iterable[Iterable[Any]]) -> Any:  # noqa: ANN401
    """Return the sorted array of all elements."""
    return np.asarray(sorted(set().union(*args)))


@scope.define_pure
def array_union(*args: Iterable[Any]) -> Any:  # noqa: ANN401
    """Return the sorted array of all elements."""
    return array_union1(args)


@scope.define_pure
def asarray(a: Any, dtype: Any = None) -> Any:  # noqa: ANN401
    """``numpy.asarray``."""
    return np.asarray(a, dtype=dtype)


@scope.define_pure
def str_join(s: str, seq: Iterable[str]) -> str:
    """``s.join(seq)``."""
    return s.join(seq)


@scope.define_pure
def bincount(
    x: Any,  # noqa: ANN401
    offset: int = 0,
    weights: Any = None,  # noqa: ANN401
    minlength: int = 0,
    p: Any = None,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """``numpy.bincount(x - offset)``; with probabilities `p`, one count for each of them."""
    if p is not None and p.ndim == 2:  # noqa: PLR2004 - one row per draw, all alike
        minlength = p.shape[1]
    return np.bincount(np.asarray(x, dtype="int") - offset, weights, minlength)


@scope.define_pure
def repeat(n_times: int, obj: Any) -> list[Any]:  # noqa: ANN401
    """``[obj] * n_times``."""
    return [obj] * n_times


@scope.define
def call_method(obj: Any, methodname: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """``obj.methodname(...)``."""
    return getattr(obj, methodname)(*args, **kwargs)


@scope.define_pure
def call_method_pure(obj: Any, methodname: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """``obj.methodname(...)``, which changes nothing."""
    return getattr(obj, methodname)(*args, **kwargs)


@scope.define_pure
def copy_call_method_pure(obj: Any, methodname: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """``copy(obj).methodname(...)``, for methods that change the object only."""
    return getattr(copy.copy(obj), methodname)(*args, **kwargs)


@scope.define_pure
def switch(pos: int, *args: Any) -> Any:  # noqa: ANN401
    """``args[pos]``. ``rec_eval`` does not come here: it evaluates the option taken only."""
    return args[pos]


def _kwswitch(kw: object, **kwargs: object) -> Apply:
    """Return a switch over options by name."""
    names = sorted(kwargs)
    index = scope.call_method_pure(tuple(names), "index", kw)
    found: Apply = scope.switch(index, *[kwargs[name] for name in names])
    return found


scope.kwswitch = _kwswitch  # type: ignore[attr-defined]


@scope.define_pure
def Raise(etype: type[BaseException], *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ANN401, N802
    """Raise an exception when evaluated."""
    raise etype(*args, **kwargs)


@scope.define_info(o_len=2)
def curtime(obj: Any) -> tuple[float, Any]:  # noqa: ANN401
    """Return the time and the argument."""
    return time.time(), obj


@scope.define
def pdb_settrace(obj: Any) -> Any:  # noqa: ANN401
    """Stop in the debugger, then return the argument."""
    import pdb  # noqa: PLC0415, T100

    pdb.set_trace()  # noqa: T100
    return obj


@scope.define
def hyperopt_param(label: str, obj: Any) -> Any:  # noqa: ANN401, ARG001
    """Mark a draw as the parameter `label`; its value is the draw's."""
    return obj
