"""A thread that lets a server know, now and then, that a driver lives."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from sparktrials.errors import StoreError
from sparktrials.store.lease import LEASE_S

__all__ = ["Heartbeat"]

_log = logging.getLogger("sparktrials.store")
_S = TypeVar("_S", bound=object)
#: Four may be missed before a lease ends.
_EVERY_S = LEASE_S / 5


class Heartbeat(Generic[_S]):
    """Calls a store's method every few seconds, from when it is started until it is stopped.

    It keeps no store alive, and no process.
    """

    def __init__(self, store: _S, beat: Callable[[_S], object], every_s: float = _EVERY_S) -> None:
        self._store = weakref.ref(store)
        self._beat = beat
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def start(self) -> None:
        """Begin, unless it has begun in this process: threads stay behind when one forks."""
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="sparktrials-lease", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; idempotent."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            store = self._store()
            if store is None:
                return
            try:
                self._beat(store)
            except StoreError as error:  # the driver's own next call says so, too
                _log.warning("no sign of life could be left: %s", error)
            del store
