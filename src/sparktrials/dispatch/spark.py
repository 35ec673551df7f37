"""Trials as single-task jobs on Spark classic.

A pack of trials is one job of one task, run by a thread that waits for its result: a crash takes
down one slot, cancelling is by tag, dynamic allocation and fair scheduling keep working, no port is
opened. Threads only run jobs; all state belongs to the thread that calls the dispatcher.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.pacing import Pacer, divide
from sparktrials.dispatch.pickling import pickled
from sparktrials.dispatch.shipping import digest_of, make_task, package_zip
from sparktrials.dispatch.spark_errors import JobFailure, Verdict, judge
from sparktrials.dispatch.spark_session import is_stopped, slots_of
from sparktrials.dispatch.worker import TIMEOUT_GRACE_S, Complaint, Pack, Report, specs
from sparktrials.errors import ExecutorEnvironmentError, SparkContextStopped
from sparktrials.study.protocols import Cancelled, Crashed, Event, Finished, Lost, Returned, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparktrials.study.trial import Trial

__all__ = ["SparkDispatcher"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds after which the number of slots is asked for again.
_SLOTS_AGE_S = 1.0
#: Seconds that `close` waits for cancelled jobs.
_CLOSE_WAIT_S = 2.0
#: A pack starts no trial after this many seconds.
_TIME_BOX_S = 1.0
#: Names in `TrialTimeout` failures.
_TIMEOUT_REASON = "the trial took longer than trial_timeout={:g} s and had to be killed"


@dataclass(slots=True, eq=False)
class _Job:
    trials: tuple[Trial, ...]
    number: int
    pack: bytes
    description: str
    queued_ahead: bool
    submitted: float
    cancelled: bool = False
    tag: str | None = None  # of the thread that runs it


@dataclass(slots=True, eq=False)
class _End:
    """What a thread has to say about a job."""

    job: _Job
    seconds: float
    report: bytes | None = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Shipment:
    """What a study ships once."""

    task: Task
    digest: str
    broadcast: Any
    extras: tuple[Any, ...]
    package_digest: str
    local_properties: Any = field(default=None)


class SparkDispatcher:
    """Runs trials on the executors of a SparkContext.

    Parameters
    ----------
    context
        A running SparkContext.
    parallelism
        Trials at once; None follows the cluster's slots.
    profile
        A ``pyspark.resource.ResourceProfile`` for the tasks, or None.
    packing
        Whether short trials may share a task.
    """

    def __init__(
        self,
        context: Any,  # noqa: ANN401 - pyspark is an extra
        *,
        parallelism: int | None = None,
        profile: Any | None = None,  # noqa: ANN401
        packing: bool = True,
    ) -> None:
        self._context = context
        self._parallelism = parallelism
        self._profile = profile
        self._packing = packing
        self._pacer = Pacer(packing=packing)
        self._run = f"sparktrials-{uuid.uuid4().hex[:12]}"
        self._shipment: _Shipment | None = None
        self._base: Any = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[_End] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running: set[_Job] = set()
        self._submitted = 0
        self._succeeded = False
        self._slots = 0
        self._slots_asked = float("-inf")
        self._tag_lock = threading.Lock()

    # ------------------------------------------------------------------ the protocol

    @property
    def slots(self) -> int:
        """How many trials can run at the same time now."""
        if self._parallelism is not None:
            return self._parallelism
        now = time.monotonic()
        if now - self._slots_asked > _SLOTS_AGE_S:
            self._slots = slots_of(self._context, self._profile)
            self._slots_asked = now
        return self._slots

    def open(self, task: Task) -> None:
        """Pickle and broadcast what the study needs on executors.

        Raises
        ------
        ObjectiveNotPicklable
            If the objective or a constant of the space does not pickle.
        SparkContextStopped
            If the context was stopped.
        """
        from pyspark import cloudpickle  # noqa: PLC0415 - an extra

        if is_stopped(self._context):
            msg = "the SparkContext was stopped; make a new Spark session and a new SparkTrials"
            raise SparkContextStopped(msg)
        registry = self._context._pickled_broadcast_vars  # noqa: SLF001 - how Spark itself finds them
        registry.clear()
        objective = pickled(task.objective, "the objective", cloudpickle.dumps)
        space = pickled(task.space, "the search space", cloudpickle.dumps)
        extras = tuple(registry)
        registry.clear()
        payload = pickle.dumps((objective, space))
        package = package_zip()
        self._pacer = Pacer(adaptive=task.adaptive, packing=self._packing)
        self._shipment = _Shipment(
            task=task,
            digest=digest_of(payload),
            broadcast=self._context.broadcast({"payload": payload, "package": package}),
            extras=extras,
            package_digest=digest_of(package),
            local_properties=self._context._jsc.sc().getLocalProperties().clone(),  # noqa: SLF001
        )
        self._base = self._context.parallelize([0], 1)

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        slots = self.slots
        free = self._pacer.tasks(slots) - len(self._running)
        return max(0, free) * self._pacer.pack(slots)

    def submit(self, trials: Sequence[Trial]) -> None:
        """Queue trials, packed; a trial that is tried again runs alone."""
        slots = self.slots
        again = [t for t in trials if t.attempt > 1]
        fresh = [t for t in trials if t.attempt <= 1]
        free = max(1, self._pacer.tasks(slots) - len(self._running) - len(again))
        at = 0
        packs = [(t,) for t in again]
        for size in divide(len(fresh), free, self._pacer.pack(slots)):
            packs.append(tuple(fresh[at : at + size]))  # type: ignore[arg-type]
            at += size
        for pack in packs:
            self._start(pack, queued_ahead=len(self._running) >= slots)

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds."""
        if not self._running:
            return []
        events: list[Event] = []
        try:
            end = self._ends.get(timeout=timeout)
            while True:
                events += self._events_of(end)
                end = self._ends.get_nowait()
        except queue.Empty:
            return events

    def cancel(self, ids: Sequence[int]) -> None:
        """Cancel the jobs of these trials."""
        wanted = set(ids)
        for job in self._running:
            if wanted.intersection(t.id for t in job.trials):
                job.cancelled = True
        with self._tag_lock:  # no thread moves on to its next job meanwhile
            tags = [job.tag for job in self._running if job.cancelled and job.tag]
            for tag in tags:
                self._cancel_tag(tag)

    def close(self) -> None:
        """Cancel what runs, end the threads and free the broadcast."""
        for _ in self._threads:
            self._jobs.put(None)
        for job in self._running:
            job.cancelled = True
        deadline = time.monotonic() + _CLOSE_WAIT_S
        while any(t.is_alive() for t in self._threads) and time.monotonic() < deadline:
            if self._running:
                self._cancel_tag(self._run)
            for thread in self._threads:
                thread.join(0.1)
                if thread.is_alive():
                    break
        self._threads.clear()
        self._running.clear()
        if self._shipment is not None:
            with contextlib.suppress(Exception):  # the context may be gone
                self._shipment.broadcast.destroy()
            self._shipment = None

    # ------------------------------------------------------------------ jobs

    def _start(self, trials: tuple[Trial, ...], *, queued_ahead: bool) -> None:
        shipment = self._open_shipment()
        self._submitted += 1
        pack = Pack(
            study=shipment.digest,
            trials=specs(trials),
            time_box_s=_TIME_BOX_S,
            trial_timeout_s=shipment.task.trial_timeout,
        )
        first, last = trials[0].id, trials[-1].id
        job = _Job(
            trials=trials,
            number=self._submitted,
            pack=pickle.dumps(pack),
            description=f"{shipment.task.name}: trial {first}"
            + (f" to {last}" if last != first else "")
            + (f", attempt {trials[0].attempt}" if trials[0].attempt > 1 else ""),
            queued_ahead=queued_ahead,
            submitted=time.monotonic(),
        )
        self._running.add(job)
        if len(self._threads) < len(self._running):
            thread = threading.Thread(
                target=self._work,
                args=(shipment, f"{self._run}-{len(self._threads)}"),
                name=f"{self._run}-{len(self._threads)}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def _open_shipment(self) -> _Shipment:
        if self._shipment is None:
            msg = "the dispatcher is not open"
            raise RuntimeError(msg)
        return self._shipment

    def _work(self, shipment: _Shipment, tag: str) -> None:
        """Run jobs until told to stop: the body of each thread."""
        prepared = False
        while True:
            job = self._jobs.get()
            if job is None:
                break
            end = _End(job, 0.0)
            try:
                if not prepared:
                    self._prepare_thread(shipment, tag)
                    prepared = True
                with self._tag_lock:
                    job.tag = tag
                    skip = job.cancelled
                if not skip:
                    end.report = self._collect(shipment, job)
            except BaseException as error:  # noqa: BLE001 - it is judged by the caller's thread
                end.error = error
            with self._tag_lock:
                job.tag = None
            end.seconds = time.monotonic() - job.submitted
            self._ends.put(end)

    def _prepare_thread(self, shipment: _Shipment, tag: str) -> None:
        # Job group, scheduler pool and tags of the caller hold for the trials too; each thread
        # gets its own copy, as it changes them.
        self._context._jsc.sc().setLocalProperties(shipment.local_properties.clone())  # noqa: SLF001
        self._context.addJobTag(self._run)
        self._context.addJobTag(tag)

    def _collect(self, shipment: _Shipment, job: _Job) -> bytes:
        self._context.setJobDescription(job.description)
        task = make_task(job.pack, shipment.broadcast, shipment.extras, shipment.package_digest)
        rdd = self._base.mapPartitions(task)
        if self._profile is not None:
            rdd = rdd.withResources(self._profile)
        report: bytes = rdd.collect()[0]
        return report

    def _cancel_tag(self, tag: str) -> None:
        with contextlib.suppress(Exception):  # the context may be gone
            self._context.cancelJobsWithTag(tag)

    # ------------------------------------------------------------------ what became of a job

    def _events_of(self, end: _End) -> list[Event]:
        job = end.job
        self._running.discard(job)
        if end.report is not None:
            return self._events_of_report(job, end)
        if end.error is None:  # skipped, for it was cancelled
            return [Cancelled(t.id, t.attempt) for t in job.trials]
        failure = judge(end.error)
        if job.cancelled or failure.verdict is Verdict.CANCELLED:
            return [Cancelled(t.id, t.attempt) for t in job.trials]
        logger.debug("a job failed: %s", failure.reason, exc_info=end.error)
        if failure.verdict is Verdict.STOPPED or is_stopped(self._context):
            msg = f"the SparkContext was stopped while trials were running ({failure.reason})"
            stopped = SparkContextStopped(msg)
            stopped.__cause__ = end.error
            return [Crashed(stopped)]
        if failure.verdict is Verdict.ENVIRONMENT:
            return self._environment(job, failure, end.error)
        return self._lost(job, failure, end.seconds)

    def _lost(self, job: _Job, failure: JobFailure, seconds: float) -> list[Event]:
        alone = len(job.trials) == 1
        limit = self._open_shipment().task.trial_timeout
        timed_out = alone and limit is not None and seconds > limit + TIMEOUT_GRACE_S
        reason = (
            _TIMEOUT_REASON.format(limit) if timed_out and limit is not None else failure.reason
        )
        return [
            Lost(t.id, t.attempt, reason, alone=alone, host=failure.host, timed_out=timed_out)
            for t in job.trials
        ]

    def _events_of_report(self, job: _Job, end: _End) -> list[Event]:
        report = pickle.loads(end.report or b"")  # noqa: S301 - from the user's own executors
        if isinstance(report, dict):
            report = Report(report["host"], complaint=Complaint(**report))
        if report.complaint is not None:
            found = report.complaint
            failure = JobFailure(
                Verdict.ENVIRONMENT,
                f"its Python {found.python} failed before the first trial with {found.type}: "
                f"{found.message}\n{found.traceback}",
                found.host,
            )
            return self._environment(job, failure, None)
        if report.repeated:
            failure = JobFailure(
                Verdict.WORKER_LOST,
                "the worker that ran it was lost: its Python process or its executor ended "
                "(os._exit, a crash in native code, out of memory, a preempted machine)",
                report.host,
            )
            return self._lost(job, failure, end.seconds)
        self._succeeded = True
        outcomes = [pickle.loads(o) for o in report.outcomes]  # noqa: S301 - as above
        done = {outcome.trial_id for outcome in outcomes}
        self._pacer.observe(
            [o.duration_s or 0.0 for o in outcomes],
            end.seconds,
            queued_ahead=job.queued_ahead,
        )
        return [
            *(Finished(outcome) for outcome in outcomes),
            *(Returned(t.id, t.attempt) for t in job.trials if t.id not in done),
        ]

    def _environment(
        self, job: _Job, failure: JobFailure, error: BaseException | None
    ) -> list[Event]:
        if self._succeeded:  # one bad host among good ones: its trials run elsewhere
            logger.warning("an executor cannot run trials: %s", failure.reason)
            return self._lost(job, failure, 0.0)
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
