"""One lease of a slot, as the driver sees it: what it has, and what became of that."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparktrials.dispatch.channel.events import Disconnected, Reason
from sparktrials.dispatch.spark_errors import Verdict
from sparktrials.dispatch.worker import TIMEOUT_GRACE_S
from sparktrials.study.protocols import Cancelled, Lost, Returned

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_endings import Ending
    from sparktrials.dispatch.spark_jobs import Job
    from sparktrials.dispatch.spark_study import SparkStudy
    from sparktrials.study.protocols import Event
    from sparktrials.study.trial import Trial

__all__ = ["OVERDUE_S", "Lease", "overdue", "what_became"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds beyond its time-out after which a trial is ended from here: its worker did not do it.
OVERDUE_S = 5.0
#: Seconds more for one whose connection broke: Spark is about to say that its process is gone.
_GONE_S = 60.0
#: Seconds by which a trial may have begun before the outcomes of those before it were here.
_TOLD_LATE_S = 0.5


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
    gone
        When its connection broke: that of a process that dies does so at once, while Spark may take
        long to say what became of it.
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
    gone: float = math.inf
    asks: bool = False
    idle_since: float | None = None
    over: bool = False
    overdue: bool = False
    wanted: set[int] = field(default_factory=set)

    def disconnected(self, event: Disconnected, at: float) -> None:
        """Take note of the connection's end; tell people where nothing is heard of the slot."""
        self.peer = None
        self.over = True
        if event.reason is Reason.LOST:
            self.gone = at
        if event.reason is Reason.SILENT and self.sent:
            logger.warning(
                "%s, which runs trial %d, is silent (%s): it is stopped, overloaded or cut off; "
                "what it may yet bring back counts, and Spark says if it is lost",
                self.host,
                self.sent[0].id,
                event.detail,
            )

    def ran(self, until: float) -> float:
        """Return the seconds that the first of its trials can have run by then."""
        return min(until, self.gone) - self.begun

    def take(self, trial_id: int, attempt: int) -> bool:
        """Take a trial from `sent`; return whether it was there."""
        for trial in self.sent:
            if (trial.id, trial.attempt) == (trial_id, attempt):
                self.sent.remove(trial)
                return True
        return False


def overdue(leases: Iterable[Lease], limit: float | None, now: float) -> list[Lease]:
    """Return, and mark, leases whose trial should long have been ended by its own worker."""
    if limit is None:
        return []
    late = limit + TIMEOUT_GRACE_S + OVERDUE_S
    found = [
        x
        for x in leases
        if x.sent and not x.overdue and now - x.begun > late + (_GONE_S if x.gone < now else 0.0)
    ]
    for lease in found:
        lease.overdue = True
    return found


def what_became(lease: Lease, ending: Ending, study: SparkStudy, at: float) -> list[Event]:
    """Return what became of the trials that a lease had and brought no outcome of.

    Parameters
    ----------
    lease, ending
        How its job ended.
    study
        Which.
    at
        When it did, which may be long ago: the driver was busy.
    """
    unfit = ending.failure is not None and ending.failure.verdict is Verdict.ENVIRONMENT
    if (ending.failure is not None and not unfit) or lease.overdue:
        reason = "" if ending.failure is None else ending.failure.reason
        host = lease.host if ending.failure is None else ending.failure.host or lease.host
        # Of several short ones it is not known which had run: each runs again, alone.
        alone = len(lease.sent) == 1
        hung = lease.overdue and lease.gone == math.inf
        timed_out = alone and (hung or _is_late(lease, study, at))
        if timed_out:
            reason = study.timeout_reason()
        return [
            Lost(t.id, t.attempt, reason, alone=alone, host=host, timed_out=timed_out)
            for t in lease.sent
        ]
    everything = ending.cancelled and not lease.wanted
    return [
        (Cancelled if everything or t.id in lease.wanted else Returned)(t.id, t.attempt)
        for t in lease.sent
    ]


def _is_late(lease: Lease, study: SparkStudy, at: float) -> bool:
    """Whether its process has had the time to end itself because of the time-out."""
    limit = study.task.trial_timeout
    if limit is None:
        return False
    return lease.ran(at) > limit + TIMEOUT_GRACE_S - _TOLD_LATE_S
