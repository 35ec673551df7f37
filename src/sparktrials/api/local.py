"""How trials run on this machine: one after the other, in threads, or in processes."""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrials.api.options import checked_retries, positive_seconds
from sparktrials.dispatch.inline import InlineDispatcher
from sparktrials.dispatch.task_environment import allowed_cpus
from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from sparktrials.study.protocols import Dispatcher

__all__ = ["LocalJobs", "cpus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJobs:
    """What `Trials` were asked for.

    Attributes
    ----------
    n
        How many trials run at once.
    threads
        Whether in threads of this process.
    trial_timeout, max_retries
        As in `Trials`; None and 0 where there are no processes.
    """

    n: int
    threads: bool
    trial_timeout: float | None = None
    max_retries: int = 0

    @classmethod
    def checked(
        cls, *, n_jobs: object, threads: object, trial_timeout: object, max_retries: object
    ) -> LocalJobs:
        """Check the arguments.

        Raises
        ------
        InvalidArgument
            Naming the argument, its value and the rule.
        """
        n = _n_jobs(n_jobs)
        timeout = positive_seconds("trial_timeout", trial_timeout)
        retries = checked_retries(max_retries)
        if n > 1 and not threads:
            return cls(n=n, threads=False, trial_timeout=timeout, max_retries=retries)
        if timeout is not None:
            msg = (
                f"trial_timeout={trial_timeout!r} needs trials in processes, which can be ended: "
                "n_jobs=2 or more without threads=True, or SparkTrials"
            )
            raise InvalidArgument(msg)
        return cls(n=n, threads=bool(threads))

    @property
    def in_processes(self) -> bool:
        """Whether an objective may do its process any harm."""
        return self.n > 1 and not self.threads

    def dispatcher(self, queue_ahead: int) -> Dispatcher:
        """Return where trials run.

        Parameters
        ----------
        queue_ahead
            How many are suggested at a time where they run one after the other.
        """
        if self.n == 1:
            return InlineDispatcher(queue_ahead)
        if self.threads:
            from sparktrials.dispatch.spark_threads import spark_in_use  # noqa: PLC0415 - if used
            from sparktrials.dispatch.threads import ThreadDispatcher  # noqa: PLC0415

            return ThreadDispatcher(self.n, spark_in_use())
        from sparktrials.dispatch.processes import ProcessDispatcher  # noqa: PLC0415

        return ProcessDispatcher(self.n, max(1, cpus() // self.n))


def cpus() -> int:
    """Return how many cpus this process may use: by its affinity, and in its container."""
    return max(1, min(allowed_cpus(), _quota(Path("/sys/fs/cgroup"))))


def _quota(group: Path) -> int:
    """Return how many cpus a container's time is worth, a large number if it has no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):  # of another version; "max"
            time, period = " ".join((group / name).read_text() for name in files).split()
            if int(time) > 0:
                return math.ceil(int(time) / int(period))
    return sys.maxsize


def _n_jobs(value: object) -> int:
    if not isinstance(value, bool) and isinstance(value, Integral):
        if int(value) == -1:
            return cpus()
        if int(value) > 0:
            return int(value)
    msg = f"n_jobs must be a positive whole number, or -1 for one on each cpu, got {value!r}"
    raise InvalidArgument(msg)
