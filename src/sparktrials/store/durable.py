"""What all stores that outlive the process have in common; each kind adds how it keeps things.

A kind of store implements the methods that start with an underscore: each is atomic, durable when
it returns, safe to repeat, and raises the package's exceptions. What callers hand in is checked
here, and so is what comes back: nothing that a store holds is trusted.
"""

from __future__ import annotations

import atexit
import operator
import sys
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from sparktrials.errors import StoreCorrupt, StoreError, StoreInUse
from sparktrials.store import lease
from sparktrials.store.attaching import Attaching
from sparktrials.store.contents import measured
from sparktrials.store.records import encode_experiment
from sparktrials.store.requests import attached, checked_key, named
from sparktrials.store.rows import Change, File, TrialRow, experiment_from, trial_from, trial_row
from sparktrials.store.turns import Turns, in_turn
from sparktrials.study.board import notes_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from sparktrials.store.checkup import Finding
    from sparktrials.store.lease import Holder, Owner
    from sparktrials.study.board import Board
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["DurableStore"]


class DurableStore(Attaching):
    """The calls of a `Store`, made of what a kind of store can do."""

    durable: bool = True
    #: Whether all that writes is refused.
    read_only: bool = False

    def _start(self) -> None:
        self._turns = Turns()
        self._leases: dict[str, str] = {}  # key -> the owner's name when it was acquired
        self._claims: set[str] = set()  # keys for which there may be a lease, come what may
        self._close_at_exit = partial(_close, weakref.ref(self))
        atexit.register(self._close_at_exit)

    # ----------------------------------------------------------------------- of each kind

    @property
    @abstractmethod
    def _owner(self) -> Owner:
        """The name of this object; another one in a forked process."""

    @abstractmethod
    def _documents(self) -> Iterable[object]:
        """Return the documents of all experiments."""

    @abstractmethod
    def _document(self, key: str) -> object | None:
        """Return that of one, or None."""

    @abstractmethod
    def _insert(self, key: str, document: str) -> object:
        """Add an experiment unless it is there; return the document that is stored."""

    @abstractmethod
    def _change(self, key: str, change: Callable[[object], str | None]) -> object:
        """Replace a document by what `change` makes of it, unless None; return the one stored."""

    @abstractmethod
    def _remove(self, key: str, judge: Callable[[Holder | None, float | None], None]) -> None:
        """Remove an experiment, if it is there and `judge` lets its holder go."""

    @abstractmethod
    def _take(
        self, key: str, here: Holder, judge: Callable[[Holder | None, float | None], None]
    ) -> None:
        """Make `here` the holder, if `judge` lets the present one go.

        `judge` gets the holder and how long ago it was heard of, by the store's clock, if any.
        """

    @abstractmethod
    def _holder(self, key: str) -> tuple[Holder | None, float | None]:
        """Return the holder, and how long ago it was heard of, by the store's clock, if any."""

    @abstractmethod
    def _free(self, key: str, owner: str) -> None:
        """Let go of the lease, if `owner` is the holder."""

    @abstractmethod
    def _append(
        self, key: str, rows: Sequence[TrialRow], files: Sequence[File], owner: str | None
    ) -> None:
        """Write rows and attachments; those that are late or there already change nothing.

        Not if somebody else than `owner` is the holder (see `_refused`), unless that is None.
        """

    @abstractmethod
    def condition(self) -> Iterable[Finding]:
        """Look at the store itself: version, integrity, size."""

    @abstractmethod
    def compact(self) -> tuple[int, int]:
        """Give back the room of what is no more; return the sizes before and after.

        Bytes, or entries where a server does not tell bytes.
        """

    @abstractmethod
    def _changes(self, key: str, since: int) -> Sequence[Change]:
        """Return the trials that changed after a position, by id."""

    @abstractmethod
    def _count(self, key: str) -> int:
        """Return how many trials an experiment has, without reading them."""

    @abstractmethod
    def _shut(self) -> None:
        """Free everything; idempotent."""

    @property
    @abstractmethod
    def _is_shut(self) -> bool:
        """Whether `_shut` was called."""

    # ----------------------------------------------------------------------- experiments

    def experiments(self) -> list[Experiment]:
        """Return all experiments, by key."""
        found = (experiment_from(text, self.url, self._salvage) for text in self._documents())
        return sorted(found, key=lambda e: e.key)

    def experiment(self, key: str) -> Experiment | None:
        """Return one, or None."""
        text = self._document(checked_key(key))
        return None if text is None else experiment_from(text, self.url, self._salvage)

    def create(self, experiment: Experiment) -> Experiment:
        """Add it unless its key is there; return the one that is stored.

        Raises
        ------
        InvalidArgument, InvalidTrial
            If its key or another field cannot be stored.
        """
        key, document = self._writable(experiment.key), encode_experiment(experiment)
        return experiment_from(self._insert(key, document), self.url, self._salvage)

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
        key, document = self._writable(experiment.key), encode_experiment(experiment)

        def change(text: object) -> str | None:
            found = experiment_from(text, self.url, self._salvage)
            return document if replace or not found.fingerprint else None

        return experiment_from(self._change(key, change), self.url, self._salvage)

    def delete(self, key: str) -> None:
        """Remove an experiment with all its trials and attachments; nothing if it is not there.

        Raises
        ------
        StoreInUse
            If another driver holds it.
        """
        here = lease.Holder.here(self._owner.name)

        def judge(holder: Holder | None, silence_s: float | None) -> None:
            if holder is not None and holder.owner != here.owner:
                self._refuse_living(key, holder, here, silence_s)

        self._remove(self._writable(key), judge)
        self._leases.pop(key, None)
        self._owner.keys.discard(key)
        board = self.board()  # what workers have of it is of no trial any more
        for prefix in notes_of(key):
            board.erase(prefix)

    # ----------------------------------------------------------------------- leases

    @in_turn
    def acquire(self, key: str) -> None:
        """Become the experiment's one driver.

        A driver whose process is gone is replaced, and refused from then on should it live after
        all. For one on another machine, a file takes that for granted, and a server goes by how
        long ago it was heard of.

        Raises
        ------
        StoreInUse
            If another driver that is alive holds it, in this process or another one.
        StoreError
            If there is no such experiment.
        """
        here = lease.Holder.here(self._owner.name)
        replaced: list[tuple[Holder, float | None]] = []

        def judge(holder: Holder | None, silence_s: float | None) -> None:
            replaced.clear()
            if holder is None:
                return
            # One of our own that nobody told us of: the acknowledgement was lost.
            if holder.owner == here.owner and not self._drives(key):
                return
            self._refuse_living(key, holder, here, silence_s)
            replaced.append((holder, silence_s))

        self._writable(key)
        self._claims.add(key)
        self._owner.keys.add(key)
        try:
            self._take(key, here, judge)
        except BaseException:
            if not self._drives(key):
                self._owner.keys.discard(key)
            raise
        self._leases[key] = here.owner
        for holder, silence_s in replaced:
            lease.log_replaced(key, self.url, holder, here, silence_s)

    @in_turn
    def release(self, key: str) -> None:
        """Stop being the driver; idempotent."""
        if key not in self._claims:
            return
        self._leases.pop(key, None)
        self._owner.keys.discard(key)  # even if the store cannot be told
        self._free(key, self._owner.name)
        self._claims.discard(key)

    def _drives(self, key: str) -> bool:
        return self._leases.get(key) == self._owner.name

    def _refuse_living(
        self, key: str, holder: Holder, here: Holder, silence_s: float | None
    ) -> None:
        if lease.stands(key, holder, here, silence_s):
            raise StoreInUse(lease.refusal(key, self.url, holder, here, silence_s))

    def _refused(self, key: str, holder: Holder | None) -> StoreInUse:
        """Return the error for a driver that was replaced: it must not go on writing."""
        return StoreInUse(
            f"experiment {key!r} in {self.url} was taken over by {holder or 'nobody'}: "
            "this driver must stop"
        )

    def _writable(self, key: str) -> str:
        """Return a valid key, where this store may write.

        Raises
        ------
        StoreError
            If it was opened to be read.
        """
        if self.read_only:
            msg = f"{self.url} was opened with read_only=True: open it without that to write"
            raise StoreError(msg)
        return checked_key(key)

    def driver(self, key: str) -> tuple[str, bool] | None:
        """Return who drives an experiment, for people, and whether it lives; None if nobody does.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        holder, silence_s = self._holder(checked_key(key))
        if holder is None:
            return None
        here = lease.Holder.here(self._owner.name)
        return str(holder), lease.stands(key, holder, here, silence_s)

    def _unknown(self, key: str) -> StoreError:
        return StoreError(f"{self.url} has no experiment {key!r}")

    # ----------------------------------------------------------------------- trials

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes | BinaryIO]] | None = None,
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
            If the attachments are not bytes, or files of them that can be read twice, by name of
            trials that are given, too.
        StoreError
            If there is no such experiment.
        StoreInUse
            If another driver has taken the experiment over from this one.
        """
        contents = attached(trials, attachments)
        rows = [trial_row(named(trial, contents)) for trial in trials]
        files = [
            File(row.trial, row.attempt, name, *measured(content), content)
            for row in rows
            for name, content in contents.get(row.trial, {}).items()
        ]
        owner = self._owner.name if self._drives(key) else None
        self._append(self._writable(key), rows, files, owner)

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
        changes = self._changes(checked_key(key), start)
        where = f"{key!r} in {self.url}"
        trials = [trial_from(c.trial, c.crc, c.document, where, self._salvage) for c in changes]
        return trials, max((self._whole(c.position) for c in changes), default=start)

    def records(self, key: str) -> Sequence[Change]:
        """Return all trials as they are stored, not yet looked into.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        return self._changes(checked_key(key), 0)

    def count(self, key: str) -> int:
        """Return how many trials an experiment has, without reading them.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        return self._count(checked_key(key))

    def _whole(self, value: object) -> int:
        if type(value) is not int:
            msg = f"{self.url} has a damaged position: {self._salvage}"
            raise StoreCorrupt(msg)
        return value

    @abstractmethod
    def board(self) -> Board:
        """Return the notes that processes leave each other in this store."""

    # ----------------------------------------------------------------------- the end

    def close(self) -> None:
        """Give back all leases and free everything; idempotent."""
        atexit.unregister(self._close_at_exit)
        if not self._is_shut:
            for key in list(self._claims):
                with suppress(StoreError):  # whoever comes next sees that nobody drives it
                    self.release(key)
        self._shut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A notebook loses stores with every cell that is run again: their leases must not stay.
        # Not when the interpreter is being taken down: a client that starts a thread then waits
        # for it for ever (pymongo 4.6). `_close_at_exit` came before.
        with suppress(Exception):
            if not sys.is_finalizing():
                self.close()


def _close(reference: weakref.ref[DurableStore]) -> None:
    store = reference()
    if store is not None:
        with suppress(Exception):
            store.close()
