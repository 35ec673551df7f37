"""What a running study does next: decisions without I/O, clock or threads.

`Loop` is fed events and times, and answers with changes to write and trials to submit; ``runner``
carries them out. A change that it returns has to be recorded before the next call.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.study.protocols import (
    Cancelled,
    Crashed,
    Event,
    Finished,
    Lost,
    Reported,
    Returned,
)
from sparktrials.study.reports import joined_log, joined_reports
from sparktrials.study.resuming import driver_lost, in_flight
from sparktrials.study.trial import Failure, FailureKind, Outcome, Trial, TrialState

if TYPE_CHECKING:
    from sparktrials.space import Point
    from sparktrials.study.history import History

__all__ = ["Change", "Limits", "Loop", "Plan", "Stop", "StopReason", "trial_seed"]


class StopReason:
    """Why a study ended before its budget was spent, for people."""

    TIMEOUT = "fmin run timeout"
    LOSS_THRESHOLD = "loss threshold reached"
    EARLY_STOPPING = "early stopping condition"
    USER = "fmin run cancelled by user"
    EXHAUSTED = "the search space is exhausted"
    ERROR = "an error ended the run"


@dataclass(frozen=True, slots=True)
class Stop:
    """The decision to stop, with the exception to raise, if any."""

    reason: str
    exception: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop, and what a failure means.

    Attributes
    ----------
    target
        Trials in a terminal state but cancelled to reach, earlier runs' included; None: no limit.
    timeout
        Seconds for the whole run.
    loss_threshold
        Stop when the best loss is below it.
    max_retries
        How often a trial whose worker was lost is run again.
    catch
        Whether an objective may raise without ending the run.
    in_driver
        Whether trials run in the driver's process, so that one may be what ended earlier drivers.
    """

    target: int | None = None
    timeout: float | None = None
    loss_threshold: float | None = None
    max_retries: int = 2
    catch: bool = True
    in_driver: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A trial's new state, with the outcome that led to it, if one did."""

    trial: Trial
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now.

    Attributes
    ----------
    again
        Trials to submit once more.
    alone
        Ids of those among them that are to share a task with no other, having lost a worker.
    given
        Points of the user's to evaluate.
    ask
        How many points to ask the algorithm for.
    changes
        To record before anything is submitted.
    """

    again: tuple[Trial, ...] = ()
    alone: frozenset[int] = frozenset()
    given: tuple[Point, ...] = ()
    ask: int = 0
    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.again or self.given or self.ask)


def trial_seed(study_seed: int, trial_id: int) -> int:
    """Return the trial's own 32-bit seed."""
    return int(np.random.SeedSequence(study_seed, spawn_key=(trial_id, 1)).generate_state(1)[0])


def begun(
    number: int,
    point: Point,
    seed: int,
    now: float,
    *,
    given: bool = False,
    host: str | None = None,
) -> Trial:
    """Return a trial of a study with that seed, which is run for the first time."""
    return Trial(
        id=number,
        state=TrialState.RUNNING,
        point=point,
        attempt=1,
        created=now,
        started=now,
        seed=trial_seed(seed, number),
        given=given,
        host=host,
    )


@dataclass(slots=True, eq=False)
class Loop:
    """The state of a running study.

    Parameters
    ----------
    history
        Read here, written by the runner.
    limits
        See `Limits`.
    seed
        The study's.
    started
        Monotonic time at which the run began.
    given
        The user's points, evaluated first.
    """

    history: History
    limits: Limits
    seed: int
    started: float
    given: Sequence[Point] = ()
    stop: Stop | None = None
    exhausted: bool = False
    running: dict[int, Trial] = field(default_factory=dict)
    _given: deque[Point] = field(default_factory=deque)
    _again: deque[Trial] = field(default_factory=deque)
    _suspects: deque[Trial] = field(default_factory=deque)  # each is to run with no other beside it
    _given_up: tuple[Trial, ...] = ()
    _lost_workers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take up what an earlier driver left in flight."""
        self._given.extend(self.given)
        if self.history.count(TrialState.NEW, TrialState.RUNNING):
            found = in_flight(self.history, in_driver=self.limits.in_driver)
            self._again.extend(found.again)
            self._suspects.extend(found.suspects)
            self._given_up = found.given_up

    def take_up(self, now: float) -> list[Change]:
        """Return the changes that end trials which ended earlier drivers; to be called first."""
        changes = []
        for trial in self._given_up:
            failure = driver_lost(trial)
            failed = replace(trial, state=TrialState.FAILED, failure=failure, finished=now)
            self._maybe_raise(failed, None)
            changes.append(Change(failed))
        self._given_up = ()
        return changes

    # ------------------------------------------------------------------ what next

    @property
    def interrupted(self) -> int:
        """How many trials wait to be run again."""
        return len(self._again) + len(self._suspects)

    @property
    def remaining(self) -> int | None:
        """How many more trials may be started; None: no limit."""
        if self.limits.target is None:
            return None
        counted = self.history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
        return max(0, self.limits.target - counted - len(self.running) - self.interrupted)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for or to start."""
        if self.stop is not None:
            return True
        if self.running or self.interrupted:
            return False
        return self.exhausted or self.remaining == 0

    def plan(self, room: int, now: float) -> Plan:
        """Decide what to submit; `room` is the dispatcher's for trials, `now` wall-clock time."""
        if self.stop is not None or room <= 0:
            return Plan()
        again: list[Trial] = []
        changes: list[Change] = []
        waiting = self._again
        if self._suspects:
            if self.running:
                return Plan()
            waiting, room = self._suspects, 1
        while waiting and len(again) < room:
            trial = waiting.popleft()
            # Each submission has its own number, so that a repeated event of an earlier one is told
            # from news of this one.
            trial = replace(
                trial,
                state=TrialState.RUNNING,
                attempt=trial.attempt + 1,
                started=now,
                reports=(),
                log="",
            )
            changes.append(Change(trial))
            self.running[trial.id] = trial
            again.append(trial)
        room -= len(again)
        remaining = self.remaining
        free = room if remaining is None else min(room, remaining)
        given = tuple(self._given.popleft() for _ in range(min(free, len(self._given))))
        ask = 0 if self.exhausted or self._given else max(0, free - len(given))
        alone = frozenset(t.id for t in again if t.id in self._lost_workers)
        return Plan(tuple(again), alone, given, ask, tuple(changes))

    def admit(self, points: Sequence[Point], now: float, *, given: bool = False) -> list[Change]:
        """Make running trials of points; `now` is wall-clock time."""
        changes = []
        for trial_id, point in zip(self.history.reserve(len(points)), points, strict=True):
            trial = begun(trial_id, point, self.seed, now, given=given)
            self.running[trial.id] = trial
            changes.append(Change(trial))
        return changes

    def next_ids(self, n: int) -> range:
        """Return the ids that the next `n` admitted points get."""
        first = self.history.next_id
        return range(first, first + n)

    # ------------------------------------------------------------------ what happened

    def handle(self, event: Event, now: float) -> list[Change]:
        """Return the changes that follow from an event; a late or repeated one changes nothing."""
        if isinstance(event, Crashed):
            self.stop = self.stop or Stop(StopReason.ERROR, event.exception)
            return []
        if isinstance(event, Finished):
            return self._finished(event, now)
        trial = self.running.get(event.trial_id)
        if trial is None or trial.attempt != event.attempt:
            return []
        return self._handle(trial, event, now)

    def _handle(
        self, trial: Trial, event: Reported | Lost | Returned | Cancelled, now: float
    ) -> list[Change]:
        if isinstance(event, Reported):
            return [self._reported(trial, event)]
        if isinstance(event, Returned):
            del self.running[trial.id]
            self._again.append(trial)
            return []
        if isinstance(event, Lost):
            return self._lost(trial, event, now)
        return [self._cancelled(trial, now)]

    def _reported(self, trial: Trial, event: Reported) -> Change:
        said = replace(
            trial,
            reports=joined_reports(trial.reports, event.reports),
            log=joined_log(trial.log, event.lines) if event.lines else trial.log,
        )
        self.running[trial.id] = said
        return Change(said)

    def _finished(self, event: Finished, now: float) -> list[Change]:
        outcome = event.outcome
        trial = self.running.get(outcome.trial_id)
        if trial is None or trial.attempt != outcome.attempt:
            return []
        ended = self._end(
            trial,
            now,
            state=outcome.state,
            loss=outcome.loss,
            result=outcome.result,
            failure=outcome.failure,
            host=outcome.host,
            duration_s=outcome.duration_s,
            reports=outcome.reports or trial.reports,
            log=outcome.log or trial.log,
        )
        self._maybe_raise(ended, event.exception)
        return [Change(ended, outcome)]

    def _lost(self, trial: Trial, event: Lost, now: float) -> list[Change]:
        # Every run counts, so that no objective runs more often than 1 + max_retries times; but in
        # company it may have been another's fault, so that never is the last one.
        times = self._lost_workers[trial.id] = self._lost_workers.get(trial.id, 0) + 1
        again = not event.timed_out and (times <= self.limits.max_retries or not event.alone)
        if again and self.stop is not None:
            return [self._cancelled(trial, now)]
        if again:
            del self.running[trial.id]
            self._again.append(replace(trial, host=event.host))
            return []
        kind, name = (
            (FailureKind.TIMEOUT, "TrialTimeout")
            if event.timed_out
            else (FailureKind.WORKER_LOST, "WorkerLost")
        )
        tries = f" (lost {times} times)" if times > 1 else ""
        failure = Failure(kind=kind, type=name, message=event.reason + tries)
        ended = self._end(trial, now, state=TrialState.FAILED, failure=failure, host=event.host)
        self._maybe_raise(ended, None)
        return [Change(ended)]

    def _maybe_raise(self, trial: Trial, exception: BaseException | None) -> None:
        if trial.failure is None or not trial.failure.is_error or self.limits.catch:
            return
        if exception is None:
            from sparktrials.errors import TrialFailed  # noqa: PLC0415 - the rare path

            exception = TrialFailed(
                f"trial {trial.id} failed on {trial.host}: {trial.failure}\n"
                f"point: {dict(trial.point)}\n{trial.failure.traceback}"
            )
        self.stop = self.stop or Stop(StopReason.ERROR, exception)

    def _cancelled(self, trial: Trial, now: float) -> Change:
        return Change(self._end(trial, now, state=TrialState.CANCELLED))

    def _end(self, trial: Trial, now: float, **fields: object) -> Trial:
        del self.running[trial.id]
        return replace(trial, finished=now, **fields)  # type: ignore[arg-type]

    # ------------------------------------------------------------------ stopping

    def tick(self, now: float) -> None:
        """Take up trials that were put into the history, stop when the time is up.

        `now` is monotonic.
        """
        waiting = sum(t.state is TrialState.NEW for t in self._again)
        if (
            self.history.count(TrialState.NEW) > waiting
        ):  # somebody else's: Trials.insert_trial_docs
            known = {t.id for t in (*self._suspects, *self._again)} | self.running.keys()
            self._again.extend(
                t for t in self.history if t.state is TrialState.NEW and t.id not in known
            )
        if self.stop is None and self.seconds_left(now) <= 0:
            self.stop = Stop(StopReason.TIMEOUT)

    @property
    def ends_at(self) -> float | None:
        """When the time is up, as monotonic time; None without a time-out."""
        return None if self.limits.timeout is None else self.started + self.limits.timeout

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the time-out, infinite without one."""
        return math.inf if self.ends_at is None else self.ends_at - now

    def judge_best(self) -> None:
        """Stop when the best loss is below the threshold."""
        best, threshold = self.history.best, self.limits.loss_threshold
        if (
            self.stop is None
            and threshold is not None
            and best is not None
            and best.loss is not None
            and best.loss < threshold
        ):
            self.stop = Stop(StopReason.LOSS_THRESHOLD)

    def abandon(self, now: float) -> list[Change]:
        """Return the changes that cancel all that is still running or waiting."""
        changes = [self._cancelled(trial, now) for trial in list(self.running.values())]
        changes += [
            Change(replace(trial, state=TrialState.CANCELLED, finished=now))
            for trial in (*self._suspects, *self._again)
        ]
        self._suspects.clear()
        self._again.clear()
        return changes
