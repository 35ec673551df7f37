"""One connection to an SQLite file, for the threads of a process: all or nothing, and not for ever.

A fork waits for the transaction of another thread, and the child starts afresh: a connection that
is used on both sides would destroy the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sparktrials.errors import StoreCorrupt, StoreError, StoreUnavailable
from sparktrials.store.faults import is_busy, translated
from sparktrials.store.files import open_file, open_to_read, stillness
from sparktrials.store.lease import Owner

__all__ = ["Session"]

_T = TypeVar("_T")
_TRIES = 3
_WRITE = "BEGIN IMMEDIATE"


class Session:
    """Runs transactions; opens the file when it is used first.

    Parameters
    ----------
    path
        The file.
    timeout_s
        How long to wait in all for others that have it locked.
    read_only
        Whether nothing is ever written, nor any file made.

    Attributes
    ----------
    owner
        Names this session in this process; a forked one has another name.
    """

    def __init__(self, path: Path, timeout_s: float, *, read_only: bool = False) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self.read_only = read_only
        self._still: tuple[int, int, int] | None = None
        self.owner = Owner()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._inherited: tuple[sqlite3.Connection | None, ...] = ()
        self._closed = False
        if hasattr(os, "register_at_fork"):
            this = weakref.ref(self)
            os.register_at_fork(
                before=lambda: _call(this, Session._before_fork),
                after_in_parent=lambda: _call(this, Session._after_fork),
                after_in_child=lambda: _call(this, Session._in_child),
            )

    @property
    def url(self) -> str:
        """The URL of the file."""
        return f"sqlite:///{self.path}"

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def read(self, work: Callable[[sqlite3.Connection], _T], *, make: bool = False) -> _T:
        """Return what `work` does with one state of the file; `make` it if it is missing.

        Raises
        ------
        StoreError
            What `faults.translated` and `open_file` make of SQLite's errors.
        """
        return self._transact("BEGIN", work, make=make)

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do `work` in a transaction that excludes other writers; durable on return.

        Raises
        ------
        StoreError
            As `read` does; then nothing was done.
        """
        return self._transact(_WRITE, work, make=False)

    def alone(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do `work` outside of a transaction.

        Raises
        ------
        StoreError
            As `read` does.
        """
        with self._lock:
            self.read(lambda _: None)  # opens it
            assert self._connection is not None  # noqa: S101 - for the type checker
            try:
                work(self._connection)
            except sqlite3.Error as error:
                raise translated(error, self.url) from error

    def _transact(self, begin: str, work: Callable[[sqlite3.Connection], _T], *, make: bool) -> _T:
        with self._lock:
            for left in reversed(range(_TRIES)):
                try:
                    value = self._once(begin, work, make=make)
                except (sqlite3.Error, StoreCorrupt) as error:
                    if left and self._moved():
                        continue
                    if isinstance(error, StoreCorrupt):
                        raise
                    if not (left and is_busy(error)):
                        raise translated(error, self.url) from error
                else:
                    if not self._moved():
                        return value
        msg = f"{self.url} changed whenever it was read: run again"
        raise StoreUnavailable(msg)

    def _moved(self) -> bool:
        """Whether somebody began to write what was taken for still; then it is opened anew."""
        if self._still is None or stillness(self.path) == self._still:
            return False
        self._disconnect()
        return True

    def _once(self, begin: str, work: Callable[[sqlite3.Connection], _T], *, make: bool) -> _T:
        if self._closed:
            msg = f"{self.url} is closed: open it again with open_store"
            raise StoreError(msg)
        if self._connection is None:
            # SQLite waits by itself where waiting cannot end in a deadlock, else we try again.
            wait_s = self.timeout_s / _TRIES
            if self.read_only:
                self._still = stillness(self.path)
                still = self._still is not None
                self._connection = open_to_read(self.path, still=still, timeout_s=wait_s)
            else:
                self._connection = open_file(self.path, make=make, timeout_s=wait_s)
            self._identity = _identity(self.path)
        db = self._connection
        if begin == _WRITE and _identity(self.path) != self._identity:
            msg = (
                f"{self.path} was removed or replaced while it was open, and what is written now "
                "would be lost: put it back, or open the store again"
            )
            raise StoreUnavailable(msg)
        try:
            if db.in_transaction:  # interrupted twice
                db.execute("ROLLBACK")
            db.execute(begin)
            value = work(db)
            db.execute("COMMIT")
        except BaseException:
            # An interrupted caller may never come back: nothing may stay half done, or locked.
            try:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            except sqlite3.Error:
                self._disconnect()
            except BaseException:
                self._disconnect()
                raise
            raise
        return value

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._still = None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._disconnect()
            self._closed = True
            self.owner.close()

    # ----------------------------------------------------------------------- forks

    def _before_fork(self) -> None:
        self._lock.acquire()

    def _after_fork(self) -> None:
        with suppress(RuntimeError):  # a session that another thread made during the fork
            self._lock.release()

    def _in_child(self) -> None:
        # Kept, not closed: the files are the parent's.
        self._inherited = (*self._inherited, self._connection)
        self._connection = None
        self._lock = threading.RLock()
        self.owner = Owner()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _call(this: weakref.ref[Session], method: Callable[[Session], None]) -> None:
    session = this()
    if session is not None:
        method(session)
