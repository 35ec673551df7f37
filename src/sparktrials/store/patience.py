"""How long to try again: waits that grow, and end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

__all__ = ["Patience"]

_FIRST_S, _LONGEST_S = 0.05, 2.0


class Patience:
    """Waits between the tries of one call, up to so many seconds in all.

    Parameters
    ----------
    total_s
        How long, in all.
    first_s
        The first wait; each is twice as long as the one before, up to two seconds, give or take
        half of it, so that those who failed together do not come back together.
    """

    def __init__(
        self,
        total_s: float,
        *,
        first_s: float = _FIRST_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._end = clock() + total_s
        self._next_s = first_s
        self.n_tries = 1

    def left_s(self) -> float:
        """Return how many seconds are left."""
        return max(0.0, self._end - self._clock())

    def wait(self) -> bool:
        """Wait before the next try; False, at once, if there is to be none."""
        left = self.left_s()
        if not left:
            return False
        pause = self._next_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._sleep(min(pause, left))
        self._next_s = min(2 * self._next_s, _LONGEST_S)
        self.n_tries += 1
        return True

    @property
    def is_news(self) -> bool:
        """Whether people should hear of this try: of the first few, then of fewer and fewer."""
        return self.n_tries & (self.n_tries - 1) == 0
