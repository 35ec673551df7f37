"""An experiment as a journal of entries, each one document: what is atomic on any MongoDB.

An append is one entry, however many trials it has, and appears as a whole. An entry's id holds its
number, and ids are unique: of two writers who add the same number one fails, reads what the other
wrote, and decides anew. So entries have an order without gaps that all readers agree on, and nobody
writes without knowing all that came before. Whoever takes an experiment over says so in an entry,
too, which makes the next one of the driver that was replaced fail.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import bson
from pymongo import ASCENDING, DESCENDING

from sparktrials.errors import StoreCorrupt, StoreUnavailable
from sparktrials.store.contents import pieces
from sparktrials.store.lease import Holder
from sparktrials.store.mongo.sweeping import ENTRIES, Sweeper, entry_id
from sparktrials.store.patience import Patience
from sparktrials.store.precedence import Head

if TYPE_CHECKING:
    from pymongo.database import Database

    from sparktrials.store.mongo.client import Client, Document
    from sparktrials.store.rows import TrialRow

__all__ = ["ENTRIES", "PIECES", "Journal", "entry_id", "make_index", "row_of"]

PIECES = "sparktrials_pieces"
#: Bytes of rows in an entry; more than that are put into pieces. A document may have 16 MiB.
_ROWS_SIZE = 4 << 20
_ROW_SIZE = 400  # beside its document, amply
_HEADS = {"rows.document": 0}
#: Seconds for which what is known of a journal's end is good enough; see `sweeping`.
_TRUST_S = 10.0


def _within(prefix: str, after: str = "") -> Document:
    return {"$gt": after or f"{prefix}:", "$lt": f"{prefix}:~"}


def make_index(db: Database[Document]) -> None:
    """Make what finds the last entry of a trial."""
    db[ENTRIES].create_index([("e", ASCENDING), ("ids", ASCENDING)])


class Journal:
    """The entries of one experiment, and what follows from them.

    Parameters
    ----------
    client
        Calls MongoDB.
    name
        Of the journal: another one when an experiment is made anew.
    base
        The number before the first.

    Attributes
    ----------
    number
        That of the last entry that is known.
    heads
        What is stored of each trial.
    files
        For each trial, its attachments: SHA-256 of the name -> piece and SHA-256 of the content.
    holder
        Who drives the experiment.
    ended
        Whether it was deleted.
    sweeper
        Removes what was replaced.
    """

    def __init__(self, client: Client, name: str, base: int) -> None:
        self._client = client
        self.name = name
        self.number = base
        self.heads: dict[int, Head] = {}
        self.files: dict[int, dict[str, list[Any]]] = {}
        self.holder: Holder | None = None
        self.ended = False
        self._known = False
        self._known_at = 0.0  # since when all entries up to `number` are known to be there
        self.sweeper = Sweeper(client, self)

    # ----------------------------------------------------------------------- reading

    def entries(self, since: int, *, heads: bool = False) -> Iterator[Document]:
        """Return the entries after a number, `heads` alone, with their rows."""
        after = entry_id(self.name, since) if since > 0 else ""
        query = {"_id": _within(self.name, after)}
        for entry in self._client.find(ENTRIES, query, _HEADS if heads else None):
            yield self._whole(entry)

    def count(self) -> int:
        """Return how many trials there are, without reading them."""
        found = self._client.find(ENTRIES, {"_id": _within(self.name)}, {"ids": 1})
        return len({trial for entry in found for trial in entry.get("ids", ())})

    def last_of(self, trial: int, *, quiet: bool = True) -> Document | None:
        """Return the last row of a trial; `quiet`: also one that says its attachments only."""
        query = {"e": self.name, "ids": {"$in": [trial]}}
        found = self._client.find(ENTRIES, query, order=DESCENDING, limit=1 if quiet else 0)
        rows = (row for entry in found for row in reversed(self._whole(entry)["rows"]))
        own = (row for row in rows if row.get("id") == trial)
        return next((row for row in own if quiet or not row.get("quiet")), None)

    def _whole(self, entry: Document) -> Document:
        """Return an entry with its rows, wherever they are."""
        try:
            if "piece" in entry:
                entry["rows"] = self._rows_of(entry)
            entry["number"] = int(str(entry["_id"]).rpartition(":")[2])
            entry.setdefault("rows", [])
        except (bson.errors.BSONError, KeyError, ValueError) as error:
            msg = f"an entry in {self._client.url} is damaged: {entry.get('_id')!r} ({error})"
            raise StoreCorrupt(msg) from error
        return entry

    def _rows_of(self, entry: Document) -> list[Document]:
        content = self.content(entry["piece"])
        if not content:  # its rows were replaced, and removed, just now
            found = self._client.find_one(ENTRIES, entry["_id"])
            if found is None or "piece" not in found:
                return []
        return list(bson.decode(content)["rows"])

    def catch_up(self) -> None:
        """Take note of the entries that others added."""
        self._known_at = time.monotonic()
        for entry in self.entries(self.number, heads=True):
            self._note(entry)
        self._known = True

    def _note(self, entry: Document) -> None:
        try:
            number = entry["number"]
            for row in entry["rows"]:
                trial = int(row["id"])
                if row["files"]:
                    self.sweeper.replace_files(self.files.get(trial, {}), row["files"])
                    self.files[trial] = dict(row["files"])
                if row.get("quiet"):
                    continue
                self.heads[trial] = Head(row["attempt"], bool(row["terminal"]), bytes(row["mark"]))
            self.sweeper.note(entry)
            if "holder" in entry:
                held = entry["holder"]
                self.holder = None if held is None else Holder.from_text(held, entry["owner"])
            self.ended = self.ended or "end" in entry
            self.number = number
        except (KeyError, TypeError, ValueError) as error:
            msg = f"an entry in {self._client.url} is damaged: {entry.get('_id')!r} ({error})"
            raise StoreCorrupt(msg) from error

    # ----------------------------------------------------------------------- writing

    def add(self, make: Callable[[], Document | None], *, fresh: bool = False) -> None:
        """Add the entry that `make` makes; if somebody else was quicker it is asked again.

        It is called when all entries are known, as far as that can be, and may raise, or return
        None to add nothing. `fresh`: not before those of others have been looked for.
        """
        if fresh or not self._known:
            self.catch_up()
        patience = Patience(self._client.timeout_s, first_s=0.01)
        while True:
            content = make()
            if content is None or self._add(content):
                return
            before = self.number
            self.catch_up()
            # Of a replica set, most machines may not have it yet.
            if self.number == before and not patience.wait():
                msg = f"{self._client.url}: an entry of another writer does not become visible"
                raise StoreUnavailable(msg)

    def _add(self, content: Mapping[str, Any]) -> bool:
        """Add an entry as the next one; False if there is another one by now."""
        rows: Sequence[Document] = content.get("rows", ())
        known_at, before = self._known_at, time.monotonic()
        number, token = self.number + 1, uuid.uuid4().hex
        entry = {"_id": entry_id(self.name, number), "e": self.name, "token": token, **content}
        if rows:
            entry["ids"] = [row["id"] for row in rows]
        if sum(len(row.get("document", "")) + _ROW_SIZE for row in rows) > _ROWS_SIZE:
            del entry["rows"]
            entry["piece"] = self.put(bson.encode({"rows": rows}))
        if not self._client.insert(ENTRIES, entry):
            # It may be this very one, whose acknowledgement was lost.
            found = self._client.find_one(ENTRIES, entry["_id"])
            if found is None or found.get("token") != token:
                # An entry that is not to be seen yet may be this one, which needs its piece.
                if "piece" in entry and found is not None:
                    self.drop(entry["piece"])
                return False
        if time.monotonic() - known_at > _TRUST_S and self.sweeper.swept() >= number:
            # The number is not the next one, but one that was swept meanwhile.
            self._client.delete(ENTRIES, {"_id": entry["_id"], "token": token})
            if "piece" in entry:
                self.drop(entry["piece"])
            return False
        self._note({**entry, "rows": rows, "number": number})
        self._known_at = before
        return True

    def sweep(self) -> None:
        """Remove some of what later entries replaced."""
        self.sweeper.sweep()

    def remove(self) -> None:
        """Remove all entries but the last, which says that it has ended, and all pieces."""
        self.sweeper.mark(self.number - 1)
        last = entry_id(self.name, self.number)
        self._client.delete(ENTRIES, {"_id": {"$gt": f"{self.name}:", "$lt": last}})
        self._client.delete(PIECES, {"_id": _within(self.name)})

    # ----------------------------------------------------------------------- pieces

    def put(self, content: bytes | BinaryIO) -> str:
        """Keep a content of any size; return what it is found by."""
        name = f"{self.name}:{uuid.uuid4().hex}"
        for index, piece in enumerate(pieces(content)):
            self._client.insert(PIECES, {"_id": f"{name}:{index:08d}", "content": piece})
        return name

    def content(self, name: str) -> bytes:
        """Return a content."""
        found = self._client.find(PIECES, {"_id": _within(str(name))})
        return b"".join(bytes(piece["content"]) for piece in found)

    def piece(self, name: str, index: int) -> bytes | None:
        """Return one piece of a content, None after the last one."""
        found = self._client.find_one(PIECES, f"{name}:{index:08d}")
        return None if found is None else bytes(found["content"])

    def drop(self, name: str) -> None:
        """Remove a content."""
        self._client.delete(PIECES, {"_id": _within(str(name))})


def row_of(
    row: TrialRow,
    journal: Journal,
    heads: dict[int, Head],
    new: dict[int, dict[str, list[Any]]],
) -> Document:
    """Return a trial's row as it is written in an entry."""
    head = heads[row.trial]
    return {
        "id": row.trial,
        "attempt": row.attempt,
        "terminal": head.terminal,
        "mark": head.mark,
        "state": row.state,
        "crc": row.crc,
        "document": row.document,
        "files": {**journal.files.get(row.trial, {}), **new.get(row.trial, {})},
    }
