"""Where trials are kept: in memory, in an SQLite file, or on a database server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sparktrials.errors import InvalidArgument, InvalidArgumentType, StoreUnavailable
from sparktrials.store.absorbing import absorb
from sparktrials.store.memory import MemoryStore
from sparktrials.store.spool import Spool
from sparktrials.store.spooling import SpoolingStore
from sparktrials.store.url import is_url, kind_of, masked, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sparktrials.store.sqlite import SQLiteStore
    from sparktrials.study.board import Board
    from sparktrials.study.protocols import Store

#: Whether files are worked on elsewhere, with snapshots: ``auto``, ``always`` or ``never``.
_SNAPSHOTS = "SPARKTRIALS_SNAPSHOTS"

#: Kind of store -> what to install for it, for people: the extras of that name.
_PACKAGES: Mapping[str, str] = {
    "sql": "sqlalchemy 'psycopg[binary]' pymysql",
    "mongo": "'pymongo<5'",
}

__all__ = [
    "MemoryStore",
    "SQLiteStore",
    "Spool",
    "SpoolingStore",
    "absorb",
    "board_of",
    "is_url",
    "masked",
    "open_board",
    "open_store",
]


def open_store(store: str | Store, *, read_only: bool = False) -> Store:
    """Return the store that a URL names; a store object is returned as it is.

    Parameters
    ----------
    store
        ``memory:`` for a new one in memory, ``sqlite:///history.db`` for a file below the working
        directory, ``sqlite:////data/history.db`` for an absolute path, ``sqlite:///~/history.db``
        for one in the home directory. A file that is missing is made, with its directories, for
        its owner only. ``postgresql://user:password@host:port/database`` and ``mysql://...`` for
        MariaDB, too: tables are made in that database. ``mongodb://host:port/database``,
        ``mongodb+srv://...``, or Hyperopt's ``mongo://host:port/database/jobs``: collections are
        made there. All of these take their driver's options after a question mark.
    read_only
        Whether to write nothing: neither files nor tables are made, a store that is not there is an
        error, and so is every call that would write. A store object stays as it was opened.

    Raises
    ------
    InvalidArgument
        If the URL is not one of these.
    InvalidArgumentType
        If it is neither a URL nor a store.
    StoreCorrupt
        If the file is damaged or no store; it is left as it is.
    StoreVersionError
        If a newer version of sparktrials wrote it.
    StoreUnavailable
        If it cannot be opened: rights, a lock, a full disk, a server that does not answer, a
        package that is not installed.
    """
    if isinstance(store, str):
        return _opened(store, read_only=read_only)
    if all(callable(getattr(store, name, None)) for name in ("append", "read", "acquire")):
        return store
    msg = f"a store must be a URL, such as 'sqlite:///history.db', or a store, got {store!r}"
    raise InvalidArgumentType(msg)


def open_board(url: str) -> tuple[Board, Callable[[], None]]:
    """Return the notes of the store that a URL names, and what closes it.

    Raises
    ------
    InvalidArgument
        If the store is in this process's memory.
    StoreError
        As `open_store`.
    """
    store = open_store(url)
    return board_of(store), store.close


def board_of(store: Store) -> Board:
    """Return the notes of a store that several processes can share.

    Raises
    ------
    InvalidArgument
        If it is in this process's memory, or worked on in a copy of this machine's.
    """
    board: Callable[[], Board] | None = getattr(store, "board", None)
    if not getattr(store, "shared", True):
        msg = (
            f"SQLite cannot run at {store.url}, so each machine works on a copy of its own, which "
            "workers cannot share: name a file on a local disk for workers on one machine, or a "
            "database server"
        )
        raise InvalidArgument(msg)
    if board is None:
        msg = (
            f"workers are other processes, and {store.url} is this one's alone: name a store that "
            "they share, such as sqlite:///runs.db on one machine, or a database server"
        )
        raise InvalidArgument(msg)
    return board()


def _opened(url: str, *, read_only: bool) -> Store:
    kind = kind_of(url)
    if kind == "memory":
        return MemoryStore()
    if kind == "sqlite":
        return _file(sqlite_path(url), read_only=read_only)
    try:
        if kind == "sql":
            from sparktrials.store.sql.store import SQLStore  # noqa: PLC0415 - an extra

            return SQLStore(url, read_only=read_only)
        from sparktrials.store.mongo.store import MongoStore  # noqa: PLC0415 - an extra

        return MongoStore(url, read_only=read_only)
    except ModuleNotFoundError as error:
        msg = f"{masked(url)} needs packages ({error}): pip install {_PACKAGES[kind]}"
        raise StoreUnavailable(msg) from error


def _file(path: Path, *, read_only: bool) -> Store:
    """Open a file: where it is, or on the local disk where SQLite cannot run at its place."""
    wanted = os.environ.get(_SNAPSHOTS, "auto")
    if wanted not in {"auto", "always", "never"}:
        msg = f"{_SNAPSHOTS} must be auto, always or never, got {wanted!r}"
        raise InvalidArgument(msg)
    if not read_only and wanted != "never":
        from sparktrials.store.mounts import why_not_here  # noqa: PLC0415 - for files alone

        told = f"{_SNAPSHOTS} says so" if wanted == "always" else ""
        reason = why_not_here(path.parent) or told
        if reason:
            from sparktrials.store.snapshots import SnapshotStore  # noqa: PLC0415 - rare

            return SnapshotStore(path, reason)
    return _sqlite_store()(path, read_only=read_only)


def _sqlite_store() -> type[SQLiteStore]:
    # Late: trials in memory must not depend on a Python that was built with SQLite.
    from sparktrials.store.sqlite import SQLiteStore  # noqa: PLC0415

    return SQLiteStore


def __getattr__(name: str) -> type[SQLiteStore]:
    if name == "SQLiteStore":
        return _sqlite_store()
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
