"""Interrupting queries of a Spark Connect session, without waiting for a server that is away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection

__all__ = ["Interrupts"]

#: Requests at the same time.
_THREADS = 8


class Interrupts:
    """Asks a server to interrupt queries, several at a time.

    A client goes on asking a server that is gone for ten minutes, so threads do it; a tag that is
    being asked for is not asked for again.

    Parameters
    ----------
    interrupt
        Asks for one tag; may take long, and may raise.
    """

    def __init__(self, interrupt: Callable[[str], object]) -> None:
        self._interrupt = interrupt
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._asking: set[str] = set()  # waiting ones, too
        self._threads = 0

    def ask(self, tags: Collection[str], wait_s: float) -> None:
        """Have the queries with these tags interrupted; wait for the server up to some seconds."""
        end = time.monotonic() + wait_s
        with self._changed:
            new = [tag for tag in dict.fromkeys(tags) if tag not in self._asking]
            self._asking.update(new)
            self._waiting.extend(new)
            for _ in range(min(len(self._waiting), _THREADS - self._threads)):
                self._threads += 1
                threading.Thread(
                    target=self._work, name="sparktrials interrupts", daemon=True
                ).start()
            self._changed.wait_for(
                lambda: self._asking.isdisjoint(tags), max(0.0, end - time.monotonic())
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._threads -= 1
                    return
                tag = self._waiting.popleft()
            with contextlib.suppress(Exception):  # the session may be gone
                self._interrupt(tag)
            with self._changed:
                self._asking.discard(tag)
                self._changed.notify_all()
