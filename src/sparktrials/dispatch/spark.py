"""Trials as single-task jobs on Spark.

Where executors can reach the driver, a job is a lease of a slot that pulls trial after trial;
elsewhere trials are pushed in packs. Either way a crash takes down one slot, cancelling is by tag,
dynamic allocation and fair scheduling keep working.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sparktrials.dispatch.spark_endings import Endings
from sparktrials.dispatch.spark_jobs import JobEnd, JobPool
from sparktrials.dispatch.spark_lease import Lease
from sparktrials.dispatch.spark_leases import Leases
from sparktrials.dispatch.spark_packs import Packs
from sparktrials.dispatch.spark_study import SlotCount, SparkStudy
from sparktrials.errors import ChannelError, SparkContextStopped
from sparktrials.study.interrupts import held
from sparktrials.study.protocols import Crashed

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.events import Event as Arrived
    from sparktrials.dispatch.channel.server import ChannelServer
    from sparktrials.dispatch.spark_backend import Backend
    from sparktrials.study.protocols import Event, Task
    from sparktrials.study.trial import Trial

__all__ = ["SparkDispatcher"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds that `close` waits for cancelled jobs; less where the run was interrupted.
_CLOSE_WAIT_S = 2.0
#: Seconds that tasks which are still starting get to be told that they are not needed any more.
_LINGER_S = 5.0
#: Seconds of these that `close` waits itself.
_LINGER_HERE_S = 0.3
#: Seconds between two looks at slots that idle and trials that are overdue.
_LOOK_UP_S = 0.5

#: Ports that are tried from a port of the user's choice on: several studies may run at once.
_PORT_TRIES = 17


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came over the channel, and when: this process may be busy with something else."""

    at: float
    what: Arrived


_Item: TypeAlias = JobEnd | _Heard


@dataclass(slots=True, eq=False)
class _Open:
    """What there is while a study is open."""

    study: SparkStudy
    endings: Endings
    packs: Packs
    leases: Leases | None
    server: ChannelServer | None
    pulling: bool

    @property
    def way(self) -> Packs | Leases:
        """How trials are sent now."""
        return self.leases if self.leases is not None and self.pulling else self.packs

    @property
    def in_flight(self) -> int:
        """How much has not ended: jobs that push, trials of slots that pull."""
        return self.packs.in_flight + (0 if self.leases is None else self.leases.in_flight)

    def held_until(self) -> float:
        """When slots may be asked for again, if none may now and nothing is under way."""
        until = self.endings.hosts.until(time.monotonic())
        return (
            until if until < math.inf and not self.in_flight and not self.way.room() else -math.inf
        )


class SparkDispatcher:
    """Runs trials on the executors of a Spark.

    Parameters
    ----------
    backend
        Which Spark.
    parallelism
        Trials at once; None follows the cluster's slots.
    packing
        Whether short trials may share a task.
    channel
        True lets executors pull, where they can reach this process; False pushes.
    limit_threads
        Whether thread pools of libraries keep to a task's cpus.
    nodes
        Tasks for each trial, which run together; more than 1 turns packing and channel off.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        parallelism: int | None = None,
        packing: bool = True,
        channel: bool = True,
        limit_threads: bool = True,
        nodes: int = 1,
    ) -> None:
        self._limit_threads = limit_threads
        self._nodes = nodes
        self._backend = backend
        self._parallelism = parallelism
        self._packing = packing and nodes == 1
        self._channel = channel and nodes == 1
        self._cluster_slots = SlotCount(backend, nodes)
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._taken: deque[_Item] = deque()  # out of the inbox, and not yet looked at
        self._pending: list[Event] = []  # happened, and not yet returned
        self._opened: _Open | None = None

    # ------------------------------------------------------------------ the protocol

    @property
    def slots(self) -> int:
        """How many trials can run at the same time now."""
        slots = self._cluster_slots()
        return slots if self._parallelism is None else min(slots, self._parallelism)

    def open(self, task: Task) -> None:
        """Pickle and ship what the study needs on executors.

        Raises
        ------
        ObjectiveNotPicklable
            If the objective or a constant of the space does not pickle.
        SparkContextStopped
            If the context was stopped.
        InvalidArgument
            If the cluster cannot run that many tasks together.
        """
        if self._nodes > 1:
            self._backend.check_together(self._nodes)
        grows_to = self._backend.grows_to()
        self._tell_of_few_slots(grows_to)
        with contextlib.ExitStack() as undo:
            with held():
                server = self._listen()
                if server is not None:
                    undo.callback(server.close)
            opened = self._open(task, server, grows_to)
            with held():
                self._taken.clear()
                self._pending = []
                self._opened = opened
                undo.pop_all()

    def _tell_of_few_slots(self, grows_to: float) -> None:
        slots = self._cluster_slots()
        if self._parallelism is not None and self._parallelism > max(slots, grows_to):
            logger.warning(
                "parallelism=%d is more than the cluster has slots for, which is %d trials at once "
                "now, as far as Spark says: the others wait until there are more",
                self._parallelism,
                slots,
            )

    def _open(self, task: Task, server: ChannelServer | None, grows_to: float) -> _Open:
        shipment = self._backend.ship(task)
        study = SparkStudy(
            task=task,
            backend=self._backend,
            shipment=shipment,
            jobs=JobPool(self._backend, shipment, self._inbox.put),
            slots=self._cluster_slots,
            parallelism=self._parallelism,
            limit_threads=self._limit_threads,
            nodes=self._nodes,
            grows_to=grows_to,
        )
        endings = Endings(self._backend, self._cluster_slots, study.jobs.__len__)
        packs = Packs(study, endings, packing=self._packing)
        leases = None
        if server is not None:
            leases = Leases(study, server, endings, packing=self._packing)
        return _Open(study, endings, packs, leases, server, pulling=leases is not None)

    def _listen(self) -> ChannelServer | None:
        place = self._backend.listens_on() if self._channel else None
        if place is None:
            return None
        from sparktrials.dispatch.channel.server import ChannelServer  # noqa: PLC0415 - only where used

        bind, name, port = place
        try:
            return ChannelServer(
                bind,
                advertised=name,
                port=port,
                port_tries=_PORT_TRIES,
                deliver=functools.partial(_deliver, self._inbox),
            )
        except ChannelError as error:
            logger.warning("trials are pushed to executors by Spark: %s", error)
            return None

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        return self._now.way.room()

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:
        """Queue trials."""
        self._now.way.submit(trials, alone)

    def release(self) -> None:
        """Give back slots that have no trial."""
        if self._now.leases is not None:
            self._now.leases.release()

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._take(deadline)
            with held():  # an interrupt in between would lose what was taken
                # One after the other: what an error comes after is returned by the next call.
                while self._taken:
                    self._pending += self._events_of(self._taken.popleft())
                self._pending += self._look_up()
            late = deadline is not None and time.monotonic() >= deadline
            idle = not self._now.in_flight and self._now.held_until() == -math.inf
            if self._pending or idle or late:
                found, self._pending = self._pending, []
                return found

    def cancel(self, ids: Sequence[int]) -> None:
        """Cancel these trials: what runs with them in one pack, too."""
        self._now.packs.cancel(ids)
        if self._now.leases is not None:
            self._now.leases.cancel(ids)

    def stop(self, ids: Sequence[int]) -> bool:
        """Tell trials that they should end by themselves; whether any of them may do so."""
        leases = self._now.leases
        return leases is not None and leases.stop(ids)

    def close(self) -> None:
        """Cancel what runs, end the threads and free what was shipped."""
        with held():
            opened, self._opened = self._opened, None
            if opened is None:
                return
            inbox, self._inbox = self._inbox, queue.SimpleQueue()
            waiting = opened.leases is not None and opened.leases.close()
            # In a thread of its own: it is done to its end, however long anybody waits for it.
            name = f"{opened.study.task.name} closing"
            quiet, grace = threading.Event(), opened.study.task.grace
            closing = threading.Thread(
                target=_end, args=(opened, inbox, quiet), name=name, daemon=True
            )
            closing.start()
        if not waiting or quiet.wait(grace.left(_LINGER_HERE_S)):
            closing.join(grace.left(_CLOSE_WAIT_S))

    # ------------------------------------------------------------------ what happens

    @property
    def _now(self) -> _Open:
        if self._opened is None:
            msg = "the dispatcher is not open"
            raise RuntimeError(msg)
        return self._opened

    def _take(self, deadline: float | None) -> None:
        """Take what is in the inbox; wait for it while anything is under way.

        Taking and keeping are one call, of C: no signal is handled between them.
        """
        with contextlib.suppress(queue.Empty):
            again = self._now.held_until()
            if (self._now.in_flight or again > 0) and not self._pending and not self._taken:
                wait = _LOOK_UP_S if again < 0 else max(0.0, again - time.monotonic())
                if deadline is not None:
                    wait = min(wait, max(0.0, deadline - time.monotonic()))
                self._taken.extend(map(self._inbox.get, (True,), (wait,)))
            self._taken.extend(iter(self._inbox.get_nowait, None))

    def _look_up(self) -> list[Event]:
        self._now.packs.look_up()
        leases = self._now.leases
        found = [] if leases is None else leases.look_up(busy=bool(self._pending))
        reason = self._backend.ended() if self._now.in_flight else None
        if reason is not None:
            found.append(Crashed(SparkContextStopped(self._backend.gone(reason))))
        return found

    def _events_of(self, item: _Item) -> list[Event]:
        now = self._now
        if not isinstance(item, JobEnd):
            return [] if now.leases is None else now.leases.arrived(item.what, item.at)
        now.study.jobs.forget(item.job)
        ending = now.endings.of(item)
        if now.leases is None or not isinstance(item.job.subject, Lease):
            return now.packs.ended(item, ending)
        report = ending.report
        why = None if report is None else report.unreachable
        if report and why and now.pulling and now.leases.unreached(report.host, why):
            # No executor of this cluster can be counted on to reach the channel.
            logger.info("executors cannot reach the driver, so trials are pushed: %s", why)
            now.pulling = False
            now.packs.submit(*now.leases.recall())
        return now.leases.ended(item, ending)


def _deliver(inbox: queue.SimpleQueue[_Item], what: Arrived) -> None:
    inbox.put(_Heard(time.monotonic(), what))


def _linger(opened: _Open, inbox: queue.SimpleQueue[_Item], seconds: float) -> bool:
    """Let tasks end that have no trial, up to some seconds; return whether any is left."""
    deadline = time.monotonic() + seconds
    leases = opened.leases
    while leases is not None and (left := deadline - time.monotonic()) > 0:
        try:
            item = inbox.get(timeout=left)
        except queue.Empty:
            return True
        if not isinstance(item, JobEnd):
            leases.arrived(item.what, item.at)
        elif isinstance(item.job.subject, Lease):
            opened.study.jobs.forget(item.job)
            if not leases.discard(item.job.subject):
                return False
    return True


def _end(opened: _Open, inbox: queue.SimpleQueue[_Item], quiet: threading.Event) -> None:
    study = opened.study
    with (
        contextlib.ExitStack() as closing
    ):  # from the last on; each, whatever becomes of the others
        closing.callback(study.backend.unship, study.shipment)
        if opened.server is not None:
            closing.callback(opened.server.close)
        closing.callback(study.jobs.close, _CLOSE_WAIT_S)
        if opened.leases is not None and opened.leases.open:
            _linger(opened, inbox, _LINGER_S)
        quiet.set()
