"""One trial that a worker has taken: what it says, its outcome, and how it goes back."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from sparktrials.dispatch.jobs import (
    DONE,
    LOST,
    NEW,
    TAKEN,
    WORKERS_WAKE,
    Job,
    driver_wake,
    encode_said,
    job_of,
    pack_outcome,
    pieces_of,
    sheet_of,
)
from sparktrials.errors import StoreError
from sparktrials.study.board import BODY_LIMIT

if TYPE_CHECKING:
    from sparktrials.study.board import Board, Note
    from sparktrials.study.protocols import Lost, Reported
    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Outcome

__all__ = ["Assignment"]

_log = logging.getLogger("sparktrials.worker")

#: Seconds between two looks at whether the driver still wants the trial, and between two notes of
#: what it says.
_LOOK_S, _TELL_S = 0.25, 1.0
#: How much of what a trial says is on the board at a time; its outcome has it all.
_REPORTS, _LINES = 200, 50


class Assignment:
    """A taken job. Nothing is changed on the board unless the job is still this worker's."""

    def __init__(self, board: Board, note: Note, job: Job) -> None:
        self._board = board
        self._note = note
        self.job = job
        self.wanted = True
        self.stop = False
        self._looked = self._told = time.monotonic()
        self._reports: deque[Report] = deque(maxlen=_REPORTS)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._n_reports = self._n_lines = 0
        self._news = False

    def __str__(self) -> str:
        return f"trial {self.job.trial} of {self.job.key!r}"

    # ------------------------------------------------------------------ while it runs

    def hear(self, event: Reported) -> None:
        """Take note of what the trial says."""
        self._reports.extend(event.reports)
        self._lines.extend(event.lines)
        self._n_reports += len(event.reports)
        self._n_lines += len(event.lines)
        self._news = True

    def keep_up(self) -> None:
        """Pin what was said since, and see whether the trial is still wanted, now and then."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        try:
            if self._refresh() and self._news and now - self._told >= _TELL_S:
                body = encode_said(self._n_reports, self._n_lines, [*self._reports], [*self._lines])
                if self._change(self.job, TAKEN, body):
                    self._news, self._told = False, now
        except StoreError as error:  # the trial goes on meanwhile
            _log.warning("%s: the store does not answer: %s", self, error)

    def _refresh(self) -> bool:
        """Read the job anew; whether it is still this worker's."""
        note = self._board.get(self.job.name)
        job = job_of(note)
        mine = (self.job.token, self.job.owner)
        if not note or not job or note.tag != TAKEN or (job.token, job.owner) != mine:
            self.wanted = False
            return False
        self._note, self.stop = note, job.stop
        return True

    # ------------------------------------------------------------------ its end

    def finish(self, outcome: Outcome) -> bool:
        """Pin the outcome; False if the driver no longer wants it.

        Raises
        ------
        StoreError
            If the store does not take it.
        """
        content = pack_outcome(outcome)
        job = replace(self.job, sha256=hashlib.sha256(content).hexdigest())
        if len(content) <= BODY_LIMIT:
            return self._change(job, DONE, content)
        sheets = pieces_of(job.outcome, content)
        for sheet in sheets:
            self._board.pin([sheet])
        if self._change(replace(job, n_pieces=len(sheets)), DONE):
            return True
        self._board.erase(job.outcome)
        return False

    def lose(self, event: Lost) -> bool:
        """Say that the trial's process was lost; False if the driver no longer wants it.

        Raises
        ------
        StoreError
            If the store does not take it.
        """
        return self._change(replace(self.job, reason=event.reason, timed_out=event.timed_out), LOST)

    def hand_back(self) -> bool:
        """Let another worker have it; False if the driver no longer wants it.

        Raises
        ------
        StoreError
            If the store does not take it.
        """
        return self._change(self.job.free, NEW, wake=WORKERS_WAKE)

    def _change(self, job: Job, tag: str, body: bytes = b"", wake: str = "") -> bool:
        """Replace the note, as long as the job is this worker's."""
        while True:
            stop = self.stop and bool(job.owner)
            sheet = sheet_of(replace(job, stop=stop), tag, body)
            new = self._board.swap(self._note, sheet, wake or driver_wake(job.key))
            if new is not None:
                self._note = new
                return True
            if not self._refresh():
                return False
