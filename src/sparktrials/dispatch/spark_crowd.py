"""Whether other jobs of the application wait for a slot."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["Crowd"]

#: Least seconds between two looks, and how much longer than a look took.
_AGE_S = 1.0
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
        self._seen = -math.inf
        self.waits = False

    def look(self, now: float, starting: int) -> None:
        """Look, if it is time: `now` is monotonic, `starting` the study's own tasks that wait."""
        if now - self._seen <= _AGE_S:
            return
        self.waits = self._waiting() > starting
        # Where it takes long, it is looked at less often.
        took = time.monotonic() - now
        self._seen = now + max(0.0, _REST * took - _AGE_S)
