"""Trials as single-task jobs on Spark.

A pack of trials is one job of one task: a crash takes down one slot, cancelling is by tag, dynamic
allocation and fair scheduling keep working, no port is opened.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.dispatch.pacing import Pacer, divide
from sparktrials.dispatch.spark_errors import JobFailure, Verdict
from sparktrials.dispatch.spark_jobs import Job, JobEnd, JobPool
from sparktrials.dispatch.worker import TIMEOUT_GRACE_S, Complaint, Pack, Report, specs
from sparktrials.errors import ExecutorEnvironmentError, SparkContextStopped, SparkError
from sparktrials.study.protocols import Cancelled, Crashed, Event, Finished, Lost, Returned, Task

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend, Shipment
    from sparktrials.study.trial import Trial

__all__ = ["SparkDispatcher"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds after which the number of slots is asked for again.
_SLOTS_AGE_S = 1.0
#: Seconds that `close` waits for cancelled jobs.
_CLOSE_WAIT_S = 2.0
#: A pack starts no trial after this many seconds.
_TIME_BOX_S = 1.0
#: Jobs in a row that others may cancel, beside three for each slot.
_FOREIGN_CANCELS = 10
_TIMEOUT_REASON = "the trial took longer than trial_timeout={:g} s and had to be killed"


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """The subject of a job: its trials, and whether it had to wait for a slot."""

    trials: tuple[Trial, ...]
    queued_ahead: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Study:
    """What is made once of a study's task."""

    task: Task
    shipment: Shipment
    jobs: JobPool
    pacer: Pacer


class SparkDispatcher:
    """Runs trials on the executors of a Spark.

    Parameters
    ----------
    backend
        Which Spark.
    parallelism
        Trials at once; None follows the cluster's slots.
    packing
        Whether short trials may share a task.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        parallelism: int | None = None,
        packing: bool = True,
    ) -> None:
        self._backend = backend
        self._parallelism = parallelism
        self._packing = packing
        self._opened: _Study | None = None
        self._succeeded = False
        self._foreign = 0  # jobs in a row that somebody else cancelled
        self._slots = 0
        self._slots_asked = float("-inf")

    # ------------------------------------------------------------------ the protocol

    @property
    def slots(self) -> int:
        """How many trials can run at the same time now."""
        return self._parallelism or self._cluster_slots()

    def _cluster_slots(self) -> int:
        now = time.monotonic()
        if now - self._slots_asked > _SLOTS_AGE_S:
            self._slots = self._backend.slots()
            self._slots_asked = now
        return self._slots

    def open(self, task: Task) -> None:
        """Pickle and ship what the study needs on executors.

        Raises
        ------
        ObjectiveNotPicklable
            If the objective or a constant of the space does not pickle.
        SparkContextStopped
            If the context was stopped.
        """
        shipment = self._backend.ship(task)
        self._opened = _Study(
            task=task,
            shipment=shipment,
            jobs=JobPool(self._backend, shipment),
            pacer=Pacer(adaptive=task.adaptive, packing=self._packing),
        )

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        study = self._study
        tasks = study.pacer.tasks(self._cluster_slots(), self._parallelism)
        return max(0, tasks - len(study.jobs)) * study.pacer.pack(tasks)

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:
        """Queue trials, packed, but for those that are to run alone."""
        study, slots = self._study, self._cluster_slots()
        tasks = study.pacer.tasks(slots, self._parallelism)
        packs = [(t,) for t in trials if t.id in alone]
        fresh = tuple(t for t in trials if t.id not in alone)
        free = max(1, tasks - len(study.jobs) - len(packs))
        for trial in packs:
            self._start(study, trial, queued_ahead=len(study.jobs) >= slots)
        at = 0
        for size in divide(len(fresh), free, study.pacer.pack(tasks)):
            self._start(study, fresh[at : at + size], queued_ahead=len(study.jobs) >= slots)
            at += size

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds."""
        return [event for end in self._study.jobs.ends(timeout) for event in self._events_of(end)]

    def cancel(self, ids: Sequence[int]) -> None:
        """Cancel the jobs of these trials."""
        wanted, jobs = set(ids), self._study.jobs
        jobs.cancel(j for j in jobs if wanted.intersection(t.id for t in j.subject.trials))

    def close(self) -> None:
        """Cancel what runs, end the threads and free the broadcast."""
        study, self._opened = self._opened, None
        if study is not None:
            study.jobs.close(_CLOSE_WAIT_S)
            self._backend.unship(study.shipment)

    # ------------------------------------------------------------------ jobs

    @property
    def _study(self) -> _Study:
        if self._opened is None:
            msg = "the dispatcher is not open"
            raise RuntimeError(msg)
        return self._opened

    def _start(self, study: _Study, trials: tuple[Trial, ...], *, queued_ahead: bool) -> None:
        pack = Pack(
            study=study.shipment.digest,
            trials=specs(trials),
            time_box_s=_TIME_BOX_S,
            trial_timeout_s=study.task.trial_timeout,
        )
        first, last = trials[0], trials[-1]
        description = f"{study.task.name}: trial {first.id}"
        if last is not first:
            description += f" to {last.id}"
        if first.attempt > 1:
            description += f", attempt {first.attempt}"
        study.jobs.submit(Job(pack, description, _Batch(trials, queued_ahead)))

    # ------------------------------------------------------------------ what became of a job

    def _events_of(self, end: JobEnd) -> list[Event]:
        batch: _Batch = end.job.subject
        cancelled: list[Event] = [Cancelled(t.id, t.attempt) for t in batch.trials]
        if end.result is not None:
            return self._events_of_report(batch, end.result, end.seconds)
        if end.error is None or end.job.cancelled:
            return cancelled
        failure = self._backend.judge(end.error)
        logger.debug("a job failed: %s", failure.reason, exc_info=end.error)
        if self._backend.stopped():
            msg = f"the SparkContext was stopped while trials were running ({failure.reason})"
            stopped = SparkContextStopped(msg)
            stopped.__cause__ = end.error
            return [Crashed(stopped)]
        if failure.verdict is Verdict.CANCELLED:
            return self._cancelled_by_others(cancelled)
        if failure.verdict is Verdict.ENVIRONMENT:
            return self._environment(batch, failure, end.error)
        return self._lost(batch, failure, end.seconds)

    def _cancelled_by_others(self, cancelled: list[Event]) -> list[Event]:
        # Once is somebody's wish. Again and again is a job group whose future jobs are cancelled,
        # too: cancelled trials don't count, so the study would never end.
        self._foreign += 1
        if self._foreign <= _FOREIGN_CANCELS + 3 * self.slots:
            return cancelled
        msg = (
            f"the last {self._foreign} Spark jobs were all cancelled by somebody else: is the job "
            "group of the thread that called fmin cancelled?"
        )
        return [*cancelled, Crashed(SparkError(msg))]

    def _lost(self, batch: _Batch, failure: JobFailure, seconds: float) -> list[Event]:
        alone = len(batch.trials) == 1
        limit = self._study.task.trial_timeout
        timed_out = False
        if alone and limit is not None and seconds > limit + TIMEOUT_GRACE_S:
            # It may have waited for a slot: what counts is the time in the task itself.
            ran = self._backend.seconds_in_task(failure.stage)
            timed_out = (seconds if ran is None else ran) > limit + TIMEOUT_GRACE_S
        reason = (
            _TIMEOUT_REASON.format(limit) if timed_out and limit is not None else failure.reason
        )
        return [
            Lost(t.id, t.attempt, reason, alone=alone, host=failure.host, timed_out=timed_out)
            for t in batch.trials
        ]

    def _events_of_report(self, batch: _Batch, result: bytes, seconds: float) -> list[Event]:
        report = pickle.loads(result)  # noqa: S301 - from the user's own executors
        if isinstance(report, dict):
            if report.pop("internal"):
                msg = (
                    f"sparktrials itself failed on {report['host']} with {report['type']}: "
                    f"{report['message']}\n{report['traceback']}"
                )
                return [Crashed(SparkError(msg))]
            report = Report(report["host"], complaint=Complaint(**report))
        if report.complaint is not None:
            found = report.complaint
            reason = (
                f"its Python {found.python} failed before the first trial with {found.type}: "
                f"{found.message}\n{found.traceback}"
            )
            failure = JobFailure(Verdict.ENVIRONMENT, reason, found.host)
            return self._environment(batch, failure, None)
        if report.repeated:
            reason = (
                "the worker that ran it was lost: its Python process or its executor ended "
                "(os._exit, a crash in native code, out of memory, a preempted machine)"
            )
            failure = JobFailure(Verdict.WORKER_LOST, reason, report.host, report.stage)
            return self._lost(batch, failure, seconds)
        self._succeeded = True
        self._foreign = 0
        outcomes = [pickle.loads(o) for o in report.outcomes]  # noqa: S301 - as above
        self._study.pacer.observe(
            [o.duration_s or 0.0 for o in outcomes], seconds, queued_ahead=batch.queued_ahead
        )
        done = {outcome.trial_id for outcome in outcomes}
        return [
            *(Finished(outcome) for outcome in outcomes),
            *(Returned(t.id, t.attempt) for t in batch.trials if t.id not in done),
        ]

    def _environment(
        self, batch: _Batch, failure: JobFailure, error: BaseException | None
    ) -> list[Event]:
        if self._succeeded:  # one bad host among good ones: its trials run elsewhere
            logger.warning("an executor cannot run trials: %s", failure.reason)
            return self._lost(batch, failure, 0.0)
        where = f" on {failure.host}" if failure.host else ""
        msg = (
            f"an executor{where} cannot run trials: {failure.reason}\n"
            "Executors need the driver's Python version, numpy, and the modules that the objective "
            "imports: set PYSPARK_PYTHON, install the module there, or ship it with --py-files, "
            "--archives or spark.sparkContext.addPyFile"
        )
        crash = ExecutorEnvironmentError(msg)
        crash.__cause__ = error
        return [Crashed(crash)]
