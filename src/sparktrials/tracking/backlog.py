"""Writes news to a server in the background: bounded, patient, and never in anybody's way."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

__all__ = ["Backlog", "Unwritten"]

#: Most news that wait; beyond it new ones are not taken.
LIMIT = 100_000
#: Seconds until what failed is tried again: the first time, and at most.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What a closed backlog has not written.

    Attributes
    ----------
    keys
        Of the news that were refused, or not taken, or still waited.
    error
        The first error.
    """

    keys: frozenset[Hashable]
    error: BaseException | None

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.keys)


class Backlog:
    """News by key; later ones replace those that still wait.

    Parameters
    ----------
    write
        Called with key and news in a thread of the backlog, for one key in one thread at a time.
    refused
        Whether an exception of `write` means that trying again is useless.
    first_error
        Called with the first exception, at once.
    threads
        How many write at the same time.
    """

    def __init__(
        self,
        write: Callable[[Hashable, Any], None],
        refused: Callable[[Exception], bool],
        first_error: Callable[[Exception], None],
        *,
        threads: int = 1,
        limit: int = LIMIT,
    ) -> None:
        self._write = write
        self._refused = refused
        self._first_error = first_error
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, Any] = {}
        self._busy: set[Hashable] = set()
        self._missing: set[Hashable] = set()
        self._error: Exception | None = None
        self._pause = 0.0
        self._not_before = 0.0
        self._progress = 0.0
        self._closing = False
        self._until = math.inf
        for n in range(threads):
            name = f"sparktrials-tracking-{n}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def __len__(self) -> int:
        """Return how many news have not been written."""
        return len(self._waiting) + len(self._busy)

    def put(self, key: Hashable, news: Any) -> None:  # noqa: ANN401 - the writer's
        """Take news to be written; returns at once."""
        with self._changed:
            if key not in self._waiting and len(self._waiting) >= self._limit:
                self._missing.add(key)
                return
            self._waiting[key] = news
            self._changed.notify()

    def close(self, *, within_s: float, stalled_s: float, later_s: float = 0.0) -> Unwritten:
        """Wait until all is written, up to a time, and less if nothing moves; then give up.

        Parameters
        ----------
        within_s
            Seconds in all.
        stalled_s
            Seconds in which nothing could be written.
        later_s
            Seconds in which the threads may go on without anybody waiting.

        Returns
        -------
        Unwritten
            What is missing by then.
        """
        with self._changed:
            self._closing = True
            self._pause = self._not_before = 0.0  # a last try
            self._progress = start = time.monotonic()
            self._changed.notify_all()
            try:
                while self._waiting or self._busy:
                    end = min(start + within_s, self._progress + stalled_s)
                    left = end - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
            finally:  # an interrupt ends the wait, too
                self._until = time.monotonic() + later_s
                self._changed.notify_all()
            missing = frozenset(self._missing | self._waiting.keys() | self._busy)
            return Unwritten(missing, self._error)

    # ------------------------------------------------------------------ in the threads

    def _work(self) -> None:
        while (job := self._next()) is not None:
            key, news = job
            try:
                self._write(key, news)
            except Exception as error:  # noqa: BLE001 - whatever a server's client raises
                self._failed(key, news, error)
            else:
                self._wrote(key)

    def _next(self) -> tuple[Hashable, Any] | None:
        with self._changed:
            while (now := time.monotonic()) < self._until:
                left = None if self._until == math.inf else self._until - now
                pause = self._not_before - now
                if pause > 0:
                    self._changed.wait(pause if left is None else min(pause, left))
                    continue
                for key in self._waiting:
                    if key not in self._busy:
                        self._busy.add(key)
                        return key, self._waiting.pop(key)
                if self._closing and not self._waiting:
                    return None
                self._changed.wait(left)
            return None

    def _wrote(self, key: Hashable) -> None:
        with self._changed:
            self._busy.discard(key)
            self._missing.discard(key)
            self._pause = self._not_before = 0.0
            self._progress = time.monotonic()
            self._changed.notify_all()

    def _failed(self, key: Hashable, news: Any, error: Exception) -> None:  # noqa: ANN401
        with self._changed:
            first = self._error is None
            self._error = self._error or error
            self._busy.discard(key)
            if self._refused(error):
                self._missing.add(key)
                self._progress = time.monotonic()
            else:
                self._waiting.setdefault(key, news)  # later news say more
                self._pause = min(max(FIRST_PAUSE_S, 2 * self._pause), LONGEST_PAUSE_S)
                self._not_before = time.monotonic() + self._pause
            self._changed.notify_all()
        if first:
            self._first_error(error)
