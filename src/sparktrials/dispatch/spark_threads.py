"""The Spark that objectives use which run in threads of the driver."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from sparktrials.dispatch.spark_classic import ClassicBackend
from sparktrials.dispatch.spark_session import context_of

if TYPE_CHECKING:
    from sparktrials.dispatch.threads import JobOwner

__all__ = ["spark_in_use"]


def spark_in_use() -> JobOwner | None:
    """Return the Spark of the session that is active in this thread; None where there is none."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    with contextlib.suppress(Exception):  # no session, a stopped one, one that has no context
        session = SparkSession.getActiveSession()
        if session is not None:
            return ClassicBackend(context_of(session))
    return None
