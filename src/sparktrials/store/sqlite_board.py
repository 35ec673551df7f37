"""Notes in an SQLite file, in a table of their own that is made when it is first needed."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparktrials.errors import StoreCorrupt
from sparktrials.store.faults import SALVAGE
from sparktrials.store.polling import PollingWaiter
from sparktrials.study.board import Note, Sheet, Waiter

if TYPE_CHECKING:
    from sparktrials.store.session import Session

__all__ = ["SQLiteBoard"]

_TABLE = """
    CREATE TABLE IF NOT EXISTS board (
        name TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        tag TEXT NOT NULL,
        text TEXT NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID"""
_PIN = """
    INSERT INTO board (name, version, tag, text, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (name) DO NOTHING"""
_SWAP = """
    UPDATE board SET version = version + 1, tag = ?, text = ?, body = ?
    WHERE name = ? AND version = ?"""
_FIND = "SELECT name, version, tag, text FROM board WHERE name >= ? AND name < ?"


class SQLiteBoard:
    """Notes in the file of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'board'"
        if not session.read(lambda db: db.execute(there).fetchone()):
            session.write(lambda db: db.execute(_TABLE))

    @property
    def url(self) -> str:
        """The URL of the file."""
        return self._session.url

    def pin(self, sheets: Sequence[Sheet], wake: str = "") -> None:  # noqa: ARG002 - looked for
        """Add notes, but for those whose names are taken."""
        rows = [(s.name, secrets.randbits(40), s.tag, s.text, s.body) for s in sheets]
        self._session.write(lambda db: db.executemany(_PIN, rows))

    def swap(self, note: Note, sheet: Sheet, wake: str = "") -> Note | None:  # noqa: ARG002
        """Replace a note unless it has changed or gone; return the new one, or None."""
        values = (sheet.tag, sheet.text, sheet.body, note.name, note.version)
        if self._session.write(lambda db: db.execute(_SWAP, values).rowcount):
            return Note(note.name, note.version + 1, sheet.tag, sheet.text)
        return None

    def remove(self, note: Note, wake: str = "") -> bool:  # noqa: ARG002
        """Remove a note unless it has changed; whether it is gone."""

        def work(db: sqlite3.Connection) -> bool:
            query = "DELETE FROM board WHERE name = ? AND version = ?"
            if db.execute(query, (note.name, note.version)).rowcount:
                return True
            query = "SELECT 1 FROM board WHERE name = ?"
            return db.execute(query, (note.name,)).fetchone() is None

        return self._session.write(work)

    def erase(self, prefix: str) -> None:
        """Remove all notes whose names start so."""
        query = "DELETE FROM board WHERE name >= ? AND name < ?"
        self._session.write(lambda db: db.execute(query, (prefix, prefix + "~")))

    def find(self, prefix: str, tag: str = "") -> list[Note]:
        """Return the notes whose names start so, with a tag if one is given, by name."""
        query = f"{_FIND} AND tag = ? ORDER BY name" if tag else f"{_FIND} ORDER BY name"
        values = (prefix, prefix + "~", *([tag] if tag else []))
        rows = self._session.read(lambda db: db.execute(query, values).fetchall())
        return [self._note(row) for row in rows]

    def get(self, name: str) -> Note | None:
        """Return one, or None."""
        query = "SELECT name, version, tag, text FROM board WHERE name = ?"
        row = self._session.read(lambda db: db.execute(query, (name,)).fetchone())
        return None if row is None else self._note(row)

    def body(self, name: str) -> bytes:
        """Return the body of a note, empty if there is none."""
        query = "SELECT body FROM board WHERE name = ?"
        row = self._session.read(lambda db: db.execute(query, (name,)).fetchone())
        return row[0] if row is not None and type(row[0]) is bytes else b""

    def waiter(self, wake: str, longest_s: float = 0.05) -> Waiter:  # noqa: ARG002 - any change of the file is news
        """Return what waits for news."""
        last = self._state()

        def changed() -> bool:
            nonlocal last
            before, last = last, self._state()
            return last != before

        return PollingWaiter(longest_s, changed)

    def _state(self) -> object:
        """Return a number that changes when another connection changes the file."""
        return self._session.read(lambda db: db.execute("PRAGMA data_version").fetchone())

    def close(self) -> None:
        """Nothing is held."""

    def _note(self, row: Sequence[object]) -> Note:
        if [type(value) for value in row] != [str, int, str, str]:
            msg = f"{self.url} has a damaged note: {SALVAGE}"
            raise StoreCorrupt(msg)
        return Note._make(row)
