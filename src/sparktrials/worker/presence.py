"""A worker's note on the board: that it is there, and lives."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sparktrials.dispatch.crew import BEAT_S, Member
from sparktrials.dispatch.jobs import WORKERS
from sparktrials.errors import StoreError
from sparktrials.study.board import Sheet

if TYPE_CHECKING:
    from sparktrials.study.board import Board

__all__ = ["Presence"]

_log = logging.getLogger("sparktrials.worker")


class Presence:
    """Leaves signs of life, from a thread, until `leave`.

    The thread is this process's, whose trials run in another one: nothing of theirs can hold it up.
    """

    def __init__(self, board: Board, member: Member) -> None:
        self._board = board
        self._member = member
        self._name = f"{WORKERS}{member.id}"
        self._news = threading.Event()
        self._left = threading.Event()
        self._beat()
        self._thread = threading.Thread(target=self._run, name="sparktrials-alive", daemon=True)
        self._thread.start()

    def refuse(self, objective: str, reason: str) -> None:
        """Say that this worker does not evaluate an objective, and why."""
        refuses = {**self._member.refuses, objective: reason[:500]}
        self._member = replace(self._member, refuses=refuses)
        self._news.set()

    def accept(self, objective: str) -> None:
        """Take a refusal back."""
        refuses = {k: v for k, v in self._member.refuses.items() if k != objective}
        self._member = replace(self._member, refuses=refuses)
        self._news.set()

    def leave(self) -> None:
        """Say that it is gone."""
        self._left.set()
        self._news.set()
        self._thread.join()
        with suppress(StoreError):  # its process's end says so, too
            note = self._board.get(self._name)
            if note is not None:
                self._board.remove(note)

    def _run(self) -> None:
        while not self._left.is_set():
            self._news.wait(BEAT_S)
            self._news.clear()
            if self._left.is_set():
                return
            try:
                self._beat()
            except StoreError as error:
                _log.warning("no sign of life could be left: %s", error)

    def _beat(self) -> None:
        sheet = Sheet(self._name, "worker", self._member.text)
        note = self._board.get(self._name)
        # It was taken for dead and removed, or this is the first.
        if note is None or self._board.swap(note, sheet) is None:
            self._board.pin([sheet])
