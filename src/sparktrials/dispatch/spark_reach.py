"""Whether executors can reach the driver."""

from __future__ import annotations

import logging

__all__ = ["Reach"]

logger = logging.getLogger("sparktrials.spark")

#: Tasks in a row that may fail to connect before any has: of one host, which may be that host's
#: trouble or a moment's, and of several.
_TRIES = 3
_HOSTS = 2
#: The same once some have connected, beside one for each slot.
_TRIES_REACHED = 5


class Reach:
    """Judges tasks that could not connect to the driver."""

    def __init__(self) -> None:
        self._reached = False
        self._failed = 0
        self._hosts: set[str] = set()
        self._told: set[str] = set()

    @property
    def reached(self) -> bool:
        """Whether any task has connected: then one that cannot is an exception."""
        return self._reached

    def within(self, slots: int, connections: int) -> int:
        """Return how many of so many slots can have a connection."""
        if slots > connections:
            self._tell(
                "connections",
                "of %d slots %d are used: each takes a connection, and this process may have no "
                "more files open; raise the limit (ulimit -n) before the driver starts, or have "
                "Spark push trials: SparkTrials(channel=False)",
                slots,
                connections,
            )
        return min(slots, connections)

    def _tell(self, once: str, text: str, *values: object) -> None:
        if once not in self._told:
            self._told.add(once)
            logger.warning(text, *values)

    def worked(self) -> None:
        """Take note of a task that has connected."""
        self._reached = True
        self._failed = 0
        self._hosts.clear()

    def failed(self, host: str, slots: int, why: str) -> bool:
        """Take note of a task that could not; return whether to give up on the channel."""
        self._failed += 1
        self._hosts.add(host)
        if self._reached:
            self._tell(
                f"host {host}",
                "%s cannot reach the driver, which others can: its slots are asked for again ever "
                "more rarely (%s)",
                host,
                why,
            )
            return self._failed > _TRIES_REACHED + slots
        return self._failed >= _TRIES or len(self._hosts) >= _HOSTS
