from __future__ import annotations

import json

import pytest

from sparktrials.dispatch.jobs import (
    NEW,
    Job,
    decode_job,
    decode_said,
    encode_said,
    jobs_of,
    pack_outcome,
    sheet_of,
    unpack_outcome,
)
from sparktrials.study.board import Note
from sparktrials.study.trial import Failure, FailureKind, Outcome, TrialState

OUTCOMES = [
    Outcome(trial_id=3, attempt=1, state=TrialState.OK, loss=0.5, result={"loss": 0.5}),
    Outcome(
        trial_id=3,
        attempt=2,
        state=TrialState.OK,
        loss=-1.0,
        result={"loss": -1.0, "status": "ok", "x": (1, b"2")},
        attachments={"a": b"\0" * 5, "b": b""},
        objects={"model": b"pickle"},
        dropped={"c": "too large"},
        host="h",
        duration_s=1.5,
        reports=((0, 1.0),),
        log="line",
    ),
    Outcome(
        trial_id=3,
        attempt=1,
        state=TrialState.FAILED,
        failure=Failure(kind=FailureKind.RAISED, type="E", message="m", traceback="t"),
    ),
]


def note_of(job, **changes):
    sheet = sheet_of(job, NEW)
    fields = {**json.loads(sheet.text), **changes}
    return Note(sheet.name, 1, NEW, json.dumps(fields))


@pytest.mark.parametrize("outcome", OUTCOMES, ids=["small", "large", "failed"])
def test_outcomes_come_back(outcome):
    assert unpack_outcome(pack_outcome(outcome)) == outcome


def test_no_cut_outcome_is_one():
    content = pack_outcome(OUTCOMES[1])
    for end in range(len(content)):
        with pytest.raises(ValueError):
            unpack_outcome(content[:end])
    with pytest.raises(ValueError):
        unpack_outcome(content + b"x")


def test_no_nesting_of_any_depth_is_an_outcome():
    text = b"[" * 100_000
    with pytest.raises(ValueError, match="nested"):
        unpack_outcome(len(text).to_bytes(8, "big") + text)


def test_jobs_come_back():
    job = Job.new("ключ", 7, 2, objective="objectives:train", code="", run="r").taken(
        "worker", "host"
    )
    assert decode_job(note_of(job)) == job
    assert job.free.owner == ""
    assert job.name.startswith(jobs_of("ключ"))
    assert Job.new("ключ", 7, 2, objective="", code="").token != job.token
    assert Job.named("ключ", 7).name == job.name


@pytest.mark.parametrize(
    "changes",
    [
        {"trial": 8},
        {"trial": -1},
        {"key": "other"},
        {"token": "../x"},
        {"token": ""},
        {"attempt": "1"},
        {"trial": True},
        {"more": 1},
        {"stop": 1},
        {"n_pieces": None},
    ],
    ids=str,
)
def test_no_other_note_is_a_job(changes):
    with pytest.raises(ValueError):
        decode_job(note_of(Job.new("key", 7, 1, objective="a:b", code=""), **changes))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "null", "[" * 100_000])
def test_no_other_text_is_a_job(text):
    with pytest.raises(ValueError):
        decode_job(Note("job/x", 1, NEW, text))


def test_what_is_said_is_told_once():
    body = encode_said(5, 3, [(3, 0.5), (4, float("nan"))], ["b", "c"])
    said = decode_said(body, 7, 2)
    news = said.since(4, 2)
    assert (news.trial_id, news.attempt, news.lines) == (7, 2, ("c",))
    assert [step for step, _ in news.reports] == [4]
    assert said.since(0, 0).lines == ("b", "c"), "the earliest is gone"
    assert said.since(5, 3).reports == ()
    assert decode_said(b"", 7, 2) is None


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"n": [1], "report": {}}', b'{"n": 1}'])
def test_nothing_else_is_said(body):
    with pytest.raises(ValueError):
        decode_said(body, 7, 2)
