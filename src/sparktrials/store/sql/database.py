"""Connections to a database server, and transactions that are tried again.

Every transaction may be repeated, and is, when the connection breaks: also when it breaks in the
middle of a commit, whose fate nobody knows then.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from sparktrials.errors import InvalidArgument, StoreError, StoreUnavailable
from sparktrials.store.complaints import Fault
from sparktrials.store.lease import Owner
from sparktrials.store.patience import Patience
from sparktrials.store.sql.faults import fault_of, translated
from sparktrials.store.url import is_secret, masked

__all__ = ["Database", "parsed"]

_log = logging.getLogger("sparktrials.store")
_T = TypeVar("_T")

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
#: What a dialect's usual driver is told unless the URL says otherwise: a server that is gone is
#: noticed, while one that computes may take its time.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "psycopg": {
        "connect_timeout": 10,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,
    },
    "psycopg2": {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5},
    "pymysql": {"connect_timeout": 10, "read_timeout": 60, "write_timeout": 60},
}
_TIMEOUT_S = 20  # of locks, and of transactions that somebody began and left
#: Statements on every new connection. Committed is on disk, whatever the server is set to; nobody
#: who went away in a transaction keeps others out for long.
_SETTINGS = {
    "postgresql": (
        (
            f"SET lock_timeout = '{_TIMEOUT_S}s'; "
            f"SET idle_in_transaction_session_timeout = '{_TIMEOUT_S}s'; "
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        ),
    ),
    "mysql": (
        (
            f"SET innodb_lock_wait_timeout = {_TIMEOUT_S}, time_zone = '+00:00', "
            "sql_mode = 'STRICT_ALL_TABLES'"
        ),
    ),
}
_READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


def parsed(text: str) -> URL:
    """Return a URL, with a driver.

    Raises
    ------
    InvalidArgument
        If it is malformed, or names no database.
    """
    shown = masked(text)
    url: URL | None = None
    with suppress(exc.ArgumentError, ValueError):
        url = make_url(text)
        url = url.set(drivername=_DRIVERS.get(url.drivername.lower(), url.drivername.lower()))
    # A host with @ is the end of a password, and must not be shown, nor be asked for.
    if url is None or "@" in (url.host or ""):
        msg = (
            f"the store's URL {shown!r} is malformed: kind://user:password@host:port/database, "
            "characters like @ / : in user and password as %40 %2F %3A"
        )
        raise InvalidArgument(msg)
    if not url.database:
        msg = f"the store's URL {shown!r} names no database: add its name, as in /sparktrials"
        raise InvalidArgument(msg)
    return url


class Database:
    """Transactions on a server, for the threads of a process, and for forks of it.

    Parameters
    ----------
    url
        With a driver.
    timeout_s
        How long a transaction is tried again in all.
    read_only
        Whether the server is told that nothing will be written.
    """

    def __init__(self, url: URL, timeout_s: float, *, read_only: bool = False) -> None:
        self._url = url
        self.read_only = read_only
        self.timeout_s = timeout_s
        self._owner = Owner()
        self.closed = False
        self._pid = os.getpid()
        self._engine: Engine | None = None

    @property
    def owner(self) -> Owner:
        """The name of this object in this process."""
        self._notice_fork()
        return self._owner

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            # The connections are the parent's.
            if self._engine is not None:
                self._engine.dispose(close=False)
            self._owner, self._pid = Owner(), os.getpid()

    @property
    def url(self) -> str:
        """Where it is, for people: no user, no password, no options."""
        kind = self._url.drivername.partition("+")[0]
        port = f":{self._url.port}" if self._url.port else ""
        host = self._url.host or ""
        return f"{kind}://{f'[{host}]' if ':' in host else host}{port}/{self._url.database}"

    @property
    def dialect(self) -> str:
        """``postgresql`` or ``mysql``, which MariaDB is, too."""
        return "postgresql" if self._url.drivername.startswith("postgresql") else "mysql"

    @property
    def driver(self) -> str:
        """The driver's name, such as ``psycopg``."""
        return self._url.drivername.partition("+")[2]

    def listening(self, channel: str) -> tuple[Any, type[Exception]]:
        """Return a connection of its own that hears what is told on a channel (psycopg).

        Beside it the class of its errors.
        """
        engine = self._connected()
        connection = engine.raw_connection()
        raw: Any = connection.driver_connection
        connection.detach()  # the pool forgets it
        raw.autocommit = True
        raw.execute(f"LISTEN {channel}")
        errors: type[Exception] = engine.dialect.loaded_dbapi.Error
        return raw, errors

    @property
    def opener(self) -> URL:
        """What opens it again, but for the password."""
        return URL.create(
            self._url.drivername,
            username=self._url.username,
            host=self._url.host,
            port=self._url.port,
            database=self._url.database,
            query={k: v for k, v in self._url.query.items() if not is_secret(k)},
        )

    def read(self, work: Callable[[Connection], _T], timeout_s: float | None = None) -> _T:
        """Return what `work` reads; each of its statements sees a state of its own.

        Raises
        ------
        StoreError
            What `faults.translated` makes of the database's errors.
        """

        def once() -> _T:
            engine = self._connected().execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as db:
                return work(db)

        return self._patiently(once, timeout_s)

    def write(self, work: Callable[[Connection], _T], timeout_s: float | None = None) -> _T:
        """Do `work`, which can be done twice, in a transaction; durable on return.

        Raises
        ------
        StoreError
            As `read` does; then nothing was done, or it was and nobody told.
        """

        def once() -> _T:
            with self._connected().connect() as db:
                value = work(db)
                db.commit()
                return value

        return self._patiently(once, timeout_s)

    def _patiently(self, once: Callable[[], _T], timeout_s: float | None) -> _T:
        patience = Patience(self.timeout_s if timeout_s is None else timeout_s)
        while True:
            try:
                return once()
            except exc.SQLAlchemyError as error:
                fault = fault_of(error)
                made = translated(error, self.url, self._secrets)
                if not (fault.passes and patience.wait()):
                    raise made from None  # the driver's own words may have the secrets, too
                if fault is not Fault.CONFLICT and patience.is_news:
                    _log.warning("%s; trying again for %.0f s", made, patience.left_s())

    @property
    def _secrets(self) -> tuple[str | None, ...]:
        password = self._url.password
        hidden = [v for k, v in self._url.query.items() if is_secret(k)]
        return (None if password is None else str(password), *map(str, hidden))

    def _connected(self) -> Engine:
        if self.closed:
            msg = f"{self.url} is closed: open it again with open_store"
            raise StoreError(msg)
        self._notice_fork()
        if self._engine is None:
            self._engine = self._made()
        return self._engine

    def _made(self) -> Engine:
        driver = self.driver
        given = _ARGUMENTS.get(driver, {})
        arguments = {name: value for name, value in given.items() if name not in self._url.query}
        try:
            engine = sqlalchemy.create_engine(
                self._url,
                isolation_level="READ COMMITTED",
                connect_args=arguments,
                hide_parameters=True,
                pool_size=2,
                max_overflow=-1,
                pool_recycle=1800,
            )
        except ModuleNotFoundError as error:
            msg = (
                f"{self.url} needs the driver {driver} ({error}): pip install 'psycopg[binary]' "
                "for PostgreSQL, pymysql for MySQL and MariaDB, other drivers by their names"
            )
            raise StoreUnavailable(msg) from None
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError, TypeError):
            msg = f"SQLAlchemy knows no dialect and driver {self._url.drivername!r} for a store"
            raise InvalidArgument(msg) from None
        event.listen(engine, "connect", self._configure)
        return engine

    def _configure(self, connection: Any, _: object) -> None:  # noqa: ANN401 - a driver's
        cursor = connection.cursor()
        try:
            for statement in _SETTINGS[self.dialect]:
                cursor.execute(statement)
            if self.read_only:
                cursor.execute(_READ_ONLY[self.dialect])
        finally:
            cursor.close()
        connection.commit()

    def close(self) -> None:
        """Close all connections; idempotent."""
        engine, self._engine = self._engine, None
        self.closed = True
        self._owner.close()
        if engine is not None:
            engine.dispose(close=self._pid == os.getpid())
