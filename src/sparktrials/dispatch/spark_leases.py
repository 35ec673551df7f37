"""Trials pulled by executors: each job is a lease of a slot, whose task asks for trial after trial.

Nothing is queued ahead: a trial is suggested when a slot asks for one, with all that is known by
then. A lease is bounded in time, shortly where other jobs of the application wait for a slot, and
an idle one is given back: so other jobs and other users get their turn, as Spark's scheduler has
it, and dynamic allocation can release machines.

Spark itself stays the judge of what became of a task: a connection that breaks ends no trial, the
job's end does. When it broke tells whether the trial had run out of its time.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from sparktrials.dispatch.channel.events import Connected, Disconnected, Message
from sparktrials.dispatch.lease import TASK_IDLE_S
from sparktrials.dispatch.messages import decode_outcomes, decode_report, decode_returned
from sparktrials.dispatch.pacing import Pacer
from sparktrials.dispatch.spark_crowd import Crowd
from sparktrials.dispatch.spark_errors import Verdict
from sparktrials.dispatch.spark_jobs import Job, JobEnd
from sparktrials.dispatch.spark_lease import Lease, overdue, what_became
from sparktrials.dispatch.spark_queue import TrialQueue
from sparktrials.dispatch.spark_reach import Reach
from sparktrials.dispatch.worker import decode_pickled, specs
from sparktrials.errors import SparkError
from sparktrials.study.protocols import Cancelled, Crashed, Event, Finished, Returned

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.events import Event as Arrived
    from sparktrials.dispatch.channel.server import ChannelServer
    from sparktrials.dispatch.spark_endings import Ending, Endings
    from sparktrials.dispatch.spark_errors import JobFailure
    from sparktrials.dispatch.spark_study import SparkStudy
    from sparktrials.study.trial import Outcome, Trial

__all__ = ["Leases"]

logger = logging.getLogger("sparktrials.spark")

#: Seconds after which a lease takes no further trial: a trial in it is not cut short.
LEASE_S = 30.0
#: The same while other jobs of the application wait for a slot.
CROWDED_LEASE_S = 1.0
#: Seconds after which a lease without a trial is given back.
IDLE_S = 1.0
#: Trials go out in batches that take about this long, so that the exchange itself does not count:
#: where results steer the next points, and where they don't.
_BATCH_S = 0.02
_BATCH_BLIND_S = 0.2
#: Seconds before an idle task leaves from which on it is sent nothing: that may be too late.
_LEAVING_S = 0.5
#: Leases in a row that may fail without a trial, beside three for each slot.
_FAILURES = 5


class Leases:
    """Lets executors pull.

    Parameters
    ----------
    study
        What is open.
    server
        The channel.
    endings
        Judges jobs.
    packing
        Whether short trials may be sent several at a time.
    """

    def __init__(
        self,
        study: SparkStudy,
        server: ChannelServer,
        endings: Endings,
        *,
        packing: bool,
    ) -> None:
        self._study = study
        self._server = server
        self._endings = endings
        adaptive = study.task.adaptive
        batch_s = _BATCH_S if adaptive else _BATCH_BLIND_S
        self._pacer = Pacer(adaptive=adaptive, packing=packing, target_s=batch_s)
        self._queue = TrialQueue()
        self._leases: dict[int, Lease] = {}
        self._peers: dict[int, Lease] = {}
        self._idle: deque[Lease] = deque()
        self._cancelled: list[Event] = []
        self._sent = 0  # trials that are with executors
        self._next = 0
        self._failures = 0
        self._reach = Reach()
        self._recalled = False
        self._heard = 0.0  # when what is looked at came
        self._closing = False
        self._ask_at = math.inf  # when hosts that failed may be tried again
        self._crowd = Crowd(study.backend.waiting)

    # ------------------------------------------------------------------ what is wanted

    @property
    def in_flight(self) -> int:
        """How many trials have not ended."""
        return len(self._queue) + self._sent

    @property
    def open(self) -> bool:
        """Whether there are slots that were asked for and not given back."""
        return bool(self._leases)

    @property
    def capacity(self) -> int:
        """How many trials may run at once."""
        slots = self._reach.within(self._study.capacity(), self._server.max_peers)
        return self._endings.hosts.free(slots, time.monotonic())

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        capacity = self.capacity
        size = self._pacer.pack(max(1, capacity))
        if size == 1:
            return max(0, capacity - self.in_flight)
        # Whole batches, for slots that ask or are about to be there.
        busy = sum(1 for lease in self._leases.values() if lease.sent)
        return max(0, (capacity - busy) * size - len(self._queue))

    def submit(self, trials: Sequence[Trial], alone: Collection[int]) -> None:
        """Hand trials to slots that wait, or queue them for the next that asks."""
        self._queue.add(trials, alone)
        self._hand_out()
        self._ask_for_slots()

    def release(self) -> None:
        """Give back slots that wait for a trial, but for what may come back from long batches."""
        self._give_back(sum(max(0, len(lease.sent) - 1) for lease in self._leases.values()))

    def _give_back(self, keep: int = 0) -> None:
        while len(self._idle) > keep:
            self._end(self._idle.popleft())

    def cancel(self, ids: Collection[int]) -> None:
        """Take back what waits; cancel the jobs of what runs."""
        wanted = set(ids)
        self._cancelled += [Cancelled(t.id, t.attempt) for t in self._queue.remove(wanted)]
        hit = []
        for lease in self._leases.values():
            theirs = wanted.intersection(t.id for t in lease.sent)
            if theirs:
                lease.wanted |= theirs
                hit.append(lease)
        self._cut(hit)

    def _cut(self, leases: Collection[Lease]) -> None:
        """Cancel jobs, and tell their tasks to leave at once: Spark takes four seconds and more."""
        self._study.jobs.cancel([lease.job for lease in leases])
        for lease in leases:
            lease.over = True
            if lease.peer is not None:
                self._server.send(lease.peer, {"kind": "cancel"})

    def stop(self, ids: Collection[int]) -> bool:
        """Tell running trials that they should end by themselves; whether any of them asks."""
        wanted = set(ids)
        asking = False
        for lease in self._leases.values():
            hit = sorted(wanted.intersection(t.id for t in lease.sent))
            if hit and lease.peer is not None:
                self._server.send(lease.peer, {"kind": "stop", "ids": hit})
                asking |= lease.asks
        return asking

    def unreached(self, host: str, why: str) -> bool:
        """Take note of a task that could not connect; whether to give up on the channel."""
        if self._reach.failed(host, self._study.capacity(), why):
            return True
        if self._reach.reached:
            self._endings.hosts.failed(host, time.monotonic())
        return False

    def recall(self) -> tuple[list[Trial], frozenset[int]]:
        """Return what was never sent, and which of it is to run alone, and forget it.

        Slots that wait are given back.
        """
        self._recalled = True
        self._give_back()
        return self._queue.clear()

    def look_up(self, *, busy: bool = False) -> list[Event]:
        """Give back slots that idle, end trials that are overdue; return events of one's own.

        `busy` says that something waits for the driver.
        """
        now = time.monotonic()
        while self._idle and now - (self._idle[0].idle_since or now) > IDLE_S:
            self._end(self._idle.popleft())
        self._cut(overdue(self._leases.values(), self._study.task.trial_timeout, now))
        if self._leases:
            starting = sum(1 for x in self._leases.values() if x.since == math.inf)
            self._crowd.look(now, starting, busy=busy)
        if now >= self._ask_at:
            self._ask_for_slots()
        events, self._cancelled = self._cancelled, []
        return events

    def close(self) -> bool:
        """Cancel what runs, let other tasks end by themselves; return whether there are any.

        A task that Spark kills takes its Python with it, which the next study would have to wait
        for: those that are still starting are told to end when they connect.
        """
        self._closing = True
        self._queue.clear()
        self._cut([lease for lease in self._leases.values() if lease.sent])
        self._give_back()
        return bool(self._leases)

    def discard(self, lease: Lease) -> bool:
        """Forget a lease whose job has ended after `close`; return whether there are others."""
        self._leases.pop(lease.number, None)
        return bool(self._leases)

    # ------------------------------------------------------------------ handing out

    def _hand_out(self) -> None:
        size = self._pacer.pack(max(1, self.capacity)) if self._queue and self._idle else 1
        while self._queue and self._idle:
            lease = self._idle.popleft()
            if lease.peer is None or lease.over:
                continue
            if time.monotonic() - (lease.idle_since or 0.0) > TASK_IDLE_S - _LEAVING_S:
                self._end(lease)  # its task is about to leave, or has left
                continue
            # As even as can be where there are fewer than whole batches.
            share = math.ceil(len(self._queue) / (len(self._idle) + 1))
            batch = self._queue.take(min(size, share))
            lease.idle_since = None
            lease.asks = False
            lease.begun = time.monotonic()
            lease.sent.extend(batch)
            self._sent += len(batch)
            self._server.send(lease.peer, {"kind": "trials", "trials": specs(batch)})

    def _ask_for_slots(self) -> None:
        """Start as many leases as there are trials for, up to the capacity."""
        capacity = self.capacity
        self._ask_at = self._endings.hosts.until(time.monotonic()) if self._queue else math.inf
        starting = sum(1 for x in self._leases.values() if x.peer is None and not x.over)
        room = capacity - len(self._leases)
        for _ in range(min(room, len(self._queue) - starting)):
            self._start()

    def _start(self) -> None:
        study, lease = self._study, Lease(self._next)
        self._next += 1
        address = self._server.address
        pack = study.pack((), time_box_s=0.0, channel=address, lease=lease.number)
        # It cannot be changed once the job runs.
        first = "" if self._queue.first is None else f" from {self._queue.first.id} on"
        description = f"{study.task.name}: lease {lease.number + 1}, trials{first}"
        lease.job = Job(pack, description, lease)
        self._leases[lease.number] = lease
        study.jobs.submit(lease.job)

    def _end(self, lease: Lease) -> None:
        lease.over = True
        lease.idle_since = None
        if lease.peer is not None:
            self._server.send(lease.peer, {"kind": "end"})

    # ------------------------------------------------------------------ what happens

    def arrived(self, item: Arrived, at: float | None = None) -> list[Event]:
        """Take note of something that came over the channel, `at` some time: now, if not given."""
        self._heard = time.monotonic() if at is None else at
        if isinstance(item, Connected):
            self._connected(item)
            return []
        lease = self._peers.get(item.peer)
        if lease is None:
            return []
        if isinstance(item, Disconnected):
            del self._peers[item.peer]
            lease.disconnected(item, self._heard)
            if lease.idle_since is not None:
                self._idle.remove(lease)
                lease.idle_since = None
            return []
        return self._message(lease, item)

    def _connected(self, item: Connected) -> None:
        number = item.hello.get("lease")
        lease = self._leases.get(number) if type(number) is int else None
        if lease is None or lease.peer is not None or lease.over:
            self._server.drop(item.peer)
            return
        self._reach.worked()
        lease.peer = item.peer
        lease.host = str(item.hello.get("host", ""))[:255]
        lease.since = self._heard
        self._endings.ready(lease.host)
        self._peers[item.peer] = lease
        self._wait(lease)

    def _wait(self, lease: Lease) -> None:
        """Give a slot that asks its next trials, if there are any, and its lease is not over."""
        now = self._heard
        length = min(CROWDED_LEASE_S, LEASE_S) if self._crowd.waits else LEASE_S
        if self._closing or now - lease.since > length:
            self._end(lease)
            return
        lease.idle_since = now
        self._idle.append(lease)
        self._hand_out()

    def _message(self, lease: Lease, item: Message) -> list[Event]:
        kind = str(item.header.get("kind"))
        try:
            if kind == "outcomes":
                return self._outcomes(lease, decode_outcomes(item.header, item.blobs))
            if kind == "returned":
                return self._returned(lease, decode_returned(item.header))
            if kind == "report":
                said = decode_report(item.header)
                known = any(t.id == said.trial_id for t in lease.sent)
                return [said] if known else []
        except ValueError as error:
            logger.warning("a message from %s was refused: %s", lease.host, error)
            self._server.drop(item.peer)
            return []
        lease.asks |= kind == "asks"
        return []

    def _outcomes(self, lease: Lease, outcomes: Iterable[Outcome]) -> list[Event]:
        """Take outcomes that are awaited of a lease; a late or repeated one is none of them."""
        new = [o for o in outcomes if self._taken(lease, o.trial_id, o.attempt)]
        if not new:
            return []
        self._failures = 0
        self._endings.worked(lease.host)
        now = self._heard
        ran = [outcome.duration_s or 0.0 for outcome in new]
        self._pacer.observe(ran, now - lease.begun, queued_ahead=False)
        lease.begun = now
        self._wait_if_done(lease)
        return [Finished(outcome) for outcome in new]

    def _returned(self, lease: Lease, attempts: Iterable[tuple[int, int]]) -> list[Event]:
        """Take back what a slot did not get to: others may be quicker."""
        back = [attempt for attempt in attempts if self._taken(lease, *attempt)]
        if back:
            self._wait_if_done(lease)
        return [(Cancelled if i in lease.wanted else Returned)(i, attempt) for i, attempt in back]

    def _taken(self, lease: Lease, trial_id: int, attempt: int) -> bool:
        """Take a trial from those that are with a lease; whether it was there."""
        there = lease.take(trial_id, attempt)
        self._sent -= there
        return there

    def _wait_if_done(self, lease: Lease) -> None:
        if not lease.sent and lease.peer is not None and not lease.over:
            self._wait(lease)

    def ended(self, end: JobEnd, ending: Ending) -> list[Event]:
        """Return what the end of a lease means for the trials that it had."""
        lease: Lease = end.job.subject
        ended_at = end.job.submitted + end.seconds
        del self._leases[lease.number]
        if lease.peer is not None:
            del self._peers[lease.peer]
            self._server.drop(lease.peer)
        if lease.idle_since is not None:
            self._idle.remove(lease)
        events: list[Event] = []
        if ending.report is not None:
            # Outcomes that the driver may not have got before the connection broke.
            lease.over = True
            self._heard = ended_at
            events += self._outcomes(lease, map(decode_pickled, ending.report.outcomes))
            if not (self._recalled or self._closing or lease.overdue):
                self._put_back(lease)
        events += what_became(lease, ending, self._study, ended_at)
        self._sent -= len(lease.sent)
        if ending.crash is not None:
            events.append(Crashed(ending.crash))
            return events  # where Spark is gone, there are no slots to ask for
        if ending.failure is not None:
            events += self._failed(lease, ending.failure)
        self._ask_for_slots()
        return events

    def _put_back(self, lease: Lease) -> None:
        """Queue what was sent to a task that had left: it is the same attempt still."""
        back = [trial for trial in lease.sent if trial.id not in lease.wanted]
        for trial in back:
            self._taken(lease, trial.id, trial.attempt)
        self._queue.put_back(back)

    def _failed(self, lease: Lease, failure: JobFailure) -> list[Event]:
        if lease.sent or failure.verdict is Verdict.ENVIRONMENT:  # which `Endings` has seen to
            return []
        self._endings.hosts.failed(failure.host or lease.host, time.monotonic())
        self._failures += 1
        if self._peers or self._failures <= _FAILURES + 3 * self._study.slots():
            return []
        msg = (
            f"the last {self._failures} Spark tasks ended before they ran a trial, the last one "
            f"because {failure.reason}"
        )
        return [Crashed(SparkError(msg))]
