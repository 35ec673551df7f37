"""Experiments in MongoDB: a document for each, and its journal.

Users' texts are values only, never names of fields, and found by their SHA-256.
"""

from __future__ import annotations

import hashlib
import math
import threading
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sparktrials.store.durable import DurableStore
from sparktrials.store.heartbeat import Heartbeat
from sparktrials.store.lease import Holder
from sparktrials.store.mongo.client import Client, Document, Place, parsed
from sparktrials.store.mongo.journal import row_of
from sparktrials.store.mongo.journals import EXPERIMENTS, Journals, digest
from sparktrials.store.mongo.opening import prepare
from sparktrials.store.mongo.upkeep import compacted, condition
from sparktrials.store.precedence import Head, winners
from sparktrials.store.rows import Attached, Change, File

if TYPE_CHECKING:
    from pymongo.database import Database

    from sparktrials.store.checkup import Finding
    from sparktrials.store.lease import Owner
    from sparktrials.store.mongo.journal import Journal
    from sparktrials.store.rows import TrialRow
    from sparktrials.study.board import Board

__all__ = ["MongoStore"]

_SIGNS = "sparktrials_signs"
#: Seconds for a server that does not answer when a store is opened: a wrong name is told soon.
_OPENING_S = 10.0
#: The same, to give a lease back: it ends by itself, too, and the run has ended already.
_RELEASE_S = 3.0
_TRIES = 3


class MongoStore(DurableStore):
    """A store in a MongoDB database; safe for threads, processes and forks.

    Parameters
    ----------
    url
        ``mongodb://host:port/database``, ``mongodb+srv://...``, or Hyperopt's
        ``mongo://host:port/database/jobs``. Collections named ``sparktrials_...`` are made there.
    timeout_s
        How long to try again while the server is away.
    read_only
        Whether to write nothing, and make no collections: what writes is refused.

    Raises
    ------
    InvalidArgument
        If the URL is malformed.
    StoreUnavailable
        If the server cannot be reached, or lets nobody in.
    StoreVersionError
        If a newer version of sparktrials made the collections.

    Notes
    -----
    No transactions are needed: each call comes down to one document, which any server, one that
    stands alone included, writes as a whole. Writes are acknowledged when they are on disk, on
    most machines of a replica set. A pickled store keeps neither user nor password.
    """

    def __init__(self, url: str, *, timeout_s: float = 60.0, read_only: bool = False) -> None:
        self._restore(Client(parsed(url), timeout_s), read_only)
        try:
            prepared = partial(prepare, url=self.url, read_only=read_only)
            self._client.call(prepared, min(timeout_s, _OPENING_S))
        except BaseException:
            self.close()
            raise

    def _restore(self, client: Client, read_only: bool = False) -> None:  # noqa: FBT001, FBT002 - a pickle's
        self._client = client
        self.read_only = read_only
        self._lock = threading.RLock()
        self._journals = Journals(client, self._salvage)
        self._heartbeat = Heartbeat(self, MongoStore._hear)
        self._start()

    @property
    def url(self) -> str:
        """Where it is, without user, password and options."""
        return self._client.url

    @property
    def _owner(self) -> Owner:
        return self._client.owner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # ----------------------------------------------------------------------- experiments

    def _documents(self) -> list[object]:
        found = self._client.find(EXPERIMENTS, {})
        return [e["document"] for e in found if e.get("document") is not None]

    def _document(self, key: str) -> object | None:
        found = self._journals.found(key)
        return None if found is None else found.get("document")

    def _insert(self, key: str, document: str) -> object:
        chosen = {"_id": digest(key)}
        while True:
            found = self._journals.found(key)
            new = {"document": document, "journal": uuid.uuid4().hex}
            if found is None:
                if self._client.insert(EXPERIMENTS, {**chosen, **new, "base": 0}):
                    return document
            elif found.get("document") is None:
                self._client.update(EXPERIMENTS, {**chosen, "document": None}, {"$set": new})
            else:
                journal = self._journals.made(found)
                journal.catch_up()
                if not journal.ended:
                    return found["document"]
                self._journals.bury(key, journal)

    def _change(self, key: str, change: Callable[[object], str | None]) -> object:
        while True:
            found = self._journals.found(key)
            old = None if found is None else found.get("document")
            if old is None:
                raise self._unknown(key)
            document = change(old)
            if document is None:
                return old
            chosen = {"_id": digest(key), "document": str(old)}
            # If somebody else was quicker, `change` sees what they made of it.
            if self._client.update(EXPERIMENTS, chosen, {"$set": {"document": document}}):
                return document

    def _remove(self, key: str, judge: Callable[[Holder | None, float | None], None]) -> None:
        def end() -> Document | None:
            if journal is None or journal.ended:
                return None
            judge(*self._held(journal))
            return {"end": True}

        with self._lock:
            journal = self._journals.of(key)
            if journal is not None:
                journal.add(end, fresh=True)
                self._journals.bury(key, journal)

    # ----------------------------------------------------------------------- leases

    def _take(
        self, key: str, here: Holder, judge: Callable[[Holder | None, float | None], None]
    ) -> None:
        replaced: list[str] = []

        def take(journal: Journal) -> Document:
            holder, silence_s = self._held(journal)
            judge(holder, silence_s)
            replaced[:] = [holder.owner] if holder is not None else []
            self._sign()
            return {"holder": here.text, "owner": here.owner}

        with self._lock:
            if not self._journals.add(key, take, fresh=True):
                raise self._unknown(key)
            if not {*replaced} <= {here.owner}:
                self._client.delete(_SIGNS, {"_id": replaced[0]})
        self._heartbeat.start()

    def _holder(self, key: str) -> tuple[Holder | None, float | None]:
        journal = self._journals.made(self._known(key))
        journal.catch_up()
        return self._held(journal)

    def _free(self, key: str, owner: str) -> None:
        def free(journal: Journal) -> Document | None:
            held = journal.holder is not None and journal.holder.owner == owner
            return {"holder": None, "owner": None} if held else None

        with self._lock, self._client.hurried(_RELEASE_S):
            if self._journals.add(key, free, fresh=True):
                self._journals.sweep(key)
            if not set(self._leases) - {key}:
                self._client.delete(_SIGNS, {"_id": owner})

    def _sign(self) -> None:
        """Leave a sign of life, with the server's time."""
        owner = self._owner.name
        now = {"$currentDate": {"heard": True}}
        if not self._client.update(_SIGNS, {"_id": owner}, now):
            self._client.insert(_SIGNS, {"_id": owner})
            self._client.update(_SIGNS, {"_id": owner}, now)

    def _hear(self) -> None:
        """Let the server know that this driver lives, and tidy up."""
        if self._is_shut or not self._leases:
            return
        self._sign()
        with self._lock:
            for key in list(self._leases):
                self._journals.sweep(key)

    def _held(self, journal: Journal) -> tuple[Holder | None, float | None]:
        """Return an experiment's holder, and how long ago it was heard of."""
        holder = journal.holder
        if holder is None:
            return None, None

        def work(db: Database[Document]) -> float:
            sign = db[_SIGNS].find_one({"_id": holder.owner})
            now = db.client.admin.command("hello").get("localTime")
            if sign is None or now is None or "heard" not in sign:
                return math.inf
            return float((now - sign["heard"]).total_seconds())

        return holder, self._client.call(work)

    # ----------------------------------------------------------------------- trials

    def _append(
        self, key: str, rows: Sequence[TrialRow], files: Sequence[File], owner: str | None
    ) -> None:
        kept: dict[tuple[int, str], list[Any]] = {}  # attachments that are there by now

        def append(journal: Journal) -> Document | None:
            if owner is not None and (journal.holder is None or journal.holder.owner != owner):
                raise self._refused(key, journal.holder)
            heads = {r.trial: journal.heads[r.trial] for r in rows if r.trial in journal.heads}
            winning, timely = winners(rows, heads)
            new: dict[int, dict[str, list[Any]]] = {}
            for file in files:
                name = digest(file.name)
                known = journal.files.get(file.trial, {}).get(name)
                if file.trial not in timely or (known and bytes(known[1]) == file.sha256):
                    continue
                if (file.trial, name) not in kept:
                    kept[file.trial, name] = [journal.put(file.content), file.sha256]
                new.setdefault(file.trial, {})[name] = kept[file.trial, name]
            entry = [row_of(row, journal, heads, new) for row in winning.values()]
            entry += [
                {"id": trial, "quiet": True, "files": {**journal.files.get(trial, {}), **names}}
                for trial, names in new.items()
                if trial not in winning
            ]
            return {"rows": entry} if entry else None

        with self._lock:
            if not rows:
                self._known(key)
            if not self._journals.add(key, append):
                raise self._unknown(key)

    def condition(self) -> list[Finding]:
        """Look at the collections: their version, how many entries and pieces they have."""
        return condition(self._client, self._journals.anew())

    def compact(self) -> tuple[int, int]:
        """Remove what was replaced; return how many entries and pieces there were, and are.

        It takes half a minute where there is something: readers may be reading it.

        Raises
        ------
        StoreError
            If the store was opened to be read.
        """
        self._writable("-")
        return compacted(self._client, self._journals.anew())

    def _changes(self, key: str, since: int) -> list[Change]:
        found = self._known(key)
        last: dict[int, Change] = {}
        for entry in self._journals.made(found).entries(since):
            for row in entry["rows"]:
                if not row.get("quiet"):
                    number = row["id"]
                    last[number] = Change(number, entry["number"], row["crc"], row["document"])
        return [last[trial] for trial in sorted(last)]

    def _count(self, key: str) -> int:
        return self._journals.made(self._known(key)).count()

    def _content(self, key: str, trial: int, name: str) -> tuple[object, object] | None:
        journal = self._journals.made(self._known(key))
        found: tuple[object, object] | None = None
        for _ in range(_TRIES):  # it may be replaced while it is read
            row = journal.last_of(trial)
            file = None if row is None else row["files"].get(digest(name))
            if file is None:
                return None
            content = journal.content(file[0])
            found = bytes(file[1]), content
            if hashlib.sha256(content).digest() == found[0]:
                break
        return found

    def _stream(
        self, key: str, trial: int, name: str
    ) -> tuple[object, Callable[[int], bytes | None]] | None:
        journal = self._journals.made(self._known(key))
        row = journal.last_of(trial)
        file = None if row is None else row["files"].get(digest(name))
        return None if file is None else (bytes(file[1]), partial(journal.piece, file[0]))

    def _attach(
        self, key: str, file: Attached, change: Callable[[Change], TrialRow | None]
    ) -> None:
        kept: list[Any] = []  # written once, however often the entry is tried
        here = Holder.here(self._owner.name)

        def attach(journal: Journal) -> Document:
            holder, silence_s = self._held(journal)
            if holder is not None and holder.owner != here.owner:
                self._refuse_living(key, holder, here, silence_s)
            found = journal.last_of(file.trial, quiet=False)
            if found is None:
                raise self._no_trial(key, file.trial)
            found = {name: v for name, v in found.items() if name != "_id"}
            changed = change(Change(file.trial, 0, found["crc"], found["document"]))
            if not kept:
                kept[:] = [journal.put(file.content), file.sha256]
            files = {**journal.files.get(file.trial, {}), digest(file.name): kept}
            if changed is None:
                return {"rows": [{"id": file.trial, "quiet": True, "files": files}]}
            head = Head.of(changed.attempt, changed.state, changed.document)
            new = {"mark": head.mark, "crc": changed.crc, "document": changed.document}
            return {"rows": [{**found, **new, "files": files}]}

        with self._lock:
            if not self._journals.add(key, attach, fresh=True):
                raise self._unknown(key)

    def _known(self, key: str) -> Document:
        found = self._journals.found(key)
        if found is None or found.get("document") is None:
            raise self._unknown(key)
        return found

    def board(self) -> Board:
        """Return the notes of this store; the store closes their connections."""
        from sparktrials.store.mongo.board import MongoBoard  # noqa: PLC0415 - where it is used

        return MongoBoard(self._client)

    # ----------------------------------------------------------------------- the end

    @property
    def _is_shut(self) -> bool:
        return self._client.closed

    def _shut(self) -> None:
        self._heartbeat.stop()
        self._client.close()

    def __getstate__(self) -> tuple[str, str, float, bool]:
        return (*self._client.place.opener, self._client.timeout_s, self.read_only)

    def __setstate__(self, state: tuple[str, str, float, bool]) -> None:
        address, database, timeout_s, read_only = state
        self._restore(Client(Place(address, database), timeout_s), read_only)
