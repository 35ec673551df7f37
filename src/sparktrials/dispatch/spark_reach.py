"""Whether executors can reach the driver."""

from __future__ import annotations

__all__ = ["Reach"]

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

    def worked(self) -> None:
        """Take note of a task that has connected."""
        self._reached = True
        self._failed = 0
        self._hosts.clear()

    def failed(self, host: str, slots: int) -> bool:
        """Take note of a task that could not; return whether to give up on the channel."""
        self._failed += 1
        self._hosts.add(host)
        if self._reached:
            return self._failed > _TRIES_REACHED + slots
        return self._failed >= _TRIES or len(self._hosts) >= _HOSTS
