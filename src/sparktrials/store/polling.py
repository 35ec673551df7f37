"""Waiting where the database tells nobody of news: looks that become rarer, but not rare."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PollingWaiter"]

_FIRST_S, _GROWTH = 0.005, 1.25


class PollingWaiter:
    """Looks now and then whether there are news.

    Parameters
    ----------
    longest_s
        The longest pause between two looks.
    changed
        Says whether there may be some, cheaply; None where looking costs as much as reading.
    """

    def __init__(self, longest_s: float, changed: Callable[[], bool] | None = None) -> None:
        self._longest_s = longest_s
        self._changed = changed
        self._pause_s = min(_FIRST_S, longest_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait until there may be news, up to so long; False if there surely are none."""
        end = time.monotonic() + timeout_s
        while True:
            left_s = end - time.monotonic()
            if self._changed is not None and self._changed():
                return True
            if left_s <= 0:
                return self._changed is None
            time.sleep(min(self._pause_s, left_s))
            self._pause_s = min(self._pause_s * _GROWTH, self._longest_s)
            if self._changed is None:
                return True

    def found(self) -> None:
        """Take note that there was something: more may follow soon."""
        self._pause_s = min(_FIRST_S, self._longest_s)

    def close(self) -> None:
        """Nothing is held."""
