"""Rows of the tables on a server, read and written within a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from sparktrials.store.precedence import Head
from sparktrials.store.sql.tables import TRIAL, put

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sparktrials.store.rows import TrialRow

__all__ = ["digest", "heads_of", "put_trials", "repeatable"]

#: Ids per query, rows per statement.
_MANY = 500


def digest(text: str) -> bytes:
    """Return what a text is found by."""
    return hashlib.sha256(text.encode()).digest()


def repeatable(db: Connection) -> Connection:
    """Return a connection whose statements see one state."""
    return db.execution_options(isolation_level="REPEATABLE READ")


def heads_of(db: Connection, number: int, trials: Sequence[int]) -> dict[int, Head]:
    """Return what is stored of some trials."""
    found: dict[int, Head] = {}
    wanted = sorted(set(trials))
    query = select(TRIAL.c.id, TRIAL.c.attempt, TRIAL.c.state, TRIAL.c.document).where(
        TRIAL.c.experiment == bindparam("number"),
        TRIAL.c.id.in_(bindparam("ids", expanding=True)),
    )
    for start in range(0, len(wanted), _MANY):
        ids = wanted[start : start + _MANY]
        for trial, *fields in db.execute(query, {"number": number, "ids": ids}):
            found[trial] = Head.of(*fields)
    return found


def put_trials(db: Connection, number: int, position: int, rows: Iterable[TrialRow]) -> None:
    """Write trials."""
    statement = put(db, TRIAL, "attempt", "state", "position", "crc", "document")
    values = [
        {
            "experiment": number,
            "id": row.trial,
            "attempt": row.attempt,
            "state": row.state,
            "position": position,
            "crc": row.crc,
            "document": row.document,
        }
        for row in rows
    ]
    for start in range(0, len(values), _MANY):
        db.execute(statement, values[start : start + _MANY])
