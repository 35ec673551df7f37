"""Spark classic: single-task RDD jobs on the SparkContext of this process."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import pickle
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.broadcasting import collecting
from sparktrials.dispatch.shipping import digest_of, make_task, package_zip, payload_of
from sparktrials.dispatch.spark_backend import Shipment
from sparktrials.dispatch.spark_channel import place_to_listen
from sparktrials.dispatch.spark_errors import JobFailure, judge
from sparktrials.dispatch.spark_resources import DECLINED, check_fits, grown_slots, profile_on
from sparktrials.dispatch.spark_session import (
    STOPPED,
    first_attempt,
    is_stopped,
    setting_of,
    slots_of,
)
from sparktrials.dispatch.spark_waiting import WaitingTasks
from sparktrials.errors import SparkContextStopped

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Attempt
    from sparktrials.dispatch.spark_barrier import BarrierJobs
    from sparktrials.dispatch.spark_channel import Place
    from sparktrials.dispatch.worker import Pack
    from sparktrials.study.protocols import Task

__all__ = ["ClassicBackend"]

logger = logging.getLogger("sparktrials.spark")

#: The local property that says which lease a job is.
LEASE = "sparktrials.lease"


class _Together:
    """The barrier jobs of one study: of one that is closing another may be the successor."""

    def __init__(self, context: Any, profile: Any | None) -> None:  # noqa: ANN401
        self._context = context
        self._profile = profile
        self._jobs: BarrierJobs | None = None
        self._lock = threading.Lock()

    def __call__(self) -> BarrierJobs:
        """Return them; made when a trial first needs them."""
        from sparktrials.dispatch.spark_barrier import BarrierJobs  # noqa: PLC0415 - where used

        with self._lock:
            if self._jobs is None:
                self._jobs = BarrierJobs(self._context, self._profile)
            return self._jobs

    def close(self) -> None:
        """Forget them."""
        if self._jobs is not None:
            self._jobs.close()


class _LeaseJob:
    """The RDD of a study's leases, which is the same for all but for a local property of the job.

    To make one for each costs as much as all that Spark then does to run it.
    """

    def __init__(self) -> None:
        self._made: dict[bytes, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, pack: Pack, make: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - an RDD
        """Return it, made by `make` of a pickled pack when the first lease needs it."""
        content = pickle.dumps(dataclasses.replace(pack, lease=None))
        with self._lock:
            if content not in self._made:
                self._made[content] = make(content)
            return self._made[content]


@dataclass(frozen=True, slots=True)
class _Parcel:
    """What executors need of a study, and who runs its trials of several tasks.

    Attributes
    ----------
    broadcast
        Has the study's ``"payload"`` and the ``"package"``.
    extras, package, data, freed
        As `shipping.make_task` takes them.
    """

    broadcast: Any
    extras: tuple[Any, ...]
    package: str
    data: tuple[tuple[str, Any], ...]
    freed: tuple[tuple[str, ...], ...]
    together: _Together
    lease_job: _LeaseJob


class ClassicBackend:
    """A `Backend` on a SparkContext.

    Parameters
    ----------
    context
        A running SparkContext.
    profile
        A ``pyspark.resource.ResourceProfile`` for the tasks, or None.
    in_clear
        Whether a channel may be opened though Spark's own connections are encrypted.

    Raises
    ------
    InvalidArgumentType, InvalidArgument
        If the profile is none, or none that this cluster can do.
    """

    def __init__(
        self,
        context: Any,  # noqa: ANN401
        profile: Any | None = None,  # noqa: ANN401
        *,
        in_clear: bool = False,
    ) -> None:
        self._context = context
        self._in_clear = in_clear
        self._profile = profile_on(context, profile)
        self._declined = profile is not None and self._profile is None
        self._waiting = WaitingTasks(context)
        self._base: Any = None

    def stopped(self) -> bool:
        """Whether the context was stopped."""
        return is_stopped(self._context)

    def ended(self) -> None:
        """When a context stops, its jobs fail."""

    def gone(self, reason: str) -> str:
        """Say that the context was stopped."""
        return f"the SparkContext was stopped while trials were running ({reason})"

    def slots(self) -> int:
        """Return how many tasks the executors can run at once."""
        return slots_of(self._context, self._profile)

    def grows_to(self) -> float:
        """Return what dynamic allocation allows."""
        return grown_slots(self._setting, self._profile)

    def _setting(self, name: str, default: str) -> str:
        return setting_of(self._context, name, default)

    def waiting(self) -> int:
        """Ask Spark's status store."""
        return self._waiting()

    def check_together(self, nodes: int) -> None:
        """Refuse what Spark would wait ten minutes for."""
        from sparktrials.dispatch.spark_barrier import check_barrier  # noqa: PLC0415 - where used

        if self._profile is not None:
            check_fits(self._context, self._profile)
        check_barrier(self._context, self, nodes)

    def listens_on(self) -> Place | None:
        """Return where Spark's own driver listens, and a port of the user's choice."""
        local: bool = self._context._jsc.sc().isLocal()  # noqa: SLF001
        return place_to_listen(self._setting, local=local, in_clear=self._in_clear)

    def ship(self, task: Task) -> Shipment:
        """Broadcast a study; the broadcasts that its objective refers to go along with each job."""
        from pyspark import cloudpickle  # noqa: PLC0415 - an extra

        from sparktrials.dispatch.spark_broadcast import freed_on, publish_on  # noqa: PLC0415

        if self.stopped():
            raise SparkContextStopped(STOPPED)
        if self._profile is not None:
            check_fits(self._context, self._profile)
        if self._declined:
            logger.warning(DECLINED, self._context.master)
        # Spark notes here which broadcasts are pickled, to attach them to the next job.
        registry = self._context._pickled_broadcast_vars  # noqa: SLF001
        registry.clear()
        with collecting() as handles:
            payload = payload_of(task, cloudpickle.dumps)
        extras = tuple(registry)
        registry.clear()
        publish = functools.partial(publish_on, self._context)
        data = tuple(
            (key, handle.published(self._context, publish).reference)
            for key, handle in handles.items()
        )
        package = package_zip()
        broadcast = self._context.broadcast({"payload": payload, "package": package})
        self._base = self._context.parallelize([0], 1)
        together = _Together(self._context, self._profile)
        parcel = _Parcel(
            broadcast=broadcast,
            extras=extras,
            package=digest_of(package),
            data=data,
            freed=freed_on(self._context),
            together=together,
            lease_job=_LeaseJob(),
        )
        return Shipment(digest_of(payload), parcel)

    def unship(self, shipment: Shipment) -> None:
        """Free the broadcast."""
        shipment.handle.together.close()
        with contextlib.suppress(Exception):  # the context may be gone
            shipment.handle.broadcast.destroy()

    def capture(self) -> Any:  # noqa: ANN401 - java.util.Properties
        """Return a copy of the thread's local properties."""
        return self._context._jsc.sc().getLocalProperties().clone()  # noqa: SLF001

    def enter(self, captured: Any, tags: Sequence[str]) -> None:  # noqa: ANN401
        """Give the thread its own copy of the properties: it sets descriptions and tags in it."""
        self._context._jsc.sc().setLocalProperties(captured.clone())  # noqa: SLF001
        for tag in tags:
            self._context.addJobTag(tag)

    def run(self, shipment: Shipment, pack: Pack, description: str, tag: str) -> bytes:
        """Run a pack as an RDD job of one task, or of several that wait for each other."""
        self._context.setJobDescription(description)
        self._context.addJobTag(tag)
        try:
            return self._run(shipment.handle, pack)
        finally:
            with contextlib.suppress(Exception):  # the context may be gone
                self._context.removeJobTag(tag)

    def _run(self, parcel: _Parcel, pack: Pack) -> bytes:
        make = functools.partial(
            make_task,
            fetch=_from(parcel.broadcast),
            extras=parcel.extras,
            package_digest=parcel.package,
            data=parcel.data,
            freed=parcel.freed,
        )
        if pack.nodes > 1:
            content = pickle.dumps(pack)
            return parcel.together().run(lambda ranks: make(content, ranks=ranks), pack.nodes)
        if pack.lease is None or not self._pinned:
            rdd = self._one_task(make(pickle.dumps(pack)))
        else:
            rdd = parcel.lease_job(pack, lambda content: self._lease_task(make, content))
            self._context.setLocalProperty(LEASE, str(pack.lease))
        result: bytes = rdd.collect()[0]
        return result

    @functools.cached_property
    def _pinned(self) -> bool:
        """Whether each Python thread has a JVM thread of its own, and so its local properties."""
        from py4j.clientserver import ClientServer  # noqa: PLC0415 - comes with Spark

        return isinstance(self._context._gateway, ClientServer)  # noqa: SLF001 - as pyspark asks

    def _lease_task(self, make: Callable[..., Any], pack: bytes) -> Any:  # noqa: ANN401 - an RDD
        rdd = self._one_task(make(pack, lease_property=LEASE))
        rdd._jrdd  # noqa: B018, SLF001 - made now, by one thread
        return rdd

    def _one_task(self, task: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - an RDD
        rdd = self._base.mapPartitions(task)
        return rdd if self._profile is None else rdd.withResources(self._profile)

    def cancel(self, tags: Collection[str]) -> None:
        """Cancel jobs by tag; Spark takes note of it and returns."""
        with contextlib.suppress(Exception):  # the context may be gone
            for tag in tags:
                self._context.cancelJobsWithTag(tag)

    def judge(self, error: BaseException) -> JobFailure:
        """Return what Spark's exception means."""
        return judge(error)

    def first_attempt(self, stage: int | None) -> Attempt | None:
        """Ask Spark's status store."""
        return first_attempt(self._context, stage)


def _from(broadcast: Any) -> Callable[[str], bytes]:  # noqa: ANN401 - a pyspark.Broadcast
    def fetch(name: str) -> bytes:  # nested: it travels by value
        content: bytes = broadcast.value[name]
        return content

    return fetch
