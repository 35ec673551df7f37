"""The statements on SQLite's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sparktrials.errors import StoreCorrupt
from sparktrials.store.contents import pieces
from sparktrials.store.faults import SALVAGE
from sparktrials.store.lease import Holder
from sparktrials.study.trial import TERMINAL

if TYPE_CHECKING:
    from sparktrials.store.rows import File

__all__ = [
    "PUT_TRIAL",
    "READ_ALL",
    "READ_CHANGES",
    "READ_ONE",
    "holder_of",
    "put_file",
    "put_pieces",
    "whole",
]

_TERMINAL = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))  # ours, no user's text
_TOO_LATE = f"trial.state IN ({_TERMINAL}) OR trial.attempt >"
#: experiment, id, attempt, state, position, crc, document
PUT_TRIAL = f"""
    INSERT INTO trial (experiment, id, attempt, state, position, crc, document)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (experiment, id) DO UPDATE SET
        attempt = excluded.attempt, state = excluded.state, position = excluded.position,
        crc = excluded.crc, document = excluded.document
    WHERE NOT ({_TOO_LATE} excluded.attempt) AND trial.document <> excluded.document"""  # noqa: S608 - our own names
#: experiment, trial, name, sha256, attempt; to come before its trial is written
_PUT_ATTACHMENT = f"""
    INSERT INTO attachment (experiment, trial, name, sha256)
    SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (
        SELECT 1 FROM trial WHERE experiment = ?1 AND id = ?2 AND ({_TOO_LATE} ?5))
    ON CONFLICT (experiment, trial, name) DO UPDATE SET sha256 = excluded.sha256
    WHERE attachment.sha256 <> excluded.sha256"""  # noqa: S608 - our own names
# The document as bytes: for its checksum, and because damaged text need not be UTF-8.
_READ = """
    SELECT id, position, crc, CAST(document AS BLOB) FROM trial
    WHERE experiment = ? AND position > ? ORDER BY """
#: experiment, position
READ_ALL = _READ + "id"
#: experiment, id
READ_ONE = _READ.partition("WHERE")[0] + "WHERE experiment = ? AND id = ?"
#: As `READ_ALL`; the plus sends SQLite to the index of positions, which is right for a few changes.
READ_CHANGES = _READ + "+id"


def put_file(db: sqlite3.Connection, experiment: int, file: File) -> None:
    """Write an attachment of an attempt, unless it is there or late; its trial comes after it."""
    row = (experiment, file.trial, file.name, file.sha256, file.attempt)
    if db.execute(_PUT_ATTACHMENT, row).rowcount > 0:
        put_pieces(db, experiment, file.trial, file.name, pieces(file.content))


def put_pieces(
    db: sqlite3.Connection, experiment: int, trial: int, name: str, contents: Iterable[bytes]
) -> None:
    """Write the content of an attachment, in the place of another one."""
    key = (experiment, trial, name)
    db.execute("DELETE FROM piece WHERE experiment = ? AND trial = ? AND name = ?", key)
    rows = ((*key, number, piece) for number, piece in enumerate(contents))
    db.executemany("INSERT INTO piece VALUES (?, ?, ?, ?, ?)", rows)


def whole(row: Sequence[object] | None, url: str) -> int:
    """Return the number that a row starts with.

    Raises
    ------
    StoreCorrupt
        If there is none.
    """
    if not row or type(row[0]) is not int:
        msg = f"{url} has a damaged position: {SALVAGE}"
        raise StoreCorrupt(msg)
    return row[0]


def holder_of(db: sqlite3.Connection, number: int, url: str) -> Holder | None:
    """Return who drives an experiment, or None.

    Raises
    ------
    StoreCorrupt
        If the row is damaged.
    """
    query = "SELECT host, namespace, pid, started, owner FROM lease WHERE experiment = ?"
    row = db.execute(query, (number,)).fetchone()
    if row is None:
        return None
    if [type(value) for value in row] != [str, str, int, str, str]:
        msg = f"{url} has a damaged lease: {SALVAGE}"
        raise StoreCorrupt(msg)
    host, namespace, pid, started, owner = row
    return Holder(host=host, namespace=namespace, pid=pid, started=started, owner=owner)
