"""The tables, and how they come to be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    cast,
    exc,
    extract,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql

from sparktrials.errors import StoreUnavailable
from sparktrials.store.migrating import steps_from
from sparktrials.store.sql.faults import code_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = [
    "ATTACHMENT",
    "EXPERIMENT",
    "LONG_TEXT",
    "PIECE",
    "STORE",
    "TRIAL",
    "VERSION",
    "check",
    "excluded",
    "make",
    "put",
    "server_seconds",
]

#: Version of the tables; that of the documents is another.
VERSION = 1
#: Older version -> the statements that make the next one of it. MySQL has no transactions for
#: tables: there each statement must do no harm when it is done twice.
STEPS: Mapping[int, Sequence[str]] = {}
#: What excludes others while the tables are made: "SpTr".
_LOCK = 0x53705472
_NO_TABLE = frozenset({"42P01", 1146})

_METADATA = MetaData()
_DIGEST = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb")
LONG_TEXT = Text().with_variant(
    mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_PIECE = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def _table(name: str, *items: Any) -> Table:  # noqa: ANN401 - columns, indices
    # InnoDB: the engines that MySQL might take else have no transactions.
    return Table(name, _METADATA, *items, mysql_engine="InnoDB", mariadb_engine="InnoDB")


#: One row: the version, and a position that no experiment had which is gone.
STORE = _table(
    "sparktrials_store",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)
# Users' texts (keys, names of attachments) are found by their SHA-256: no collation, no padding, no
# limit of an index changes what is equal. `position` is that of the last change of any trial;
# writers lock the row. `heard` is when the holder was last heard of, by the server's clock.
EXPERIMENT = _table(
    "sparktrials_experiment",
    Column("id", BigInteger, primary_key=True),
    Column("digest", _DIGEST, nullable=False, unique=True),
    Column("document", LONG_TEXT, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("owner", String(64)),
    Column("holder", LONG_TEXT),
    Column("heard", Double),
)
TRIAL = _table(
    "sparktrials_trial",
    Column("experiment", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("crc", BigInteger, nullable=False),
    Column("document", LONG_TEXT, nullable=False),
    Index("sparktrials_trial_position", "experiment", "position"),
)
ATTACHMENT = _table(
    "sparktrials_attachment",
    Column("experiment", BigInteger, primary_key=True, autoincrement=False),
    Column("trial", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", _DIGEST, primary_key=True),
    Column("name", LONG_TEXT, nullable=False),  # as JSON, for people
    Column("sha256", _DIGEST, nullable=False),
    Column("size", BigInteger, nullable=False),
)
#: The content of attachments, in pieces that fit any server's packets.
PIECE = _table(
    "sparktrials_piece",
    Column("experiment", BigInteger, primary_key=True, autoincrement=False),
    Column("trial", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", _DIGEST, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", _PIECE, nullable=False),
)


def check(db: Connection, url: str, *, may_write: bool = True) -> bool:
    """Return whether the tables are there, of the present version.

    Raises
    ------
    StoreVersionError
        If a newer version of sparktrials made them, or an older one, and they must not be changed.
    StoreCorrupt
        If they are not those of their version.
    """
    try:
        version = db.execute(select(STORE.c.version)).scalar()
    except exc.DBAPIError as error:
        if code_of(error.orig) in _NO_TABLE:
            return False
        raise
    if version is None:  # MySQL has no transactions for tables: somebody is making them, or was
        return False
    # Tables of an older version are as good as missing to one who may write: `make` changes them.
    return not steps_from(version, VERSION, STEPS, url, may_write=may_write)


@contextmanager
def excluded(db: Connection) -> Iterator[None]:
    """Keep others from making tables, until the transaction, or the block, ends.

    Raises
    ------
    StoreUnavailable
        If somebody else does not come to an end with that.
    """
    mysqlish = db.dialect.name != "postgresql"
    # One lock per database: the server may hold others.
    name = func.concat("sparktrials.", func.left(func.sha1(func.database()), 40))
    if mysqlish:
        if db.execute(select(func.get_lock(name, 30))).scalar() != 1:
            msg = "somebody else has been making the tables of the store for 30 s: run again"
            raise StoreUnavailable(msg)
    else:
        db.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    try:
        yield
    finally:
        if mysqlish:
            db.execute(select(func.release_lock(name)))


def make(db: Connection) -> None:
    """Make the tables, or bring them up to date: in one transaction where tables have that.

    Others wait, and find them made.

    Raises
    ------
    StoreUnavailable
        If somebody else does not come to an end with that.
    """
    with excluded(db):
        _METADATA.create_all(db)
        version = db.execute(select(STORE.c.version)).scalar()
        if version is None:
            db.execute(insert(STORE), {"id": 1, "version": VERSION, "position": 0})
        elif steps := steps_from(version, VERSION, STEPS, "the database"):
            for statement in itertools.chain.from_iterable(steps):
                db.execute(text(statement))
            db.execute(update(STORE), {"version": VERSION})
        db.commit()


def put(db: Connection, table: Table, *changing: str) -> Any:  # noqa: ANN401 - of either dialect
    """Return the statement that inserts rows, and replaces columns of those that are there."""
    if db.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as into  # noqa: PLC0415 - of two

        statement = into(table)
        key = [c.name for c in table.primary_key]
        return statement.on_conflict_do_update(
            index_elements=key, set_={name: statement.excluded[name] for name in changing}
        )
    other = mysql.insert(table)
    return other.on_duplicate_key_update({name: other.inserted[name] for name in changing})


def server_seconds(db: Connection) -> Any:  # noqa: ANN401 - an SQL expression
    """Return the server's time in seconds, as an expression."""
    if db.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return func.unix_timestamp(func.now(6))
