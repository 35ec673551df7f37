"""Trials run one after the other in this process: for ``Trials()``, and to test one's own code."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from sparktrials.dispatch.evaluation import evaluate
from sparktrials.study.protocols import Cancelled, Event, Finished, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Trial

__all__ = ["InlineDispatcher"]


class InlineDispatcher:
    """Runs each trial when its event is waited for.

    Parameters
    ----------
    queue_ahead
        How many trials may be suggested before the first of them runs (Hyperopt's
        ``max_queue_len``): more than 1 makes suggestions in batches.
    """

    slots = 1

    def __init__(self, queue_ahead: int = 1) -> None:
        self._queue: deque[Trial] = deque()
        self._cancelled: list[Event] = []
        self._ahead = queue_ahead
        self._host = socket.gethostname()
        self._task: Task | None = None

    def open(self, task: Task) -> None:
        """Take the study's task."""
        self._task = task

    def room(self) -> int:
        """Return how many trials may be queued now: none until the queue is empty."""
        return 0 if self._queue else self._ahead

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:  # noqa: ARG002
        """Queue trials; each runs alone anyway."""
        self._queue.extend(trials)

    def release(self) -> None:
        """Slots are nobody else's."""

    def events(self, timeout: float | None) -> list[Event]:  # noqa: ARG002 - it never waits
        """Run the next trial. A running trial is not interrupted."""
        if self._cancelled:
            events, self._cancelled = self._cancelled, []
            return events
        if not self._queue or self._task is None:
            return []
        trial = self._queue.popleft()
        outcome, exception = evaluate(
            self._task.objective,
            self._task.space,
            trial.point,
            trial_id=trial.id,
            attempt=trial.attempt,
            host=self._host,
            seed=trial.seed,
            listener=self,
            let_through=(KeyboardInterrupt, SystemExit, GeneratorExit),
        )
        return [Finished(outcome, exception)]

    def tell(
        self, trial_id: int, attempt: int, reports: Sequence[Report], lines: Sequence[str]
    ) -> None:
        """Drop what the running trial says: its outcome has it, and nobody can look before."""

    def stopping(self, trial_id: int) -> bool:  # noqa: ARG002 - there is one
        """Whether the study's time is up: all else that ends one happens between two trials."""
        ends_at = None if self._task is None else self._task.ends_at
        return ends_at is not None and time.monotonic() >= ends_at

    def stop(self, ids: Sequence[int]) -> bool:  # noqa: ARG002 - none runs while this is called
        """Return False: none runs that could end."""
        return False

    def cancel(self, ids: Sequence[int]) -> None:
        """Drop queued trials."""
        wanted = set(ids)
        queued, self._queue = self._queue, deque()
        for trial in queued:
            if trial.id in wanted:
                self._cancelled.append(Cancelled(trial.id, trial.attempt))
            else:
                self._queue.append(trial)

    def close(self) -> None:
        """Forget the queue."""
        self._queue.clear()
        self._task = None
