"""An SQLite store for places where SQLite cannot run: on the local disk, with copies there.

The file that is worked on is in this machine's cache directory. A snapshot of it, a whole and
consistent SQLite file, is written beside the given place and then renamed onto it: after a run,
when the store is closed, and every few seconds while it changes. A start takes the snapshot up, or
goes on with the local file if that is where the snapshot came from. Which of both it is says a note
beside the local file with the checksum of the last snapshot; no clock is compared.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sparktrials.errors import StoreError, StoreUnavailable
from sparktrials.store.contents import measured
from sparktrials.store.heartbeat import Heartbeat
from sparktrials.store.sqlite import SQLiteStore
from sparktrials.store.syncing import sync, sync_directory

if sys.platform != "win32":
    import fcntl

__all__ = ["SnapshotStore"]

_log = logging.getLogger("sparktrials.store")
#: Seconds between snapshots while trials arrive: what is lost with the machine, at most.
_EVERY_S = 10.0


class SnapshotStore(SQLiteStore):
    """A store that works on a local file, and keeps snapshots of it at a place.

    Parameters
    ----------
    path
        The place.
    reason
        Why SQLite cannot run there, for people.
    timeout_s
        As in `SQLiteStore`.

    Raises
    ------
    StoreCorrupt, StoreVersionError, StoreUnavailable
        As `SQLiteStore` does.
    """

    #: Each machine works on a copy of its own.
    shared = False

    def __init__(self, path: Path, reason: str, *, timeout_s: float = 15.0) -> None:
        self._place = path
        self._kept: object = None  # the state of the local file that the snapshot has
        local = _local_path(path)
        with _locked(local):
            _take_up(path, local)
        super().__init__(local, timeout_s=timeout_s)
        self._heartbeat = Heartbeat(self, SnapshotStore.snapshot, _EVERY_S)
        self._heartbeat.start()
        with suppress(StoreError):
            self.snapshot()
        _log.warning(
            "%s: SQLite cannot run there (%s). The history is in %s, and a snapshot of it at that "
            "place every %.0f s and at the end of each run: if this machine is lost, so is what "
            "came since.",
            path,
            reason,
            local,
            _EVERY_S,
        )

    @property
    def url(self) -> str:
        """The URL of the place."""
        return f"sqlite:///{self._place}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._place)!r})"

    def snapshot(self) -> bool:
        """Write a snapshot, if something has changed since the last one; return whether it has.

        Raises
        ------
        StoreUnavailable
            If it cannot be written: the local file stays.
        StoreError
            If somebody else has written another one meanwhile, which stays.
        """
        local, state = self._session.path, _state_of(self._session.path)
        if state == self._kept:
            return False
        try:
            with _locked(local), tempfile.TemporaryDirectory(dir=local.parent) as directory:
                copy = Path(directory) / "copy.db"
                self._copy(copy)
                digest, last = str(_digest(copy)), _noted(local)
                there = _digest(self._place)
                if there == digest:
                    self._kept = state
                    return False
                if there is not None and there not in last:
                    raise StoreError(self._parted(local))
                # Noted first: whichever of both is found there is ours.
                _note(local, digest, *([] if there is None else [there]))
                _publish(copy, self._place)
                self._kept = state
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, StoreUnavailable):
                raise
            msg = (
                f"no snapshot could be written to {self._place} ({error}): the history is in "
                f"{local}, and the next start on this machine goes on from there"
            )
            raise StoreUnavailable(msg) from error
        return True

    def _parted(self, local: Path) -> str:
        return (
            f"another machine has written to {self._place} meanwhile: its history stays there, and "
            f"this one in {local}. Export one of them and import it into the other, under another "
            "exp_key"
        )

    def _copy(self, path: Path) -> None:
        def work(db: sqlite3.Connection) -> None:
            with closing(sqlite3.connect(path)) as target:
                db.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it

        self._session.alone(work)

    def _free(self, key: str, owner: str) -> None:
        super()._free(key, owner)
        self._tell_if_not()

    def _shut(self) -> None:
        if hasattr(self, "_heartbeat"):  # else opening failed
            self._heartbeat.stop()
            if not self._is_shut:
                self._tell_if_not()
        super()._shut()

    def _tell_if_not(self) -> None:
        try:
            self.snapshot()
        except StoreError as error:
            _log.error("%s", error)

    def __getstate__(self) -> tuple[Path, float, bool]:
        return self._place, self._session.timeout_s, self.read_only

    def __setstate__(self, state: tuple[Path, float, bool]) -> None:
        place, timeout_s, _ = state
        SnapshotStore.__init__(self, place, "as before", timeout_s=timeout_s)


def _local_path(place: Path) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    home = Path(cache) if cache else Path.home() / ".cache"
    name = hashlib.sha256(str(place).encode(errors="surrogateescape")).hexdigest()[:32]
    return home.absolute() / "sparktrials" / name / place.name


@contextmanager
def _locked(local: Path) -> Iterator[None]:
    """Exclude other processes of this machine, which share the local file."""
    local.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with local.with_name(f"{local.name}.lock").open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take_up(place: Path, local: Path) -> None:
    """See that the local file is the one to go on with."""
    there = _digest(place)
    if there is None or (local.exists() and there in _noted(local)):
        return
    if (aside := _put_aside(local)) is not None:
        _log.warning(
            "%s was written by another machine since %s was: the history goes on from there, and "
            "what this machine had is kept in %s",
            place,
            local,
            aside,
        )
    with tempfile.TemporaryDirectory(dir=local.parent) as directory:
        copy = Path(directory) / "copy.db"
        shutil.copyfile(place, copy)
        digest = _digest(copy)
        copy.chmod(0o600)
        sync(copy)  # SQLite syncs what it writes later, not what this is made of
        _note(local, str(digest))
        copy.replace(local)
        sync_directory(local.parent)


def _put_aside(local: Path) -> Path | None:
    """Put the local file aside, and its log; return where they are, None if there was nothing.

    A log without its file, which a kill in the middle of this leaves, must not stay either: SQLite
    would play it into the next file of that name.
    """
    aside = local.with_name(f"{local.name}.{uuid.uuid4().hex[:8]}.aside")
    names = [
        (local.with_name(local.name + suffix), aside.with_name(aside.name + suffix))
        for suffix in ("-wal", "-shm", "")
    ]
    there = [(old, new) for old, new in names if old.exists()]
    for old, new in there:  # all of it is there twice before any of it goes
        try:
            os.link(old, new)
        except OSError:  # no hard links there
            shutil.copyfile(old, new)
    for old, _ in reversed(there):
        old.unlink()
    return aside if there else None


def _publish(copy: Path, place: Path) -> None:
    """Put a copy at the place, in one step: written from front to back, then renamed."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        with copy.open("rb") as source, new.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        with suppress(OSError):  # not everywhere do files have modes
            new.chmod(0o600)
        new.replace(place)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _digest(path: Path) -> str | None:
    """Return the checksum of a file, None if there is none."""
    try:
        with path.open("rb") as file:
            return measured(file)[0].hex()
    except FileNotFoundError:
        return None


def _state_of(local: Path) -> object:
    """Return what changes when anybody writes to a local file."""
    states = []
    for suffix in ("", "-wal"):
        with suppress(OSError):
            found = local.with_name(local.name + suffix).stat()
            states.append((suffix, found.st_ino, found.st_size, found.st_mtime_ns))
    return states


def _noted(local: Path) -> list[str]:
    """Return the checksums of the snapshots that the local file goes on from."""
    with suppress(OSError):
        return local.with_name(f"{local.name}.snapshot").read_text().split()
    return []


def _note(local: Path, *digests: str) -> None:
    new = local.with_name(f"{local.name}.snapshot.new")
    new.write_text(" ".join(digests))
    sync(new)  # a note that a power failure emptied would have the local file put aside
    new.replace(local.with_name(f"{local.name}.snapshot"))
    sync_directory(local.parent)
