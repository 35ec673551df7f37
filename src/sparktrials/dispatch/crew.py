"""Which workers are there, and which of them live: by what they do, not by any clock of theirs.

A worker replaces its note every few seconds. Whoever watches counts, by its own monotonic clock,
how long a note has not changed while it looked; two machines' clocks are never compared, and where
the store is away nobody is silent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.dispatch.jobs import WORKERS
from sparktrials.study.values import decode_json

if TYPE_CHECKING:
    from sparktrials.study.board import Board, Note

__all__ = ["BEAT_S", "SILENCE_S", "Crew", "Member"]

#: Seconds between two signs of a worker's life.
BEAT_S = 4.0
#: Seconds of silence after which a worker counts as gone: four signs were missed.
SILENCE_S = 20.0
#: Most seconds that one look counts for: a watcher that was stopped itself must not blame others.
_LOOK_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker, as it describes itself.

    Attributes
    ----------
    id
        Its own.
    host, pid, process
        Where it is; `process` tells others on its machine whether it lives.
    key
        The one experiment that it serves, empty for all.
    trusts_pickles
        Whether it evaluates objectives that are pickled.
    refuses
        Objective -> why it does not evaluate it.
    """

    id: str
    host: str
    pid: int
    process: str
    key: str
    trusts_pickles: bool
    refuses: dict[str, str]

    def serves(self, key: str, objective: str) -> bool:
        """Whether it evaluates trials of an experiment; `objective` is empty if it is pickled."""
        known = bool(objective) or self.trusts_pickles
        return self.key in {"", key} and known and objective not in self.refuses

    @property
    def text(self) -> str:
        """Its note's text."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def of(cls, note: Note) -> Member | None:
        """Return the worker that a note describes; None if it describes none."""
        try:
            fields = decode_json(note.text)
            member = cls(**fields)
        except (ValueError, TypeError):
            return None
        types = [type(getattr(member, name)) for name in cls.__slots__]
        return member if types == [str, str, int, str, str, bool, dict] else None


class Crew:
    """The workers of a board.

    Parameters
    ----------
    board
        Where they are.
    ended
        Says of `Member.process` whether it surely has ended, as far as can be told from here.
    clock
        Monotonic.
    """

    def __init__(
        self,
        board: Board,
        ended: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._ended = ended
        self._clock = clock
        self._looked: float | None = None
        self._versions: dict[str, int] = {}
        self._silent_s: dict[str, float] = {}
        self._gone: dict[str, str] = {}
        self.members: dict[str, Member] = {}

    def look(self) -> None:
        """Take note of who is there and who is silent."""
        notes = self._board.find(WORKERS)
        now = self._clock()
        passed = 0.0 if self._looked is None else min(now - self._looked, _LOOK_S)
        self._looked = now
        found: dict[str, Member] = {}
        versions: dict[str, int] = {}
        silent: dict[str, float] = {}
        for note in notes:
            member = Member.of(note)
            if member is None:
                continue
            same = self._versions.get(member.id) == note.version
            versions[member.id] = note.version
            silent[member.id] = self._silent_s.get(member.id, 0.0) + passed if same else 0.0
            if self._ended(member.process):
                self._gone[member.id] = f"the worker's process {member.pid} has ended"
                self._board.remove(note)
            elif silent[member.id] >= SILENCE_S:
                self._gone[member.id] = f"the worker was silent for {SILENCE_S:.0f} s"
                self._board.remove(note)  # if it lives after all, it pins another one
            else:
                found[member.id] = member
        self.members, self._versions, self._silent_s = found, versions, silent

    def why_gone(self, worker: str) -> str | None:
        """Return why a worker counts as gone, by the last look; None if it lives."""
        if worker in self.members:
            return None
        return self._gone.get(worker, "the worker has ended")
