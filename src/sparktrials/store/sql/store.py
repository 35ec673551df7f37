"""Experiments in the tables of a database server.

Each call is one transaction. Writers lock the row of their experiment until they have committed,
so positions become visible in their order, and no reader ever passes over one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, select, text, update

from sparktrials.errors import StoreCorrupt, StoreUnavailable
from sparktrials.store.durable import DurableStore
from sparktrials.store.heartbeat import Heartbeat
from sparktrials.store.lease import Holder, Owner
from sparktrials.store.precedence import winners
from sparktrials.store.rows import Attached, Change, File
from sparktrials.store.sql.contents import attach, content_of, piece_of, put_file, sha_of
from sparktrials.store.sql.database import Database, parsed
from sparktrials.store.sql.rows import digest, heads_of, put_trials, repeatable
from sparktrials.store.sql.tables import (
    ATTACHMENT,
    EXPERIMENT,
    PIECE,
    STORE,
    TRIAL,
    check,
    make,
    server_seconds,
)
from sparktrials.store.sql.upkeep import compacted, condition

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection

    from sparktrials.store.checkup import Finding
    from sparktrials.store.rows import TrialRow
    from sparktrials.study.board import Board

__all__ = ["SQLStore"]

_log = logging.getLogger("sparktrials.store")
#: Seconds for a server that does not answer when a store is opened: a wrong name is told soon.
_OPENING_S = 10.0
#: The same, to give a lease back: it ends by itself, too, and the run has ended already.
_RELEASE_S = 3.0


class _Row(NamedTuple):
    """An experiment's row, locked."""

    id: int
    position: int
    owner: str | None


class SQLStore(DurableStore):
    """A store in a PostgreSQL, MySQL or MariaDB database; safe for threads, processes and forks.

    Parameters
    ----------
    url
        As SQLAlchemy has it; without a driver psycopg or PyMySQL is used. The tables are made if
        they are missing, named ``sparktrials_...``.
    timeout_s
        How long to try again while the server is away, locked, full or read-only.
    read_only
        Whether to write nothing, and make no tables: what writes is refused.

    Raises
    ------
    InvalidArgument
        If the URL is malformed.
    StoreUnavailable
        If the server cannot be reached, or lets nobody in.
    StoreCorrupt, StoreVersionError
        If its tables are not those of a store.

    Notes
    -----
    Every method raises `StoreUnavailable` when its tries have come to nothing. What was
    acknowledged before stays. A pickled store keeps no password: it is opened again with what the
    driver finds by itself (``PGPASSWORD``, ``~/.pgpass``, an option file).
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0, read_only: bool = False) -> None:
        self._restore(Database(parsed(url), timeout_s, read_only=read_only))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _restore(self, database: Database) -> None:
        self._database = database
        self._heartbeat = Heartbeat(self, SQLStore._hear)
        self._start()
        self.read_only = database.read_only

    def _open(self) -> None:
        patience = min(self._database.timeout_s, _OPENING_S)
        if not self._database.read(
            lambda db: check(db, self.url, may_write=not self.read_only), patience
        ):
            if self.read_only:
                msg = f"{self.url} holds no histories: check the name of the database"
                raise StoreUnavailable(msg)
            self._database.write(make)
        if self._database.dialect == "mysql" and not self.read_only:
            flush = self._database.read(
                lambda db: db.execute(text("SELECT @@innodb_flush_log_at_trx_commit")).scalar()
            )
            if flush != 1:
                _log.warning(
                    "%s: the server has innodb_flush_log_at_trx_commit = %s: when its machine "
                    "fails, the last second of a history may be lost. With 1 nothing is.",
                    self.url,
                    flush,
                )

    @property
    def url(self) -> str:
        """Where it is, without user, password and options."""
        return self._database.url

    @property
    def _owner(self) -> Owner:
        return self._database.owner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # ----------------------------------------------------------------------- experiments

    def _documents(self) -> list[object]:
        query = select(EXPERIMENT.c.document)
        return self._database.read(lambda db: [*db.execute(query).scalars()])

    def _document(self, key: str) -> object | None:
        query = select(EXPERIMENT.c.document).where(EXPERIMENT.c.digest == digest(key))
        return self._database.read(lambda db: db.execute(query).scalar())

    def _insert(self, key: str, document: str) -> object:
        query = select(EXPERIMENT.c.document).where(EXPERIMENT.c.digest == digest(key))
        base = select(STORE.c.position).with_for_update()  # positions of one that is gone are past

        def work(db: Connection) -> object:
            if (found := db.execute(query).scalar()) is not None:
                return found
            position = db.execute(base).scalar()  # from here on this is the only one that adds
            if (found := db.execute(query).scalar()) is not None:
                return found
            row = {"digest": digest(key), "document": document, "position": position}
            db.execute(insert(EXPERIMENT), row)
            return document

        return self._database.write(work)

    def _change(self, key: str, change: Callable[[object], str | None]) -> object:
        chosen = EXPERIMENT.c.digest == digest(key)
        query = select(EXPERIMENT.c.document).where(chosen).with_for_update()

        def work(db: Connection) -> object:
            found = db.execute(query).scalar()
            if found is None:
                raise self._unknown(key)
            document = change(found)
            if document is None:
                return found
            db.execute(update(EXPERIMENT).where(chosen), {"document": document})
            return document

        return self._database.write(work)

    def _remove(self, key: str, judge: Callable[[Holder | None, float | None], None]) -> None:
        def work(db: Connection) -> None:
            base = db.execute(select(STORE.c.position).with_for_update()).scalar()
            row = self._locked(db, key)
            if row is None:
                return
            judge(*self._held(db, row.id))
            for table in (PIECE, ATTACHMENT, TRIAL):
                db.execute(delete(table).where(table.c.experiment == row.id))
            db.execute(delete(EXPERIMENT).where(EXPERIMENT.c.id == row.id))
            db.execute(update(STORE), {"position": max(base or 0, row.position)})

        self._database.write(work)

    # ----------------------------------------------------------------------- leases

    def _take(
        self, key: str, here: Holder, judge: Callable[[Holder | None, float | None], None]
    ) -> None:
        def work(db: Connection) -> None:
            row = self._locked(db, key)
            if row is None:
                raise self._unknown(key)
            judge(*self._held(db, row.id))
            values = {"owner": here.owner, "holder": here.text, "heard": server_seconds(db)}
            db.execute(update(EXPERIMENT).where(EXPERIMENT.c.id == row.id).values(values))

        self._database.write(work)
        self._heartbeat.start()

    def _holder(self, key: str) -> tuple[Holder | None, float | None]:
        return self._database.read(lambda db: self._held(db, self._known(db, key)))

    def _free(self, key: str, owner: str) -> None:
        chosen = and_(EXPERIMENT.c.digest == digest(key), EXPERIMENT.c.owner == owner)
        free = {"owner": None, "holder": None, "heard": None}

        def work(db: Connection) -> None:
            db.execute(update(EXPERIMENT).where(chosen), free)

        self._database.write(work, min(self._database.timeout_s, _RELEASE_S))

    def _hear(self) -> None:
        """Let the server know that this driver lives."""
        if self._is_shut or not self._leases:
            return
        mine = EXPERIMENT.c.owner == self._owner.name
        self._database.write(
            lambda db: db.execute(update(EXPERIMENT).where(mine).values(heard=server_seconds(db)))
        )

    def _held(self, db: Connection, number: int) -> tuple[Holder | None, float | None]:
        """Return an experiment's holder, and how long ago it was heard of."""
        silence = server_seconds(db) - EXPERIMENT.c.heard
        query = select(EXPERIMENT.c.owner, EXPERIMENT.c.holder, silence)
        owner, holder, silence_s = db.execute(query.where(EXPERIMENT.c.id == number)).one()
        if owner is None:
            return None, None
        try:
            return Holder.from_text(holder, owner), float(silence_s)
        except (TypeError, ValueError) as error:
            msg = f"{self.url} has a damaged lease: {self._salvage}"
            raise StoreCorrupt(msg) from error

    # ----------------------------------------------------------------------- trials

    def _append(
        self, key: str, rows: Sequence[TrialRow], files: Sequence[File], owner: str | None
    ) -> None:
        def work(db: Connection) -> None:
            row = self._locked(db, key)
            if row is None:
                raise self._unknown(key)
            if owner is not None and row.owner != owner:
                raise self._refused(key, self._held(db, row.id)[0])
            known = heads_of(db, row.id, [r.trial for r in rows])
            winning, timely = winners(rows, known)
            for file in files:
                if file.trial in timely:
                    attach(db, row.id, file)
            position = row.position + 1
            if winning:
                put_trials(db, row.id, position, winning.values())
            if winning or owner is not None:
                values: dict[str, Any] = {"position": position} if winning else {}
                if owner is not None:
                    values["heard"] = server_seconds(db)
                db.execute(update(EXPERIMENT).where(EXPERIMENT.c.id == row.id).values(values))

        self._database.write(work)

    def condition(self) -> list[Finding]:
        """Look at the tables: their version, and how many rows they have."""
        return self._database.read(condition)

    def compact(self) -> tuple[int, int]:
        """Let the server give back the room of what is no more; return sizes in bytes.

        Raises
        ------
        StoreError
            If the server does not, or the store was opened to be read.
        """
        self._writable("-")
        return compacted(self._database)

    def _changes(self, key: str, since: int) -> list[Change]:
        query = (
            select(TRIAL.c.id, TRIAL.c.position, TRIAL.c.crc, TRIAL.c.document)
            .join(EXPERIMENT, EXPERIMENT.c.id == TRIAL.c.experiment)
            .where(EXPERIMENT.c.digest == digest(key), TRIAL.c.position > since)
            .order_by(TRIAL.c.id)
        )

        def work(db: Connection) -> list[Change]:
            rows = db.execute(query).all()
            if not rows:
                self._known(db, key)
            return [Change(*row) for row in rows]

        return self._database.read(work)

    def _count(self, key: str) -> int:
        def work(db: Connection) -> int:
            mine = TRIAL.c.experiment == self._known(db, key)
            return int(db.execute(select(func.count()).select_from(TRIAL).where(mine)).scalar_one())

        return self._database.read(work)

    def _content(self, key: str, trial: int, name: str) -> tuple[object, object] | None:
        def work(db: Connection) -> tuple[object, object] | None:
            return content_of(db, self._known(db, key), trial, name)

        # Both are of one state: somebody may be writing another content.
        return self._database.write(lambda db: work(repeatable(db)))

    def _stream(
        self, key: str, trial: int, name: str
    ) -> tuple[object, Callable[[int], bytes | None]] | None:
        def fetch(index: int) -> bytes | None:
            def work(db: Connection) -> bytes | None:
                return piece_of(db, self._known(db, key), trial, name, index, sha256)

            return self._database.read(work)

        sha256 = self._database.read(lambda db: sha_of(db, self._known(db, key), trial, name))
        return None if sha256 is None else (sha256, fetch)

    def _attach(
        self, key: str, file: Attached, change: Callable[[Change], TrialRow | None]
    ) -> None:
        here = Holder.here(self._owner.name)
        columns = (TRIAL.c.id, TRIAL.c.position, TRIAL.c.crc, TRIAL.c.document)

        def work(db: Connection) -> None:
            row = self._locked(db, key)
            if row is None:
                raise self._unknown(key)
            holder, silence_s = self._held(db, row.id)
            if holder is not None and holder.owner != here.owner:
                self._refuse_living(key, holder, here, silence_s)
            chosen = and_(TRIAL.c.experiment == row.id, TRIAL.c.id == file.trial)
            found = db.execute(select(*columns).where(chosen)).one_or_none()
            if found is None:
                raise self._no_trial(key, file.trial)
            changed = change(Change(*found))
            put_file(db, row.id, file)
            if changed is not None:
                put_trials(db, row.id, row.position + 1, [changed])
                mine = EXPERIMENT.c.id == row.id
                db.execute(update(EXPERIMENT).where(mine), {"position": row.position + 1})

        self._database.write(work)

    def _known(self, db: Connection, key: str) -> int:
        query = select(EXPERIMENT.c.id).where(EXPERIMENT.c.digest == digest(key))
        number: int | None = db.execute(query).scalar()
        if number is None:
            raise self._unknown(key)
        return number

    def _locked(self, db: Connection, key: str) -> _Row | None:
        """Return an experiment's row, which is this transaction's to its end."""
        query = (
            select(EXPERIMENT.c.id, EXPERIMENT.c.position, EXPERIMENT.c.owner)
            .where(EXPERIMENT.c.digest == digest(key))
            .with_for_update()
        )
        row = db.execute(query).one_or_none()
        return None if row is None else _Row(*row)

    def board(self) -> Board:
        """Return the notes of this store; the store closes their connections."""
        from sparktrials.store.sql.board import SQLBoard  # noqa: PLC0415 - where it is used

        return SQLBoard(self._database)

    # ----------------------------------------------------------------------- the end

    @property
    def _is_shut(self) -> bool:
        return self._database.closed

    def _shut(self) -> None:
        self._heartbeat.stop()
        self._database.close()

    def __getstate__(self) -> tuple[URL, float, bool]:
        return self._database.opener, self._database.timeout_s, self.read_only

    def __setstate__(self, state: tuple[URL, float, bool]) -> None:
        url, timeout_s, read_only = state
        self._restore(Database(url, timeout_s, read_only=read_only))
