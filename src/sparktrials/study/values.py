"""What JSON carries, and how: result values to JSON text and back, exactly.

Plain values are None, bool, int, float (NaN and infinities too), str, bytes, dates, tuples, lists,
dicts, numpy scalars and numeric arrays. Anything else is *not plain*; see `split`. A time zone
comes back as its offset, an array in C order.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

__all__ = [
    "OBJECT_PREFIX",
    "TAG",
    "TRIAL_LIMIT",
    "VALUE_LIMIT",
    "decode_json",
    "dumps",
    "encode_json",
    "is_plain",
    "loads",
    "split",
    "tagged",
    "untagged",
]

#: Largest single value that is kept beside a loss, in bytes.
VALUE_LIMIT = 32 * 2**20
#: Most bytes that a trial brings back in all, and a pack before it ends early: a driver with the
#: 1 GB that Spark gives it by default has to hold what all slots send.
TRIAL_LIMIT = 64 * 2**20
#: Prefix of the attachments that hold a result's values that are no plain data.
OBJECT_PREFIX = "object:"
#: The one key of a JSON object that stands for a value which JSON has not.
TAG = "__sparktrials__"
_NUMERIC = "biufcSUMm"
_DTYPE = re.compile(r"[<>|][biufcSUMm]\d{0,9}(\[\d{0,9}[A-Za-z]{1,2}\])?")
_TIMES = (dt.datetime, dt.date, dt.timedelta)
_SCALARS = (bool, int, float, str, bytes, type(None), np.generic, *_TIMES)
_LIBRARIES = frozenset({"builtins", "numpy", "datetime"})
_LONGEST_INT = 10_000  # bits; Python refuses to write or read integers of more than 4,300 digits


def is_plain(value: object, depth: int = 100) -> bool:
    """Whether `value` comes back from JSON as it went in."""
    kind = type(value)
    if isinstance(value, _SCALARS):
        return kind.__module__ in _LIBRARIES and not (
            (kind is int and value.bit_length() > _LONGEST_INT)  # type: ignore[union-attr]
            or (isinstance(value, np.generic) and value.dtype.kind not in _NUMERIC)
        )
    if depth == 0:
        return False
    if kind is list or kind is tuple:
        return all(is_plain(item, depth - 1) for item in value)  # type: ignore[attr-defined]
    if kind is dict:
        return all(
            is_plain(k, depth - 1) and is_plain(v, depth - 1)
            for k, v in value.items()  # type: ignore[attr-defined]
        )
    return kind is np.ndarray and value.dtype.kind in _NUMERIC  # type: ignore[attr-defined]


def split(result: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a result into its plain entries and its other objects, by top-level key."""
    plain: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for key, value in result.items():
        name = key if isinstance(key, str) else str(key)
        (plain if is_plain(value) else objects)[name] = value
    return plain, objects


def dumps(value: object) -> str:
    """Return plain values as JSON text.

    Raises
    ------
    TypeError
        If something in `value` is not plain.
    RecursionError
        If it is nested too deeply, or contains itself.
    """
    return encode_json(tagged(value))


def loads(text: str) -> Any:  # noqa: ANN401 - any plain value
    """Return what `dumps` was given. Builds plain values only, whatever the text says.

    Raises
    ------
    ValueError
        If the text is not what `dumps` writes; nothing else is raised.
    """
    document = decode_json(text)
    return untagged(document) if TAG in text else document


# --------------------------------------------------------------------------- JSON


# Nothing circular comes here: `tagged` would not have ended.
_OPTIONS: Mapping[str, Any] = {
    "separators": (",", ":"),
    "allow_nan": False,
    "check_circular": False,
}
_ENCODE = json.JSONEncoder(ensure_ascii=False, **_OPTIONS).encode
_ENCODE_ASCII = json.JSONEncoder(**_OPTIONS).encode


def encode_json(document: object) -> str:
    """Return compact JSON text that UTF-8 can hold: half a surrogate pair is escaped."""
    text = _ENCODE(document)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return _ENCODE_ASCII(document)
    return text


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


# Unlike `decode`, it does not look for white space around the value: nobody writes that here.
_DECODE = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode


def decode_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return what JSON text says.

    Raises
    ------
    ValueError
        If it is not JSON, NaN and Infinity included, or nested too deeply.
    """
    try:
        value, end = _DECODE(text)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None
    if end != len(text):
        msg = "more than one JSON value"
        raise ValueError(msg)
    return value


# --------------------------------------------------------------------------- tags


def _tag(kind: str, *content: object) -> dict[str, object]:
    return {TAG: [kind, *content]}


def tagged(value: Any) -> Any:  # noqa: ANN401, PLR0911 - one branch per kind
    """Return a plain value as what JSON has, tagged where it has no such thing.

    Raises
    ------
    TypeError, RecursionError
        As `dumps` does.
    """
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else _tag("float", repr(value))
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is list:
        return [tagged(item) for item in value]
    if kind is tuple:
        return _tag("tuple", [tagged(item) for item in value])
    if kind is dict:
        if set(map(type, value)) <= {str} and TAG not in value:
            return {k: tagged(v) for k, v in value.items()}
        return _tag("dict", [[tagged(k), tagged(v)] for k, v in value.items()])
    if kind is bytes:
        return _tag("bytes", base64.b64encode(value).decode())
    if kind is dt.datetime:
        fold = [1] if value.fold else []
        return _tag("datetime", value.isoformat(), *fold)
    if kind is dt.date:
        return _tag("date", value.isoformat())
    if kind is dt.timedelta:
        return _tag("timedelta", value.days, value.seconds, value.microseconds)
    if kind is np.ndarray and value.dtype.kind in _NUMERIC:
        data = base64.b64encode(value.tobytes()).decode()
        return _tag("array", value.dtype.str, list(value.shape), data)
    if kind is np.str_:  # unlike an item of an array, it keeps zeros at its end
        return _tag("str_", str(value))
    if kind is np.bytes_:
        return _tag("bytes_", base64.b64encode(value).decode())
    if isinstance(value, np.generic) and value.dtype.kind in _NUMERIC:
        return _tag("scalar", value.dtype.str, base64.b64encode(value.tobytes()).decode())
    msg = f"not a plain value: something of type {kind.__module__}.{kind.__qualname__}"
    raise TypeError(msg)


def untagged(value: Any) -> Any:  # noqa: ANN401
    """Return what `tagged` was given.

    Raises
    ------
    ValueError
        If it is not what `tagged` returns; nothing else is raised.
    """
    try:
        return _untagged(value)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None
    except (TypeError, LookupError, ArithmeticError, AttributeError, MemoryError) as error:
        msg = f"a malformed value: {error}"
        raise ValueError(msg) from error


def _untagged(value: Any) -> Any:  # noqa: ANN401
    kind = type(value)
    if kind is list:
        return [_untagged(item) for item in value]
    if kind is not dict:
        return value
    if TAG not in value:
        return {k: _untagged(v) for k, v in value.items()}
    name, *content = _as_list(value[TAG])
    decoder = _DECODERS.get(name)
    if decoder is None or len(value) > 1:
        msg = f"an unknown kind of value: {name!r}"
        raise ValueError(msg)
    return decoder(*content)


def _as_list(items: object) -> list[Any]:
    if type(items) is not list:
        msg = f"a list was expected, got {type(items).__name__}"
        raise ValueError(msg)
    return items


def _bytes(data: str) -> bytes:
    return base64.b64decode(data, validate=True)


def _datetime(text: str, fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(fold=fold)


def _kind(dtype: str) -> np.dtype[Any]:
    if not _DTYPE.fullmatch(dtype):  # objects, structures: not for numpy to see
        msg = f"an array of dtype {dtype!r} is not plain"
        raise ValueError(msg)
    return np.dtype(dtype)


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray[Any, Any]:
    kind, raw = _kind(dtype), _bytes(data)
    # Checked before numpy sees it: -1 and sizes beyond the data would be taken.
    fits = all(type(n) is int and n >= 0 for n in _as_list(shape))
    if not fits or not kind.itemsize or math.prod(shape) * kind.itemsize != len(raw):
        msg = f"an array of shape {shape!r} and dtype {dtype!r} has not {len(raw)} bytes"
        raise ValueError(msg)
    array: np.ndarray[Any, Any] = np.frombuffer(raw, dtype=kind).reshape(shape).copy()
    return array


def _scalar(dtype: str, data: str) -> np.generic:
    scalar: np.generic = _array(dtype, [1], data)[0]
    return scalar


def _str(text: object) -> np.str_:
    if type(text) is not str:
        msg = f"text was expected, got {type(text).__name__}"
        raise ValueError(msg)
    made: np.str_ = np.str_(text)
    return made


_DECODERS: Mapping[str, Any] = {
    "float": {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.__getitem__,
    "tuple": lambda items: tuple(_untagged(item) for item in _as_list(items)),
    "dict": lambda items: {_untagged(k): _untagged(v) for k, v in _as_list(items)},
    "bytes": _bytes,
    "datetime": _datetime,
    "date": dt.date.fromisoformat,
    "timedelta": dt.timedelta,
    "array": _array,
    "scalar": _scalar,
    "str_": _str,
    "bytes_": lambda data: np.bytes_(_bytes(data)),
}
