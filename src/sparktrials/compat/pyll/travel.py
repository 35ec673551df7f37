"""Functions in pickles: by reference where another process can import them, by value elsewhere."""

from __future__ import annotations

import io
import pickle
import sys
from types import FunctionType
from typing import Any

__all__ = ["packed", "unpacked"]


def packed(function: Any) -> Any:  # noqa: ANN401 - whatever was defined
    """Return what pickles in the function's place, under the standard library's pickle, too.

    None where the function cannot be pickled at all: the expression still can, as in Hyperopt.
    """
    if not isinstance(function, FunctionType) or _importable(function):
        return function
    try:
        import cloudpickle  # noqa: PLC0415 - executors may have none, and need none
    except ImportError:
        return None
    try:
        return _Pickled(cloudpickle.dumps(function))
    except Exception:  # noqa: BLE001 - whatever the function refers to may refuse
        return None


def unpacked(value: Any) -> Any:  # noqa: ANN401
    """Return the function from what `packed` gave, or None where it does not load here."""
    if not isinstance(value, _Pickled):
        return value
    try:
        return _Unpickler(io.BytesIO(value.data)).load()
    except Exception:  # noqa: BLE001 - the expression loads nevertheless, as in Hyperopt
        return None


class _Unpickler(pickle.Unpickler):
    """Takes Spark's copy of cloudpickle where there is no other: executors need no more."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        try:
            return super().find_class(module, name)
        except ModuleNotFoundError:
            if module.partition(".")[0] != "cloudpickle":
                raise
            return super().find_class(f"pyspark.{module}", name)


class _Pickled:
    """A function's pickle inside another pickle."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _importable(function: FunctionType) -> bool:
    if function.__module__ == "__main__":
        return False  # another process has another one
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function
