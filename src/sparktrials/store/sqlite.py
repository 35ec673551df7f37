"""Experiments in one SQLite file, by the standard library alone.

Each call is one transaction, on disk when it returns. What may not be overwritten is guarded in
SQL, so that it holds against other processes, too. A position is a number that grows with every
transaction which changed something; a trial has that of its last change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.store import lease
from sparktrials.store.contents import pieces
from sparktrials.store.durable import DurableStore
from sparktrials.store.faults import SALVAGE
from sparktrials.store.rows import Attached, Change, File
from sparktrials.store.session import Session
from sparktrials.store.sqlite_board import SQLiteBoard
from sparktrials.store.statements import (
    PUT_TRIAL,
    READ_ALL,
    READ_CHANGES,
    READ_ONE,
    holder_of,
    put_file,
    put_pieces,
    whole,
)
from sparktrials.store.upkeep import compacted, condition

if TYPE_CHECKING:
    from sparktrials.store.checkup import Finding
    from sparktrials.store.lease import Holder, Owner
    from sparktrials.store.rows import TrialRow
    from sparktrials.study.board import Board

__all__ = ["SQLiteStore"]

_DIGEST = "SELECT sha256 FROM attachment WHERE experiment = ? AND trial = ? AND name = ?"
_PIECES = "SELECT content FROM piece WHERE experiment = ? AND trial = ? AND name = ?"


class SQLiteStore(DurableStore):
    """A store in a file; safe for threads, processes and forks.

    Parameters
    ----------
    path
        The file. It is made if it is missing, with its directories.
    timeout_s
        How long to wait for another process that has the file locked.
    read_only
        Whether to write nothing, and make no file: what writes is refused.

    Raises
    ------
    StoreCorrupt, StoreVersionError, StoreUnavailable
        If the file cannot be opened as a store; it is left as it is.

    Notes
    -----
    Every method raises `StoreUnavailable` when the file is locked for too long, full, read-only or
    unreachable, and `StoreCorrupt` when it finds damage. What was acknowledged before stays.

    A pickled store is opened again by its path, when it is used first, and never makes a file.
    """

    _salvage = SALVAGE

    def __init__(
        self, path: Path | str, *, timeout_s: float = 15.0, read_only: bool = False
    ) -> None:
        self._restore(Path(path).expanduser().absolute(), timeout_s, read_only)
        self._session.read(lambda _: None, make=not read_only)

    def _restore(self, path: Path, timeout_s: float, read_only: bool = False) -> None:  # noqa: FBT001, FBT002 - a pickle's
        self._session = Session(path, timeout_s, read_only=read_only)
        self._start()
        self.read_only = read_only

    @property
    def url(self) -> str:
        """The URL that opens it again."""
        return self._session.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._session.path)!r})"

    @property
    def _owner(self) -> Owner:
        return self._session.owner

    # ----------------------------------------------------------------------- experiments

    def _documents(self) -> list[object]:
        query = "SELECT document FROM experiment ORDER BY key"
        rows = self._session.read(lambda db: db.execute(query).fetchall())
        return [text for (text,) in rows]

    def _document(self, key: str) -> object | None:
        query = "SELECT document FROM experiment WHERE key = ?"
        row = self._session.read(lambda db: db.execute(query, (key,)).fetchone())
        return None if row is None else row[0]

    def _insert(self, key: str, document: str) -> object:
        def work(db: sqlite3.Connection) -> Any:  # noqa: ANN401 - whatever the file holds
            db.execute(
                "INSERT INTO experiment (key, document) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                (key, document),
            )
            query = "SELECT document FROM experiment WHERE key = ?"
            return db.execute(query, (key,)).fetchone()[0]

        return self._session.write(work)

    def _change(self, key: str, change: Callable[[object], str | None]) -> object:
        def work(db: sqlite3.Connection) -> object:
            number = self._known(db, key)
            query = "SELECT document FROM experiment WHERE id = ?"
            found = db.execute(query, (number,)).fetchone()[0]
            document = change(found)
            if document is None:
                return found
            db.execute("UPDATE experiment SET document = ? WHERE id = ?", (document, number))
            return document

        return self._session.write(work)

    def _remove(self, key: str, judge: Callable[[Holder | None, float | None], None]) -> None:
        def work(db: sqlite3.Connection) -> None:
            number = _number(db, key)
            if number is None:
                return
            judge(holder_of(db, number, self.url), None)
            for table in ("trial", "attachment", "piece", "lease"):
                db.execute(f"DELETE FROM {table} WHERE experiment = ?", (number,))  # noqa: S608 - ours
            db.execute("DELETE FROM experiment WHERE id = ?", (number,))

        self._session.write(work)

    # ----------------------------------------------------------------------- leases

    def _take(
        self, key: str, here: Holder, judge: Callable[[Holder | None, float | None], None]
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            number = self._known(db, key)
            judge(holder_of(db, number, self.url), None)
            db.execute(
                "INSERT OR REPLACE INTO lease (experiment, host, namespace, pid, started, owner) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (number, here.host, here.namespace, here.pid, here.started, here.owner),
            )

        self._session.write(work)

    def _holder(self, key: str) -> tuple[Holder | None, float | None]:
        found = self._session.read(lambda db: holder_of(db, self._known(db, key), self.url))
        return found, None

    def _free(self, key: str, owner: str) -> None:
        query = (
            "DELETE FROM lease WHERE owner = ? "
            "AND experiment = (SELECT id FROM experiment WHERE key = ?)"
        )
        self._session.write(lambda db: db.execute(query, (owner, key)))

    # ----------------------------------------------------------------------- trials

    def _append(
        self, key: str, rows: Sequence[TrialRow], files: Sequence[File], owner: str | None
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            number = self._known(db, key)
            if owner is not None:
                holder = holder_of(db, number, self.url)
                if holder is None or holder.owner != owner:
                    raise self._refused(key, holder)
            before = db.total_changes
            for file in files:
                put_file(db, number, file)
            position = whole(db.execute("SELECT position FROM counter").fetchone(), self.url) + 1
            db.executemany(
                PUT_TRIAL,
                (
                    (number, trial, attempt, state, position, crc, document)
                    for trial, attempt, state, crc, document in rows
                ),
            )
            if db.total_changes != before:
                db.execute("UPDATE counter SET position = ?", (position,))

        self._session.write(work)

    def _changes(self, key: str, since: int) -> list[Change]:
        def work(db: sqlite3.Connection) -> list[Change]:
            query = READ_CHANGES if since > 0 else READ_ALL
            return [*map(Change._make, db.execute(query, (self._known(db, key), since)))]

        return self._session.read(work)

    def _count(self, key: str) -> int:
        def work(db: sqlite3.Connection) -> int:
            query = "SELECT COUNT(*) FROM trial WHERE experiment = ?"
            return int(db.execute(query, (self._known(db, key),)).fetchone()[0])

        return self._session.read(work)

    def condition(self) -> Iterator[Finding]:
        """Look at the file: its integrity, its size."""
        return condition(self._session)

    def compact(self) -> tuple[int, int]:
        """Write the file anew, without what is unused; return its sizes before and after.

        Raises
        ------
        StoreError
            If others use it, there is no room for a second one, or it was opened to be read.
        """
        self._writable("-")
        return compacted(self._session)

    def _content(self, key: str, trial: int, name: str) -> tuple[object, object] | None:
        def work(db: sqlite3.Connection) -> tuple[object, object] | None:
            chosen = (self._known(db, key), trial, name)
            row = db.execute(_DIGEST, chosen).fetchone()
            if row is None:
                return None
            found = [piece for (piece,) in db.execute(f"{_PIECES} ORDER BY number", chosen)]
            whole = all(type(piece) is bytes for piece in found)
            return row[0], b"".join(found) if whole else None

        return self._session.read(work)

    def _stream(
        self, key: str, trial: int, name: str
    ) -> tuple[object, Callable[[int], bytes | None]] | None:
        def digest(db: sqlite3.Connection) -> object | None:
            row = db.execute(_DIGEST, (self._known(db, key), trial, name)).fetchone()
            return None if row is None else row[0]

        def fetch(number: int) -> bytes | None:
            def work(db: sqlite3.Connection) -> bytes | None:
                chosen = (self._known(db, key), trial, name, number)
                row = db.execute(f"{_PIECES} AND number = ?", chosen).fetchone()
                # Another content since: the checksum will not fit.
                if row is None or digest(db) != sha256 or type(row[0]) is not bytes:
                    return None
                content: bytes = row[0]
                return content

            return self._session.read(work)

        sha256 = self._session.read(digest)
        return None if sha256 is None else (sha256, fetch)

    def _attach(
        self, key: str, file: Attached, change: Callable[[Change], TrialRow | None]
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            number = self._known(db, key)
            holder = holder_of(db, number, self.url)
            here = lease.Holder.here(self._owner.name)
            if holder is not None and holder.owner != here.owner:
                self._refuse_living(key, holder, here, None)
            row = db.execute(READ_ONE, (number, file.trial)).fetchone()
            if row is None:
                raise self._no_trial(key, file.trial)
            changed = change(Change._make(row))
            chosen = (number, file.trial, file.name)
            db.execute(
                "INSERT OR REPLACE INTO attachment VALUES (?, ?, ?, ?)", (*chosen, file.sha256)
            )
            put_pieces(db, *chosen, pieces(file.content))
            if changed is not None:
                position = (
                    whole(db.execute("SELECT position FROM counter").fetchone(), self.url) + 1
                )
                db.execute(
                    "UPDATE trial SET position = ?, crc = ?, document = ? "
                    "WHERE experiment = ? AND id = ?",
                    (position, changed.crc, changed.document, number, file.trial),
                )
                db.execute("UPDATE counter SET position = ?", (position,))

        self._session.write(work)

    def _known(self, db: sqlite3.Connection, key: str) -> int:
        number = _number(db, key)
        if number is None:
            raise self._unknown(key)
        return number

    def board(self) -> Board:
        """Return the notes of this store; the store closes their connection."""
        return SQLiteBoard(self._session)

    # ----------------------------------------------------------------------- the end

    @property
    def _is_shut(self) -> bool:
        return self._session.closed

    def _shut(self) -> None:
        self._session.close()

    def __getstate__(self) -> tuple[Path, float, bool]:
        return self._session.path, self._session.timeout_s, self.read_only

    def __setstate__(self, state: tuple[Path, float, bool]) -> None:
        self._restore(*state)


def _number(db: sqlite3.Connection, key: str) -> int | None:
    row = db.execute("SELECT id FROM experiment WHERE key = ?", (key,)).fetchone()
    return None if row is None else int(row[0])
