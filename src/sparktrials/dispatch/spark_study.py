"""What is made once of a study's task on Spark, for packs and leases alike."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.worker import Pack, specs

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend, Shipment
    from sparktrials.dispatch.spark_jobs import JobPool
    from sparktrials.study.protocols import Task
    from sparktrials.study.trial import Trial

__all__ = ["SlotCount", "SparkStudy"]

#: Seconds after which the number of slots is asked for again.
_SLOTS_AGE_S = 1.0


class SlotCount:
    """How many trials the cluster can run at once; asks it about once a second.

    Parameters
    ----------
    backend
        Which Spark.
    nodes
        Tasks for each trial.
    """

    def __init__(self, backend: Backend, nodes: int = 1) -> None:
        self._backend = backend
        self._nodes = nodes
        self._found = 0
        self._asked = float("-inf")

    def __call__(self) -> int:
        """Return the number, at least 1."""
        now = time.monotonic()
        if now - self._asked > _SLOTS_AGE_S:
            self._found = max(1, self._backend.slots() // self._nodes)
            self._asked = now
        return self._found


@dataclass(frozen=True, slots=True, eq=False)
class SparkStudy:
    """A study that is open on Spark.

    Attributes
    ----------
    task
        The study's.
    backend
        Which Spark.
    shipment
        What executors have of it.
    jobs
        Its jobs.
    slots
        Returns how many tasks can run at once.
    parallelism
        Trials at once; None follows the slots.
    limit_threads
        Whether thread pools of libraries keep to a task's cpus.
    nodes
        Tasks for each trial.
    grows_to
        How many slots the cluster may get when jobs wait for one; 0: it does not grow.
    """

    task: Task
    backend: Backend
    shipment: Shipment
    jobs: JobPool
    slots: SlotCount
    parallelism: int | None
    limit_threads: bool = True
    nodes: int = 1
    grows_to: float = 0

    def capacity(self) -> int:
        """Return how many trials to have under way, where none is queued ahead.

        On a cluster that grows that is a few more than it has slots: it grows for jobs that wait.
        """
        slots = self.slots()
        if slots < self.grows_to:
            more = max(2, math.ceil(slots / 4))
            slots = int(min(slots + more, self.grows_to))
        return slots if self.parallelism is None else min(slots, self.parallelism)

    def pack(self, trials: Sequence[Trial], **more: Any) -> Pack:  # noqa: ANN401 - of a `Pack`
        """Return trials as a task takes them."""
        return Pack(
            study=self.shipment.digest,
            trials=specs(trials),
            trial_timeout_s=self.task.trial_timeout,
            limit_threads=self.limit_threads,
            nodes=self.nodes,
            **more,
        )

    def timeout_reason(self) -> str:
        """Return what a trial is told to have failed of that had to be killed."""
        limit = self.task.trial_timeout or 0.0
        return f"the trial took longer than trial_timeout={limit:g} s and had to be killed"
