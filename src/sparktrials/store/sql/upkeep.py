"""The condition of the tables on a server, and making them small again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, text

from sparktrials.store.checkup import Finding
from sparktrials.store.sql.tables import ATTACHMENT, EXPERIMENT, PIECE, STORE, TRIAL

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sparktrials.store.sql.database import Database

__all__ = ["compacted", "condition"]

_TABLES = (STORE, EXPERIMENT, TRIAL, ATTACHMENT, PIECE)


def condition(db: Connection) -> list[Finding]:
    """Look at the tables."""
    version = db.execute(select(STORE.c.version)).scalar()
    found = [Finding(f"version {version} of the tables, about {_size(db):,} bytes")]
    known = select(EXPERIMENT.c.id)
    for table in (TRIAL, ATTACHMENT, PIECE):
        query = select(func.count()).select_from(table).where(table.c.experiment.not_in(known))
        if n := db.execute(query).scalar():
            remedy = "they take room and are read by nobody: the rows may be removed by hand"
            found.append(Finding(f"{n} rows of {table.name} are of no experiment", remedy))
    return found


def compacted(database: Database) -> tuple[int, int]:
    """Let the server give back room; return the sizes before and after."""
    before = database.read(_size)
    full = "VACUUM FULL ANALYZE {}" if database.dialect == "postgresql" else "OPTIMIZE TABLE {}"

    def work(db: Connection) -> None:
        for table in _TABLES:
            # Names are ours; neither server takes them as parameters.
            db.execute(text(full.format(table.name))).close()

    database.read(work)  # neither runs in a transaction
    return before, database.read(_size)


def _size(db: Connection) -> int:
    names = [table.name for table in _TABLES]
    if db.dialect.name == "postgresql":
        query = "SELECT sum(pg_total_relation_size(c)) FROM unnest(cast(:names AS regclass[])) c"
        return int(db.execute(text(query), {"names": names}).scalar() or 0)
    query = (
        "SELECT sum(data_length + index_length) FROM information_schema.tables "
        "WHERE table_schema = database() AND table_name IN :names"
    )
    statement = text(query).bindparams(bindparam("names", expanding=True))
    return int(db.execute(statement, {"names": names}).scalar() or 0)
