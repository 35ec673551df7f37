"""Rows of the tables on a server, read and written within a transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, bindparam, delete, insert, select

from sparktrials.store.contents import pieces
from sparktrials.store.precedence import Head
from sparktrials.store.rows import Attached
from sparktrials.store.sql.tables import ATTACHMENT, PIECE, TRIAL, put

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sparktrials.store.rows import File, TrialRow

__all__ = ["attach", "digest", "heads_of", "of", "put_file", "put_trials", "repeatable"]

#: Ids per query, rows per statement.
_MANY = 500


def digest(text: str) -> bytes:
    """Return what a text is found by."""
    return hashlib.sha256(text.encode()).digest()


def of(table: Table, number: int, trial: int, name: bytes) -> Any:  # noqa: ANN401 - a condition
    """Return what chooses the rows of an attachment."""
    return and_(table.c.experiment == number, table.c.trial == trial, table.c.digest == name)


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


def attach(db: Connection, number: int, file: File) -> None:
    """Write an attachment, unless it is there."""
    name = digest(file.name)
    where = of(ATTACHMENT, number, file.trial, name)
    if db.execute(select(ATTACHMENT.c.sha256).where(where)).scalar() == file.sha256:
        return
    size = len(file.content)
    put_file(db, number, Attached(file.trial, file.name, file.sha256, size, file.content))


def put_file(db: Connection, number: int, file: Attached) -> None:
    """Write an attachment, in the place of another one of its name."""
    name = digest(file.name)
    key = {"experiment": number, "trial": file.trial, "digest": name}
    db.execute(delete(PIECE).where(of(PIECE, number, file.trial, name)))
    row = {**key, "name": json.dumps(file.name), "sha256": file.sha256, "size": file.size}
    db.execute(put(db, ATTACHMENT, "name", "sha256", "size"), row)
    for index, content in enumerate(pieces(file.content)):
        db.execute(insert(PIECE), {**key, "number": index, "content": content})
