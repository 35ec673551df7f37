"""Experiments in one SQLite file, by the standard library alone.

Each call is one transaction, on disk when it returns. What may not be overwritten is guarded in
SQL, so that it holds against other processes, too. A position is a number that grows with every
transaction which changed something; a trial has that of its last change.
"""

from __future__ import annotations

import hashlib
import operator
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.errors import StoreCorrupt, StoreError, StoreInUse
from sparktrials.store import lease
from sparktrials.store.records import encode_experiment
from sparktrials.store.requests import attached, checked_key, named
from sparktrials.store.rows import (
    PUT_ATTACHMENT,
    PUT_TRIAL,
    READ_ALL,
    READ_CHANGES,
    experiment_from,
    holder_of,
    trial_from,
    trial_row,
    whole,
)
from sparktrials.store.session import Session

if TYPE_CHECKING:
    from typing_extensions import Self

    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """A store in a file; safe for threads, processes and forks.

    Parameters
    ----------
    path
        The file. It is made if it is missing, with its directories.
    timeout_s
        How long to wait for another process that has the file locked.

    Raises
    ------
    StoreCorrupt, StoreVersionError, StoreUnavailable
        If the file cannot be opened as a store; it is left as it is.

    Notes
    -----
    Every method raises `StoreUnavailable` when the file is locked for too long, full, read-only or
    unreachable, and `StoreCorrupt` when it finds damage. What was acknowledged before stays.

    A pickled store is opened again by its path, when it is used first, and never makes a file.
    """

    durable: bool = True

    def __init__(self, path: Path | str, *, timeout_s: float = 15.0) -> None:
        self._restore(Path(path).expanduser().absolute(), timeout_s)
        self._session.read(lambda _: None, make=True)

    def _restore(self, path: Path, timeout_s: float) -> None:
        self._session = Session(path, timeout_s)
        self._leases: dict[str, str] = {}  # key -> the session's owner when it was acquired
        self._claims: set[str] = set()  # keys for which there may be a lease, come what may

    @property
    def url(self) -> str:
        """The URL that opens it again."""
        return self._session.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._session.path)!r})"

    # ----------------------------------------------------------------------- experiments

    def experiments(self) -> list[Experiment]:
        """Return all experiments, by key."""
        query = "SELECT document FROM experiment ORDER BY key"
        rows = self._session.read(lambda db: db.execute(query).fetchall())
        return sorted((experiment_from(text, self.url) for (text,) in rows), key=lambda e: e.key)

    def experiment(self, key: str) -> Experiment | None:
        """Return one, or None."""
        query = "SELECT document FROM experiment WHERE key = ?"
        row = self._session.read(lambda db: db.execute(query, (checked_key(key),)).fetchone())
        return None if row is None else experiment_from(row[0], self.url)

    def create(self, experiment: Experiment) -> Experiment:
        """Add it unless its key is there; return the one that is stored.

        Raises
        ------
        InvalidArgument, InvalidTrial
            If its key or another field cannot be stored.
        """
        key, document = checked_key(experiment.key), encode_experiment(experiment)

        def work(db: sqlite3.Connection) -> Any:  # noqa: ANN401 - whatever the file holds
            db.execute(
                "INSERT INTO experiment (key, document) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                (key, document),
            )
            query = "SELECT document FROM experiment WHERE key = ?"
            return db.execute(query, (key,)).fetchone()[0]

        return experiment_from(self._session.write(work), self.url)

    def bind(self, experiment: Experiment, *, replace: bool = False) -> Experiment:
        """Give an experiment whose space is not known yet its space; return the one stored.

        `replace`: also if it has one.

        Raises
        ------
        InvalidTrial
            If a field cannot be stored.
        StoreError
            If there is no such experiment.
        """
        key, document = checked_key(experiment.key), encode_experiment(experiment)

        def work(db: sqlite3.Connection) -> Experiment:
            number = self._known(db, key)
            query = "SELECT document FROM experiment WHERE id = ?"
            found = experiment_from(db.execute(query, (number,)).fetchone()[0], self.url)
            if found.fingerprint and not replace:
                return found
            db.execute("UPDATE experiment SET document = ? WHERE id = ?", (document, number))
            return experiment

        return self._session.write(work)

    def delete(self, key: str) -> None:
        """Remove an experiment with all its trials and attachments; nothing if it is not there.

        Raises
        ------
        StoreInUse
            If another driver holds it.
        """

        def work(db: sqlite3.Connection) -> None:
            number = _number(db, key)
            if number is None:
                return
            holder = holder_of(db, number, self.url)
            if holder is not None and holder.owner != self._session.owner:
                self._refuse_living(key, holder, lease.Holder.here(self._session.owner))
            for table in ("trial", "attachment", "lease"):
                db.execute(f"DELETE FROM {table} WHERE experiment = ?", (number,))  # noqa: S608 - ours
            db.execute("DELETE FROM experiment WHERE id = ?", (number,))

        self._session.write(work)
        self._leases.pop(key, None)

    # ----------------------------------------------------------------------- leases

    def acquire(self, key: str) -> None:
        """Become the experiment's one driver.

        A driver whose process is gone is replaced. So is one on another host, with a warning: the
        file is on a local disk, so that another name means a container or cluster that started
        anew. The driver that was replaced is refused from then on.

        Raises
        ------
        StoreInUse
            If another driver that is alive holds it, in this process or another one.
        StoreError
            If there is no such experiment.
        """
        checked_key(key)
        here = lease.Holder.here(self._session.owner)

        def work(db: sqlite3.Connection) -> lease.Holder | None:
            number = self._known(db, key)
            holder = holder_of(db, number, self.url)
            # One of our own that nobody told us of: the acknowledgement was lost.
            unknown = holder is not None and holder.owner == here.owner and not self._drives(key)
            if holder is not None and not unknown:
                self._refuse_living(key, holder, here)
            db.execute(
                "INSERT OR REPLACE INTO lease (experiment, host, namespace, pid, started, owner) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (number, here.host, here.namespace, here.pid, here.started, here.owner),
            )
            return None if unknown else holder

        self._claims.add(key)
        replaced = self._session.write(work)
        self._leases[key] = here.owner
        if replaced is not None:
            lease.log_replaced(key, self.url, replaced, here)

    def release(self, key: str) -> None:
        """Stop being the driver; idempotent."""
        if key not in self._claims:
            return
        query = (
            "DELETE FROM lease WHERE owner = ? "
            "AND experiment = (SELECT id FROM experiment WHERE key = ?)"
        )
        self._session.write(lambda db: db.execute(query, (self._session.owner, key)))
        self._leases.pop(key, None)
        self._claims.discard(key)

    def _drives(self, key: str) -> bool:
        return self._leases.get(key) == self._session.owner

    def _refuse_living(self, key: str, holder: lease.Holder, here: lease.Holder) -> None:
        if holder.same_process(here):
            alive = Session.lives(holder.owner)
        else:
            alive = holder.visible(here) and holder.alive()
        if alive:
            raise StoreInUse(lease.refusal(key, self.url, holder, here))

    # ----------------------------------------------------------------------- trials

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes]] | None = None,
    ) -> None:
        """Write the trials' present states, and attachments by trial id, in one transaction.

        A state that is already there, or comes too late (the stored trial is terminal, or of a
        later attempt), changes nothing, and neither do its attachments. The names of attachments
        are added to their trial's.

        Raises
        ------
        InvalidTrial
            If a trial holds something that JSON cannot carry.
        InvalidArgument, InvalidArgumentType
            If the attachments are not bytes by name of trials that are given, too.
        StoreError
            If there is no such experiment.
        StoreInUse
            If another driver has taken the experiment over from this one.
        """
        contents = attached(trials, attachments)
        rows = [trial_row(named(trial, contents)) for trial in trials]
        files = [
            (number, name, hashlib.sha256(content).digest(), content, attempt)
            for number, attempt, *_ in rows
            for name, content in contents.get(number, {}).items()
        ]

        def work(db: sqlite3.Connection) -> None:
            number = self._known(db, key)
            self._check_lease(db, key, number)
            before = db.total_changes
            if files:
                db.executemany(PUT_ATTACHMENT, [(number, *file) for file in files])
            position = whole(db.execute("SELECT position FROM counter").fetchone(), self.url) + 1
            db.executemany(
                PUT_TRIAL,
                (
                    (number, trial, attempt, state, position, crc, document)
                    for trial, attempt, state, crc, document in rows
                ),
            )
            if db.total_changes != before:
                db.execute("UPDATE counter SET position = ?", (position,))

        self._session.write(work)

    def read(self, key: str, since: int = 0) -> tuple[list[Trial], int]:
        """Return the trials that changed after position `since`, by id, and the new position.

        Raises
        ------
        StoreError
            If there is no such experiment.
        StoreCorrupt
            If a trial is damaged; the message names it.
        """
        start = operator.index(since)

        def work(db: sqlite3.Connection) -> list[tuple[Any, Any, Any, Any]]:
            return db.execute(
                READ_CHANGES if start > 0 else READ_ALL, (self._known(db, key), start)
            ).fetchall()

        rows = self._session.read(work)
        where = f"{key!r} in {self.url}"
        trials = [trial_from(number, crc, text, where) for number, _, crc, text in rows]
        position = max((whole(row[1:2], self.url) for row in rows), default=start)
        return trials, position

    def attachment(self, key: str, trial_id: int, name: str) -> bytes:
        """Return one attachment; KeyError if there is none.

        Raises
        ------
        StoreError
            If there is no such experiment.
        StoreCorrupt
            If its checksum differs.
        """
        query = "SELECT sha256, content FROM attachment WHERE experiment=? AND trial=? AND name=?"
        number = operator.index(trial_id)

        def work(db: sqlite3.Connection) -> tuple[Any, Any] | None:
            row: tuple[Any, Any] | None
            row = db.execute(query, (self._known(db, key), number, name)).fetchone()
            return row

        row = self._session.read(work)
        if row is None:
            msg = f"trial {number} of experiment {key!r} has no attachment {name!r}"
            raise KeyError(msg)
        digest, content = row
        if type(content) is not bytes or hashlib.sha256(content).digest() != digest:
            msg = f"the attachment {name!r} of trial {number} of {key!r} in {self.url} is damaged"
            raise StoreCorrupt(msg)
        return content

    def _known(self, db: sqlite3.Connection, key: str) -> int:
        number = _number(db, key)
        if number is None:
            msg = f"{self.url} has no experiment {key!r}"
            raise StoreError(msg)
        return number

    def _check_lease(self, db: sqlite3.Connection, key: str, number: int) -> None:
        """Refuse a driver that was replaced: it must not go on writing beside its successor."""
        if not self._drives(key):
            return
        holder = holder_of(db, number, self.url)
        if holder is None or holder.owner != self._session.owner:
            msg = (
                f"experiment {key!r} in {self.url} was taken over by {holder or 'nobody'}: "
                "this driver must stop"
            )
            raise StoreInUse(msg)

    # ----------------------------------------------------------------------- the end

    def close(self) -> None:
        """Give back all leases and close the file; idempotent."""
        if not self._session.closed:
            for key in list(self._claims):
                with suppress(StoreError):  # whoever comes next sees that nobody drives it
                    self.release(key)
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A notebook loses stores with every cell that is run again: their leases must not stay.
        with suppress(Exception):
            self.close()

    def __getstate__(self) -> tuple[Path, float]:
        return self._session.path, self._session.timeout_s

    def __setstate__(self, state: tuple[Path, float]) -> None:
        self._restore(*state)


def _number(db: sqlite3.Connection, key: str) -> int | None:
    row = db.execute("SELECT id FROM experiment WHERE key = ?", (checked_key(key),)).fetchone()
    return None if row is None else int(row[0])
