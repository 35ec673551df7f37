"""Trials that take several tasks at once, on Spark classic: barrier jobs.

A rank that fails comes to its end as a task, and says so by an accumulator, which Spark delivers
while the other ranks still run, and perhaps wait for the one that failed. Then the job is
cancelled, for they would wait for good. A task that raised would have Spark run all ranks again.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark import AccumulatorParam, accumulators

from sparktrials.dispatch.spark_resources import comes_true
from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend

__all__ = ["BarrierJobs", "check_barrier"]


def check_barrier(context: Any, backend: Backend, nodes: int) -> None:  # noqa: ANN401
    """Refuse at once what Spark would wait ten minutes for.

    Raises
    ------
    InvalidArgument
        If the cluster cannot run that many tasks at once, or no barrier jobs at all.
    """
    if backend.grows_to():
        msg = (
            f"nodes_per_trial={nodes}: Spark runs no barrier jobs with dynamic allocation; set "
            "spark.dynamicAllocation.enabled=false"
        )
        raise InvalidArgument(msg)
    if not comes_true(context, lambda: backend.slots() >= nodes):
        msg = (
            f"nodes_per_trial={nodes}: a trial needs {nodes} tasks at once, and the cluster can "
            f"run {backend.slots()}; ask for fewer nodes, or for more executors"
        )
        raise InvalidArgument(msg)


@dataclass(slots=True, eq=False)
class _Running:
    report: bytes | None = None


class BarrierJobs:
    """Runs the barrier jobs of a study; may be used in several threads.

    Parameters
    ----------
    context
        A running SparkContext.
    profile
        A resource profile of its own, or None.
    """

    def __init__(self, context: Any, profile: Any | None) -> None:  # noqa: ANN401
        self._context = context
        self._profile = profile
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._failures = context.accumulator([], _param(self._failed))

    def run(self, make: Callable[[tuple[str, Any]], Any], nodes: int) -> bytes:
        """Run a job and return the pickled `Report` that counts.

        Parameters
        ----------
        make
            Makes the task function, given what `shipping.make_task` takes for a rank.
        nodes
            How many tasks.
        """
        token = f"sparktrials-ranks-{uuid.uuid4().hex}"
        running = self._running[token] = _Running()
        rdd = self._context.parallelize(range(nodes), nodes)
        if self._profile is not None:
            rdd = rdd.withResources(self._profile)
        self._context.addJobTag(token)
        try:
            ranks = rdd.barrier().mapPartitions(make((token, self._failures))).collect()
        except Exception:
            with self._lock:
                if running.report is None:
                    raise
                return running.report
        finally:
            self._context.removeJobTag(token)
            with self._lock:
                del self._running[token]
        reports = [pickle.loads(rank) for rank in ranks]  # noqa: S301 - the user's own executors
        failed = [report for ends, report in reports if ends]
        first: bytes = failed[0] if failed else reports[0][1]
        return first

    def close(self) -> None:
        """Forget the accumulator, which Spark would keep."""
        accumulators._accumulatorRegistry.pop(self._failures.aid, None)  # noqa: SLF001

    def _failed(self, token: str, report: bytes) -> None:
        """Take note that a rank failed: called in Spark's thread for accumulators."""
        with self._lock:
            running = self._running.get(token)
            if running is None or running.report is not None:
                return
            running.report = report
        with contextlib.suppress(Exception):  # the context may be gone
            self._context.cancelJobsWithTag(token)


def _param(tell: Callable[[str, bytes], None]) -> AccumulatorParam[Any]:
    """Return what Spark adds terms by; nested, so that it travels by value, without `tell`."""

    class Failures(AccumulatorParam[Any]):
        def __init__(self, tell: Callable[[str, bytes], None]) -> None:
            self.tell: Callable[[str, bytes], None] | None = tell

        def __getstate__(self) -> dict[str, Any]:
            return {"tell": None}

        def zero(self, value: Any) -> Any:  # noqa: ANN401, ARG002
            return []

        def addInPlace(self, value1: Any, value2: Any) -> Any:  # noqa: ANN401, N802 - Spark's
            if self.tell is None:  # in a task
                return [*value1, *value2]
            for token, report in value2:
                self.tell(token, report)
            return []

    return Failures(tell)
