"""Attachments on a server: a row for each, and its content in pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, delete, insert, select

from sparktrials.store.contents import pieces
from sparktrials.store.rows import Attached
from sparktrials.store.sql.rows import digest
from sparktrials.store.sql.tables import ATTACHMENT, PIECE, put

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sparktrials.store.rows import File

__all__ = ["attach", "content_of", "piece_of", "put_file", "sha_of"]


def _of(table: Table, number: int, trial: int, name: bytes) -> Any:  # noqa: ANN401 - a condition
    """Return what chooses the rows of an attachment."""
    return and_(table.c.experiment == number, table.c.trial == trial, table.c.digest == name)


def sha_of(db: Connection, number: int, trial: int, name: str) -> bytes | None:
    """Return the SHA-256 of an attachment, None if there is none."""
    where = _of(ATTACHMENT, number, trial, digest(name))
    found = db.execute(select(ATTACHMENT.c.sha256).where(where)).scalar()
    return None if found is None else bytes(found)


def content_of(db: Connection, number: int, trial: int, name: str) -> tuple[object, object] | None:
    """Return the SHA-256 and the content of an attachment, None if there is none."""
    found = sha_of(db, number, trial, name)
    if found is None:
        return None
    query = select(PIECE.c.content).where(_of(PIECE, number, trial, digest(name)))
    contents = db.execute(query.order_by(PIECE.c.number)).scalars()
    return found, b"".join(map(bytes, contents))


def piece_of(  # noqa: PLR0917 - where it is, and what of
    db: Connection, number: int, trial: int, name: str, index: int, sha256: bytes | None
) -> bytes | None:
    """Return a piece of the attachment that has a SHA-256; None after the last one."""
    where = _of(PIECE, number, trial, digest(name))
    piece = db.execute(select(PIECE.c.content).where(where, PIECE.c.number == index)).scalar()
    # Another content since: the checksum will not fit.
    if piece is None or sha_of(db, number, trial, name) != sha256:
        return None
    return bytes(piece)


def attach(db: Connection, number: int, file: File) -> None:
    """Write an attachment, unless it is there."""
    name = digest(file.name)
    where = _of(ATTACHMENT, number, file.trial, name)
    if db.execute(select(ATTACHMENT.c.sha256).where(where)).scalar() == file.sha256:
        return
    put_file(db, number, Attached(file.trial, file.name, file.sha256, file.size, file.content))


def put_file(db: Connection, number: int, file: Attached) -> None:
    """Write an attachment, in the place of another one of its name."""
    name = digest(file.name)
    key = {"experiment": number, "trial": file.trial, "digest": name}
    db.execute(delete(PIECE).where(_of(PIECE, number, file.trial, name)))
    row = {**key, "name": json.dumps(file.name), "sha256": file.sha256, "size": file.size}
    db.execute(put(db, ATTACHMENT, "name", "sha256", "size"), row)
    for index, content in enumerate(pieces(file.content)):
        db.execute(insert(PIECE), {**key, "number": index, "content": content})
