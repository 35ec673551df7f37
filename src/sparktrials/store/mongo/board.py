"""Notes in a collection of MongoDB; a replica set tells who waits of news."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bson
from pymongo import errors

from sparktrials.errors import StoreCorrupt
from sparktrials.store.polling import PollingWaiter
from sparktrials.study.board import Note, Sheet, Waiter

if TYPE_CHECKING:
    from pymongo.database import Database

    from sparktrials.store.mongo.client import Client, Document

__all__ = ["MongoBoard"]

_NOTES = "sparktrials_board"
_HEAD = {"body": 0}


class MongoBoard:
    """Notes in a database, each one document."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._client.url

    def pin(self, sheets: Sequence[Sheet], wake: str = "") -> None:
        """Add notes, but for those whose names are taken, one after the other."""
        for sheet in sheets:
            version = secrets.randbits(40)
            document = {"_id": sheet.name, "version": version, "wake": wake, **_content(sheet)}
            self._client.insert(_NOTES, document)

    def swap(self, note: Note, sheet: Sheet, wake: str = "") -> Note | None:
        """Replace a note unless it has changed or gone; return the new one, or None."""
        new = Note(note.name, note.version + 1, sheet.tag, sheet.text)
        change = {"version": new.version, "wake": wake, **_content(sheet)}
        if self._client.update(_NOTES, _same(note), {"$set": change}):
            return new
        # It may be this very change, whose acknowledgement was lost.
        return new if self.get(note.name) == new else None

    def remove(self, note: Note, wake: str = "") -> bool:  # noqa: ARG002 - change streams tell
        """Remove a note unless it has changed; whether it is gone."""
        self._client.delete(_NOTES, _same(note))
        return self.get(note.name) is None

    def erase(self, prefix: str) -> None:
        """Remove all notes whose names start so."""
        self._client.delete(_NOTES, _within(prefix))

    def find(self, prefix: str, tag: str = "") -> list[Note]:
        """Return the notes whose names start so, with a tag if one is given, by name."""
        query = {**_within(prefix), **({"tag": tag} if tag else {})}
        return [self._note(document) for document in self._client.find(_NOTES, query, _HEAD)]

    def get(self, name: str) -> Note | None:
        """Return one, or None."""
        found = self._client.find(_NOTES, {"_id": name}, _HEAD)
        return self._note(found[0]) if found else None

    def body(self, name: str) -> bytes:
        """Return the body of a note, empty if there is none."""
        found = self._client.find_one(_NOTES, name)
        return bytes(found["body"]) if found is not None and found.get("body") else b""

    def waiter(self, wake: str, longest_s: float = 0.05) -> Waiter:
        """Return what waits for news under that name: a change stream, where there are any."""
        return (
            _Watcher(self._client, wake)
            if self._client.watches(_NOTES)
            else PollingWaiter(longest_s)
        )

    def close(self) -> None:
        """Nothing is held: waiters have cursors of their own."""

    def _note(self, document: Document) -> Note:
        values = [document.get(name) for name in ("_id", "version", "tag", "text")]
        if [type(value) for value in values] not in ([str, int, str, str], [str, _LONG, str, str]):
            msg = f"a note in {self.url} is damaged: restore a copy"
            raise StoreCorrupt(msg)
        name, version, tag, text = values
        return Note(str(name), int(version or 0), str(tag), str(text))


_LONG = bson.int64.Int64


class _Watcher:
    """Waits for entries of a change stream, which is opened again when it breaks."""

    def __init__(self, client: Client, wake: str) -> None:
        self._client = client
        self._pipeline = [{"$match": {"fullDocument.wake": wake}}]
        self._stream: Any = None
        self._open()

    def wait(self, timeout_s: float) -> bool:
        """Wait until there are news, up to so long."""
        end = time.monotonic() + timeout_s
        try:
            if self._stream is None:
                self._open()
                return True  # what was told meanwhile is lost
            while self._stream.try_next() is None:
                if time.monotonic() >= end:
                    return False
        except errors.PyMongoError:
            self.close()
            time.sleep(min(timeout_s, 0.1))
        return True

    def _open(self) -> None:
        def work(db: Database[Document]) -> Any:  # noqa: ANN401 - a cursor
            return db[_NOTES].watch(
                self._pipeline, full_document="updateLookup", max_await_time_ms=250
            )

        self._stream = self._client.call(work)

    def found(self) -> None:
        """Nothing depends on it."""

    def close(self) -> None:
        """Close the cursor; idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(errors.PyMongoError):
                stream.close()


def _content(sheet: Sheet) -> Document:
    return {"tag": sheet.tag, "text": sheet.text, "body": sheet.body}


def _same(note: Note) -> Document:
    return {"_id": note.name, "version": note.version}


def _within(prefix: str) -> Document:
    return {"_id": {"$gte": prefix, "$lt": prefix + "~"}}
