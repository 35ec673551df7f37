"""Trials pushed to executors: each job is a pack of trials, whose results come back together."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.dispatch.pacing import Pacer, divide
from sparktrials.dispatch.spark_errors import Verdict
from sparktrials.dispatch.spark_jobs import Job, JobEnd
from sparktrials.dispatch.spark_lease import OVERDUE_S
from sparktrials.dispatch.worker import TIMEOUT_GRACE_S, decode_pickled
from sparktrials.study.protocols import Cancelled, Crashed, Event, Finished, Lost, Returned

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_endings import Ending, Endings
    from sparktrials.dispatch.spark_errors import JobFailure
    from sparktrials.dispatch.spark_study import SparkStudy
    from sparktrials.dispatch.worker import Report
    from sparktrials.study.trial import Trial

__all__ = ["Packs"]

#: A pack starts no trial after this many seconds.
_TIME_BOX_S = 1.0
#: Seconds, beside the time-out, that a job is given to get a slot where none went past it: other
#: jobs of the application may hold them.
_PATIENCE_S = 60.0


@dataclass(slots=True, eq=False)
class _Batch:
    """The subject of a job.

    Attributes
    ----------
    queued_ahead
        Whether it had to wait for a slot.
    number
        In the order of submission.
    begun
        When it had begun at the latest, as far as is known.
    overdue
        It was cancelled because its worker should long have ended its trial.
    """

    trials: tuple[Trial, ...]
    queued_ahead: bool
    number: int
    begun: float = math.inf
    overdue: bool = False


class Packs:
    """Pushes trials; works wherever Spark does.

    Parameters
    ----------
    study
        What is open.
    endings
        Judges jobs.
    packing
        Whether short trials may share a task.
    """

    def __init__(self, study: SparkStudy, endings: Endings, *, packing: bool) -> None:
        self._study = study
        self._endings = endings
        self._pacer = Pacer(adaptive=study.task.adaptive, packing=packing)
        self._jobs = 0
        self._next = 0

    @property
    def in_flight(self) -> int:
        """How many packs have not ended."""
        return self._jobs

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        tasks = self._tasks()
        free = self._endings.hosts.free(tasks, time.monotonic())
        return max(0, free - len(self._study.jobs)) * self._pacer.pack(tasks)

    def _tasks(self) -> int:
        """Return how many tasks to keep submitted."""
        study = self._study
        return max(study.capacity(), self._pacer.tasks(study.slots(), study.parallelism))

    def submit(self, trials: Sequence[Trial], alone: Collection[int]) -> None:
        """Queue trials, packed, but for those that are to run alone."""
        study, slots = self._study, self._study.slots()
        tasks = self._tasks()
        packs = [(t,) for t in trials if t.id in alone]
        fresh = tuple(t for t in trials if t.id not in alone)
        free = max(1, tasks - len(study.jobs) - len(packs))
        for trial in packs:
            self._start(trial, queued_ahead=len(study.jobs) >= slots)
        at = 0
        for size in divide(len(fresh), free, self._pacer.pack(tasks)):
            self._start(fresh[at : at + size], queued_ahead=len(study.jobs) >= slots)
            at += size

    def _start(self, trials: tuple[Trial, ...], *, queued_ahead: bool) -> None:
        study = self._study
        pack = study.pack(trials, time_box_s=_TIME_BOX_S)
        first, last = trials[0], trials[-1]
        description = f"{study.task.name}: trial {first.id}"
        if last is not first:
            description += f" to {last.id}"
        if first.attempt > 1:
            description += f", attempt {first.attempt}"
        self._jobs += 1
        batch = _Batch(trials, queued_ahead, self._next)
        self._next += 1
        study.jobs.submit(Job(pack, description, batch))

    def look_up(self) -> None:
        """End trials that are overdue: workers that are stopped do not end them by themselves."""
        limit = self._study.task.trial_timeout
        if limit is None:
            return
        now = time.monotonic()
        late = [job for job in self._batches() if _is_overdue(job.subject, limit, now)]
        for job in late:
            job.subject.overdue = True
        self._study.jobs.cancel(late)

    def _batches(self) -> Iterator[Job]:
        return (job for job in self._study.jobs if isinstance(job.subject, _Batch))

    def _note_begun(self, batch: _Batch, *, ran: bool) -> None:
        """Note what the end of a job says of others: Spark starts them in their order."""
        limit = self._study.task.trial_timeout
        if limit is None:
            return
        now = time.monotonic()
        left = [job.subject for job in self._batches()]
        by_now = now + limit + _PATIENCE_S if len(left) <= self._study.slots() else math.inf
        for other in left:
            begun = now if ran and other.number < batch.number else by_now
            other.begun = min(other.begun, begun)

    def cancel(self, ids: Collection[int]) -> None:
        """Cancel the jobs of these trials."""
        jobs = self._study.jobs
        wanted = set(ids)
        jobs.cancel(
            job
            for job in self._batches()
            if not wanted.isdisjoint(t.id for t in job.subject.trials)
        )

    def ended(self, end: JobEnd, ending: Ending) -> list[Event]:
        """Return what the end of a job means for its trials."""
        batch: _Batch = end.job.subject
        self._jobs -= 1
        self._note_begun(batch, ran=ending.report is not None)
        crashed: list[Event] = [] if ending.crash is None else [Crashed(ending.crash)]
        if batch.overdue and ending.report is None and not self._with_executor(ending.failure):
            return [*self._overdue(batch), *crashed]
        if ending.cancelled:
            return [*(Cancelled(t.id, t.attempt) for t in batch.trials), *crashed]
        if ending.report is not None:
            return self._reported(batch, ending.report, end.seconds)
        return [*self._lost(batch, ending, end.seconds), *crashed]

    def _reported(self, batch: _Batch, report: Report, seconds: float) -> list[Event]:
        outcomes = [decode_pickled(o) for o in report.outcomes]
        self._pacer.observe(
            [o.duration_s or 0.0 for o in outcomes], seconds, queued_ahead=batch.queued_ahead
        )
        done = {outcome.trial_id for outcome in outcomes}
        return [
            *(Finished(outcome) for outcome in outcomes),
            *(Returned(t.id, t.attempt) for t in batch.trials if t.id not in done),
        ]

    def _with_executor(self, failure: JobFailure | None) -> bool:
        """Whether a trial ended with its executor: Spark may take long to notice, and tries again.

        No time-out ends an executor.
        """
        if failure is None or failure.executor_lost:
            return failure is not None
        first = self._study.backend.first_attempt(failure.stage)
        return first is not None and first.executor_lost

    def _overdue(self, batch: _Batch) -> list[Event]:
        # Of several short ones it is not known which had run: each runs again, alone.
        alone = len(batch.trials) == 1
        reason = self._study.timeout_reason()
        return [Lost(t.id, t.attempt, reason, alone=alone, timed_out=alone) for t in batch.trials]

    def _lost(self, batch: _Batch, ending: Ending, seconds: float) -> list[Event]:
        failure = ending.failure
        if failure is None:
            return []
        if failure.verdict is Verdict.ENVIRONMENT:  # before it ran anything
            return [Returned(t.id, t.attempt) for t in batch.trials]
        alone = len(batch.trials) == 1
        limit = None if failure.executor_lost else self._study.task.trial_timeout
        timed_out = False
        if alone and limit is not None and seconds > limit + TIMEOUT_GRACE_S:
            # It may have waited for a slot: what counts is the time in the task itself.
            first = self._study.backend.first_attempt(failure.stage)
            ran = seconds if first is None else first.seconds
            gone = first is not None and first.executor_lost
            timed_out = ran > limit + TIMEOUT_GRACE_S and not gone
        reason = self._study.timeout_reason() if timed_out else failure.reason
        return [
            Lost(t.id, t.attempt, reason, alone=alone, host=failure.host, timed_out=timed_out)
            for t in batch.trials
        ]


def _is_overdue(batch: _Batch, limit: float, now: float) -> bool:
    """Whether each of its trials has had the time to end itself, and more."""
    allowed = len(batch.trials) * (limit + TIMEOUT_GRACE_S) + OVERDUE_S
    return not batch.overdue and now > batch.begun + allowed
