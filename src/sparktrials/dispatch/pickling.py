"""Pickles an objective for another process, and says what in it cannot be pickled."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from sparktrials.errors import ObjectiveNotPicklable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["culprit", "pickled"]

_MAX_DEPTH = 6


def pickled(value: object, what: str, dumps: Callable[[object], bytes]) -> bytes:
    """Return the pickle of `value`.

    Parameters
    ----------
    value
        The objective, or the space with its constants.
    what
        What messages call it.
    dumps
        cloudpickle's ``dumps``, the one that the other side has.

    Raises
    ------
    ObjectiveNotPicklable
        Naming the variable that is to blame.
    """
    try:
        return dumps(value)
    except Exception as error:
        path = culprit(value, dumps)
        blame = f"; the culprit is {path}" if path else ""
        msg = (
            f"{what} cannot be pickled to be sent to other processes{blame} "
            f"({type(error).__name__}: {error}). Make such an object inside the objective, or pass "
            "plain data; a SparkSession, an open file, a lock or a database connection stays on "
            "the driver"
        )
        raise ObjectiveNotPicklable(msg) from error


def culprit(value: object, dumps: Callable[[object], bytes]) -> str | None:
    """Return the path to the innermost part of `value` that does not pickle, as text."""
    return _search(value, "", dumps, set(), 0)


def _search(
    value: object, path: str, dumps: Callable[[object], bytes], seen: set[int], depth: int
) -> str | None:
    if id(value) in seen or depth > _MAX_DEPTH:
        return None
    seen.add(id(value))
    if _pickles(value, dumps):
        return None
    for name, part in _parts(value):
        found = _search(part, f"{path} → {name}" if path else name, dumps, seen, depth + 1)
        if found:
            return found
    return f"{path} of type {type(value).__module__}.{type(value).__qualname__}" if path else None


def _pickles(value: object, dumps: Callable[[object], bytes]) -> bool:
    try:
        dumps(value)
    except Exception:  # noqa: BLE001 - any failure means no
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - anything
    if isinstance(value, functools.partial):
        yield "the function", value.func
        yield from ((f"argument {i}", a) for i, a in enumerate(value.args))
        yield from ((f"argument {k!r}", a) for k, a in value.keywords.items())
    elif isinstance(value, types.MethodType):
        yield "self", value.__self__
    elif isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            try:
                yield f"variable {name!r} of {value.__name__}", cell.cell_contents
            except ValueError:  # an empty cell
                continue
        for name in _global_names(value.__code__):
            if name in value.__globals__:
                yield f"global variable {name!r} of {value.__name__}", value.__globals__[name]
        yield from ((f"default argument {i}", a) for i, a in enumerate(value.__defaults__ or ()))
        yield from ((f"default argument {k!r}", a) for k, a in (value.__kwdefaults__ or {}).items())
    elif isinstance(value, dict):
        yield from ((f"key {k!r}", v) for k, v in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"item {i}", v) for i, v in enumerate(value))
    elif hasattr(value, "__dict__") and not isinstance(value, (type, types.ModuleType)):
        yield from ((f"attribute {k!r}", v) for k, v in vars(value).items())


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)
