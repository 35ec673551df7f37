"""Whether a file may be opened as a store, and how.

Only SQLite may open the file. A process that closes a file gives up *all* its locks on it, those of
its SQLite connections too: another process then takes itself for the last one, removes the log, and
what is written to it from here is lost. Hence `stat` and pragmas where the header would tell.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparktrials.errors import StoreCorrupt, StoreUnavailable
from sparktrials.store import schema
from sparktrials.store.faults import SALVAGE
from sparktrials.store.migrating import steps_from
from sparktrials.store.schema import APPLICATION, connect, create, expected

__all__ = ["open_file", "open_to_read", "stillness"]

_log = logging.getLogger("sparktrials.store")
_SMALLEST = 512  # bytes: a page
_POLLS, _POLL_S = 10, 0.05


def open_file(path: Path, *, make: bool, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to a store's file, making the file where that is asked for.

    Raises
    ------
    StoreCorrupt
        If the file is damaged, or of another program.
    StoreVersionError
        If a newer version of sparktrials made it.
    StoreUnavailable
        If it is not there or cannot be read.
    sqlite3.Error
        If SQLite has another complaint.
    """
    with _opening(path, make=make, mode="rw", timeout_s=timeout_s) as connection:
        _migrate(connection, path)
        _check_whole(connection, path)
        _configure(connection, path)
    return connection


def stillness(path: Path) -> tuple[int, int, int] | None:
    """Return what tells a file that nobody uses from what it becomes; None while somebody does.

    Whoever writes makes a log or a journal beside the file before anything else.
    """
    if any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def open_to_read(path: Path, *, still: bool, timeout_s: float) -> sqlite3.Connection:
    """Return a connection that writes nothing.

    `still`: nobody uses the file. SQLite would leave a log and its index beside it even to read, so
    it is told that the file does not change; the caller sees to that with `stillness`.

    Raises
    ------
    StoreCorrupt, StoreVersionError, StoreUnavailable, sqlite3.Error
        As `open_file` does.
    """
    mode = "ro&immutable=1" if still else "ro"
    with _opening(path, make=False, mode=mode, timeout_s=timeout_s) as connection:
        connection.execute("PRAGMA query_only = ON")
        _check_whole(connection, path)
    return connection


@contextmanager
def _opening(
    path: Path, *, make: bool, mode: str, timeout_s: float
) -> Iterator[sqlite3.Connection]:
    """Connect to a file that is trusted in nothing; it is closed again if the block fails."""
    try:
        if make and not path.exists():
            create(path)
        _look(path)
        connection = connect(path, timeout_s=timeout_s, mode=mode)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")  # a file from elsewhere calls nothing
            connection.execute("PRAGMA cell_size_check = ON")  # damage is found where it is
            yield connection
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        msg = f"{path} cannot be opened as a store: {error.strerror or error}"
        raise StoreUnavailable(msg) from error


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Check a file as it is at one moment."""
    connection.execute("BEGIN")
    _check(connection, path)
    connection.execute("COMMIT")


def _look(path: Path) -> None:
    """Refuse what SQLite would take for a new file; it would even remove its log."""
    if not path.is_file():
        msg = "it is not a file" if path.exists() else "it is not there"
        raise OSError(msg)
    for _ in range(_POLLS):
        # Empty for a moment where another process makes it on a file system without hard links.
        if size := path.stat().st_size:
            break
        time.sleep(_POLL_S)
    else:
        msg = f"{path} is empty and no store: put the right file there, or remove it to start anew"
        raise StoreCorrupt(msg)
    if size < _SMALLEST:
        msg = f"{path} is not an SQLite file, or has been cut: {SALVAGE}"
        raise StoreCorrupt(msg)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables of an older version up to date, all or nothing."""

    def found() -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    if not 0 < found() < schema.VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    before = found()  # somebody else may have been quicker
    for statements in steps_from(before, schema.VERSION, schema.STEPS, str(path)):
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")
    _log.info("%s: its tables were of version %d, now %d", path, before, schema.VERSION)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse files of others, of the future, and damaged ones; nothing is changed so far."""

    def pragma(name: str) -> Any:  # noqa: ANN401 - numbers and texts
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    if pragma("application_id") != APPLICATION:
        msg = f"{path} is an SQLite file of another program: name another file for the store"
        raise StoreCorrupt(msg)
    version = pragma("user_version")
    steps_from(version, schema.VERSION, schema.STEPS, str(path), may_write=False)
    rows = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
    found = {name for kind, name in rows if kind == "table"}
    if not found >= expected() or any(kind == "trigger" for kind, _ in rows):
        msg = f"{path} has not the tables of a store of version {version}: {SALVAGE}"
        raise StoreCorrupt(msg)
    # SQLite has compared the number of pages with that in the header, but not looked at the last.
    if path.stat().st_size % pragma("page_size"):
        log = path.with_name(path.name + "-wal")
        whole = log.exists() and log.stat().st_size and pragma("quick_check(1)") == "ok"
        if not whole:
            msg = f"{path} has been cut, its last page is not whole: {SALVAGE}"
            raise StoreCorrupt(msg)


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    for name in ("fullfsync", "checkpoint_fullfsync"):  # macOS: else fsync leaves data in the disk
        connection.execute(f"PRAGMA {name} = ON")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            _log.debug("%s: no write-ahead log: %s", path, error)
    if mode != "wal":
        _log.warning(
            "%s: its file system allows no write-ahead log. The store uses a rollback journal "
            "(%s), which is as safe and slower; a local disk is better.",
            path,
            mode,
        )
    # EXTRA: without a write-ahead log, a commit is the removal of a file, to be made durable, too.
    connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'wal' else 'EXTRA'}")
