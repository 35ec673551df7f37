from __future__ import annotations

from dataclasses import replace

import pytest

from sparktrials.dispatch.jobs import (
    DONE,
    LOST,
    NEW,
    TAKEN,
    Job,
    decode_job,
    decode_said,
    outcome_of,
    sheet_of,
)
from sparktrials.study.board import BODY_LIMIT
from sparktrials.study.protocols import Lost, Reported
from sparktrials.study.trial import Outcome, TrialState
from sparktrials.worker import assignment as module
from sparktrials.worker.assignment import Assignment

OUTCOME = Outcome(trial_id=7, attempt=1, state=TrialState.OK, loss=0.5, result={"loss": 0.5})


@pytest.fixture
def mine(board, monkeypatch):
    """Return a job that this worker has taken."""
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    monkeypatch.setattr(module, "_TELL_S", 0.0)
    job = Job.new("key", 7, 1, objective="m:f", code="").taken("me", "here")
    board.pin([sheet_of(job, TAKEN)])
    return Assignment(board, board.get(job.name), job)


def found(board, mine):
    note = board.get(mine.job.name)
    return note.tag, decode_job(note)


def change(board, mine, tag=TAKEN, **fields):
    """Change the job as somebody else does."""
    note = board.get(mine.job.name)
    assert board.swap(note, sheet_of(replace(decode_job(note), **fields), tag))


def test_an_outcome_is_pinned(board, mine):
    assert mine.finish(OUTCOME)
    tag, job = found(board, mine)
    assert tag == DONE
    assert outcome_of(board, job) == OUTCOME


def test_a_large_outcome_lies_beside(board, mine):
    large = replace(OUTCOME, attachments={"a": b"x" * (3 * BODY_LIMIT)})
    assert mine.finish(large)
    _, job = found(board, mine)
    assert job.n_pieces == 4
    assert outcome_of(board, job) == large
    note = board.find(job.outcome)[1]
    board.remove(note)
    with pytest.raises(ValueError, match="outcome of trial 7 is damaged"):
        outcome_of(board, job)


def test_the_outcome_of_another_trial_is_none(board, mine):
    mine.finish(replace(OUTCOME, trial_id=8))
    with pytest.raises(ValueError, match="says that it is of trial 8"):
        outcome_of(board, found(board, mine)[1])


def test_a_driver_that_has_asked_for_a_stop_gets_the_outcome(board, mine):
    change(board, mine, stop=True)
    mine.keep_up()
    assert mine.stop
    change(board, mine, stop=True)
    assert mine.finish(OUTCOME)
    assert found(board, mine)[0] == DONE


@pytest.mark.parametrize(
    "how",
    [
        lambda board, mine: board.remove(board.get(mine.job.name)),
        lambda board, mine: change(board, mine, owner="another"),
        lambda board, mine: change(board, mine, NEW, owner=""),
        lambda board, mine: change(board, mine, token="abc"),
    ],
    ids=["removed", "taken by another", "free", "another job"],
)
@pytest.mark.parametrize("end", ["finish", "lose", "hand_back"])
def test_what_is_not_this_workers_any_more_is_left_alone(board, mine, how, end):
    how(board, mine)
    before = board.get(mine.job.name)
    arguments = {"finish": [OUTCOME], "lose": [Lost(7, 1, "why")], "hand_back": []}[end]
    assert not getattr(mine, end)(*arguments)
    assert not mine.wanted
    assert board.get(mine.job.name) == before
    assert board.find(mine.job.data) == []


def test_an_outcome_that_comes_too_late_leaves_nothing(board, mine):
    board.remove(board.get(mine.job.name))
    assert not mine.finish(replace(OUTCOME, attachments={"a": b"x" * (2 * BODY_LIMIT)}))
    assert board.find("data/") == []


def test_a_lost_trial_says_why(board, mine):
    assert mine.lose(Lost(7, 1, "killed", timed_out=True))
    tag, job = found(board, mine)
    assert (tag, job.reason, job.timed_out) == (LOST, "killed", True)


def test_a_trial_that_is_handed_back_is_as_new(board, mine):
    assert mine.hand_back()
    tag, job = found(board, mine)
    assert (tag, job.owner, job.host) == (NEW, "", "")


def test_what_is_said_is_pinned(board, mine):
    mine.hear(Reported(7, 1, ((0, 1.0),), ("a",)))
    mine.keep_up()
    mine.keep_up()
    mine.hear(Reported(7, 1, ((1, 2.0),), ("b",)))
    mine.keep_up()
    said = decode_said(board.body(mine.job.name), 7, 1)
    assert (said.n_reports, said.n_lines) == (2, 2)
    assert said.since(0, 0) == Reported(7, 1, ((0, 1.0), (1, 2.0)), ("a", "b"))
    assert mine.finish(OUTCOME)
