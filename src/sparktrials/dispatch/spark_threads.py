"""The Spark that objectives use which run in threads of the driver."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from sparktrials.dispatch.spark_finding import find_backend, is_running

if TYPE_CHECKING:
    from sparktrials.dispatch.threads import JobOwner

__all__ = ["spark_in_use"]


def spark_in_use() -> JobOwner | None:
    """Return the Spark that this process has started or connected to; None where there is none."""
    if "pyspark" not in sys.modules:
        return None
    with contextlib.suppress(Exception):  # it may just be stopping
        if is_running():
            return find_backend(None)
    return None
