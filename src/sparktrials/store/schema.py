"""The SQLite file: its tables, and how it comes to be.

A new file is made complete under another name and then linked into place, so that nobody ever sees
half of one: processes may race to make it, and may be killed. It follows that a file without
content has lost it, which is an error and not a new start.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from sparktrials.errors import StoreCorrupt
from sparktrials.store.syncing import sync_directory

__all__ = ["APPLICATION", "STEPS", "VERSION", "connect", "create", "expected"]

#: Version of the tables, kept in ``PRAGMA user_version``; that of the documents is another.
VERSION = 2
#: What marks a file as a store: "SpTr".
APPLICATION = 0x53705472

# `attempt` and `state` repeat what the document says, for the guard of `append`. The last position
# of a trial, not a log of its changes, is what readers go by: one row per trial, however often it
# changes. `crc` finds what SQLite does not look for: flipped bits inside a row.
_TABLES: Mapping[str, str] = {
    "experiment": """
        CREATE TABLE experiment (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            document TEXT NOT NULL
        )""",
    "trial": """
        CREATE TABLE trial (
            experiment INTEGER NOT NULL REFERENCES experiment (id),
            id INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            state TEXT NOT NULL,
            position INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            document TEXT NOT NULL,
            PRIMARY KEY (experiment, id)
        ) WITHOUT ROWID""",
    "attachment": """
        CREATE TABLE attachment (
            experiment INTEGER NOT NULL REFERENCES experiment (id),
            trial INTEGER NOT NULL,
            name TEXT NOT NULL,
            sha256 BLOB NOT NULL,
            PRIMARY KEY (experiment, trial, name)
        ) WITHOUT ROWID""",
    "piece": """
        CREATE TABLE piece (
            experiment INTEGER NOT NULL REFERENCES experiment (id),
            trial INTEGER NOT NULL,
            name TEXT NOT NULL,
            number INTEGER NOT NULL,
            content BLOB NOT NULL,
            PRIMARY KEY (experiment, trial, name, number)
        )""",
    "lease": """
        CREATE TABLE lease (
            experiment INTEGER PRIMARY KEY REFERENCES experiment (id),
            host TEXT NOT NULL,
            namespace TEXT NOT NULL,
            pid INTEGER NOT NULL,
            started TEXT NOT NULL,
            owner TEXT NOT NULL
        )""",
    "counter": "CREATE TABLE counter (position INTEGER NOT NULL)",
}
#: Older version -> the statements that make the next one of it, in one transaction.
STEPS: Mapping[int, Sequence[str]] = {
    1: (  # attachments were one row each
        "ALTER TABLE attachment RENAME TO attachment_1",
        _TABLES["attachment"],
        _TABLES["piece"],
        "INSERT INTO attachment SELECT experiment, trial, name, sha256 FROM attachment_1",
        "INSERT INTO piece SELECT experiment, trial, name, 0, content FROM attachment_1",
        "DROP TABLE attachment_1",
    ),
}
_SCHEMA = (
    *_TABLES.values(),
    "CREATE INDEX trial_position ON trial (experiment, position)",
    "INSERT INTO counter VALUES (0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def expected() -> frozenset[str]:
    """Return the names of the tables."""
    return frozenset(_TABLES)


def connect(path: Path, *, timeout_s: float, mode: str = "rw") -> sqlite3.Connection:
    """Open a file that exists; transactions are begun and ended by hand."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",  # none makes the file
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )


def create(path: Path) -> None:
    """Make a new, empty store, unless somebody else does so first.

    Missing directories are made, for the user's eyes only.

    Raises
    ------
    StoreCorrupt
        If the file is gone, but the log of its latest changes is still there.
    OSError, sqlite3.Error
        If that is not possible.
    """
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    for suffix in ("-wal", "-journal"):
        left = path.with_name(path.name + suffix)
        # SQLite would play the log of the lost file into the new one. Looked at in this order, a
        # log without a file cannot be one that is being made just now.
        if left.exists() and not path.exists():
            msg = (
                f"{path} is missing, but {left.name} with its latest changes is there: put the "
                "file back, or remove that one to start anew"
            )
            raise StoreCorrupt(msg)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    os.close(descriptor)  # mode 0600, and SQLite's other files take theirs from it
    try:
        with closing(connect(Path(name), timeout_s=0.0)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")
            with suppress(sqlite3.OperationalError):  # where it cannot be, `open_file` says so
                connection.execute("PRAGMA journal_mode = WAL")
        _publish(name, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(name + suffix).unlink()


def _publish(name: str, path: Path) -> None:
    """Give a finished file its name, unless that is taken."""
    try:
        os.link(name, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links: claim the name, then replace the claim
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return
        Path(name).replace(path)
    sync_directory(path.parent)
