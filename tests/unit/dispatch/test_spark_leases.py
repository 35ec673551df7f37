"""Leases, driven by hand: no Spark, no sockets, no waiting."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.dispatch import spark_leases, spark_queue
from sparktrials.dispatch.channel.events import Connected, Disconnected, Message, Reason
from sparktrials.dispatch.messages import encode_outcomes, encode_report, encode_returned
from sparktrials.dispatch.spark_endings import Ending, Endings
from sparktrials.dispatch.spark_errors import JobFailure, Verdict, judge
from sparktrials.dispatch.spark_jobs import JobEnd
from sparktrials.dispatch.spark_leases import Leases
from sparktrials.dispatch.spark_study import SparkStudy
from sparktrials.dispatch.spark_waiting import WaitingTasks
from sparktrials.dispatch.worker import Complaint, Report
from sparktrials.errors import ExecutorEnvironmentError
from sparktrials.space import compile_space
from sparktrials.study.protocols import (
    Cancelled,
    Crashed,
    Finished,
    Lost,
    Reported,
    Returned,
    Task,
)
from sparktrials.study.trial import Outcome, Trial, TrialState

SPACE = compile_space(hp.uniform("x", 0, 1))
LOST = Ending(failure=JobFailure(Verdict.WORKER_LOST, "it died", "h1"))


@dataclass
class Server:
    """Remembers what it was told to send."""

    address: str = "here"
    max_peers: int = 1000
    sent: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)

    def send(self, peer, header, blobs=()):
        self.sent.append((peer, header))

    def drop(self, peer):
        self.dropped.append(peer)


@dataclass
class Jobs:
    """Runs nothing."""

    started: list[Any] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)

    def submit(self, job):
        self.started.append(job)

    def cancel(self, jobs):
        self.cancelled += jobs


@dataclass
class Shipment:
    digest: str = "d"
    handle: Any = None


class Bench:
    """Leases on a cluster of `slots`, with tasks that the test plays."""

    def __init__(self, slots=2, parallelism=None, trial_timeout=None, grows_to=0, packing=True):
        self.n = slots
        self.server, self.jobs = Server(), Jobs()
        task = Task(objective=abs, space=SPACE, name="study", trial_timeout=trial_timeout)
        study = SparkStudy(
            task, self, Shipment(), self.jobs, lambda: self.n, parallelism, grows_to=grows_to
        )
        self.endings = Endings(self, lambda: self.n, self.others_left)
        self.leases = Leases(study, self.server, self.endings, packing=packing)
        self.submitted = 0
        self.others = 0

    def others_left(self):
        """Return how many leases there are beside the one that is judged."""
        return len(self.leases._leases) - 1

    def stopped(self):
        return False

    def judge(self, error):
        return judge(error)

    def waiting(self):
        """Return the tasks that wait for a slot: others' and those of leases that start."""
        return self.others + sum(x.peer is None for x in self.leases._leases.values())

    def submit(self, n):
        trials = [
            Trial(id=self.submitted + i, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1)
            for i in range(n)
        ]
        self.submitted += n
        self.leases.submit(trials, ())

    def look_up_crowd(self):
        self.leases._crowd._seen = float("-inf")
        self.leases.look_up()

    def connect(self, lease, peer=None, host="h1"):
        hello = {"lease": lease, "host": host, "pid": 1}
        self.leases.arrived(Connected(100 + lease if peer is None else peer, hello))

    def got(self, lease):
        """Return the ids of the trials that a task was sent."""
        return [
            [spec[0] for spec in header["trials"]]
            for peer, header in self.server.sent
            if peer == 100 + lease and header["kind"] == "trials"
        ]

    def kinds(self, lease):
        return [h["kind"] for p, h in self.server.sent if p == 100 + lease]

    def finish(self, lease, trial, attempt=1, seconds=1.0):
        return self.leases.arrived(
            Message(100 + lease, *encode_outcomes([done(trial, attempt, seconds)]))
        )

    def disconnect(self, lease):
        return self.leases.arrived(Disconnected(100 + lease, Reason.LOST))

    def end(self, lease, ending=None):
        job = self.jobs.started[lease]
        job.submitted = spark_leases.time.monotonic() - 1.0
        return self.leases.ended(JobEnd(job, 1.0), ending or Ending(report=Report("h1")))

    def complain(self, lease, host):
        """End a lease whose Python could not load the objective."""
        found = Complaint(host, "3.11.1", "ModuleNotFoundError", "No module named 'x'", "")
        end = JobEnd(self.jobs.started[lease], 1.0, pickle.dumps(Report(host, complaint=found)))
        return self.leases.ended(end, self.endings.of(end))


def done(trial, attempt=1, seconds=1.0):
    return Outcome(
        trial_id=trial,
        attempt=attempt,
        state=TrialState.OK,
        loss=1.0,
        result={"loss": 1.0, "status": "ok"},
        duration_s=seconds,
    )


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose one entry is the time."""
    now = [1000.0]
    monkeypatch.setattr(spark_leases.time, "monotonic", lambda: now[0])
    return now


def test_slots_are_asked_for_as_there_are_trials():
    bench = Bench(slots=4)
    assert bench.leases.room() == 4
    bench.submit(2)
    assert len(bench.jobs.started) == 2
    assert bench.leases.room() == 2
    assert bench.jobs.started[0].description == "study: lease 1, trials from 0 on"


def test_a_trial_goes_to_the_slot_that_asks_first():
    bench = Bench(slots=2)
    bench.submit(2)
    bench.connect(1)
    bench.connect(0)
    assert bench.got(1) == [[0]]
    assert bench.got(0) == [[1]]


def test_a_slot_that_has_finished_gets_the_next_and_nothing_is_queued_ahead():
    bench = Bench(slots=2)
    bench.submit(2)
    bench.connect(0)
    bench.connect(1)
    assert bench.leases.room() == 0
    (event,) = bench.finish(0, 0)
    assert event == Finished(done(0))
    assert bench.leases.room() == 1
    bench.submit(1)
    assert bench.got(0) == [[0], [2]]
    assert len(bench.jobs.started) == 2


def test_parallelism_bounds_what_runs():
    bench = Bench(slots=8, parallelism=3)
    assert bench.leases.room() == 3
    bench.submit(3)
    assert len(bench.jobs.started) == 3
    assert Bench(slots=2, parallelism=5).leases.room() == 2


def test_a_growing_cluster_sees_jobs_that_wait():
    bench = Bench(slots=2, parallelism=32, grows_to=math.inf)
    bench.submit(1)
    assert len(bench.jobs.started) == 1  # no more than there are trials
    sizes = []
    for _ in range(20):
        bench.submit(bench.leases.room())
        assert bench.leases.room() == 0
        sizes.append(len(bench.jobs.started))
        bench.n = min(30, sizes[-1])  # Spark has met what waited
    assert sizes[:3] == [4, 6, 8]
    assert sizes[-1] == 32


def test_a_cluster_grows_no_further_than_it_may():
    assert Bench(slots=2, grows_to=3).leases.room() == 3
    assert Bench(slots=3, grows_to=3).leases.room() == 3
    assert Bench(slots=4, grows_to=3).leases.room() == 4
    assert Bench(slots=2, grows_to=math.inf).leases.room() == 4
    assert Bench(slots=40, grows_to=math.inf).leases.room() == 50
    assert Bench(slots=2, parallelism=3, grows_to=math.inf).leases.room() == 3


def test_more_slots_more_room():
    bench = Bench(slots=1)
    bench.submit(1)
    assert bench.leases.room() == 0
    bench.n = 3
    assert bench.leases.room() == 2


def test_a_lease_ends_in_time(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    clock[0] += spark_leases.LEASE_S + 1
    bench.finish(0, 0)
    assert bench.kinds(0) == ["trials", "end"]
    bench.submit(1)  # waits for the slot, which is not free before the job has ended
    assert len(bench.jobs.started) == 1
    bench.disconnect(0)
    assert bench.end(0) == []
    assert len(bench.jobs.started) == 2
    bench.connect(1)
    assert bench.got(1) == [[1]]


def test_slots_that_wait_are_given_back_at_once_where_no_trial_is_expected():
    bench = Bench(slots=2)
    bench.submit(2)
    bench.connect(0)
    bench.connect(1)
    bench.finish(0, 0)
    bench.leases.release()
    assert bench.kinds(0)[-1] == "end"
    assert bench.kinds(1)[-1] == "trials"
    bench.finish(1, 1)
    bench.leases.release()
    assert bench.kinds(1)[-1] == "end"
    bench.submit(1)  # after all: a worker was lost
    assert bench.kinds(0)[-1] == bench.kinds(1)[-1] == "end"


def test_an_idle_slot_is_given_back(clock):
    bench = Bench(slots=2)
    bench.submit(1)
    bench.connect(0)
    bench.finish(0, 0)
    assert bench.leases.look_up() == []
    assert bench.kinds(0) == ["trials"]
    clock[0] += spark_leases.IDLE_S + 0.1
    assert bench.leases.look_up() == []
    assert bench.kinds(0) == ["trials", "end"]


def test_short_trials_go_in_batches():
    bench = Bench(slots=1)
    finished = 0
    sizes = []
    for _ in range(12):
        room = bench.leases.room()
        first = bench.submitted
        bench.submit(room)
        if not finished:
            bench.connect(0)
        sizes.append(len(bench.got(0)[-1]))
        for i in range(first, first + room):
            assert bench.finish(0, i, seconds=1e-4)
            finished += 1
    assert sizes[0] == 1
    assert max(sizes) > 1
    assert sizes[-1] <= 32
    assert bench.leases.in_flight == 0


def test_without_packing_each_goes_alone():
    bench = Bench(slots=1, packing=False)
    bench.submit(1)
    bench.connect(0)
    for i in range(50):
        bench.finish(0, i, seconds=1e-4)
        assert bench.leases.room() == 1
        bench.submit(1)
    assert {len(ids) for ids in bench.got(0)} == {1}


def test_a_worker_that_dies_costs_the_trials_it_had():
    bench = Bench(slots=1)
    bench.submit(3)
    bench.connect(0)
    lease = bench.jobs.started[0].subject
    # Three in one batch, of which the first came back.
    rest, _ = bench.leases._queue.clear()
    lease.sent.extend(rest)
    bench.leases._sent += len(rest)
    assert bench.finish(0, 0)
    bench.disconnect(0)
    events = bench.end(0, LOST)
    assert events == [Lost(i, 1, "it died", alone=False, host="h1") for i in (1, 2)]
    assert bench.leases.in_flight == 0


def test_a_connection_that_breaks_says_nothing_by_itself():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    assert bench.disconnect(0) == []
    assert bench.leases.in_flight == 1
    # The trial went on, and its outcome comes with the job.
    report = Report("h1", outcomes=(pickle.dumps(done(0)),))
    assert bench.end(0, Ending(report=report)) == [Finished(done(0))]
    assert bench.leases.in_flight == 0


def test_what_was_sent_into_a_broken_connection_comes_back_uncharged():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    bench.disconnect(0)
    assert bench.end(0) == []
    bench.connect(1)
    assert bench.got(1) == [[0]]
    assert bench.finish(1, 0) == [Finished(done(0))]  # the same attempt


def test_an_outcome_counts_once():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    assert bench.finish(0, 0)
    assert bench.finish(0, 0) == []
    report = Report("h1", outcomes=(pickle.dumps(done(0)),))
    assert bench.end(0, Ending(report=report)) == []
    assert bench.leases.in_flight == 0


def test_an_outcome_of_an_earlier_attempt_does_not_count():
    bench = Bench(slots=1)
    bench.leases.submit([Trial(id=0, state=TrialState.RUNNING, point={"x": 0.5}, attempt=2)], ())
    bench.connect(0)
    assert bench.finish(0, 0, attempt=1) == []
    assert bench.finish(0, 0, attempt=2)


def test_cancelling():
    bench = Bench(slots=2)
    bench.submit(4)
    bench.connect(0)
    bench.connect(1)
    bench.leases.cancel([1, 3])
    assert bench.jobs.cancelled == [bench.jobs.started[1]]
    assert [bench.kinds(0)[-1], bench.kinds(1)[-1]] == ["trials", "cancel"]
    assert bench.leases.look_up() == [Cancelled(3, 1)]
    assert bench.end(1, Ending(cancelled=True)) == [Cancelled(1, 1)]
    assert bench.leases.in_flight == 2


def test_a_success_that_arrives_before_the_cancellation_counts():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    bench.leases.cancel([0])
    assert bench.finish(0, 0) == [Finished(done(0))]
    bench.submit(1)
    assert bench.got(0) == [[0]]  # it is about to end
    assert bench.end(0, Ending(cancelled=True)) == []


def test_a_job_that_others_cancel():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    assert bench.end(0, Ending(cancelled=True)) == [Cancelled(0, 1)]


def test_a_job_that_others_cancel_before_it_has_a_trial_costs_none():
    bench = Bench(slots=1)
    bench.submit(1)
    assert bench.end(0, Ending(cancelled=True)) == []
    assert len(bench.jobs.started) == 2  # the trial waits for the next


def test_time_out_by_the_worker_and_from_here(clock):
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    clock[0] += 7.5
    bench.disconnect(0)
    (event,) = bench.end(0, LOST)
    assert event.timed_out
    assert "trial_timeout=5 s" in event.reason

    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    clock[0] += 13.0
    bench.leases.look_up()
    assert bench.jobs.cancelled == [bench.jobs.started[0]]
    (event,) = bench.end(0, Ending(cancelled=True))
    assert isinstance(event, Lost)
    assert event.timed_out


def test_workers_that_die_without_a_trial_end_the_study_in_the_end(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    for lease in range(100):
        events = bench.end(lease, LOST)
        if events:
            break
        assert len(bench.jobs.started) == lease + 1  # not again at once
        assert bench.leases.look_up() == []
        assert len(bench.jobs.started) == lease + 1
        clock[0] += 1.1
        bench.leases.look_up()
    (event,) = events
    assert isinstance(event, Crashed)
    assert "it died" in str(event.exception)
    assert lease < 20


def test_a_crash_is_passed_on_and_what_was_running_comes_back():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    crash = RuntimeError("gone")
    assert bench.end(0, Ending(crash=crash)) == [Returned(0, 1), Crashed(crash)]


def test_strangers_and_rubbish_are_dropped():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(7, peer=1)  # no such lease
    bench.connect(0)
    bench.connect(0, peer=2)  # it is connected already
    assert bench.server.dropped == [1, 2]
    assert bench.leases.arrived(Message(100, {"kind": "outcomes", "outcomes": [{}]})) == []
    assert bench.server.dropped == [1, 2, 100]
    assert bench.leases.arrived(Message(100, {"kind": "unheard of"})) == []
    assert bench.leases.arrived(Message(55, {"kind": "outcomes"})) == []
    for odd in ([0], None, "0", 0.0, {}):
        bench.leases.arrived(Connected(3, {"lease": odd}))
        assert bench.server.dropped.pop() == 3
    for odd in (np.arange(3), np.array([]), ["outcomes"], None):
        assert bench.leases.arrived(Message(100, {"kind": odd})) == []


def test_telling_a_trial_to_stop():
    bench = Bench(slots=2)
    bench.submit(2)
    bench.connect(0)
    bench.connect(1)
    bench.leases.stop([1])
    assert bench.server.sent[-1] == (101, {"kind": "stop", "ids": [1]})
    assert bench.kinds(0) == ["trials"]


def test_what_was_never_sent_is_recalled():
    bench = Bench(slots=1)
    bench.submit(3)
    bench.connect(0)
    left, alone = bench.leases.recall()
    assert [t.id for t in left] == [1, 2]
    assert not alone
    assert bench.leases.in_flight == 1


def test_one_that_was_lost_in_company_runs_alone():
    bench = Bench(slots=1)
    for _ in range(40):
        bench.leases._pacer.observe([1e-4], 1e-3, queued_ahead=False)
    assert bench.leases.room() > 3
    trials = [Trial(id=i, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1) for i in range(5)]
    bench.leases.submit(trials, {0, 3})
    bench.connect(0)
    assert bench.got(0) == [[0]]
    bench.finish(0, 0, seconds=1e-4)
    assert bench.got(0)[1:] == [[1, 2]]
    for i in (1, 2):
        bench.finish(0, i, seconds=1e-4)
    bench.finish(0, 3, seconds=1e-4)
    assert bench.got(0)[2:] == [[3], [4]]


# --------------------------------------------------------------------- what running trials say


def said(bench, lease, trial, attempt=1, **header):
    message = {**encode_report(trial, attempt, [(0, 0.5)], ["line"]), **header}
    return bench.leases.arrived(Message(100 + lease, message, ()))


def test_what_a_trial_says_is_an_event():
    bench = Bench()
    bench.submit(1)
    bench.connect(0)
    assert said(bench, 0, 0) == [Reported(0, 1, ((0, 0.5),), ("line",))]


def test_a_task_speaks_for_its_own_trials_only():
    bench = Bench()
    bench.submit(2)
    bench.connect(0)
    bench.connect(1)
    assert said(bench, 0, 1) == []
    assert said(bench, 0, 7) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "0"},
        {"attempt": -1},
        {"reports": 3},
        {"reports": [[0]]},
        {"reports": [[0, "x"]]},
        {"lines": None},
    ],
)
def test_a_malformed_report_ends_the_connection(wrong):
    bench = Bench()
    bench.submit(1)
    bench.connect(0)
    assert said(bench, 0, 0, **wrong) == []
    assert bench.server.dropped == [100]


def test_trials_that_ask_are_told_to_stop():
    bench = Bench()
    bench.submit(2)
    bench.connect(0)
    bench.connect(1)
    assert bench.leases.stop([0, 1]) is False
    bench.leases.arrived(Message(101, {"kind": "asks"}, ()))
    assert bench.leases.stop([0, 1, 9]) is True
    assert {"kind": "stop", "ids": [0]} in [h for p, h in bench.server.sent if p == 100]
    assert {"kind": "stop", "ids": [1]} in [h for p, h in bench.server.sent if p == 101]
    assert bench.leases.stop([0]) is False


# --------------------------------------------------------------------- others


def test_leases_are_short_where_others_wait(monkeypatch):
    monkeypatch.setattr(spark_leases, "CROWDED_LEASE_S", -1.0)
    bench = Bench(slots=2)
    bench.submit(4)
    bench.connect(0)
    bench.look_up_crowd()
    bench.finish(0, 0)
    assert bench.got(0) == [[0], [1]]  # what starts is its own other lease
    bench.others = 1
    bench.look_up_crowd()
    bench.finish(0, 1)
    assert bench.got(0) == [[0], [1]]
    assert bench.kinds(0)[-1] == "end"
    bench.others = 0
    bench.look_up_crowd()
    bench.connect(1)
    bench.finish(1, 2)
    assert bench.got(1) == [[2], [3]]


# --------------------------------------------------------------------- what a review found


def test_one_host_that_cannot_connect_does_not_end_the_channel():
    bench = Bench(slots=2)
    bench.submit(2)
    assert not bench.leases.unreached("h1", "no route")
    bench.connect(0)
    assert not any(bench.leases.unreached("h1", "no route") for _ in range(7))
    assert bench.leases.unreached("h1", "no route")


@pytest.mark.parametrize("hosts", [("h1", "h2"), ("h1", "h1", "h1")])
def test_where_nobody_can_connect_the_channel_is_given_up_soon(hosts):
    leases = Bench(slots=100).leases
    assert [leases.unreached(host, "no route") for host in hosts] == [False] * (len(hosts) - 1) + [
        True
    ]


def test_a_host_that_cannot_connect_is_not_asked_again_at_once(clock, caplog):
    bench = Bench(slots=2)
    bench.submit(2)
    bench.connect(0, host="good")
    assert not bench.leases.unreached("bad", "no route")
    bench.end(1, Ending(report=Report("bad", unreachable="no route")))
    assert len(bench.jobs.started) == 2
    assert bench.leases.in_flight == 2  # its trial waits
    assert "bad cannot reach the driver, which others can" in caplog.text
    assert "no route" in caplog.text
    clock[0] += 1.5
    bench.leases.look_up()
    assert len(bench.jobs.started) == 3


def test_no_more_slots_than_the_driver_may_have_connections(caplog):
    bench = Bench(slots=1000)
    bench.server.max_peers = 3
    assert bench.leases.room() == 3
    bench.submit(5)
    assert len(bench.jobs.started) == 3
    assert caplog.text.count("of 1000 slots 3 are used") == 1
    assert "ulimit -n" in caplog.text


def test_a_slot_that_falls_silent_is_told_of(caplog):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0, host="h9")
    bench.leases.arrived(Disconnected(100, Reason.SILENT, "nothing came for 60 s"))
    assert "h9, which runs trial 0, is silent (nothing came for 60 s)" in caplog.text
    bench.end(0, LOST)


def test_a_batch_fits_a_message(monkeypatch):
    monkeypatch.setattr(spark_queue, "_MESSAGE_BYTES", 100)
    bench = Bench(slots=1)
    bench.leases._pacer = FixedPacer()
    bench.submit(50)
    bench.connect(0)
    assert [len(ids) for ids in bench.got(0)] == [4]


class FixedPacer:
    def pack(self, tasks):
        return 40

    def observe(self, *args, **kwargs):
        pass


def test_the_end_of_spark_asks_for_no_slots():
    bench = Bench(slots=2)
    bench.submit(3)
    bench.connect(0)
    started = len(bench.jobs.started)
    events = bench.end(0, Ending(crash=RuntimeError("gone")))
    assert isinstance(events[-1], Crashed)
    assert len(bench.jobs.started) == started


# --------------------------------------------------------------------- batches that take long


def batch_of_three():
    bench = Bench(slots=1)
    bench.leases._pacer = FixedPacer()
    bench.submit(3)
    bench.connect(0)
    assert bench.got(0) == [[0, 1, 2]]
    return bench


def give_back(bench, *attempts):
    return bench.leases.arrived(Message(100, encode_returned(attempts)))


def test_slots_are_kept_for_what_may_come_back_from_batches():
    bench = batch_of_three()
    bench.n = 2
    bench.submit(1)
    bench.connect(1)
    bench.finish(1, 3)
    bench.leases.release()
    assert bench.kinds(1) == ["trials"]
    assert give_back(bench, (1, 1), (2, 1)) == [Returned(1, 1), Returned(2, 1)]
    bench.leases.release()
    assert bench.kinds(1)[-1] == "end"


def test_what_a_slot_does_not_get_to_comes_back_while_it_is_busy():
    bench = batch_of_three()
    assert give_back(bench, (1, 1), (2, 1), (9, 1), (0, 7)) == [Returned(1, 1), Returned(2, 1)]
    assert bench.leases.in_flight == 1
    assert give_back(bench, (1, 1)) == []
    bench.leases.submit([Trial(id=1, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1)], ())
    assert bench.got(0) == [[0, 1, 2]]  # its trial still runs
    assert bench.finish(0, 0) == [Finished(done(0))]
    assert bench.got(0) == [[0, 1, 2], [1]]


def test_what_comes_back_after_the_last_outcome_frees_the_slot_too():
    bench = batch_of_three()
    bench.finish(0, 0)
    assert give_back(bench, (1, 1), (2, 1)) == [Returned(1, 1), Returned(2, 1)]
    bench.submit(1)
    assert bench.got(0) == [[0, 1, 2], [3]]


def test_what_comes_back_and_is_to_be_cancelled_is():
    bench = batch_of_three()
    bench.leases.cancel([2])
    assert give_back(bench, (1, 1), (2, 1)) == [Returned(1, 1), Cancelled(2, 1)]


@pytest.mark.parametrize("wrong", [3, [1], [[1]], [[1, 2, 3]], [["a", 1]], [[-1, 1]], [[True, 1]]])
def test_returning_nonsense_ends_the_connection(wrong):
    bench = batch_of_three()
    bench.leases.arrived(Message(100, {"kind": "returned", "attempts": wrong}))
    assert bench.server.dropped == [100]


def test_a_process_that_died_in_time_has_not_timed_out_however_late_spark_says_so(clock):
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    clock[0] += 1.0
    bench.disconnect(0)
    clock[0] += 16.0
    bench.leases.look_up()
    assert bench.jobs.cancelled == []
    (event,) = bench.end(0, LOST)
    assert isinstance(event, Lost)
    assert not event.timed_out


def test_where_spark_never_says_that_a_process_is_gone_its_job_is_ended(clock):
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    clock[0] += 1.0
    bench.disconnect(0)
    clock[0] += 80.0
    bench.leases.look_up()
    assert bench.jobs.cancelled == [bench.jobs.started[0]]
    (event,) = bench.end(0, Ending(cancelled=True))
    assert isinstance(event, Lost)
    assert not event.timed_out


def test_a_host_that_is_cut_off_may_have_run_on(clock):
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    clock[0] += 1.0
    bench.leases.arrived(Disconnected(100, Reason.CUT_OFF, "No route to host"))
    clock[0] += 6.5
    (event,) = bench.end(0, LOST)
    assert event.timed_out


def test_a_trial_that_dies_of_its_time_out_after_others_of_its_batch_has_timed_out(clock):
    """Their outcomes came when it had already begun."""
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.leases._pacer = FixedPacer()
    bench.submit(2)
    bench.connect(0)
    clock[0] += 0.1
    bench.finish(0, 0)
    clock[0] += 6.95
    (event,) = bench.end(0, LOST)
    assert event.timed_out


def test_where_it_takes_long_to_look_who_waits_it_is_done_less_often(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    looks = []

    def waiting():
        looks.append(clock[0])
        clock[0] += 0.5
        return 0

    bench.leases._crowd._waiting = waiting
    for _ in range(600):
        bench.leases.look_up()
        clock[0] += 0.1
    assert len(looks) <= 3
    looks.clear()
    bench.leases._crowd._waiting = lambda: looks.append(clock[0]) or 0
    clock[0] += 60
    for _ in range(100):
        bench.leases.look_up()
        clock[0] += 0.1
    assert 8 <= len(looks) <= 10


def test_who_waits_is_asked_for_when_the_driver_has_nothing_else_to_do(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    looks = []
    bench.leases._crowd._waiting = lambda: looks.append(clock[0]) or 0
    start = clock[0]
    for _ in range(18):
        bench.leases.look_up(busy=True)
        clock[0] += 0.1
    assert looks == []  # neither at the start, which would be later for it
    bench.leases.look_up()
    assert looks == [clock[0]]
    for _ in range(25):
        clock[0] += 0.1
        bench.leases.look_up(busy=True)
    assert len(looks) == 2
    assert looks[0] - start > 1


def test_a_spark_that_does_not_say_who_waits_is_taken_at_its_word(caplog):
    caplog.set_level("DEBUG", logger="sparktrials.spark")
    assert WaitingTasks(None)() == 0
    assert "does not say how many tasks wait" in caplog.text


# --------------------------------------------------------------------- hosts that cannot run trials


def test_a_bad_host_gets_fewer_leases_while_a_good_one_goes_on(clock, caplog):
    bench = Bench(slots=4)
    bench.submit(4)
    bench.connect(0, host="good")
    bench.connect(1, host="good")
    bad, tried = [2, 3], 0
    for _ in range(600):  # five minutes
        clock[0] += 0.5
        for lease in bad:
            assert bench.complain(lease, "bad") == []
            tried += 1
        before = len(bench.jobs.started)
        bench.leases.look_up()
        bad = list(range(before, len(bench.jobs.started)))
    assert 20 <= tried <= 40
    assert bench.finish(0, 0) == [Finished(done(0))]
    assert bench.finish(1, 1) == [Finished(done(1))]
    assert caplog.text.count("cannot run trials, which go to others") == 1
    assert "on bad" in caplog.text


def test_where_no_host_can_run_trials_the_first_complaints_end_the_study(clock):
    bench = Bench(slots=2)
    bench.submit(2)
    assert bench.complain(0, "h1") == []  # another may be good
    assert len(bench.jobs.started) == 2
    (event,) = bench.complain(1, "h2")
    assert isinstance(event, Crashed)
    assert isinstance(event.exception, ExecutorEnvironmentError)
    assert "No module named 'x'" in str(event.exception)


def test_where_only_bad_hosts_are_left_the_study_ends_after_a_while(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0, host="good")
    bench.finish(0, 0)
    bench.submit(1)
    assert bench.end(0, Ending(cancelled=True)) == [Cancelled(1, 1)]
    bench.submit(1)
    for lease in range(1, 100):
        events = bench.complain(lease, "bad")
        if events:
            break
        clock[0] += 1.1
        bench.leases.look_up()
    assert isinstance(events[0].exception, ExecutorEnvironmentError)
    assert 5 < lease < 20


# --------------------------------------------------------------------- drivers that are busy


def test_a_crash_that_the_driver_heard_of_late_is_no_time_out(clock):
    bench = Bench(slots=1, trial_timeout=5.0)
    bench.submit(1)
    bench.connect(0)
    job = bench.jobs.started[0]
    job.submitted = clock[0]
    clock[0] += 60.0
    (event,) = bench.leases.ended(JobEnd(job, 1.0), LOST)
    assert isinstance(event, Lost)
    assert not event.timed_out


def test_a_slot_whose_task_is_about_to_leave_is_sent_nothing(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    bench.finish(0, 0)
    clock[0] += 1.4
    bench.submit(1)
    assert bench.got(0) == [[0], [1]]
    bench.finish(0, 1)
    clock[0] += 3.0  # the algorithm thinks
    bench.submit(1)
    assert bench.got(0) == [[0], [1]]
    assert bench.kinds(0)[-1] == "end"
    assert bench.disconnect(0) == []
    assert bench.end(0) == []
    bench.connect(1)
    assert bench.got(1) == [[2]]
    assert bench.finish(1, 2) == [Finished(done(2))]  # the first attempt


def test_a_task_idles_from_when_it_said_so(clock):
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    message = Message(100, *encode_outcomes([done(0)]))
    clock[0] += 10.0
    bench.leases.arrived(message, clock[0] - 3.0)
    bench.submit(1)
    assert bench.got(0) == [[0]]
    assert bench.kinds(0)[-1] == "end"


def test_what_comes_back_after_the_channel_was_given_up_is_pushed():
    bench = Bench(slots=1)
    bench.submit(1)
    bench.connect(0)
    bench.leases.recall()
    assert bench.end(0) == [Returned(0, 1)]
