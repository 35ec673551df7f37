"""What servers complain about, and what to do: kinds of faults, and their exceptions."""

from __future__ import annotations

from enum import Enum

from sparktrials.errors import (
    InvalidArgument,
    SparkTrialsError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)

__all__ = ["Fault"]


class Fault(Enum):
    """A kind of complaint; its value says what to do."""

    CONFLICT = "run again: other writers were in the way, again and again"
    DOWN = "check that the server runs and can be reached from here"
    LOCKED = "another client keeps what is needed locked: end its transaction"
    CROWDED = "the server has no room for another connection: end some, or let it take more"
    FULL = "make room on the server and run again: what was stored before is intact"
    READ_ONLY = "the server takes no writes now: it is a replica, or starting, or low on disk"
    REFUSED = "check user, password, database and the rights in it"
    TOO_BIG = "it is too big for this server"
    DAMAGED = "what is there is not of a store, or damaged: restore a copy"
    OTHER = ""

    @property
    def passes(self) -> bool:
        """Whether trying again may help."""
        return self in _PASSING

    def error(self, url: str, text: str) -> SparkTrialsError:
        """Return the exception to raise; `text` is what the server said, without secrets."""
        if self is Fault.DAMAGED:
            return StoreCorrupt(f"{url}: {self.value} ({text})")
        if self is Fault.TOO_BIG:
            return InvalidArgument(f"a result or an attachment cannot be kept in {url}: {text}")
        if self is Fault.OTHER:
            return StoreError(f"{url}: {text}")
        return StoreUnavailable(f"{url} is unavailable ({text}): {self.value}")


_PASSING = frozenset(
    {Fault.CONFLICT, Fault.DOWN, Fault.LOCKED, Fault.CROWDED, Fault.FULL, Fault.READ_ONLY}
)
