"""The condition of collections in MongoDB, and making them small again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sparktrials.store.checkup import Finding
from sparktrials.store.mongo.journal import PIECES
from sparktrials.store.mongo.opening import VERSION
from sparktrials.store.mongo.sweeping import ENTRIES

if TYPE_CHECKING:
    from sparktrials.store.mongo.client import Client
    from sparktrials.store.mongo.journal import Journal

__all__ = ["compacted", "condition"]

#: Entries beyond one for each trial before somebody should know: a run removes them by itself.
_SLACK = 1000
_ALL = 1 << 30


def condition(client: Client, journals: Iterable[Journal]) -> list[Finding]:
    """Look at the collections."""
    entries, pieces = _counts(client)
    found = [
        Finding(f"version {VERSION} of the collections, {entries:,} entries, {pieces:,} pieces")
    ]
    needed = 0
    for journal in journals:
        journal.catch_up()
        needed += len(journal.heads)
    if entries > 2 * needed + _SLACK:
        found.append(
            Finding(
                f"{entries:,} entries for {needed:,} trials",
                "remove what was replaced: sparktrials doctor --compact",
                repair="compact",
            )
        )
    return found


def compacted(client: Client, journals: Iterable[Journal]) -> tuple[int, int]:
    """Remove what was replaced; return how many entries and pieces there were, and are."""
    before = sum(_counts(client))
    known = list(journals)
    for journal in known:
        journal.catch_up()
    time.sleep(max((journal.sweeper.due_s() for journal in known), default=0.0))
    for journal in known:
        journal.sweeper.sweep(n_batches=_ALL)
        # Entries that have become empty only now were noticed, with their rows, when those were.
    return before, sum(_counts(client))


def _counts(client: Client) -> tuple[int, int]:
    return (
        client.call(lambda db: db[ENTRIES].count_documents({})),
        client.call(lambda db: db[PIECES].count_documents({})),
    )
