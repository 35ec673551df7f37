"""Pickles for Spark Connect: says no to what means nothing on an executor there."""

from __future__ import annotations

import io
import pickle
from typing import Any

__all__ = ["dumps"]

_BROADCAST = (
    "a broadcast variable belongs to a SparkContext, and Spark Connect has none: refer to the "
    "value itself, which is sent to each executor once"
)
_SESSION = "executors have no Spark Connect session"


def dumps(value: object) -> bytes:
    """Return Spark's pickle of a value.

    Raises
    ------
    pickle.PicklingError
        If the value holds a broadcast variable, a session or a DataFrame.
    """
    from pyspark.cloudpickle import CloudPickler  # noqa: PLC0415 - an extra

    class Pickler(CloudPickler):
        def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401
            refuse(obj)
            return super().reducer_override(obj)  # type: ignore[no-untyped-call]

    buffer = io.BytesIO()
    Pickler(buffer).dump(value)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def refuse(value: object) -> None:
    """Raise if a value cannot be used on an executor.

    Raises
    ------
    pickle.PicklingError
    """
    kind = type(value)
    if kind.__name__ == "Broadcast" and kind.__module__.startswith("pyspark."):
        raise pickle.PicklingError(_BROADCAST)
    if kind.__module__.startswith("pyspark.sql.connect.") and kind.__name__ == "SparkSession":
        raise pickle.PicklingError(_SESSION)
