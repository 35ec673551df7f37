"""Trials in threads of this process: for objectives that wait, for Spark jobs of their own say.

A thread cannot be ended from outside. A trial that is cancelled counts as cancelled at once, learns
by ``should_stop()`` that it should end, and its Spark jobs are cancelled; until it returns it keeps
its slot, and what it returns then is dropped.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sparktrials.dispatch.evaluation import evaluate
from sparktrials.study.interrupts import held
from sparktrials.study.protocols import Cancelled, Event, Finished, Reported, Task

if TYPE_CHECKING:
    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Outcome, Trial

__all__ = ["JobOwner", "ThreadDispatcher"]

#: Seconds that `close` waits for threads that are about to end.
_CLOSE_WAIT_S = 0.5


class JobOwner(Protocol):
    """What threads inherit of the Spark that this process uses: a part of `Backend`."""

    def capture(self) -> Any:  # noqa: ANN401 - its own
        """Return what the calling thread's jobs inherit."""

    def enter(self, captured: Any, tags: Sequence[str]) -> None:  # noqa: ANN401
        """Have the calling thread inherit it; its jobs get `tags`."""

    def cancel(self, tags: Collection[str]) -> None:
        """Cancel the running jobs that have one of these tags; never raises."""


@dataclass(slots=True, eq=False)
class _Running:
    """A trial with a thread; `thread` is that thread's tag."""

    trial: Trial
    thread: str
    wanted: bool = True
    stopping: bool = False


_Item = Finished | Reported | None


class ThreadDispatcher:
    """Runs trials in threads.

    Parameters
    ----------
    n
        How many at once.
    owner
        The Spark whose jobs objectives may run, if there is one.
    """

    def __init__(self, n: int, owner: JobOwner | None = None) -> None:
        self.slots = n
        self._owner = owner
        self._name = f"sparktrials-threads-{uuid.uuid4().hex[:12]}"
        self._host = socket.gethostname()
        self._task: Task | None = None
        self._captured: Any = None
        self._todo: queue.SimpleQueue[Trial | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._queued: dict[int, Trial] = {}
        self._running: dict[int, _Running] = {}
        self._taken: deque[_Item] = deque()  # out of the inbox, and not yet returned
        self._cancelled: list[Event] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ the protocol

    def open(self, task: Task) -> None:
        """Take the study's task."""
        self._task = task
        self._captured = None if self._owner is None else self._owner.capture()

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        with self._lock:
            return max(0, self.slots - len(self._queued) - len(self._running))

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:  # noqa: ARG002
        """Start trials, or queue them; each runs alone anyway."""
        with self._lock:
            self._queued.update((trial.id, trial) for trial in trials)
            wanted = min(self.slots, len(self._queued) + len(self._running))
        while len(self._threads) < wanted:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, args=(name,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        for trial in trials:
            self._todo.put(trial)

    def release(self) -> None:
        """Slots are nobody else's."""

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            waiting = not self._cancelled and not self._taken and self._in_flight()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            with contextlib.suppress(queue.Empty):
                # Taking and keeping are one call, of C: no signal is handled between them.
                if waiting:
                    self._taken.extend(map(self._inbox.get, (True,), (left,)))
                self._taken.extend(iter(self._inbox.get_nowait, self))
            late = deadline is not None and time.monotonic() >= deadline
            with held():
                found = [*self._cancelled, *(item for item in self._taken if item is not None)]
                if found or not waiting or late:
                    self._cancelled = []
                    self._taken.clear()
                    return found
                self._taken.clear()

    def stop(self, ids: Sequence[int]) -> bool:
        """Tell trials that they should end by themselves."""
        with self._lock:
            hit = [self._running[i] for i in ids if i in self._running]
            for running in hit:
                running.stopping = True
        return bool(hit)

    def cancel(self, ids: Sequence[int]) -> None:
        """Drop queued trials; disown running ones, and cancel their Spark jobs."""
        tags = []
        with self._lock:
            for trial_id in ids:
                trial = self._queued.pop(trial_id, None)
                running = self._running.get(trial_id)
                if trial is None and running is not None and running.wanted:
                    running.wanted, running.stopping = False, True
                    trial = running.trial
                    tags.append(running.thread)
                if trial is not None:
                    self._cancelled.append(Cancelled(trial.id, trial.attempt))
        if self._owner is not None and tags:
            self._owner.cancel(tags)

    def close(self) -> None:
        """Disown what runs and end the threads that are idle."""
        with self._lock:
            ids = [*self._queued, *self._running]
        self.cancel(ids)
        for _ in self._threads:
            self._todo.put(None)
        deadline = time.monotonic() + _CLOSE_WAIT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads = []
        self._cancelled = []
        self._taken.clear()
        self._task = None

    # ------------------------------------------------------------------ a listener of trials

    def tell(
        self, trial_id: int, attempt: int, reports: Sequence[Report], lines: Sequence[str]
    ) -> None:
        """Pass on what a running trial says."""
        self._inbox.put(Reported(trial_id, attempt, tuple(reports), tuple(lines)))

    def stopping(self, trial_id: int) -> bool:
        """Whether a trial should end by itself."""
        running = self._running.get(trial_id)
        return running is None or running.stopping

    # ------------------------------------------------------------------ in the threads

    def _in_flight(self) -> bool:
        with self._lock:
            return bool(self._queued or self._running)

    def _work(self, name: str) -> None:
        """Run trials until told to end: the body of each thread."""
        task = self._task
        if self._owner is not None:
            self._owner.enter(self._captured, (self._name, name))
        while task is not None and (trial := self._todo.get()) is not None:
            with self._lock:
                if self._queued.pop(trial.id, None) is None:  # cancelled
                    continue
                running = self._running[trial.id] = _Running(trial, name)
            outcome, exception = self._evaluate(task, trial)
            with self._lock:
                del self._running[trial.id]
                # Of one that is not wanted it is told only that its slot is free.
                self._inbox.put(Finished(outcome, exception) if running.wanted else None)

    def _evaluate(self, task: Task, trial: Trial) -> tuple[Outcome, BaseException | None]:
        return evaluate(
            task.objective,
            task.space,
            trial.point,
            trial_id=trial.id,
            attempt=trial.attempt,
            host=self._host,
            seed=trial.seed,
            listener=self,
        )
