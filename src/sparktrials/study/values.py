"""What JSON carries, and how: result values to JSON text and back, exactly.

Plain values are None, bool, int, float (NaN and infinities too), str, bytes, dates, tuples, lists,
dicts, numpy scalars and numeric arrays. Anything else is *not plain*; see `split`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["dumps", "is_plain", "loads", "split"]

_TAG = "__sparktrials__"
_NUMERIC = "biufcSUMm"
_SCALARS = (bool, int, float, str, bytes, type(None), np.generic, dt.datetime, dt.date, dt.timedelta)


def is_plain(value: object, depth: int = 100) -> bool:
    """Whether `value` comes back from JSON as it went in."""
    if isinstance(value, _SCALARS):
        return type(value).__module__ in {"builtins", "numpy", "datetime"} and not isinstance(
            value, (np.void, np.object_)
        )
    if depth == 0:
        return False
    if type(value) in (list, tuple):
        return all(is_plain(item, depth - 1) for item in value)  # type: ignore[attr-defined]
    if type(value) is dict:
        return all(
            isinstance(k, (str, int, float, bool, type(None))) and is_plain(v, depth - 1)
            for k, v in value.items()
        )
    return type(value) is np.ndarray and value.dtype.kind in _NUMERIC


def split(result: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a result into its plain entries and its other objects, by top-level key."""
    plain: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for key, value in result.items():
        name = key if isinstance(key, str) else str(key)
        (plain if is_plain(value) else objects)[name] = value
    return plain, objects


def dumps(value: object) -> str:
    """Return plain values as JSON text."""
    return json.dumps(_tagged(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def loads(text: str) -> Any:  # noqa: ANN401 - any plain value
    """Return what `dumps` was given. Builds plain values only, whatever the text says."""
    return _untagged(json.loads(text))


def _tag(kind: str, *content: object) -> dict[str, object]:
    return {_TAG: [kind, *content]}


def _tagged(value: Any) -> Any:  # noqa: ANN401, PLR0911 - one branch per kind
    kind = type(value)
    if kind in (str, int, bool, type(None)):
        return value
    if kind is float:
        return value if math.isfinite(value) else _tag("float", repr(value))
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is tuple:
        return _tag("tuple", [_tagged(item) for item in value])
    if kind is dict:
        if all(type(k) is str for k in value) and _TAG not in value:
            return {k: _tagged(v) for k, v in value.items()}
        return _tag("dict", [[_tagged(k), _tagged(v)] for k, v in value.items()])
    if kind is bytes:
        return _tag("bytes", base64.b64encode(value).decode())
    if kind is dt.datetime:
        return _tag("datetime", value.isoformat())
    if kind is dt.date:
        return _tag("date", value.isoformat())
    if kind is dt.timedelta:
        return _tag("timedelta", value.days, value.seconds, value.microseconds)
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return _tag("array", value.dtype.str, list(value.shape), data)
    if isinstance(value, np.generic):
        return _tag("scalar", value.dtype.str, base64.b64encode(value.tobytes()).decode())
    msg = f"not a plain value: {value!r} of type {kind.__name__}"
    raise TypeError(msg)


def _untagged(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {k: _untagged(v) for k, v in value.items()}
    kind, *content = value[_TAG]
    return _DECODERS[kind](*content)


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    if kind.kind not in _NUMERIC:
        msg = f"an array of dtype {dtype!r} is not plain"
        raise ValueError(msg)
    return np.frombuffer(base64.b64decode(data), dtype=kind).reshape(shape).copy()


_DECODERS = {
    "float": float,
    "tuple": lambda items: tuple(_untagged(item) for item in items),
    "dict": lambda items: {_untagged(k): _untagged(v) for k, v in items},
    "bytes": base64.b64decode,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "timedelta": dt.timedelta,
    "array": _array,
    "scalar": lambda dtype, data: _array(dtype, [1], data)[0],
}
