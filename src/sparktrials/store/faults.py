"""What SQLite complains about, as this package's exceptions: what is wrong, and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from sparktrials.errors import (
    InvalidArgument,
    SparkTrialsError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)

__all__ = ["SALVAGE", "is_busy", "translated"]

#: What to do about a damaged file.
SALVAGE = "move it away and restore a copy, or save what is left with: sqlite3 FILE .recover"

_ERROR, _BUSY, _LOCKED, _TOO_BIG, _NOT_A_DATABASE = 1, 5, 6, 18, 26
_CORRUPT = frozenset({_ERROR, 11, 19, 20, 24})  # CORRUPT CONSTRAINT MISMATCH FORMAT
_ROOM = "make room and run again: what was stored before is intact"
_RIGHTS = "it may not be written: check the owner and the mode of the file and its directory"
_LOCAL = (
    "the disk reports an error; network file systems (NFS, /dbfs, /Volumes) cannot hold SQLite "
    "files: keep it on a local disk, or set SPARKTRIALS_SNAPSHOTS=always to have copies there"
)
#: Code of SQLite -> what to do.
_UNAVAILABLE: Mapping[int, str] = {
    3: _RIGHTS,  # PERM
    4: "run again",  # ABORT
    _BUSY: "another process keeps it locked: end it, or use another file",
    _LOCKED: "another part of this process keeps it locked: close its other stores",
    7: "there is no memory left",  # NOMEM
    8: _RIGHTS,  # READONLY
    9: "run again",  # INTERRUPT
    10: _LOCAL,  # IOERR
    13: _ROOM,  # FULL
    14: "check that its directory is there and may be written",  # CANTOPEN
    15: _LOCAL,  # PROTOCOL
    22: _LOCAL,  # NOLFS
    23: _RIGHTS,  # AUTH
}
#: Beginnings of SQLite's messages, for Python 3.10, which does not pass the codes on.
_MESSAGES: Mapping[str, int] = {
    "database is locked": _BUSY,
    "database table is locked": _LOCKED,
    "attempt to write a readonly": 8,
    "disk I/O error": 10,
    "database disk image is malformed": 11,
    "database or disk is full": 13,
    "unable to open database": 14,
    "locking protocol": 15,
    "file is not a database": _NOT_A_DATABASE,
    "string or blob too big": _TOO_BIG,
}


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF  # the rest says more than is needed here
    for beginning, known in _MESSAGES.items():
        if str(error).startswith(beginning):
            return known
    return _ERROR if isinstance(error, sqlite3.OperationalError) else None


def is_busy(error: sqlite3.Error) -> bool:
    """Whether trying again may help."""
    return _code(error) in {_BUSY, _LOCKED}


def translated(error: sqlite3.Error, url: str) -> SparkTrialsError:
    """Return the exception to raise for one of SQLite's."""
    code = _code(error)
    if code == _NOT_A_DATABASE:
        return StoreCorrupt(f"{url} is not an SQLite file, or its beginning is lost: {SALVAGE}")
    if code in _CORRUPT:
        return StoreCorrupt(f"{url} is damaged ({error}): {SALVAGE}")
    if code is not None and code in _UNAVAILABLE:
        return StoreUnavailable(f"{url} is unavailable ({error}): {_UNAVAILABLE[code]}")
    if code == _TOO_BIG:
        return InvalidArgument(f"a result or an attachment is too big for {url} ({error})")
    return StoreError(f"{url}: {error}")
