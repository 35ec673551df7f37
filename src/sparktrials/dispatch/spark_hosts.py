"""Hosts where tasks end before they have run anything: which get fewer for a while."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Hosts"]

#: Seconds that a slot is not asked for again, at first and at most: twice as long each time.
_FIRST_S = 1.0
_LONGEST_S = 30.0


@dataclass(slots=True)
class _Held:
    """What a host has done wrong."""

    until: float = -math.inf
    times: int = 0
    slots: int = 0


class Hosts:
    """Counts the slots that are not to be asked for.

    Spark chooses where a task runs, and a host that fails at once always has a slot free. So for
    each task that failed a slot less is asked for, until its host's time is up; one slot is tried
    again after a second whatever there is, since a host that works may have come.

    Times are those of a monotonic clock.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._last = -math.inf

    def failed(self, host: str | None, now: float) -> None:
        """Take note of a task that has run nothing."""
        held = self._held.setdefault(host or "", _Held())
        if now >= held.until:
            held.until = now + min(_FIRST_S * 2**held.times, _LONGEST_S)
            held.times = min(held.times + 1, 16)
            held.slots = 0
        held.slots += 1
        self._last = now

    def worked(self, host: str | None) -> None:
        """Take note of a host that can run trials."""
        self._held.pop(host or "", None)

    def free(self, slots: int, now: float) -> int:
        """Return how many of so many slots to ask for."""
        left = slots - sum(held.slots for held in self._held.values() if now < held.until)
        return max(left, 1 if now >= self._last + _FIRST_S else 0)

    def until(self, now: float) -> float:
        """Return when there may be more to ask for; infinite where nothing is held."""
        times = [held.until for held in self._held.values()]
        if times:
            times.append(self._last + _FIRST_S)
        return min((at for at in times if at > now), default=math.inf)
