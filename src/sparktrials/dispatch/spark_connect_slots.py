"""How many tasks the cluster behind a Spark Connect server can run at once."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

__all__ = ["ConnectSlots"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds after which the server is asked again.
_AGE_S = 4.0
#: A plan that names the parallelism that Spark gives to a range: its default one, which follows
#: the executors. Explaining runs no job, so it is answered when all slots are taken, too.
_EXPLAIN = "EXPLAIN SELECT * FROM range(1)"
_COUNT = "SELECT count(DISTINCT spark_partition_id()) FROM range(100000)"
_SPLITS = re.compile(r"\bRange \([^)]*\bsplits=(?:Some\()?(\d+)")


class ConnectSlots:
    """Returns the number of slots, and has it asked for in the background now and then.

    A server may take long to answer, or be away for a while: that must not stop a run's clock.

    Parameters
    ----------
    session
        A Spark Connect session.
    profile
        A ``ResourceProfile`` for the tasks, or None.

    Attributes
    ----------
    error
        What the server answered instead, the last time.
    """

    def __init__(self, session: Any, profile: Any | None) -> None:  # noqa: ANN401
        self._session = session
        self._profile = profile
        self.error: Exception | None = None
        self._found = 0
        self._asked = float("-inf")
        self._asking: threading.Thread | None = None
        self._cpus: int | None = None

    def __call__(self) -> int:
        """Return the number, at least 1; only the first call waits for the server."""
        if not self._found:
            self._found = self._ask()
            self._asked = time.monotonic()
        self.refresh()
        return self._found

    def refresh(self) -> None:
        """Have the server asked again, if the last time is long ago."""
        old = time.monotonic() - self._asked > _AGE_S
        if old and (self._asking is None or not self._asking.is_alive()):
            name = "sparktrials slots"
            self._asking = threading.Thread(target=self._refresh, name=name, daemon=True)
            self._asking.start()

    def _refresh(self) -> None:
        try:
            self._found = self._ask()
            self.error = None
        except Exception as error:  # noqa: BLE001 - the backend's to judge
            logger.debug("the server does not say how many slots there are: %s", error)
            self.error = error
        self._asked = time.monotonic()

    def _ask(self) -> int:
        if self._cpus is None:
            self._cpus = self._cpus_per_task()
        rows = self._session.sql(_EXPLAIN).collect()
        found = _SPLITS.search(str(rows[0][0]))
        if found is not None:
            return max(1, int(found.group(1)) // self._cpus)
        # Another engine's plan. A job may wait for a slot, so this is not asked twice.
        return self._found or max(1, self._count() // self._cpus)

    def _cpus_per_task(self) -> int:
        requests = {} if self._profile is None else self._profile.taskResources
        if "cpus" in requests:
            return max(1, int(requests["cpus"].amount))
        return max(1, int(self._session.conf.get("spark.task.cpus", "1")))

    def _count(self) -> int:
        """Return the default parallelism by running a query: the number of its partitions."""
        rows = self._session.sql(_COUNT).collect()
        return int(rows[0][0])
