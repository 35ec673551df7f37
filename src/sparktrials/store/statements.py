"""The statements on SQLite's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sparktrials.errors import StoreCorrupt
from sparktrials.store.faults import SALVAGE
from sparktrials.store.lease import Holder
from sparktrials.study.trial import TERMINAL

__all__ = ["PUT_ATTACHMENT", "PUT_TRIAL", "READ_ALL", "READ_CHANGES", "holder_of", "whole"]

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
#: experiment, trial, name, sha256, content, attempt; to come before its trial is written
PUT_ATTACHMENT = f"""
    INSERT INTO attachment (experiment, trial, name, sha256, content)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
        SELECT 1 FROM trial WHERE experiment = ?1 AND id = ?2 AND ({_TOO_LATE} ?6))
    ON CONFLICT (experiment, trial, name) DO UPDATE SET
        sha256 = excluded.sha256, content = excluded.content
    WHERE attachment.sha256 <> excluded.sha256"""  # noqa: S608 - our own names
# The document as bytes: for its checksum, and because damaged text need not be UTF-8.
_READ = """
    SELECT id, position, crc, CAST(document AS BLOB) FROM trial
    WHERE experiment = ? AND position > ? ORDER BY """
#: experiment, position
READ_ALL = _READ + "id"
#: The same; the plus sends SQLite to the index of positions, which is right for a few changes.
READ_CHANGES = _READ + "+id"


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
