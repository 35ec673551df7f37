"""Notes in a table of a database server; PostgreSQL tells who waits of news."""

from __future__ import annotations

import secrets
import selectors
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    delete,
    exc,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql

from sparktrials.store.polling import PollingWaiter
from sparktrials.store.sql.tables import LONG_TEXT, excluded
from sparktrials.study.board import Note, Sheet, Waiter

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sparktrials.store.sql.database import Database

__all__ = ["SQLBoard"]

_METADATA = MetaData()
_NAME = String(200, collation="C").with_variant(
    mysql.VARCHAR(200, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
_BOARD = Table(
    "sparktrials_board",
    _METADATA,
    Column("name", _NAME, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("tag", String(16), nullable=False),
    Column("text", LONG_TEXT, nullable=False),
    Column(
        "body",
        LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
        nullable=False,
    ),
    mysql_engine="InnoDB",
    mariadb_engine="InnoDB",
)
_NOTE = (_BOARD.c.name, _BOARD.c.version, _BOARD.c.tag, _BOARD.c.text)
_CHANNEL = "sparktrials_board"


class SQLBoard:
    """Notes in a database; the table is made if it is missing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.write(_make)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._database.url

    def pin(self, sheets: Sequence[Sheet], wake: str = "") -> None:
        """Add notes, but for those whose names are taken."""
        names = [s.name for s in sheets]

        def work(db: Connection) -> None:
            taken = set(db.execute(select(_BOARD.c.name).where(_BOARD.c.name.in_(names))).scalars())
            rows = [
                {**s._asdict(), "version": secrets.randbits(40)}
                for s in sheets
                if s.name not in taken
            ]
            if rows:  # of two who pin one name at once the second fails, and tries again
                db.execute(insert(_BOARD), rows)
            _tell(db, wake)

        self._database.write(work)

    def swap(self, note: Note, sheet: Sheet, wake: str = "") -> Note | None:
        """Replace a note unless it has changed or gone; return the new one, or None."""
        new = Note(note.name, note.version + 1, sheet.tag, sheet.text)
        values = {"version": new.version, "tag": new.tag, "text": new.text, "body": sheet.body}

        def work(db: Connection) -> bool:
            done = db.execute(update(_BOARD).where(_same(note)), values).rowcount
            if not done:  # it may be this very change, whose acknowledgement was lost
                query = select(*_NOTE).where(_BOARD.c.name == note.name)
                row = db.execute(query).one_or_none()
                return row is not None and Note(*row) == new
            _tell(db, wake)
            return True

        return new if self._database.write(work) else None

    def remove(self, note: Note, wake: str = "") -> bool:
        """Remove a note unless it has changed; whether it is gone."""

        def work(db: Connection) -> bool:
            if db.execute(delete(_BOARD).where(_same(note))).rowcount:
                _tell(db, wake)
                return True
            query = select(_BOARD.c.name).where(_BOARD.c.name == note.name)
            return db.execute(query).scalar() is None

        return self._database.write(work)

    def erase(self, prefix: str) -> None:
        """Remove all notes whose names start so."""
        self._database.write(lambda db: db.execute(delete(_BOARD).where(_within(prefix))))

    def find(self, prefix: str, tag: str = "") -> list[Note]:
        """Return the notes whose names start so, with a tag if one is given, by name."""
        query = select(*_NOTE).where(_within(prefix)).order_by(_BOARD.c.name)
        if tag:
            query = query.where(_BOARD.c.tag == tag)
        return self._database.read(lambda db: [Note(*row) for row in db.execute(query)])

    def get(self, name: str) -> Note | None:
        """Return one, or None."""
        query = select(*_NOTE).where(_BOARD.c.name == name)

        def work(db: Connection) -> Note | None:
            row = db.execute(query).one_or_none()
            return None if row is None else Note(*row)

        return self._database.read(work)

    def body(self, name: str) -> bytes:
        """Return the body of a note, empty if there is none."""
        query = select(_BOARD.c.body).where(_BOARD.c.name == name)
        return bytes(self._database.read(lambda db: db.execute(query).scalar()) or b"")

    def waiter(self, wake: str, longest_s: float = 0.05) -> Waiter:
        """Return what waits for news under that name: by LISTEN, where the driver has it."""
        if self._database.driver == "psycopg":
            return _Listener(self._database, wake)
        return PollingWaiter(longest_s)

    def close(self) -> None:
        """Nothing is held: waiters have connections of their own."""


class _Listener:
    """Waits on a connection of its own, which is opened again when it breaks."""

    def __init__(self, database: Database, wake: str) -> None:
        self._database = database
        self._wake = wake
        self._connection: Any = None
        self._open()

    def wait(self, timeout_s: float) -> bool:
        """Wait until there are news, up to so long."""
        try:
            if self._connection is None:
                self._open()
                return True  # what was told meanwhile is lost
            return self._listen(time.monotonic() + timeout_s)
        except (OSError, exc.SQLAlchemyError, self._error):
            self.close()
            time.sleep(min(timeout_s, 0.1))
            return True

    def _open(self) -> None:
        self._connection, self._error = self._database.listening(_CHANNEL)

    def _listen(self, end: float) -> bool:
        raw = self._connection.pgconn
        while True:
            raw.consume_input()
            news = False
            while (told := raw.notifies()) is not None:
                news = news or told.extra.decode() == self._wake
            left_s = end - time.monotonic()
            if news or left_s <= 0:
                return news
            # Not `select`, which takes no socket whose number is above 1023.
            with selectors.DefaultSelector() as selector:
                selector.register(raw.socket, selectors.EVENT_READ)
                selector.select(left_s)

    def found(self) -> None:
        """Nothing depends on it."""

    def close(self) -> None:
        """Close the connection; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()


def _make(db: Connection) -> None:
    """Make the table unless it is there."""
    if not inspect(db).has_table(_BOARD.name):
        with excluded(db):
            _METADATA.create_all(db)
            db.commit()


def _same(note: Note) -> Any:  # noqa: ANN401 - a condition
    return and_(_BOARD.c.name == note.name, _BOARD.c.version == note.version)


def _within(prefix: str) -> Any:  # noqa: ANN401 - a condition
    return and_(_BOARD.c.name >= prefix, _BOARD.c.name < prefix + "~")


def _tell(db: Connection, wake: str) -> None:
    if wake and db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_notify(:channel, :wake)"), {"channel": _CHANNEL, "wake": wake})
