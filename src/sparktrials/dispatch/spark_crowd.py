"""Whether other jobs of the application wait for a slot."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Crowd"]

#: Least seconds between two looks, and how much longer than a look took; seconds after which even a
#: busy driver looks.
_AGE_S = 1.0
_BUSY_S = 2.0
_REST = 50


class Crowd:
    """Looks now and then.

    Parameters
    ----------
    waiting
        Returns how many tasks of the application wait for a slot; it may take long.

    Attributes
    ----------
    waits
        Whether any did at the last look, beside the study's own.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting
        self._seen: float | None = None
        self.waits = False

    def look(self, now: float, starting: int, *, busy: bool = False) -> None:
        """Look, if it is time.

        The first call starts the clock: until then nobody had a slot.

        Parameters
        ----------
        now
            Monotonic.
        starting
            The study's own tasks that wait.
        busy
            Whether something waits for the driver, to which a look would be a delay.
        """
        if self._seen is None:
            self._seen = now
        if now - self._seen <= (_BUSY_S if busy else _AGE_S):
            return
        self.waits = self._waiting() > starting
        # Where it takes long, it is looked at less often.
        took = time.monotonic() - now
        self._seen = now + max(0.0, _REST * took - _AGE_S)
