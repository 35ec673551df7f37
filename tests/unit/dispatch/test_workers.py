"""The driver's side of workers, with a worker that does what the test says."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from dataclasses import replace

import cloudpickle
import pytest

from sparktrials import hp
from sparktrials.dispatch.crew import Member
from sparktrials.dispatch.jobs import (
    DONE,
    LOST,
    NEW,
    TAKEN,
    Job,
    decode_job,
    encode_said,
    jobs_of,
    pack_outcome,
    pinned_content,
    sheet_of,
)
from sparktrials.dispatch.workers import WorkersDispatcher
from sparktrials.space import compile_space
from sparktrials.study.board import Sheet
from sparktrials.study.protocols import Cancelled, Finished, Lost, Reported, Task
from sparktrials.study.trial import Outcome, Trial, TrialState
from sparktrials.study.values import loads

KEY = "study"
SPACE = compile_space({"x": hp.uniform("x", 0, 1), "f": hp.choice("f", [hashlib.sha256, 3])})


def objective(p):
    return p["x"]


def trial(number, attempt=1, **point):
    point = {"x": number / 10, "f": 1, **point}
    return Trial(id=number, state=TrialState.RUNNING, point=point, attempt=attempt, seed=number)


class Worker:
    """Takes jobs and ends them, as the test says."""

    def __init__(self, board, name="w", **changes):
        self.board, self.name = board, name
        fields = {"host": "h", "pid": 7, "process": name, "key": "", "refuses": {}}
        self.member = Member(id=name, **{**fields, "trusts_pickles": True, **changes})
        board.pin([Sheet(f"worker/{name}", "worker", self.member.text)])

    def note(self, number):
        return self.board.get(Job.named(KEY, number).name)

    def change(self, number, tag, body=b"", **fields):
        note = self.note(number)
        job = replace(decode_job(note), **fields)
        assert self.board.swap(note, sheet_of(job, tag, body))

    def take(self, number):
        self.change(number, TAKEN, owner=self.name, host="h")

    def finish(self, number, **fields):
        outcome = Outcome(
            **{
                "trial_id": number,
                "attempt": decode_job(self.note(number)).attempt,
                "state": TrialState.OK,
                "loss": 0.5,
                "result": {"loss": 0.5, "status": "ok"},
                "duration_s": 2.0,
                **fields,
            }
        )
        content = pack_outcome(outcome)
        self.change(number, DONE, content, sha256=hashlib.sha256(content).hexdigest())

    def leave(self):
        self.board.erase(f"worker/{self.name}")


@pytest.fixture
def make(board, monkeypatch):
    """Return a function that opens a dispatcher, which looks at workers each time."""
    monkeypatch.setattr("sparktrials.dispatch.workers._LOOK_S", 0.0)

    def make(objective=objective, recorded=(), **settings):
        dispatcher = WorkersDispatcher(
            board,
            KEY,
            recorded=lambda number: number in recorded,
            ended=lambda _: False,
            dumps=cloudpickle.dumps,
            **settings,
        )
        dispatcher.open(Task(objective=objective, space=SPACE))
        return dispatcher

    return make


def test_a_trial_becomes_a_job_with_all_that_is_needed(make, board):
    make().submit([trial(3, f=0)])
    note = board.get(Job.named(KEY, 3).name)
    job = decode_job(note)
    assert (note.tag, job.trial, job.attempt, job.code) == (NEW, 3, 1, "")
    assert job.objective.endswith("test_workers:objective")
    found = loads(pinned_content(board, job.specification).decode())
    assert found["point"] == {"x": 0.3, "f": 0}
    assert "_hashlib:openssl_sha256" in json.dumps(found["argument"])
    assert found["seed"] == 3


@pytest.mark.parametrize("what", [lambda p: p, functools.partial(objective)])
def test_what_cannot_be_imported_is_pickled_and_that_is_said(make, board, caplog, what):
    dispatcher = make(what)
    assert "--trust-pickle" in caplog.text
    assert "the objective" in caplog.text
    dispatcher.submit([trial(0), trial(1)])
    jobs = [decode_job(note) for note in board.find(jobs_of(KEY))]
    assert len({job.code for job in jobs}) == 1
    assert all(job.code and not job.objective for job in jobs)


def test_an_argument_that_cannot_be_written_down_is_pickled(board, make, caplog, monkeypatch):
    dispatcher = make()
    monkeypatch.setattr(SPACE.__class__, "build", lambda *_: object())
    dispatcher.submit([trial(0)])
    assert "a constant of the search space" in caplog.text
    assert decode_job(board.get(Job.named(KEY, 0).name)).code


def test_there_is_room_for_each_worker(make, board):
    dispatcher = make(queue_ahead=1)
    assert (dispatcher.slots, dispatcher.room()) == (1, 2)
    workers = [Worker(board, name) for name in "abc"]
    Worker(board, "d", key="another")
    assert (dispatcher.slots, dispatcher.room()) == (3, 4)
    dispatcher.submit([trial(0)])
    assert dispatcher.room() == 3
    workers[0].leave()
    assert dispatcher.slots == 2


def test_short_trials_are_queued_ahead(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0)])
    one.finish(0, duration_s=0.1)
    dispatcher.events(0)
    assert dispatcher.room() == 2


def test_workers_that_do_not_take_pickles_are_no_slots(make, board):
    Worker(board, "a", trusts_pickles=False)
    Worker(board, "b")
    assert make(lambda p: p).slots == 1
    assert make().slots == 2


def test_nobody_there_is_said_once(make, caplog):
    dispatcher = make()
    dispatcher.submit([trial(0)])
    dispatcher.submit([trial(1)])
    assert caplog.text.count("sparktrials worker URL") == 1


def test_a_refusal_is_said(make, board, caplog):
    dispatcher = make()
    path = f"{objective.__module__}:objective"
    Worker(board, refuses={path: "no such module"})
    assert dispatcher.slots == 1
    assert "refuses this experiment's trials: no such module" in caplog.text


def test_outcomes_come_once_and_stay_until_they_are_recorded(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0, attempt=4)])
    one.take(0)
    assert dispatcher.events(0) == []
    one.finish(0)
    (event,) = dispatcher.events(0)
    assert (event.outcome.trial_id, event.outcome.attempt, event.outcome.loss) == (0, 4, 0.5)
    assert one.note(0) is not None, "nobody has recorded it yet"
    assert dispatcher.events(0) == []
    assert one.note(0) is None
    assert board.find("data/") == []


def test_objects_are_not_unpickled(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0)])
    one.finish(0, objects={"model": b"cos\nsystem\n"}, attachments={"a": b"1"})
    (event,) = dispatcher.events(0)
    assert event.outcome.objects == {}
    assert event.outcome.attachments == {"a": b"1", "object:model": b"cos\nsystem\n"}


def test_what_trials_say_is_passed_on_once(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0, attempt=2)])
    one.take(0)
    one.change(0, TAKEN, encode_said(1, 1, [(0, 0.5)], ["a"]))
    assert dispatcher.events(0) == [Reported(0, 2, ((0, 0.5),), ("a",))]
    assert dispatcher.events(0) == []
    one.change(0, TAKEN, encode_said(2, 1, [(0, 0.5), (1, 0.4)], ["a"]))
    assert dispatcher.events(0) == [Reported(0, 2, ((1, 0.4),))]
    one.change(0, TAKEN, b"rubbish")
    assert dispatcher.events(0) == []


def test_a_lost_evaluation_is_told(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0), trial(1)])
    one.take(0)
    one.change(0, LOST, reason="killed")
    one.change(1, LOST, reason="too long", timed_out=True, host="")
    assert dispatcher.events(0) == [
        Lost(0, 1, "killed", host="h"),
        Lost(1, 1, "too long", timed_out=True),
    ]
    assert board.find(jobs_of(KEY)) == []


def test_a_worker_that_is_gone_loses_its_trial_and_cannot_bring_it(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0)])
    one.take(0)
    note = one.note(0)
    one.leave()
    (event,) = dispatcher.events(0)
    assert (event.trial_id, event.reason) == (0, "the worker has ended")
    dispatcher.submit([trial(0, attempt=2)])
    assert board.swap(note, sheet_of(decode_job(note), DONE)) is None, "it comes too late"
    Worker(board, "other").finish(0)
    (event,) = dispatcher.events(0)
    assert event.outcome.attempt == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.change(0, DONE, b"rubbish", sha256="0"),
        lambda one: one.change(0, DONE, b"", n_pieces=3, sha256="0"),
        lambda one: one.finish(0, state=TrialState.RUNNING),
        lambda one: one.finish(0, trial_id=9),
        lambda one: one.finish(0, loss=float("nan")),
    ],
)
def test_an_outcome_that_is_none_is_a_lost_trial(make, board, spoil):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0)])
    spoil(one)
    (event,) = dispatcher.events(0)
    assert isinstance(event, Lost)
    assert one.note(0) is None


def test_a_job_that_somebody_removed_is_a_lost_trial(make, board):
    dispatcher = make()
    dispatcher.submit([trial(0)])
    board.erase("job/")
    (event,) = dispatcher.events(0)
    assert "somebody has removed it" in event.reason


def test_notes_that_are_no_jobs_are_passed_over(make, board):
    board.pin([Sheet(f"{jobs_of(KEY)}rubbish", NEW, "rubbish")])
    dispatcher = make()
    board.pin([Sheet(f"{jobs_of(KEY)}more", DONE, "{}")])
    dispatcher.submit([trial(0)])
    assert dispatcher.events(0) == []
    dispatcher.close()


def test_cancelled_trials_are_taken_from_workers(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(i) for i in range(3)])
    one.take(0)
    one.take(1)
    one.finish(1)
    dispatcher.cancel([0, 1, 2, 7])
    events = dispatcher.events(0)
    assert events == [Cancelled(0, 1), Cancelled(2, 1)]
    (event,) = dispatcher.events(0)
    assert isinstance(event, Finished), "a success that made it"
    assert one.note(0) is None


def test_running_trials_are_told_to_stop(make, board):
    dispatcher, one = make(), Worker(board)
    dispatcher.submit([trial(0), trial(1)])
    assert dispatcher.stop([0, 1]) is False
    one.take(1)
    assert dispatcher.stop([0, 1, 7]) is True
    assert decode_job(one.note(1)).stop


# --------------------------------------------------------------------------- another driver


def test_a_driver_takes_up_what_another_one_left(make, board):
    first, one = make(), Worker(board)
    first.submit([trial(i) for i in range(5)])
    for number in range(3):
        one.take(number)
    one.finish(0)
    one.finish(1)
    second = make(recorded=[1])
    assert one.note(1) is None, "that was recorded"
    assert one.note(3) is None, "nobody has begun it"
    one.finish(2)
    second.submit([trial(0, attempt=2), trial(2, attempt=2), trial(3, attempt=2)])
    events = second.events(0)
    assert [(e.outcome.trial_id, e.outcome.attempt) for e in events] == [(0, 2), (2, 2)]
    assert decode_job(one.note(3)).attempt == 2


def test_what_is_another_trial_by_now_is_not_taken_up(make, board):
    first, one = make(), Worker(board)
    first.submit([trial(0), trial(1)])
    one.take(0)
    one.finish(1)
    second = make()
    second.submit([trial(0, attempt=2, x=0.9), replace(trial(1), seed=77)])
    assert [note.tag for note in board.find(jobs_of(KEY))] == [NEW, NEW]
    assert second.events(0) == []


def test_closing_leaves_what_is_not_recorded(make, board):
    recorded = set()
    dispatcher, one = make(recorded=recorded), Worker(board)
    dispatcher.submit([trial(0), trial(1)])
    one.finish(0)
    dispatcher.events(0)
    recorded.add(0)
    dispatcher.close()
    dispatcher.close()
    assert [decode_job(note).trial for note in board.find(jobs_of(KEY))] == [1]
    last = make(recorded={0, 1})
    last.close()
    assert board.find(jobs_of(KEY)) == board.find("data/") == board.find("code/") == []


def test_a_store_that_is_away_at_the_end_is_said(make, board, caplog, monkeypatch):
    from sparktrials.errors import StoreUnavailable

    dispatcher = make()

    def away(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(type(board), "find", away)
    with caplog.at_level(logging.WARNING):
        dispatcher.close()
    assert "jobs are left in" in caplog.text
