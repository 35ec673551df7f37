"""Which states win, decided here for stores that cannot leave it to a statement.

A state changes nothing if the stored trial is terminal, or of a later attempt, or the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, NamedTuple

from sparktrials.study.trial import TERMINAL

if TYPE_CHECKING:
    from sparktrials.store.rows import TrialRow

__all__ = ["Head", "winners"]

_TERMINAL = frozenset(state.value for state in TERMINAL)


class Head(NamedTuple):
    """What decides whether another state of a trial comes too late.

    `mark` tells documents apart.
    """

    attempt: int
    terminal: bool
    mark: bytes

    @classmethod
    def of(cls, attempt: int, state: str, document: str) -> Head:
        """Return the head of a row."""
        mark = hashlib.blake2b(document.encode(errors="surrogatepass"), digest_size=16).digest()
        return cls(attempt, state in _TERMINAL, mark)

    def outranks(self, attempt: int) -> bool:
        """Whether a state of that attempt comes too late."""
        return self.terminal or self.attempt > attempt


def winners(
    rows: Iterable[TrialRow], heads: MutableMapping[int, Head]
) -> tuple[dict[int, TrialRow], set[int]]:
    """Return the rows that change something, the last of each trial, and who may attach.

    Those are the trials of which one row at least is not late. `heads` has what is stored, and
    what will be, afterwards.
    """
    winning: dict[int, TrialRow] = {}
    timely: set[int] = set()
    before = dict[int, Head | None]()
    for row in rows:
        head = heads.get(row.trial)
        stored = before.setdefault(row.trial, head)
        if stored is None or not stored.outranks(row.attempt):
            timely.add(row.trial)
        new = Head.of(row.attempt, row.state, row.document)
        if head is None or not (head.outranks(row.attempt) or head.mark == new.mark):
            heads[row.trial] = new
            winning[row.trial] = row
    return winning, timely
