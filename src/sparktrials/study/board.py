"""A board: small notes that processes on several machines leave each other, in a store.

A driver pins trials to it, workers take them and pin what came of them: ``dispatch.jobs`` says how.
All that a kind of store has to offer for that is one table of notes, and to replace a note only if
nobody else has done so meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["BODY_LIMIT", "JOBS", "Board", "Note", "Sheet", "Waiter", "notes_of"]

#: Most bytes of a body: any server takes that in one statement.
BODY_LIMIT = 1 << 20


JOBS, DATA, CODE = "job/", "data/", "code/"


def notes_of(key: str) -> tuple[str, str, str]:
    """Return what the names of an experiment's notes start with: jobs, their data, pickles."""
    short = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{JOBS}{short}/", f"{DATA}{short}/", f"{CODE}{short}/"


class Note(NamedTuple):
    """A note as it was found.

    Attributes
    ----------
    name
        ASCII letters, digits and ``/._-``, up to 200; found by its beginning.
    version
        Another one after each change; two notes that had the same name at different times share
        none.
    tag
        A word to select by.
    text
        Anything, short.
    """

    name: str
    version: int
    tag: str
    text: str


class Sheet(NamedTuple):
    """A note to be pinned; its body, up to `BODY_LIMIT` bytes, is read by itself."""

    name: str
    tag: str
    text: str
    body: bytes = b""


class Waiter(Protocol):
    """Waits for news; opened before the board is read for the first time."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until there may be news, up to so long; False if there surely are none."""

    def found(self) -> None:
        """Take note that there was something: more may follow soon."""

    def close(self) -> None:
        """Free everything; idempotent."""


class Board(Protocol):
    """Notes of a store. Each call is atomic, durable when it returns, and safe to repeat.

    `wake` names who waits for that news, for `waiter`.
    """

    @property
    def url(self) -> str:
        """Where it is, for people: no secrets."""

    def pin(self, sheets: Sequence[Sheet], wake: str = "") -> None:
        """Add notes, but for those whose names are taken."""

    def swap(self, note: Note, sheet: Sheet, wake: str = "") -> Note | None:
        """Replace a note unless it has changed or gone; return the new one, or None."""

    def remove(self, note: Note, wake: str = "") -> bool:
        """Remove a note unless it has changed; whether it is gone."""

    def erase(self, prefix: str) -> None:
        """Remove all notes whose names start so."""

    def find(self, prefix: str, tag: str = "") -> list[Note]:
        """Return the notes whose names start so, with a tag if one is given, by name."""

    def get(self, name: str) -> Note | None:
        """Return one, or None."""

    def body(self, name: str) -> bytes:
        """Return the body of a note, empty if there is none."""

    def waiter(self, wake: str, longest_s: float = 0.05) -> Waiter:
        """Return what waits for news under that name, or any.

        `longest_s` is the longest pause between two looks where the database tells of none.
        """

    def close(self) -> None:
        """Free everything; idempotent. The store stays open."""
