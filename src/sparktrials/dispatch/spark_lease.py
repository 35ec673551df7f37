"""One lease of a slot, as the driver sees it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_jobs import Job
    from sparktrials.study.trial import Trial

__all__ = ["Lease"]


@dataclass(slots=True, eq=False)
class Lease:
    """A slot that was asked of Spark, is connected, or is about to end.

    Attributes
    ----------
    number
        What the task says when it connects.
    since
        When it connected.
    sent
        Trials that it has and that have no outcome yet, in the order that they run.
    begun
        When the first of them began.
    asks
        Whether a trial of it has asked whether to stop.
    idle_since
        When it last asked for a trial, while it waits for one.
    wanted
        Ids of those among `sent` that are to be cancelled.
    """

    number: int
    job: Job = field(init=False)
    peer: int | None = None
    host: str | None = None
    since: float = math.inf
    sent: deque[Trial] = field(default_factory=deque)
    begun: float = math.inf
    asks: bool = False
    idle_since: float | None = None
    over: bool = False
    overdue: bool = False
    wanted: set[int] = field(default_factory=set)
