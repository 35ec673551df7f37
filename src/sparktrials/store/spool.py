"""Results that a store would not take, in files on this machine, until a next run hands them in.

A file is named after the store and the experiment, belongs to one process as long as that lives,
and only grows: a line per record, with its checksum, on disk before anybody relies on it. What a
crash cut off at the end was never acknowledged.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import sys
import tempfile
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.errors import StoreUnavailable
from sparktrials.store.records import decode_trial, encode_trial
from sparktrials.store.syncing import sync_directory
from sparktrials.study.values import decode_json, encode_json

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from sparktrials.study.trial import Trial

__all__ = [
    "Spool",
    "content_of",
    "files",
    "header_of",
    "lock",
    "record_of",
    "record_with",
    "same_header",
    "spool_directories",
    "waiting",
    "write_line",
]

_VERSION = 1
_VARIABLE = "SPARKTRIALS_SPOOL"
_CRC_DIGITS = 8


def spool_directories() -> list[Path]:
    """Return where files may be, the first place that can be written being the one for new ones."""
    if given := os.environ.get(_VARIABLE):
        return [Path(given).expanduser().absolute()]
    places = []
    state = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # no home
        home = Path(state) if state else Path.home() / ".local" / "state"
        places.append(home.absolute() / "sparktrials" / "spool")
    user = os.getuid() if hasattr(os, "getuid") else 0
    return [*places, Path(tempfile.gettempdir()) / f"sparktrials-spool-{user}"]


class Spool:
    """Keeps what one process could not hand to a store; the file is made when it is needed.

    Parameters
    ----------
    url, key
        Of the store, without secrets, and of the experiment.
    fingerprint
        Of the experiment's space: results are handed in to no other one.
    """

    def __init__(self, url: str, key: str, fingerprint: str = "") -> None:
        self._header = header_of(url, key, fingerprint)
        self._name = f"{_prefix(url, key)}-{uuid.uuid4().hex[:8]}.spool"
        self._descriptor: int | None = None
        self.path: Path | None = None

    def keep(
        self, trials: Sequence[Trial], attachments: Mapping[int, Mapping[str, bytes]] | None = None
    ) -> str:
        """Write trials and attachments to the file, and to the disk; return where that is.

        Raises
        ------
        OSError
            If that is not possible.
        InvalidTrial
            If a trial holds something that JSON cannot carry.
        """
        record = record_with(trials, attachments or {})
        if self._descriptor is None:
            self._open()
        assert self._descriptor is not None  # noqa: S101 - for the type checker
        write_line(self._descriptor, record)
        return str(self.path)

    def _open(self) -> None:
        problem: OSError | None = None
        for directory in spool_directories():
            try:
                _own(directory)
                path = directory / self._name
                new = path.with_suffix(".new")
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
                descriptor = os.open(new, flags, 0o600)
            except OSError as error:
                problem = error
                continue
            # Others look for files of its last name: nobody sees it before it is locked.
            try:
                lock(descriptor)
                write_line(descriptor, self._header)
                new.rename(path)
            except OSError as error:  # full, perhaps
                problem = error
                os.close(descriptor)
                with suppress(OSError):
                    new.unlink()
                continue
            self._descriptor, self.path = descriptor, path
            sync_directory(directory)
            return
        raise problem or OSError("there is no directory for it")

    def close(self) -> None:
        """Let others have the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def waiting(url: str, key: str) -> list[Path]:
    """Return the files on this machine with results for an experiment, those in use left out."""
    return [path for path in files(url, key, "spool") if not _in_use(path)]


def _in_use(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return not lock(descriptor)
    finally:
        os.close(descriptor)


def files(url: str, key: str, kind: str) -> list[Path]:
    """Return an experiment's files: of kind ``spool``, or set aside as ``damaged``, ``refused``."""
    return [
        path
        for directory in spool_directories()
        if _is_own(directory)
        for path in sorted(directory.glob(f"{_prefix(url, key)}-*.{kind}"))
    ]


# --------------------------------------------------------------------------- lines


def write_line(descriptor: int, record: Mapping[str, Any]) -> None:
    """Add a line, all of it or, as far as can be, nothing; it is on disk when this returns."""
    data = encode_json(record).encode()
    line = b"%08x %b\n" % (zlib.crc32(data), data)
    before = os.fstat(descriptor).st_size
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):  # half a line on a full disk would spoil the next one
            os.ftruncate(descriptor, before)
        raise


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return what a line says, None if it is damaged."""
    crc, data = line[:_CRC_DIGITS], line[_CRC_DIGITS + 1 :]
    if crc != b"%08x" % zlib.crc32(data):
        return None
    with suppress(ValueError):
        record = decode_json(data.decode())
        if type(record) is dict:
            return record
    return None


def record_with(
    trials: Sequence[Trial], attachments: Mapping[int, Mapping[str, bytes]]
) -> dict[str, Any]:
    """Return a line with trials and attachments, which `content_of` reads.

    Raises
    ------
    InvalidTrial
        If a trial holds something that JSON cannot carry.
    """
    return {
        "trials": [encode_trial(trial) for trial in trials],
        "attachments": [
            [number, name, base64.b64encode(content).decode()]
            for number, contents in attachments.items()
            for name, content in contents.items()
        ],
    }


def content_of(
    record: Mapping[str, Any] | None,
) -> tuple[list[Trial], dict[int, dict[str, bytes]]]:
    """Return the trials and attachments of a line.

    Raises
    ------
    InvalidTrial, StoreVersionError, LookupError, TypeError, ValueError
        If it is no such line.
    """
    if record is None:
        msg = "damaged"
        raise ValueError(msg)
    trials = [decode_trial(text) for text in record["trials"]]
    attachments: dict[int, dict[str, bytes]] = {}
    for number, name, content in record["attachments"]:
        attachments.setdefault(number, {})[name] = base64.b64decode(content, validate=True)
    return trials, attachments


def header_of(url: str, key: str, fingerprint: str) -> dict[str, Any]:
    """Return the first line of a file."""
    return {"sparktrials_spool": _VERSION, "url": url, "key": key, "fingerprint": fingerprint}


def same_header(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether a file with that first line is for an experiment."""
    # A space that is not known yet is any.
    return all(
        found.get(name) == value or (name == "fingerprint" and "" in {found.get(name), value})
        for name, value in expected.items()
    )


def _prefix(url: str, key: str) -> str:
    return hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:32]


# --------------------------------------------------------------------------- files


def _own(directory: Path) -> None:
    """Make a directory for this user's eyes only.

    Raises
    ------
    StoreUnavailable
        If it is there, and somebody else's.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own(directory):
        msg = f"{directory} is not this user's alone: name another one in {_VARIABLE}"
        raise StoreUnavailable(msg)


def _is_own(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (
        found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def lock(descriptor: int) -> bool:
    """Lock a file as long as it is open; False if another process has it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
