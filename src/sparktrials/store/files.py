"""Whether a file may be opened as a store, and how: checked before SQLite may change anything."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from sparktrials.errors import StoreCorrupt, StoreUnavailable, StoreVersionError
from sparktrials.store.faults import SALVAGE
from sparktrials.store.schema import APPLICATION, VERSION, connect, create, expected

__all__ = ["open_file"]

_log = logging.getLogger("sparktrials.store")
_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes
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
    try:
        if make and not path.exists():
            create(path)
        _inspect(path)
        connection = connect(path, timeout_s=timeout_s)
        try:
            _configure(connection, path)
            connection.execute("BEGIN")
            _check(connection, path)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        msg = f"{path} cannot be opened as a store: {error.strerror or error}"
        raise StoreUnavailable(msg) from error
    return connection


def _inspect(path: Path) -> None:
    """Refuse what is not a store, before SQLite sees it."""
    if not path.is_file():
        msg = "it is not a file" if path.exists() else "it is not there"
        raise OSError(msg)
    for _ in range(_POLLS):
        # Empty for a moment where another process makes it on a file system without hard links.
        if path.stat().st_size:
            break
        time.sleep(_POLL_S)
    header = _header(path)
    if not header:
        msg = f"{path} is empty and no store: put the right file there, or remove it to start anew"
        raise StoreCorrupt(msg)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        msg = f"{path} is not an SQLite file, or its beginning is lost: {SALVAGE}"
        raise StoreCorrupt(msg)
    if _number(header, 68, 4) != APPLICATION:
        msg = f"{path} is an SQLite file of another program: name another file for the store"
        raise StoreCorrupt(msg)


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER)


def _number(header: bytes, offset: int, size: int) -> int:
    return int.from_bytes(header[offset : offset + size], "big")


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    for pragma in (
        "trusted_schema = OFF",  # a file from elsewhere calls no functions
        "cell_size_check = ON",  # damage is found where it is, not where it is felt
        "fullfsync = ON",  # macOS: else fsync leaves data in the disk's cache
        "checkpoint_fullfsync = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
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


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        msg = (
            f"{path} has version {version} of the tables; this sparktrials knows versions up to "
            f"{VERSION}: upgrade it, or name another file"
        )
        raise StoreVersionError(msg)
    rows = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
    found = {name for kind, name in rows if kind == "table"}
    if version != VERSION or not found >= expected() or any(kind == "trigger" for kind, _ in rows):
        msg = f"{path} has not the tables of a store of version {version}: {SALVAGE}"
        raise StoreCorrupt(msg)
    header = _header(path)
    page = _number(header, 16, 2)
    if path.stat().st_size >= _number(header, 28, 4) * (65536 if page == 1 else page):
        return
    # Shorter than its header says. That is a loss, unless its log has the rest, which SQLite knows.
    # The order counts: an empty log says that nobody has written since this transaction began.
    log = path.with_name(path.name + "-wal")
    verdict = "it is shorter than it says"
    if log.exists() and log.stat().st_size:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        msg = f"{path} has been cut ({verdict}): {SALVAGE}"
        raise StoreCorrupt(msg)
