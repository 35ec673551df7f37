"""Removes from a journal what later entries replaced, so that it grows with trials, not with time.

A row that a later one of the same trial replaced is taken out of its entry, and an entry without
rows is removed: what stays is at most one entry per trial, the last one, and the one that names the
driver. The numbers of removed entries must not be used again by a writer who has not heard of what
came after them. So entries are removed half a minute after they were noticed, and a writer whose
knowledge of the journal's end is older than ten seconds when its entry is in looks whether the
number was swept; then it takes the entry back, reads on, and tries again. These are durations, each
by one machine's own clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pymongo import UpdateOne

if TYPE_CHECKING:
    from sparktrials.store.mongo.client import Client

__all__ = ["ENTRIES", "SWEPT", "Sweeper", "entry_id"]

ENTRIES, SWEPT = "sparktrials_journal", "sparktrials_swept"
_DIGITS = 19  # of the largest 64-bit number
#: Seconds between noticing that something is replaced and its removal: readers may be reading it.
HOLD_S = 30.0
_MANY, _KNOWN = 1000, 200_000


def entry_id(journal: str, number: int) -> str:
    """Return an entry's id; ids are in the order of numbers."""
    return f"{journal}:{number:0{_DIGITS}d}"


class _Journal(Protocol):
    name: str
    number: int

    def drop(self, name: str) -> None:
        """Remove a content."""


class Sweeper:
    """What of a journal may go.

    Parameters
    ----------
    client
        Calls MongoDB.
    journal
        Whose entries those are.
    """

    def __init__(self, client: Client, journal: _Journal) -> None:
        self._client = client
        self._journal = journal
        self._at: dict[int, int] = {}  # the entry with a trial's last row
        self._live: dict[int, int] = {}  # how many rows of an entry are the last of their trials
        self._pieces: dict[int, str] = {}  # entries whose rows are elsewhere
        self._holder_at = -1
        # Bounded: not all who read a journal sweep it; who begins anew sees what is left.
        self._rows: deque[tuple[int, int]] = deque(maxlen=_KNOWN)  # entry, trial
        self._empty: deque[tuple[float, int]] = deque(maxlen=_KNOWN)  # since when, entry
        self._contents: deque[tuple[float, str]] = deque(maxlen=_KNOWN)

    def note(self, entry: Mapping[str, Any]) -> None:
        """Take note of an entry, the last one."""
        number = entry["number"]
        kept = 0
        for row in entry["rows"]:
            trial = int(row["id"])
            if row.get("quiet"):  # says which files there are, until the trial's next row does
                kept += 1
                continue
            before = self._at.get(trial)
            if before == number:
                continue
            if before is not None:
                self._replaced(before, trial)
            self._at[trial] = number
            kept += 1
        if kept:
            self._live[number] = kept
        if "piece" in entry:
            self._pieces[number] = entry["piece"]
        if "holder" in entry:
            if self._holder_at >= 0 and not self._live.get(self._holder_at):
                self._empty.append((time.monotonic(), self._holder_at))
            self._holder_at = number
        elif not kept:
            self._empty.append((time.monotonic(), number))

    def _replaced(self, number: int, trial: int) -> None:
        if number not in self._pieces:
            self._rows.append((number, trial))
        self._live[number] -= 1
        if not self._live[number]:
            del self._live[number]
            if number != self._holder_at:
                self._empty.append((time.monotonic(), number))

    def replace_files(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Take note of a trial's attachments that others replaced."""
        kept = {content[0] for content in after.values()}
        gone = {content[0] for content in before.values()} - kept
        self._contents.extend((time.monotonic(), name) for name in gone)

    def swept(self) -> int:
        """Return the number up to which entries may have been removed."""
        found = self._client.find_one(SWEPT, self._journal.name)
        return -1 if found is None else int(found["number"])

    def due_s(self) -> float:
        """Return how many seconds it takes until all that is known may be removed."""
        latest = max((queue[-1][0] for queue in (self._empty, self._contents) if queue), default=0)
        return max(0.0, latest + HOLD_S - time.monotonic())

    def sweep(self, *, n_batches: int = 20) -> None:
        """Remove what may go, up to so many thousands of rows and of entries."""
        before = time.monotonic() - HOLD_S
        for _ in range(n_batches):
            if not self._rows:
                break
            self._pull([self._rows.popleft() for _ in range(min(_MANY, len(self._rows)))])
        for _ in range(n_batches):
            if not (numbers := list(_due(self._empty, before, _MANY))):
                break
            self._remove(numbers)
        for name in list(_due(self._contents, before, len(self._contents))):
            self._journal.drop(name)

    def _pull(self, rows: list[tuple[int, int]]) -> None:
        stale: dict[int, list[int]] = {}
        for number, trial in rows:
            stale.setdefault(number, []).append(trial)
        updates = [
            UpdateOne(
                {"_id": entry_id(self._journal.name, number)},
                {"$pull": {"rows": {"id": {"$in": trials}}, "ids": {"$in": trials}}},
            )
            for number, trials in stale.items()
        ]
        self._client.call(lambda db: db[ENTRIES].bulk_write(updates, ordered=False))

    def _remove(self, numbers: list[int]) -> None:
        last = [n for n in numbers if n >= self._journal.number]
        self._empty.extend((time.monotonic(), n) for n in last)
        gone = [n for n in numbers if n < self._journal.number]
        if not gone:
            return
        self.mark(max(gone))
        name = self._journal.name
        self._client.delete(ENTRIES, {"_id": {"$in": [entry_id(name, n) for n in gone]}})
        for number in gone:
            if (piece := self._pieces.pop(number, None)) is not None:
                self._journal.drop(piece)

    def mark(self, number: int) -> None:
        """Say that entries up to a number may be removed: before they are."""
        name, highest = self._journal.name, {"number": number}
        if not self._client.insert(SWEPT, {"_id": name, **highest}):
            self._client.update(SWEPT, {"_id": name, "number": {"$lt": number}}, {"$set": highest})


def _due(queue: deque[tuple[float, Any]], before: float, limit: int) -> Iterator[Any]:
    """Take out what was noticed before a moment, up to so many."""
    for _ in range(limit):
        if not queue or queue[0][0] > before:
            return
        yield queue.popleft()[1]
