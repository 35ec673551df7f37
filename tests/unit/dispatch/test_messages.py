from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sparktrials.dispatch.channel.frames import FrameDecoder, FrameEncoder, Kind, pack
from sparktrials.dispatch.messages import (
    decode_outcomes,
    decode_report,
    decode_returned,
    encode_outcomes,
    encode_report,
    encode_returned,
)
from sparktrials.study.trial import Failure, FailureKind, Outcome, TrialState
from sparktrials.study.values import TAG

QUICK = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
KEY = b"k" * 32

names = st.text(max_size=6)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), finite, st.text(max_size=8), st.binary(max_size=8),
    st.tuples(st.integers(), st.text(max_size=3)), st.lists(finite, max_size=3),
)  # fmt: skip
failures = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind),
    type=names,
    message=st.text(max_size=20),
    traceback=st.text(max_size=20),
)
reports = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.floats()), max_size=3).map(tuple)
common = {
    "trial_id": st.integers(0, 2**40),
    "attempt": st.integers(0, 100),
    "result": st.dictionaries(names, values, max_size=3)
    | st.fixed_dictionaries({"loss": finite, "status": st.just("ok")}),
    "attachments": st.dictionaries(names, st.binary(max_size=50), max_size=3),
    "objects": st.dictionaries(names, st.binary(max_size=50), max_size=3),
    "dropped": st.dictionaries(names, st.text(max_size=10), max_size=2),
    "host": st.none() | names,
    "duration_s": st.none() | st.floats(0, 1e9),
    "reports": reports,
    "log": st.text(max_size=20),
}
good = st.builds(Outcome, state=st.just(TrialState.OK), loss=finite, **common)
bad = st.builds(
    Outcome,
    state=st.just(TrialState.FAILED),
    loss=st.none() | st.floats(),
    failure=failures,
    **common,
)


def sent(outcomes):
    """Return the message as it arrives over the channel."""
    header, blobs = encode_outcomes(outcomes)
    data = b"".join(FrameEncoder(KEY).encode(Kind.MESSAGE, pack(header, blobs)))
    (frame,) = FrameDecoder(KEY).feed(data)
    return frame.header, frame.blobs


@QUICK
@given(st.lists(good | bad, max_size=4))
def test_round_trip(outcomes):
    got = decode_outcomes(*sent(outcomes))
    assert repr(got) == repr(outcomes)  # NaN is not equal to itself


@QUICK
@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 100)), max_size=4))
def test_round_trip_of_what_was_not_started(attempts):
    data = b"".join(FrameEncoder(KEY).encode(Kind.MESSAGE, pack(encode_returned(attempts))))
    (frame,) = FrameDecoder(KEY).feed(data)
    assert decode_returned(frame.header) == attempts


def outcome(**changes):
    document = {
        "id": 1,
        "attempt": 1,
        "state": "ok",
        "loss": 0.5,
        "result": {"loss": 0.5, "status": "ok"},
        "failure": None,
        "host": "h",
        "duration_s": 1.0,
        "dropped": {},
        "attachments": [],
        "objects": [],
        "reports": [],
        "log": "",
    }
    return {"kind": "outcomes", "outcomes": [{**document, **changes}]}


def test_what_the_others_are_changed_from():
    (got,) = decode_outcomes(outcome(), ())
    assert (got.trial_id, got.loss, got.state) == (1, 0.5, TrialState.OK)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"outcomes": None},
        {"outcomes": 5},
        {"outcomes": "text"},
        {"outcomes": [None]},
        {"outcomes": [[]]},
        {"outcomes": [{}]},
        {"outcomes": {"a": 1}},
        {"outcomes": np.arange(3)},
        outcome(id=-1),
        outcome(id=1.0),
        outcome(id=True),
        outcome(id="1"),
        outcome(id=None),
        outcome(attempt=[1]),
        outcome(state="new"),
        outcome(state="running"),
        outcome(state="lost"),
        outcome(state=None),
        outcome(state=["ok"]),
        outcome(state="failed"),
        outcome(loss=None),
        outcome(loss=math.nan),
        outcome(loss=math.inf),
        outcome(loss="0.5"),
        outcome(loss=10**400),
        outcome(loss=np.array([1.0])),
        outcome(loss=[]),
        outcome(result=[["loss", 1]]),
        outcome(result="ab"),
        outcome(result={1: 2}),
        outcome(result=np.zeros((2, 2))),
        outcome(failure="abcd"),
        outcome(failure=[]),
        outcome(failure=["raised"]),
        outcome(failure=["unheard of", "E", "m", "t"]),
        outcome(failure=[["raised"], "E", "m", "t"]),
        outcome(duration_s="long"),
        outcome(duration_s=10**400),
        outcome(dropped=[1]),
        outcome(dropped=None),
        outcome(attachments=["not there"]),
        outcome(attachments=5),
        outcome(objects=["not there"]),
        outcome(objects=None),
        outcome(result=None),
    ],
    ids=lambda header: repr(header)[:60],
)
def test_what_is_no_outcome(header):
    with pytest.raises(ValueError):
        decode_outcomes(header, ())


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xff",
        b"{",
        b"[1]",
        b"7",
        b'{"a":1}{}',
        b'{"a":NaN}',
        b"[" * 100_000,
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        f'{{"a":{{"{TAG}":["unheard of"]}}}}'.encode(),
        f'{{"a":{{"{TAG}":["array","|O",[1],"AAAAAAAAAAA="]}}}}'.encode(),
        b"\x80\x04\x95",
    ],
    ids=lambda blob: repr(blob[:20]),
)
def test_a_result_that_is_none(blob):
    with pytest.raises(ValueError):
        decode_outcomes(outcome(result=None), (blob,))


def test_every_blob_belongs_to_something():
    with pytest.raises(ValueError, match="1 blobs belong to no outcome"):
        decode_outcomes(outcome(), (b"x",))


@QUICK
@given(st.integers(0, 2**40), st.integers(0, 9), reports, st.lists(st.text(max_size=9), max_size=3))
def test_round_trip_of_reports(trial, attempt, values, lines):
    said = decode_report(encode_report(trial, attempt, values, lines))
    assert (said.trial_id, said.attempt) == (trial, attempt)
    assert repr(said.reports) == repr(values)
    assert said.lines == tuple(lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": -1},
        {"id": None},
        {"attempt": "1"},
        {"reports": None},
        {"reports": [1]},
        {"reports": [[1]]},
        {"reports": [[1, 2, 3]]},
        {"reports": [[-1, 0.5]]},
        {"reports": [[1, 10**400]]},
        {"reports": [[1, "0.5"]]},
        {"reports": {"a": 1}},
        {"lines": None},
        {"lines": 5},
        {"lines": {"a": 1}},
    ],
    ids=repr,
)
def test_what_is_no_report(changes):
    with pytest.raises(ValueError):
        decode_report({**encode_report(1, 1, [(1, 0.5)], ["a"]), **changes})


def test_a_long_value_is_not_quoted_whole():
    with pytest.raises(ValueError) as refused:
        decode_outcomes(outcome(id="x" * 100_000), ())
    assert len(str(refused.value)) < 200
