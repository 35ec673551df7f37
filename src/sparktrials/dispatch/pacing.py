"""How many trials go out at once, and in what packs: from measured durations, without a clock."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Pacer", "divide", "smoothed"]

#: A trial longer than this many dispatch latencies goes out alone, when a slot is free.
LONG_TRIAL = 40.0
#: Trials are packed until a task takes about this long.
TASK_TARGET_S = 0.3
#: Most trials in a pack: where results steer the next points, and where they don't.
MAX_PACK_ADAPTIVE = 32
MAX_PACK = 512
#: Where results steer the next points, at most one trial in this many is sent without knowing the
#: result of those sent with it.
KNOWN_PER_PENDING = 2
_WINDOW = 64
#: Weight of the newest value in a running mean.
_NEWEST = 0.2


@dataclass(slots=True)
class Pacer:
    """Decides pack sizes and how many tasks are queued ahead.

    Parameters
    ----------
    adaptive
        Whether results steer the next points: then few are sent ahead.
    packing
        False sends every trial alone.
    target_s
        Seconds that a pack should take about.
    """

    adaptive: bool = True
    packing: bool = True
    target_s: float = TASK_TARGET_S
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    _finished: int = 0

    def observe(self, durations: list[float], task_s: float, *, queued_ahead: bool) -> None:
        """Take note of a task that ended.

        Parameters
        ----------
        durations
            Seconds in the objective of each of its trials.
        task_s
            Seconds from submission to result.
        queued_ahead
            Whether it waited for a slot first: then its latency says nothing.
        """
        self._durations.extend(durations)
        self._finished += len(durations)
        if not queued_ahead:
            self._latencies.append(max(task_s - sum(durations), 0.0))

    @property
    def latency_s(self) -> float:
        """Seconds from submission to result beyond the trials' own, typically."""
        return median(self._latencies) if self._latencies else 0.1

    @property
    def trial_s(self) -> float | None:
        """Seconds in the objective, typically; None while nothing is known."""
        return median(self._durations) if self._durations else None

    def tasks(self, slots: int, wanted: int | None = None) -> int:
        """Return how many tasks to keep submitted.

        Parameters
        ----------
        slots
            How many tasks the cluster can run at once.
        wanted
            How many trials may run at once; None: as many as there are slots. Where that is fewer
            than the slots, nothing is queued ahead, for it would run at once.
        """
        if wanted is not None and wanted < slots:
            return wanted
        return max(wanted or 0, self._with_ahead(slots))

    def _with_ahead(self, slots: int) -> int:
        trial_s = self.trial_s
        if trial_s is None or trial_s > LONG_TRIAL * self.latency_s:
            return slots
        # Two ahead keep 8 slots busy; more only makes suggestions older (docs/decisions/0005).
        return slots + max(2, math.ceil(slots / 4))

    def pack(self, tasks: int) -> int:
        """Return how many trials to put into a task, of which `tasks` are submitted at a time."""
        trial_s = self.trial_s
        if not self.packing or trial_s is None or trial_s >= self.target_s / 2:
            return 1
        size = min(int(self.target_s / max(trial_s, 1e-6)), MAX_PACK)
        if self.adaptive:
            known = self._finished // (KNOWN_PER_PENDING * tasks)
            size = min(size, MAX_PACK_ADAPTIVE, known)
        # What is known of the duration grows with the packs: no jump on one short trial.
        return max(1, min(size, 4 * self._finished))


def smoothed(mean: float | None, newest: float | None) -> float | None:
    """Return a running mean with one more value, or as it was if that is not known."""
    if newest is None:
        return mean
    return newest if mean is None else mean + _NEWEST * (newest - mean)


def divide(n: int, parts: int, most: int) -> list[int]:
    """Return sizes of at most `parts` packs, as even as can be and none above `most`, for `n`."""
    if n <= 0:
        return []
    count = min(n, max(parts, math.ceil(n / most)))
    return [n // count + (1 if i < n % count else 0) for i in range(count)]
