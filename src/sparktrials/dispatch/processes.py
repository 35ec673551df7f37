"""Trials in processes of this machine, which live for the study and may die of any trial.

A thread of this process, which no signal interrupts, starts the processes, gives them trials and
hears what they say; the study's own thread reads a queue.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from sparktrials.dispatch.child import Child
from sparktrials.dispatch.child_study import ChildStudy
from sparktrials.dispatch.pacing import smoothed
from sparktrials.study.protocols import (
    Cancelled,
    Crashed,
    Event,
    Finished,
    Lost,
    Returned,
    Task,
)

if TYPE_CHECKING:
    from sparktrials.study.trial import Trial

__all__ = ["ProcessDispatcher"]

logger = logging.getLogger("sparktrials")

#: Seconds that idle processes get to exit by themselves when the study is over.
_EXIT_S = 0.5
#: Seconds that the end of a study waits for its processes in all.
_CLOSE_S = 5.0
#: Processes in a row that could not be started, after which nothing can run.
_FAILED_STARTS = 3
#: Where results do not steer the next points: seconds of work that wait for each process, trials
#: that do at most, and seconds of a trial below which a process is sent its next one ahead.
_WAITING_S = 0.05
_WAITING = 64
_SHORT_S = 0.01


class ProcessDispatcher:
    """Runs trials in child processes.

    Parameters
    ----------
    n
        How many at once.
    threads
        How many threads libraries use in each of them, see `Child`.
    """

    def __init__(self, n: int, threads: int | None = None) -> None:
        self.slots = n
        self._threads = threads
        self._adaptive = True
        self._trial_s: float | None = None
        self._in_flight: set[tuple[int, int]] = set()
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._keeper: _Keeper | None = None

    def open(self, task: Task) -> None:
        """Take the study's task."""
        import cloudpickle  # noqa: PLC0415 - not at import

        self._adaptive = task.adaptive
        study = ChildStudy(task, cloudpickle)
        self._keeper = _Keeper(study, self.slots, self._threads, self._inbox)

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        wanted = self.slots
        if not self._adaptive and self._trial_s is not None:
            wanted *= 1 + min(_WAITING, int(_WAITING_S / max(self._trial_s, 1e-6)))
        return max(0, wanted - len(self._in_flight))

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:  # noqa: ARG002
        """Queue trials; each runs alone in its process anyway."""
        if self._keeper is not None:
            self._in_flight.update((t.id, t.attempt) for t in trials)
            ahead = not self._adaptive and self._trial_s is not None and self._trial_s < _SHORT_S
            self._keeper.take(trials, ahead=ahead)

    def release(self) -> None:
        """Slots are nobody else's."""

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds."""
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            if self._in_flight:
                found.append(self._inbox.get(timeout=timeout))
            while True:
                found.append(self._inbox.get_nowait())
        for event in found:
            if isinstance(event, Finished):
                outcome = event.outcome
                self._in_flight.discard((outcome.trial_id, outcome.attempt))
                self._trial_s = smoothed(self._trial_s, outcome.duration_s)
            elif isinstance(event, (Lost, Cancelled)):
                self._in_flight.discard((event.trial_id, event.attempt))
        return found

    def stop(self, ids: Sequence[int]) -> bool:
        """Tell trials that they should end by themselves; whether any has ever asked."""
        return self._keeper is not None and self._keeper.stop(ids)

    def cancel(self, ids: Sequence[int]) -> None:
        """Drop queued trials; kill the processes of those that run."""
        if self._keeper is not None:
            self._keeper.cancel(ids)

    def close(self) -> None:
        """End all processes."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
        self._in_flight.clear()


class _Keeper:
    """Keeps the processes: all that touches them is done in a thread of its own.

    Parameters
    ----------
    study
        What they evaluate; closed in the end.
    n, threads
        How many there may be, and how many threads each of them uses.
    inbox
        Takes events.
    """

    def __init__(
        self, study: ChildStudy, n: int, threads: int | None, inbox: queue.SimpleQueue[Event]
    ) -> None:
        self._study = study
        self._n = n
        self._threads = threads
        self._inbox = inbox
        self._queue: deque[Trial] = deque()
        self._depth = 1  # trials that a process may have at once
        self._orders: deque[tuple[str, frozenset[int]]] = deque()
        self._unwanted: set[int] = set()
        self._closing = False
        self._children: dict[Child, tuple[int, ...]] = {}  # with their descriptors
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake_up = socket.socketpair()
        for end in (self._waker, self._wake_up):
            end.settimeout(0.0)
        self._selector.register(self._wake_up, selectors.EVENT_READ)
        self._ever_ready = False
        self._failed_starts = 0
        self._thread = threading.Thread(
            target=self._serve, name="sparktrials-processes", daemon=True
        )
        self._thread.start()

    # ------------------------------------------------------------------ for the study's thread

    def take(self, trials: Sequence[Trial], *, ahead: bool) -> None:
        """Queue trials; `ahead`: processes may be sent one more than they run."""
        self._depth = 2 if ahead else 1
        self._queue.extend(trials)
        self._wake()

    def stop(self, ids: Iterable[int]) -> bool:
        """Tell trials to end by themselves; whether any has asked whether it should."""
        wanted = frozenset(ids)
        self._orders.append(("stop", wanted))
        self._wake()
        return any(child.asks and child.runs(wanted) for child in list(self._children))

    def cancel(self, ids: Iterable[int]) -> None:
        """End trials; of each comes an event."""
        self._orders.append(("cancel", frozenset(ids)))
        self._wake()

    def close(self) -> None:
        """End all processes, and wait for that."""
        self._closing = True
        self._wake()
        self._thread.join(_CLOSE_S)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake; or closed
            self._waker.send(b"\0")

    # ------------------------------------------------------------------ in its own thread

    def _serve(self) -> None:
        """Serve until the study is over: the body of the thread."""
        try:
            while not self._closing:
                self._obey()
                self._give()
                self._hear()
        except BaseException as error:  # noqa: BLE001 - the study must end with it
            self._inbox.put(Crashed(error))
        finally:
            self._dismiss()

    def _hear(self) -> None:
        """Wait for news, and pass it on."""
        deadlines = [d for child in self._children if (d := child.deadline) is not None]
        left = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        found = {key.data for key, _ in self._selector.select(left)}
        if deadlines:
            now = time.monotonic()
            found |= {c for c in self._children if (d := c.deadline) is not None and d <= now}
        if None in found:
            found.discard(None)
            with contextlib.suppress(BlockingIOError):
                self._wake_up.recv(4096)
        for child in found:
            was_ready, held = child.ready, child.trials
            events = child.take()
            if child.ready and not was_ready:
                self._ever_ready = True
                self._failed_starts = 0
            self._settle(child, events, held)

    def _settle(self, child: Child, events: Iterable[Event], held: Sequence[Trial]) -> None:
        """Pass on what a process said; let go of one that died."""
        if not child.alive:
            self._forget(child)
        for event in events:
            if isinstance(event, Returned):
                self._queue.appendleft(next(t for t in held if t.id == event.trial_id))
            elif not isinstance(event, Crashed) or self._is_the_end(event, child):
                self._inbox.put(event)

    def _is_the_end(self, event: Crashed, child: Child) -> bool:
        """Whether a process that could not be started means that none can."""
        self._failed_starts += 1
        hopeless = child.complained and not self._ever_ready
        if hopeless or (self._starts_fail() and not any(c.ready for c in self._children)):
            return True
        instead = "others go on" if self._starts_fail() else "another one is started"
        logger.warning("%s; %s", event.exception, instead)
        return False

    def _starts_fail(self) -> bool:
        return self._failed_starts >= _FAILED_STARTS

    def _forget(self, child: Child) -> None:
        for descriptor in self._children.pop(child, ()):
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(descriptor)

    def _give(self) -> None:
        """Give trials to processes that are free, starting those that are missing."""
        while self._queue:
            child = min(self._children, key=_load, default=None)
            more = len(self._children) < self._n and not self._starts_fail()
            if child is None or (len(child.trials) > 0 and more):
                child = self._started()
            elif len(child.trials) >= self._depth:
                return
            child.give(self._queue.popleft())

    def _started(self) -> Child:
        child = Child(self._study, self._threads)
        self._children[child] = child.descriptors
        for descriptor in child.descriptors:
            self._selector.register(descriptor, selectors.EVENT_READ, child)
        return child

    def _obey(self) -> None:
        while self._orders:
            order, ids = self._orders.popleft()
            if order == "cancel":
                self._unwanted |= ids
                self._drop_queued()
            else:
                for child in self._children:
                    if child.runs(ids):
                        child.stop()
        if self._unwanted:
            self._end_unwanted()

    def _drop_queued(self) -> None:
        for _ in range(len(self._queue)):
            trial = self._queue.popleft()
            if trial.id in self._unwanted:
                self._inbox.put(Cancelled(trial.id, trial.attempt))
            else:
                self._queue.append(trial)

    def _end_unwanted(self) -> None:
        """Kill what runs trials that were cancelled."""
        for child in list(self._children):
            if not child.runs(self._unwanted):
                continue
            held = child.trials
            for event in child.kill():
                if isinstance(event, (Lost, Returned)) and event.trial_id in self._unwanted:
                    self._inbox.put(Cancelled(event.trial_id, event.attempt))
                elif not isinstance(event, Crashed):
                    self._settle(child, (event,), held)
            self._forget(child)
        # One that waits behind another trial in its process is ended when its turn has come.
        self._unwanted &= {t.id for child in self._children for t in child.trials}

    def _dismiss(self) -> None:
        """End all processes, the idle ones in their own way."""
        for child in self._children:
            if child.trials or not child.ready:
                child.close()
            else:
                child.dismiss()
        until = time.monotonic() + _EXIT_S
        for child in self._children:
            child.close(max(0.001, until - time.monotonic()))
        self._children.clear()
        self._selector.close()
        self._waker.close()
        self._wake_up.close()
        self._study.close()


def _load(child: Child) -> tuple[int, bool]:
    """Processes that have nothing come first, those that are ready before others."""
    return len(child.trials), not child.ready
