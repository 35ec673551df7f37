"""What a dispatcher asks of Spark: kept by Spark classic and by Spark Connect."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_errors import JobFailure
    from sparktrials.dispatch.worker import Pack
    from sparktrials.study.protocols import Task

__all__ = ["Backend", "Shipment"]


@dataclass(frozen=True, slots=True, eq=False)
class Shipment:
    """What executors need of a study: made once, sent once to each, named in every pack.

    Attributes
    ----------
    digest
        The key under which a worker process caches the study.
    handle
        The backend's own.
    """

    digest: str
    handle: Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task, as Spark saw it.

    Attributes
    ----------
    seconds
        How long it ran.
    executor_lost
        Whether it ended with its executor.
    """

    seconds: float
    executor_lost: bool


class Backend(Protocol):
    """Runs single-task jobs on a Spark and cancels them by tag.

    `enter` and `run` are called in threads of a `JobPool`, all else in the caller's.
    """

    def stopped(self) -> bool:
        """Whether this Spark can never run anything again."""

    def ended(self) -> str | None:
        """Return why this Spark is gone, if that shows in another way than by a job that fails.

        Asked twice a second while trials are under way; must not wait.
        """

    def gone(self, reason: str) -> str:
        """Return what a run that was under way ends with when this Spark is gone."""

    def slots(self) -> int:
        """Return how many tasks can run at once now, at least 1.

        Raises
        ------
        SparkContextStopped
        """

    def grows_to(self) -> float:
        """Return how many slots the cluster may get when jobs wait for one; 0: it does not grow.

        Infinite where that is not known.
        """

    def waiting(self) -> int:
        """Return how many tasks of this application wait for a slot, as far as is known.

        Asked about once a second while leases are open.
        """

    def check_together(self, nodes: int) -> None:
        """Raise if this Spark cannot run that many tasks together, as a barrier job.

        Raises
        ------
        InvalidArgument
        """

    def listens_on(self) -> tuple[str, str, int] | None:
        """Return where a channel may listen: address to bind, name for executors, port (0: any).

        None where executors can never reach this process, or where it must not listen.

        Raises
        ------
        InvalidArgument
            If the user's choice of a port is none.
        """

    def ship(self, task: Task) -> Shipment:
        """Pickle a study and make it available to executors.

        Raises
        ------
        ObjectiveNotPicklable
            If the objective or a constant of the space does not pickle.
        SparkContextStopped
        """

    def unship(self, shipment: Shipment) -> None:
        """Free what `ship` made; never raises."""

    def capture(self) -> Any:  # noqa: ANN401 - the backend's own
        """Return what the calling thread's jobs inherit: its pool, group, tags and properties."""

    def enter(self, captured: Any, tags: Sequence[str]) -> None:  # noqa: ANN401
        """Prepare the calling thread: it inherits what was captured, and its jobs have `tags`."""

    def run(self, shipment: Shipment, pack: Pack, description: str, tag: str) -> bytes:
        """Run one pack as a job of one task, wait for it, and return the pickled `Report`.

        The job has `tag`, which no other job gets, beside those of its thread.

        Of as many tasks as `pack.nodes` says, together: then it is that of the rank that failed
        first, or of rank 0.
        """

    def cancel(self, tags: Collection[str]) -> None:
        """Cancel the running jobs that have one of these tags; never raises.

        Waits a second for Spark at most, however many there are; may be asked again for the same.
        """

    def judge(self, error: BaseException) -> JobFailure:
        """Return what an exception that `run` raised means."""

    def first_attempt(self, stage: int | None) -> Attempt | None:
        """Return what became of the first attempt at a stage's one task, if Spark still knows."""
