"""Pickles an objective for another process; says what in it cannot be pickled, or is too large."""

from __future__ import annotations

import functools
import types
import warnings
from typing import TYPE_CHECKING, Any

from sparktrials.callers import users_level
from sparktrials.errors import ObjectiveNotPicklable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CLOSURE_LIMIT", "culprit", "heaviest", "pickled"]

#: Bytes of a pickled objective above which `pickled` warns.
CLOSURE_LIMIT = 10_000_000
_MAX_DEPTH = 6
#: What holds variables, rather than being the value of one.
_HOLDERS = (types.FunctionType, types.MethodType, functools.partial)


def pickled(value: object, what: str, dumps: Callable[[object], bytes]) -> bytes:
    """Return the pickle of `value`; warn of one that is better sent without its data.

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
        content = dumps(value)
    except Exception as error:
        path = culprit(value, dumps)
        blame = f"; the culprit is {path}" if path else ""
        msg = (
            f"{what} cannot be pickled to be sent to other processes{blame} "
            f"({type(error).__name__}: {error}). Make such an object inside the objective, or pass "
            "plain data; a SparkSession, an open file, a lock or a database connection stays on "
            "the driver. An objective that uses Spark itself runs on the driver, too: "
            "Trials(n_jobs=4, threads=True)"
        )
        raise ObjectiveNotPicklable(msg) from error
    if len(content) > CLOSURE_LIMIT:
        _warn_of_size(value, what, dumps, len(content))
    return content


def _warn_of_size(value: object, what: str, dumps: Callable[[object], bytes], size: int) -> None:
    path, part = heaviest(value, dumps)
    named = f", {part / 1e6:,.0f} MB of it in {path}" if path else ""
    msg = (
        f"{what} takes {size / 1e6:,.0f} MB to be sent to other processes{named}: each of them "
        "loads its own copy, for each study. Make data = sparktrials.broadcast(...) of it before, "
        "and read data.value in the objective"
    )
    warnings.warn(msg, stacklevel=users_level())


def heaviest(value: object, dumps: Callable[[object], bytes]) -> tuple[str, int]:
    """Return the path to the variable that makes up most of a pickle, and its own size.

    The path is empty where no single one does.
    """
    path, size = "", len(dumps(value))
    for _ in range(_MAX_DEPTH):
        parts = [(_size(part, dumps), name, part) for name, part in _parts(value)]
        largest, name, part = max(parts, key=lambda entry: entry[0], default=(0, "", None))
        if largest <= size / 2:
            break
        path, size, value = f"{path} → {name}" if path else name, largest, part
        if name != "self" and not isinstance(value, _HOLDERS):
            break  # the variable itself, not what is inside
    return path, size


def _size(value: object, dumps: Callable[[object], bytes]) -> int:
    try:
        return len(dumps(value))
    except Exception:  # noqa: BLE001 - a part that pickles in its place only
        return 0


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
