"""The worker: takes trials from a store's board, one after the other, until it is told to end."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

from sparktrials.dispatch.crew import Member
from sparktrials.dispatch.jobs import (
    JOBS,
    NEW,
    TAKEN,
    WORKERS_WAKE,
    code_of,
    decode_job,
    jobs_of,
    pinned_content,
    sheet_of,
)
from sparktrials.dispatch.naming import Allowed, paths_in
from sparktrials.errors import InvalidArgument, StoreError
from sparktrials.store import open_board
from sparktrials.store.lease import Holder
from sparktrials.study.protocols import Crashed, Finished, Lost, Reported, Returned
from sparktrials.worker.assignment import Assignment
from sparktrials.worker.bench import Bench
from sparktrials.worker.presence import Presence
from sparktrials.worker.specification import Specification, named_task, pickled_task

if TYPE_CHECKING:
    from types import FrameType

    from sparktrials.dispatch.jobs import Job
    from sparktrials.study.board import Board, Note, Waiter
    from sparktrials.study.protocols import Event, Task
    from sparktrials.worker.settings import Settings

__all__ = ["run_worker"]

_log = logging.getLogger("sparktrials.worker")

#: Seconds between two looks at whether the worker is to end.
_SLICE_S = 0.25
#: Of the first so many trials that wait, workers that look at the same time take any.
_SPREAD = 8
#: Seconds after which an idle worker looks for trials though nobody told it of any.
_SURELY_S = 5.0


def run_worker(settings: Settings) -> int:
    """Evaluate trials until that is enough, or a signal says so; return how many.

    Raises
    ------
    StoreError, InvalidArgument
        If the store cannot be used.
    """
    with ExitStack() as stack:
        board, close = open_board(settings.url)
        stack.callback(close)
        here = os.getcwd()  # noqa: PTH109 - a text is what it has to be
        if here not in sys.path:  # as `python program.py` has the program's directory
            sys.path.insert(0, here)
        if settings.workdir is not None:
            settings.workdir.mkdir(parents=True, exist_ok=True)
            os.chdir(settings.workdir)
        worker = _Worker(settings, board, stack)
        return worker.run()


class _Worker:
    def __init__(self, settings: Settings, board: Board, stack: ExitStack) -> None:
        self._settings = settings
        self._board = board
        self._allowed = Allowed(settings.allow)
        self._refused: dict[str, str] = {}
        self._runs: set[str] = set()  # drivers' runs that have had a trial here
        self._not_loaded: dict[str, set[str]] = {}  # objective -> in which runs that was so
        self._end: str | None = None  # the signal's name
        self._end_by: float | None = None  # monotonic; None: when the trial has ended
        self._n_done = self._n_failed = 0
        self._host = socket.gethostname()
        self._id = uuid.uuid4().hex
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            before = signal.signal(number, self._told_to_end)
            stack.callback(signal.signal, number, before)
        self._waiter: Waiter = stack.enter_context(
            closing(board.waiter(WORKERS_WAKE, settings.poll_s))
        )
        member = Member(
            id=self._id,
            host=self._host,
            pid=os.getpid(),
            process=Holder.here("").text,
            key=settings.exp_key or "",
            trusts_pickles=settings.trust_pickle,
            refuses={},
        )
        self._presence = Presence(board, member)
        stack.callback(self._presence.leave)
        self._bench = stack.enter_context(closing(Bench()))

    def _told_to_end(self, number: int, _frame: FrameType | None) -> None:
        """Take note of a signal: SIGUSR1 lets a trial take its time, a second one none at all."""
        name = signal.Signals(number).name
        if number != signal.SIGUSR1:
            grace_s = self._settings.grace_s if self._end_by is None else 0.0
            self._end_by = time.monotonic() + grace_s
        self._end = name

    # ------------------------------------------------------------------ taking trials

    def run(self) -> int:
        """Evaluate trials until that is enough."""
        start = idle = looked = time.monotonic()
        what = repr(self._settings.exp_key) if self._settings.exp_key else "all experiments"
        _log.info("worker %d serves %s in %s", os.getpid(), what, self._board.url)
        look = True
        while not self._enough(start, idle):
            if not look and time.monotonic() - looked < _SURELY_S:
                look = self._waiter.wait(_SLICE_S)
                continue
            looked = time.monotonic()
            try:
                assignment = self._taken()
            except StoreError as error:
                _log.warning("no trial can be taken: %s", error)
                look = self._waiter.wait(_SLICE_S)
                continue
            look = assignment is not None
            if assignment is not None:
                self._evaluate(assignment)
                self._waiter.found()
                idle = time.monotonic()
        _log.info("worker %d ends after %d trials", os.getpid(), self._n_done)
        return self._n_done

    def _enough(self, start: float, idle: float) -> bool:
        settings, now = self._settings, time.monotonic()
        reasons = {
            f"it got {self._end}": self._end is not None,
            f"max_jobs={settings.max_jobs}": settings.max_jobs is not None
            and self._n_done >= settings.max_jobs,
            f"{self._n_failed} trials failed one after the other": settings.max_failures is not None
            and self._n_failed >= settings.max_failures,
            f"no trial came for {settings.idle_timeout_s} s": settings.idle_timeout_s is not None
            and now - idle >= settings.idle_timeout_s,
            f"{settings.last_job_s} s are over": settings.last_job_s is not None
            and now - start >= settings.last_job_s,
        }
        for reason, holds in reasons.items():
            if holds:
                _log.info("worker %d takes no more trials: %s", os.getpid(), reason)
        return any(reasons.values())

    def _taken(self) -> Assignment | None:
        """Take one of the trials that wait; None if there is none for this worker."""
        key = self._settings.exp_key
        waiting = self._board.find(JOBS if key is None else jobs_of(key), NEW)
        mine = [(note, job) for note in waiting if (job := self._eligible(note)) is not None]
        first, rest = mine[:_SPREAD], mine[_SPREAD:]
        random.shuffle(first)
        for note, job in (*first, *rest):
            taken = job.taken(self._id, self._host)
            new = self._board.swap(note, sheet_of(taken, TAKEN))
            if new is not None:
                return Assignment(self._board, new, taken)
        return None

    def _eligible(self, note: Note) -> Job | None:
        try:
            job = decode_job(note)
        except ValueError as error:
            self._refuse(note.name, note.name, str(error))
            return None
        if self._settings.exp_key not in {None, job.key}:
            return None
        what = job.objective or job.code
        if what in self._refused and job.run not in self._not_loaded.get(what, {job.run}):
            del self._refused[what]  # it may have been mended since
            self._presence.accept(what)
        if what not in self._refused:
            if not job.objective and not self._settings.trust_pickle:
                reason = (
                    "its objective is pickled, and loading that runs whatever is in it: start the "
                    "worker with --trust-pickle if only those can write to the store whom you "
                    "trust, or have the driver use an objective that can be imported"
                )
                self._refuse(what, repr(job.key), reason)
            elif job.objective:
                try:
                    self._allowed.check(job.objective.partition(":")[0])
                except InvalidArgument as error:
                    self._refuse(what, repr(job.key), str(error))
        return None if what in self._refused else job

    def _refuse(self, what: str, whose: str, reason: str) -> None:
        """Leave trials to others from now on, visibly."""
        if what not in self._refused:
            self._refused[what] = reason
            _log.error("trials of %s are left to other workers: %s", whose, reason)
            self._presence.refuse(what, reason.partition("\n")[0])

    # ------------------------------------------------------------------ evaluating

    def _evaluate(self, assignment: Assignment) -> None:
        job = assignment.job
        _log.info("%s: attempt %d", assignment, job.attempt)
        try:
            specification = Specification.of(pinned_content(self._board, job.specification))
        except StoreError as error:
            self._pass_on(assignment, error)
            return
        except ValueError as error:
            event = Lost(job.trial, job.attempt, f"what is to be evaluated is damaged: {error}")
            self._surely(assignment, partial(assignment.lose, event))
            return
        try:
            for path in [] if specification.argument is None else paths_in(specification.argument):
                self._allowed.check(path.partition(":")[0])
            timeout_s = _smaller(specification.timeout_s, self._settings.trial_timeout_s)
            # A process that was there before a run began may have imported other code than it has.
            self._runs.add(job.run)
            is_for = (job.objective, job.code, timeout_s, specification.imports, len(self._runs))
            task = partial(self._task, job, specification, timeout_s)
            self._bench.give(is_for, task, specification.trial(job.trial, job.attempt))
        except StoreError as error:
            self._pass_on(assignment, error)
            return
        except Exception as error:  # noqa: BLE001 - a pickle's, too
            self._leave(assignment, error)
            return
        self._attend(assignment)

    def _task(self, job: Job, specification: Specification, timeout_s: float | None) -> Task:
        if job.objective:
            return named_task(job.objective, specification, timeout_s, self._allowed)
        payload = pinned_content(self._board, f"{code_of(job.key)}{job.code}/")
        return pickled_task(payload, specification, timeout_s)

    def _pass_on(self, assignment: Assignment, error: StoreError) -> None:
        """Hand a trial back whose task the store did not tell in time: nobody is to blame."""
        _log.warning("%s: the store does not say what to evaluate: %s", assignment, error)
        self._surely(assignment, assignment.hand_back)

    def _leave(self, assignment: Assignment, error: BaseException) -> None:
        """Hand a trial back that cannot be evaluated here, and take none like it again."""
        job = assignment.job
        self._surely(assignment, assignment.hand_back)
        if assignment.wanted:
            what = job.objective or job.code
            self._not_loaded.setdefault(what, set()).add(job.run)
            self._refuse(what, repr(job.key), str(error))

    def _attend(self, assignment: Assignment) -> None:
        """Wait for a trial's end, and see to it that it comes where it is wanted no more."""
        told = False
        while True:
            for event in self._bench.wait(_SLICE_S):
                if isinstance(event, Reported):
                    assignment.hear(event)
                elif self._ended(assignment, event):
                    return
            assignment.keep_up()
            if not assignment.wanted:
                _log.info("%s: the driver does not want it any more", assignment)
                self._bench.kill()
                return
            if (assignment.stop or self._end_by is not None) and not told:
                told = True
                self._bench.stop()
            if self._end_by is not None and time.monotonic() >= self._end_by:
                if not any(self._ended(assignment, event) for event in self._bench.kill()):
                    self._surely(assignment, assignment.hand_back)
                return

    def _ended(self, assignment: Assignment, event: Event) -> bool:
        """Pin what became of a trial; False if nothing has yet."""
        if isinstance(event, Finished):
            outcome = event.outcome
            failed = outcome.failure is not None
            said = f"failed ({outcome.failure})" if failed else f"loss {outcome.loss}"
            _log.info("%s: %s", assignment, said)
            self._surely(assignment, partial(assignment.finish, outcome))
        elif isinstance(event, Lost):
            failed = True
            if self._end_by is not None and time.monotonic() >= self._end_by:
                return False  # it was ended by this worker
            _log.warning("%s: %s", assignment, event.reason)
            self._surely(assignment, partial(assignment.lose, event))
        elif isinstance(event, Crashed):
            self._leave(assignment, event.exception)
            return True
        elif isinstance(event, Returned):  # its process was gone before it began
            self._surely(assignment, assignment.hand_back)
            return True
        else:
            return False
        self._n_done += 1
        self._n_failed = self._n_failed + 1 if failed else 0
        return True

    def _surely(self, assignment: Assignment, change: Callable[[], bool]) -> None:
        """Change a job on the board, however long the store is away; a second signal ends that."""
        while True:
            try:
                if not change():
                    _log.info("%s: the driver does not want it any more", assignment)
            except StoreError as error:
                _log.warning("%s: what became of it cannot be recorded yet: %s", assignment, error)
                if self._end_by is None or time.monotonic() < self._end_by:
                    time.sleep(_SLICE_S)
                    continue
                _log.exception(
                    "%s: what became of it is lost, and it will be run again", assignment
                )
            return


def _smaller(*seconds: float | None) -> float | None:
    return min((s for s in seconds if s is not None), default=None)
