"""Single-task Spark jobs, each waited for by a thread of its own; cancelled by tag.

Threads only run jobs and say how they ended: what that means is the dispatcher's to judge.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend, Shipment
    from sparktrials.dispatch.worker import Pack

__all__ = ["Job", "JobEnd", "JobPool"]

#: Seconds between two looks at threads that should end.
_CLOSE_STEP_S = 0.1


@dataclass(slots=True, eq=False)
class Job:
    """One task for Spark.

    Attributes
    ----------
    pack
        What the task runs.
    description
        What the Spark UI shows.
    subject
        What the job is about, for its submitter.
    """

    pack: Pack
    description: str
    subject: Any
    submitted: float = 0.0
    cancelled: bool = False
    tag: str = ""  # its own in Spark, given when it is submitted


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: with a result, an exception, or neither if it was cancelled unstarted.

    Attributes
    ----------
    seconds
        From submission to end.
    """

    job: Job
    seconds: float
    result: bytes | None = None
    error: BaseException | None = None


class JobPool:
    """Runs a study's jobs on Spark.

    Parameters
    ----------
    backend
        Which Spark. The job group, scheduler pool and other local properties of the thread that
        makes the pool hold for its jobs.
    shipment
        What they need.
    tell
        Called in the jobs' threads with each `JobEnd`; the owner then calls `forget`.
    """

    def __init__(
        self, backend: Backend, shipment: Shipment, tell: Callable[[JobEnd], None]
    ) -> None:
        self._backend = backend
        self._shipment = shipment
        self._name = f"sparktrials-{uuid.uuid4().hex[:12]}"
        self._captured = backend.capture()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._tell = tell
        self._threads: list[threading.Thread] = []
        self._running: set[Job] = set()
        self._submitted = 0

    def __len__(self) -> int:
        """Return how many jobs have been submitted and not yet ended."""
        return len(self._running)

    def __iter__(self) -> Iterator[Job]:
        """Iterate over the jobs that have not yet ended."""
        return iter(list(self._running))

    def submit(self, job: Job) -> None:
        """Start a job; a thread is added when all are busy."""
        job.submitted = time.monotonic()
        job.tag = f"{self._name}-job-{self._submitted}"
        self._submitted += 1
        self._running.add(job)
        if len(self._threads) < len(self._running):
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(job)

    def forget(self, job: Job) -> None:
        """Take note that a job has ended; its thread is free for the next."""
        self._running.discard(job)

    def cancel(self, jobs: Iterable[Job]) -> None:
        """Cancel jobs; each still ends."""
        wanted = list(jobs)
        for job in wanted:
            job.cancelled = True
        # Tags are never used again, so threads may move on to other jobs meanwhile.
        everything = self._running.issubset(wanted)
        tags = [self._name] if everything else [job.tag for job in wanted]
        if wanted:
            self._backend.cancel(tags)

    def close(self, wait_s: float) -> None:
        """Cancel what runs and end the threads, waiting for them up to `wait_s` seconds."""
        for _ in self._threads:
            self._queue.put(None)
        for job in self._running:
            job.cancelled = True
        deadline = time.monotonic() + wait_s
        alive = self._threads
        while alive and time.monotonic() < deadline:
            # Again and again: a job that was about to start had no tag to cancel yet.
            if self._running:
                self._backend.cancel((self._name,))
            alive[0].join(_CLOSE_STEP_S)
            alive = [thread for thread in alive if thread.is_alive()]
        self._threads = []
        self._running.clear()

    # ------------------------------------------------------------------ in the threads

    def _work(self) -> None:
        """Run jobs until told to stop: the body of each thread."""
        prepared = False
        while True:
            job = self._queue.get()
            if job is None:
                return
            result: bytes | None = None
            failure: BaseException | None = None
            try:
                if not prepared:
                    self._backend.enter(self._captured, (self._name,))
                    prepared = True
                if not job.cancelled:
                    result = self._backend.run(self._shipment, job.pack, job.description, job.tag)
            except BaseException as error:  # noqa: BLE001 - judged by the dispatcher
                failure = error
            self._tell(JobEnd(job, time.monotonic() - job.submitted, result, failure))
