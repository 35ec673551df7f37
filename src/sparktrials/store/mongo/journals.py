"""The journals of the experiments in a database: which there are, and which this process knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sparktrials.errors import StoreCorrupt
from sparktrials.store.mongo.journal import Journal

if TYPE_CHECKING:
    from sparktrials.store.mongo.client import Client, Document

__all__ = ["EXPERIMENTS", "Journals", "digest"]

EXPERIMENTS = "sparktrials_experiments"


class Journals:
    """Finds the journal of an experiment, and keeps what is known of it.

    Parameters
    ----------
    client
        Calls MongoDB.
    salvage
        What to do about damage, for people.
    """

    def __init__(self, client: Client, salvage: str) -> None:
        self._client = client
        self._salvage = salvage
        self._known: dict[str, tuple[str, Journal]] = {}  # key -> owner's name, journal

    def found(self, key: str) -> Document | None:
        """Return what is stored of an experiment, beside its journal; None if it never was."""
        return self._client.find_one(EXPERIMENTS, digest(key))

    def made(self, found: Document) -> Journal:
        """Return the journal of an experiment that was found, as if nothing were known of it.

        Raises
        ------
        StoreCorrupt
            If the experiment is damaged.
        """
        name, base = found.get("journal"), found.get("base")
        if type(name) is not str or type(base) is not int:
            msg = f"an experiment in {self._client.url} is damaged: {self._salvage}"
            raise StoreCorrupt(msg)
        return Journal(self._client, name, base)

    def of(self, key: str) -> Journal | None:
        """Return an experiment's journal, one of this process; None if there is none."""
        owner, journal = self._known.get(key, ("", None))
        if journal is not None and owner == self._client.owner.name:
            return journal
        found = self.found(key)
        if found is None or found.get("document") is None:
            return None
        journal = self.made(found)
        self._known[key] = self._client.owner.name, journal
        return journal

    def add(
        self, key: str, make: Callable[[Journal], Document | None], *, fresh: bool = False
    ) -> bool:
        """Add an entry to an experiment's journal; False if there is no such experiment."""
        while (journal := self.of(key)) is not None:
            journal.add(partial(_unless_ended, make, journal), fresh=fresh)
            if not journal.ended:
                return True
            self.bury(key, journal)
        return False

    def bury(self, key: str, journal: Journal) -> None:
        """Remove what is left of a journal that has ended; its positions never come again."""
        self._known.pop(key, None)
        journal.remove()
        chosen = {"_id": digest(key), "journal": journal.name}
        gone = {"document": None, "journal": None, "base": journal.number}
        self._client.update(EXPERIMENTS, chosen, {"$set": gone})

    def anew(self) -> list[Journal]:
        """Return all journals, as if nothing were known of them."""
        found = self._client.find(EXPERIMENTS, {})
        return [self.made(e) for e in found if e.get("document") is not None]

    def sweep(self, key: str) -> None:
        """Remove some of what later entries replaced, in a journal that is known here."""
        if key in self._known:
            self._known[key][1].sweep()


def _unless_ended(make: Callable[[Journal], Document | None], journal: Journal) -> Document | None:
    return None if journal.ended else make(journal)


def digest(text: str) -> str:
    """Return what a text is found by."""
    return hashlib.sha256(text.encode()).hexdigest()
