"""Broadcast values on Spark classic: a broadcast of Spark's own, whose file workers share."""

from __future__ import annotations

import contextlib
import io
from typing import Any, BinaryIO

from pyspark import Broadcast, cloudpickle

from sparktrials.dispatch import framing

__all__ = ["ClassicPublication"]


class _Framed(Broadcast[Any]):
    """One whose file, on the driver and on executors, is what `framing` reads."""

    def dump(self, value: object, f: BinaryIO) -> None:
        """Write the value to the driver's file."""
        with f:
            framing.dump(value, f, cloudpickle.dump)


class ClassicPublication:
    """A value that a SparkContext has; freed with `destroy`.

    Parameters
    ----------
    context
        A running SparkContext.
    value
        What to send.

    Attributes
    ----------
    reference
        What a task names to get at it: Spark attaches it.
    """

    def __init__(self, context: Any, value: object) -> None:  # noqa: ANN401
        if context._encryption_enabled:  # noqa: SLF001 - then Spark hands out no file of it
            content = io.BytesIO()
            framing.dump(value, content, cloudpickle.dump)
            self.reference: Broadcast[Any] = context.broadcast(content.getvalue())
        else:
            registry = context._pickled_broadcast_vars  # noqa: SLF001
            self.reference = _Framed(context, value, registry)

    def unpersist(self) -> None:
        """Free it on executors."""
        self.reference.unpersist()

    def destroy(self) -> None:
        """Free all of it."""
        with contextlib.suppress(Exception):  # the context may be gone
            self.reference.destroy()
