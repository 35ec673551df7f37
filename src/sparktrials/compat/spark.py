"""``hyperopt.spark``: ``SparkTrials``, and why a run of it ended early."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sparktrials.study.loop import StopReason

if TYPE_CHECKING:
    from sparktrials.api.spark_trials import SparkTrials

__all__ = [
    "FMIN_CANCELLED_REASON_EARLY_STOPPING",
    "FMIN_CANCELLED_REASON_TIMEOUT",
    "FMIN_CANCELLED_REASON_USER",
    "SparkTrials",
]

FMIN_CANCELLED_REASON_EARLY_STOPPING = StopReason.EARLY_STOPPING
FMIN_CANCELLED_REASON_TIMEOUT = StopReason.TIMEOUT
FMIN_CANCELLED_REASON_USER = StopReason.USER

logger = logging.getLogger("hyperopt-spark")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - pyspark is an extra
    if name == "SparkTrials":
        from sparktrials.api.spark_trials import SparkTrials  # noqa: PLC0415

        return SparkTrials
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
