"""Trials evaluated by workers that live on the store: ``sparktrials worker URL``, on any machines.

The driver stays the only writer of its trials. It pins them to the store's board as jobs, and
records what workers pin in return (`jobs`); a driver that dies leaves the board as it is, workers
go on, and the next one takes up what it finds there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparktrials.dispatch.crew import Crew
from sparktrials.dispatch.jobs import (
    DONE,
    LOST,
    NEW,
    TAKEN,
    WORKERS_WAKE,
    Job,
    code_of,
    data_of,
    decode_said,
    driver_wake,
    job_of,
    jobs_of,
    outcome_of,
    pinned_content,
    sheet_of,
)
from sparktrials.dispatch.pacing import smoothed
from sparktrials.dispatch.publishing import Publisher
from sparktrials.errors import StoreError
from sparktrials.study.protocols import Cancelled, Event, Finished, Lost
from sparktrials.study.values import OBJECT_PREFIX

if TYPE_CHECKING:
    from sparktrials.study.board import Board, Note, Sheet, Waiter
    from sparktrials.study.protocols import Task
    from sparktrials.study.trial import Outcome, Trial

__all__ = ["WorkersDispatcher"]

logger = logging.getLogger("sparktrials")

#: Seconds between two looks at who lives, and the longest wait for news.
_LOOK_S = 1.0
#: Trials that take less than this are queued one ahead per worker: its way to the driver and back
#: would take as long.
_SHORT_S = 1.0
#: Jobs that are pinned at once.
_AT_ONCE = 32


@dataclass(slots=True)
class _Flight:
    """A trial that is on the board: its attempt as the driver counts, and what was told of it."""

    attempt: int
    version: int = -1
    n_reports: int = 0
    n_lines: int = 0


class WorkersDispatcher:
    """Has trials evaluated by workers, through a board.

    Parameters
    ----------
    board
        Where.
    key
        The experiment's name in the store.
    recorded
        Whether a trial has come to its end in the history: nothing on the board changes it then.
    ended
        Says of a worker's process whether it surely has ended.
    dumps
        cloudpickle's ``dumps``, for objectives that cannot be imported.
    queue_ahead
        How many trials beside one per worker are pinned.
    """

    def __init__(
        self,
        board: Board,
        key: str,
        *,
        recorded: Callable[[int], bool],
        ended: Callable[[str], bool],
        dumps: Callable[[object], bytes],
        queue_ahead: int = 0,
    ) -> None:
        self._board = board
        self._key = key
        self._recorded = recorded
        self._dumps = dumps
        self._ahead = queue_ahead
        self._crew = Crew(board, ended)
        self._looked = -_LOOK_S
        self._waiter: Waiter | None = None
        self._publisher: Publisher | None = None
        self._flights: dict[int, _Flight] = {}
        self._found: dict[int, Note] = {}
        self._told: list[Note] = []
        self._events: list[Event] = []
        self._warned: set[str] = set()
        self._mean_s: float | None = None

    # ------------------------------------------------------------------ opening

    def open(self, task: Task) -> None:
        """Take the study's task, and take note of what an earlier driver has left.

        Raises
        ------
        ObjectiveNotPicklable
            If the objective can neither be imported by workers nor pickled.
        """
        self._waiter = self._board.waiter(driver_wake(self._key))
        self._publisher = Publisher(self._board, self._key, task, self._dumps)
        self._tidy()

    def _tidy(self) -> None:
        """Remove from the board what nobody waits for; keep what workers have done meanwhile."""
        for note in self._board.find(jobs_of(self._key)):
            job = job_of(note)
            kept = job is not None and note.tag != NEW and not self._recorded(job.trial)
            if job is not None and kept:
                self._found[job.trial] = note
            elif not self._board.remove(note, WORKERS_WAKE) and job is not None:
                taken = self._board.get(note.name)  # just now
                if taken is not None and not self._recorded(job.trial):
                    self._found[job.trial] = taken

    # ------------------------------------------------------------------ workers

    def _look(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._looked >= _LOOK_S:
            self._crew.look()
            self._looked = time.monotonic()
            for member in self._crew.members.values():
                for objective, reason in member.refuses.items():
                    if objective and objective == self._objective:
                        who = f"the worker {member.pid} on {member.host}"
                        self._warn(member.id, f"{who} refuses this experiment's trials: {reason}")

    @property
    def _objective(self) -> str:
        """Its import path, empty where it has none or is not known yet."""
        return "" if self._publisher is None else self._publisher.objective

    def _n_workers(self) -> int:
        self._look()
        members = self._crew.members.values()
        if self._publisher is None:
            return sum(member.key in {"", self._key} for member in members)
        return sum(member.serves(self._key, self._objective) for member in members)

    @property
    def slots(self) -> int:
        """How many workers there are for these trials; 1 while there are none."""
        return max(1, self._n_workers())

    def room(self) -> int:
        """Return how many more trials should be pinned now."""
        slots = self.slots
        ahead = self._ahead
        steady = self._publisher is not None and not self._publisher.task.adaptive
        if steady or (self._mean_s is not None and self._mean_s < _SHORT_S):
            ahead = max(ahead, slots)
        return max(0, slots + ahead - len(self._flights))

    # ------------------------------------------------------------------ submitting

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:  # noqa: ARG002
        """Pin trials, but for those that workers have from an earlier driver already."""
        self._forget_told()
        if not self._n_workers():
            self._look(now=True)
            if not self._n_workers():
                self._warn(
                    "nobody",
                    f"no worker evaluates trials of {self._key!r} in {self._board.url} yet: start "
                    "some with: sparktrials worker URL",
                )
        assert self._publisher is not None  # noqa: S101 - opened
        sheets: list[Sheet] = []
        for n, trial in enumerate(trials, 1):
            self._flights[trial.id] = _Flight(trial.attempt)
            if not self._continues(trial):
                sheets += self._publisher.sheets(trial)
            if sheets and (n % _AT_ONCE == 0 or n == len(trials)):
                self._board.pin(sheets, WORKERS_WAKE)
                sheets = []

    def _continues(self, trial: Trial) -> bool:
        """Whether a job of an earlier driver is this very trial; it is removed if it is not."""
        note = self._found.pop(trial.id, None)
        job = job_of(note)
        if note is None or job is None or self._publisher is None:
            return False
        content = pinned_content(self._board, job.specification)
        if content and self._publisher.describes(content, trial, job):
            return True
        while not self._board.remove(note, WORKERS_WAKE):
            found = self._board.get(note.name)
            if found is None:
                break
            note = found
        self._board.erase(job.data)
        return False

    # ------------------------------------------------------------------ what becomes of them

    def release(self) -> None:
        """Slots are nobody else's."""

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds, and return all there are."""
        self._forget_told()
        end = None if timeout is None else time.monotonic() + timeout
        while not self._events and self._flights:
            self._take()
            left_s = _LOOK_S if end is None else min(_LOOK_S, end - time.monotonic())
            if self._events or left_s <= 0 or self._waiter is None:
                break
            self._waiter.wait(left_s)
        events, self._events = self._events, []
        if events and self._waiter is not None:
            self._waiter.found()
        return events

    def _forget_told(self) -> None:
        """Remove jobs whose end was recorded: that is so when the runner is back here."""
        told, self._told = self._told, []
        for note in told:
            self._drop(note)

    def _drop(self, note: Note) -> bool:
        """Remove a job and what belongs to it, unless it has changed; whether it is gone."""
        gone = self._board.remove(note, WORKERS_WAKE)
        job = job_of(note)
        if gone and job is not None:
            self._board.erase(job.data)
        return gone

    def _take(self) -> None:
        """Look at all jobs that are out."""
        missing = dict(self._flights)
        taken: list[tuple[Note, Job, _Flight]] = []
        for note in self._board.find(jobs_of(self._key)):
            job = job_of(note)
            flight = None if job is None else missing.pop(job.trial, None)
            if job is None or flight is None:
                continue
            if note.tag == DONE:
                self._done(note, job, flight)
            elif note.tag == LOST:
                if self._drop(note):
                    self._lost(job, flight, job.reason, timed_out=job.timed_out)
            elif note.tag == TAKEN:
                taken.append((note, job, flight))
        for trial, flight in missing.items():
            self._lost(
                Job.named(self._key, trial),
                flight,
                f"somebody has removed it from {self._board.url}",
            )
        self._look()
        for note, job, flight in taken:
            reason = self._crew.why_gone(job.owner)
            if reason is not None and time.monotonic() - self._looked > 0:
                self._look(now=True)  # it may have come since
                reason = self._crew.why_gone(job.owner)
            if reason is None:
                self._hear(note, job, flight)
            elif self._drop(note):
                self._lost(job, flight, reason)

    def _done(self, note: Note, job: Job, flight: _Flight) -> None:
        try:
            outcome = _opaque(outcome_of(self._board, job))
        except ValueError as error:
            if self._drop(note):
                self._lost(job, flight, str(error))
            return
        del self._flights[job.trial]
        self._told.append(note)
        self._mean_s = smoothed(self._mean_s, outcome.duration_s)
        self._events.append(Finished(replace(outcome, attempt=flight.attempt)))

    def _lost(self, job: Job, flight: _Flight, reason: str, *, timed_out: bool = False) -> None:
        del self._flights[job.trial]
        host = job.host or None
        self._events.append(Lost(job.trial, flight.attempt, reason, host=host, timed_out=timed_out))

    def _hear(self, note: Note, job: Job, flight: _Flight) -> None:
        """Pass on what a running trial has said since."""
        if note.version == flight.version:
            return
        flight.version = note.version
        try:
            said = decode_said(self._board.body(note.name), job.trial, flight.attempt)
        except ValueError:
            return
        if said is not None:
            news = said.since(flight.n_reports, flight.n_lines)
            flight.n_reports, flight.n_lines = said.n_reports, said.n_lines
            if news.reports or news.lines:
                self._events.append(news)

    # ------------------------------------------------------------------ ending them

    def stop(self, ids: Sequence[int]) -> bool:
        """Tell trials that they should end by themselves; whether any runs."""
        told = False
        for trial in ids:
            if trial in self._flights:
                note = self._board.get(_name(self._key, trial))
                job = job_of(note)
                if note is not None and job is not None and note.tag == TAKEN:
                    self._board.swap(note, sheet_of(replace(job, stop=True), TAKEN))
                    told = True
        return told

    def cancel(self, ids: Sequence[int]) -> None:
        """Remove trials from the board, but for those that have come to their end."""
        for trial in ids:
            flight = self._flights.get(trial)
            while flight is not None:
                note = self._board.get(_name(self._key, trial))
                if note is not None and note.tag == DONE:
                    break  # `events` brings it
                if note is None or self._drop(note):
                    del self._flights[trial]
                    self._events.append(Cancelled(trial, flight.attempt))
                    break

    def close(self) -> None:
        """Free everything. What is not recorded stays on the board, for the next driver."""
        if self._waiter is None:
            return
        self._waiter.close()
        self._waiter = None
        try:
            self._sweep()
        except StoreError as error:  # the next run does it; whatever ended this one is to be seen
            logger.warning("jobs are left in %s: %s", self._board.url, error)

    def _sweep(self) -> None:
        """Remove from the board what is recorded."""
        for note in self._board.find(jobs_of(self._key)):
            job = job_of(note)
            if job is None or self._recorded(job.trial):
                self._drop(note)
        if not self._board.find(jobs_of(self._key)):
            self._board.erase(code_of(self._key))
            self._board.erase(data_of(self._key))

    def _warn(self, once: str, text: str) -> None:
        if once not in self._warned:
            self._warned.add(once)
            logger.warning("%s", text)


def _name(key: str, trial: int) -> str:
    return Job.named(key, trial).name


def _opaque(outcome: Outcome) -> Outcome:
    """Return an outcome whose objects are attachments: what a store had is never unpickled."""
    if not outcome.objects:
        return outcome
    objects = {OBJECT_PREFIX + name: content for name, content in outcome.objects.items()}
    return replace(outcome, objects={}, attachments={**outcome.attachments, **objects})
