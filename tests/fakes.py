"""A dispatcher and a clock that tests drive: seeded schedules and faults, no Spark, no waiting."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sparktrials.study.protocols import (
    Cancelled,
    Crashed,
    Event,
    Finished,
    Lost,
    Reported,
    Returned,
    Task,
)
from sparktrials.study.trial import Failure, FailureKind, Outcome, Trial, TrialState


@dataclass
class FakeClock:
    """Time that passes only when told to."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_700_000_000


@dataclass
class SilentObserver:
    """Keeps what it is told."""

    notes: list[str] = field(default_factory=list)
    updates: int = 0
    changes: list[Trial] = field(default_factory=list)

    def changed(self, trials: Sequence[Trial]) -> None:
        self.changes += trials

    def update(self, history: object, running: int) -> None:
        self.updates += 1

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class FaultyDispatcher:
    """Delivers events in a seeded random order, some twice, some of them faults.

    Attributes
    ----------
    rng
        Decides everything.
    clock
        Advanced by a random time at each wait.
    lose, lose_together, fail, give_back, repeat, report
        Probabilities of the faults, per delivery.
    crash_after
        Deliveries after which the cluster is gone.
    """

    rng: random.Random
    clock: FakeClock
    slots: int = 4
    ahead: int = 2
    lose: float = 0.0
    lose_together: float = 0.0
    fail: float = 0.0
    give_back: float = 0.0
    repeat: float = 0.0
    report: float = 0.0
    crash_after: int | None = None
    cancel_lands: float = 0.5
    task: Task | None = None
    queue: list[Trial] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    delivered: dict[int, Outcome] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)
    stopped: set[int] = field(default_factory=set)
    closed: bool = False
    alone: set[int] = field(default_factory=set)
    deliveries: int = 0

    def open(self, task: Task) -> None:
        self.task = task

    def room(self) -> int:
        return max(0, self.slots + self.ahead - len(self.queue))

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:
        assert all(t.state is TrialState.RUNNING and t.attempt >= 1 for t in trials)
        self.alone |= set(alone)
        self.queue.extend(trials)

    def release(self) -> None:
        """Take note that no further trial is expected."""

    def events(self, timeout: float | None) -> list[Event]:
        wait = self.rng.random()
        if not self.queue:
            self.clock.now += min(timeout or 0.0, wait)
            return []
        self.clock.now += min(wait, 1.0 if timeout is None else timeout)
        self.deliveries += 1
        if self.crash_after is not None and self.deliveries > self.crash_after:
            return [Crashed(RuntimeError("the cluster is gone"))]
        events: list[Event] = []
        for _ in range(self.rng.randint(0 if not self.cancelled else 1, 3)):
            if self.queue:
                trial = self.queue.pop(self.rng.randrange(len(self.queue)))
                events.append(self._fate(trial))
        if self.queue and self.rng.random() < self.report:
            trial = self.rng.choice(self.queue)
            events.append(Reported(trial.id, trial.attempt, ((self.deliveries, 0.5),), ("line",)))
        if self.told and self.rng.random() < self.repeat:
            events.append(self.rng.choice(self.told))
        self.told += events
        return events

    def _fate(self, trial: Trial) -> Event:
        key = (trial.id, trial.attempt)
        draw = self.rng.random()
        if trial.id in self.cancelled and self.rng.random() < self.cancel_lands:
            return Cancelled(*key)
        for chance, event in (
            (self.give_back, Returned(*key)),
            (self.lose, Lost(*key, reason="killed")),
            (self.lose_together, Lost(*key, reason="killed", alone=trial.id in self.alone)),
        ):
            if draw < chance:
                if not isinstance(event, Returned):
                    self.runs.append(key)
                return event
            draw -= chance
        self.runs.append(key)
        outcome = self.outcome(trial, failed=draw < self.fail)
        self.delivered.setdefault(trial.id, outcome)
        return Finished(outcome)

    def outcome(self, trial: Trial, *, failed: bool = False) -> Outcome:
        """Return what a trial comes to."""
        if failed:
            return Outcome(
                trial_id=trial.id,
                attempt=trial.attempt,
                state=TrialState.FAILED,
                failure=Failure(kind=FailureKind.RAISED, type="ValueError", message="no"),
                host="h",
                duration_s=0.1,
            )
        loss = float(sum(trial.point.values()))
        return Outcome(
            trial_id=trial.id,
            attempt=trial.attempt,
            state=TrialState.OK,
            loss=loss,
            result={"loss": loss, "status": "ok"},
            host="h",
            duration_s=0.1,
        )

    def stop(self, ids: Sequence[int]) -> bool:
        self.stopped |= set(ids)
        return bool(ids)

    def cancel(self, ids: Sequence[int]) -> None:
        self.cancelled |= set(ids)

    def close(self) -> None:
        self.closed = True
