"""Trials and values as JSON: exact for what is plain, and nothing else comes out of any text."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from tests.contract.store_suite import same

from sparktrials.errors import InvalidTrial, StoreVersionError
from sparktrials.store.records import (
    VERSION,
    decode_experiment,
    decode_trial,
    encode_experiment,
    encode_trial,
)
from sparktrials.study.protocols import Experiment
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.study.values import TAG, dumps, is_plain, loads, split

QUICK = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

any_text = st.text(st.characters(codec=None), max_size=8)  # half surrogate pairs, too
dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="="),
    hnp.datetime64_dtypes(endianness="="),
    hnp.unicode_string_dtypes(endianness="?", max_len=3),
    hnp.byte_string_dtypes(max_len=3),
)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    )
)
keys = st.one_of(any_text, st.integers(-3, 3), st.none(), st.binary(max_size=2), st.just(TAG))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    any_text,
    st.binary(max_size=8),
    st.datetimes(),
    st.datetimes(timezones=st.timezones().map(lambda _: dt.timezone(dt.timedelta(minutes=90)))),
    st.dates(),
    st.timedeltas(),
    arrays,
    any_text.map(np.str_),
    st.binary(max_size=3).map(np.bytes_),
    arrays.filter(lambda a: a.size).map(lambda a: a.ravel()[0]),
)
plain = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1)
)
moments = st.one_of(st.none(), st.floats(0, 1e11))
trials = st.builds(
    Trial,
    id=st.integers(0, 2**63 - 1),
    state=st.sampled_from(TrialState),
    point=st.dictionaries(any_text, numbers, max_size=4),
    loss=st.one_of(st.none(), numbers),
    result=st.dictionaries(keys, plain, max_size=3),
    failure=st.one_of(
        st.none(),
        st.builds(
            Failure,
            kind=st.sampled_from(FailureKind),
            type=any_text,
            message=any_text,
            traceback=any_text,
        ),
    ),
    attempt=st.integers(0, 5),
    host=st.one_of(st.none(), any_text),
    created=moments,
    started=moments,
    finished=moments,
    duration_s=moments,
    seed=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    given=st.booleans(),
    attachments=st.lists(any_text, max_size=2).map(tuple),
    reports=st.lists(st.tuples(st.integers(0, 2**63 - 1), st.floats()), max_size=3).map(tuple),
    log=any_text,
)
# What a hostile hand would write: JSON of any shape, our tags among it.
names = st.sampled_from(
    [
        "float",
        "tuple",
        "dict",
        "bytes",
        "datetime",
        "date",
        "timedelta",
        "array",
        "scalar",
        "str_",
        "bytes_",
        "x",
    ]
)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=4),
        st.sampled_from(
            ["<f8", "<M8[ns]", "|O", "<U0", "|V8", "nan", "AAAA", "2020-01-01", "f8,f8"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(
            lambda name, content: {TAG: [name, *content]}, names, st.lists(inner, max_size=3)
        ),
        inner.map(lambda value: {TAG: value}),
    ),
    max_leaves=8,
)


@QUICK
@given(plain)
def test_plain_values_come_back_exactly(value):
    assert is_plain(value)
    text = dumps(value)
    text.encode()
    assert same(loads(text), value)


@QUICK
@given(json_values)
def test_loads_makes_plain_values_or_complains(document):
    try:
        value = loads(json.dumps(document))
    except ValueError:
        return
    assert is_plain(value)


@QUICK
@given(trials)
def test_trials_come_back_exactly(trial):
    back = decode_trial(encode_trial(trial))
    for name in Trial.__slots__:
        assert same(getattr(back, name), getattr(trial, name)), name
    assert encode_trial(back) == encode_trial(trial)


@QUICK
@given(st.data())
def test_a_document_with_anything_in_a_field(data):
    document = json.loads(encode_trial(data.draw(trials)))
    field = data.draw(st.sampled_from([*document, "unknown"]))
    document[field] = data.draw(json_values)
    try:
        trial = decode_trial(json.dumps(document))
    except (InvalidTrial, StoreVersionError):
        return
    assert is_plain(trial.result)
    assert encode_trial(trial)


@QUICK
@given(json_values)
def test_any_document(document):
    for decode in (decode_trial, decode_experiment):
        with pytest.raises((InvalidTrial, StoreVersionError)):
            decode(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"v":1,"id":0,"state":"ok","point":' + '{"a":' * 50_000,
        '{"v":1,"id":0,"state":"ok","point":{"x":NaN}}',
        '{"v":1,"id":0,"state":"ok","point":{"x":1e999}}',
        '{"v":1,"id":0,"state":"ok","point":{"x":1' + "0" * 5000 + "}}",
        '{"v":1,"id":0,"state":"ok","point":{"x":1' + "0" * 400 + "}}",
        '{"v":1,"id":0,"state":"ok","point":{},"loss":1e999}',
        '{"v":1,"id":0,"state":"ok","point":{},"created":1e300}',
        '{"v":1,"id":0,"state":"ok","point":{},"finished":-1e12}',
        '{"v":1,"id":0,"state":"done","point":{}}',
        '{"v":1,"id":0,"state":"ok"}',
        '{"v":1,"id":true,"state":"ok","point":{}}',
        '{"v":1,"id":-1,"state":"ok","point":{}}',
        '{"v":1,"id":0,"state":"ok","point":{},"attempt":-1}',
        '{"v":1,"id":0,"state":"ok","point":{},"extra":1}',
        '{"v":1,"id":0,"state":"ok","point":{},"failure":["raised","E","m"]}',
        '{"v":1,"id":0,"state":"ok","point":{},"failure":["other","E","m","t"]}',
        '{"v":0,"id":0,"state":"ok","point":{}}',
        '{"v":true,"id":0,"state":"ok","point":{}}',
        '{"v":1,"id":0,"state":"ok","point":{},"result":{"__sparktrials__":["tuple",[]]}}',
        '{"v":1,"id":0,"state":"ok","point":{},"result":{"a":{"__sparktrials__":["eval","1"]}}}',
        '{"v":1,"id":0,"state":"ok","point":{},"result":'
        + '{"__sparktrials__":["tuple",[' * 2000
        + "]]}" * 2000
        + "}",
    ],
)
def test_refused(text):
    with pytest.raises(InvalidTrial, match="not the document of a trial"):
        decode_trial(text)


def test_a_newer_document():
    text = encode_trial(Trial(id=0, state=TrialState.NEW, point={}))
    newer = text.replace(f'"v":{VERSION}', f'"v":{VERSION + 1}')
    with pytest.raises(StoreVersionError, match=f"version {VERSION + 1};.* up to {VERSION}"):
        decode_trial(newer)


def test_small_trials_have_small_documents():
    assert encode_trial(Trial(id=0, state=TrialState.NEW, point={"x": 0.5})) == (
        '{"v":1,"id":0,"state":"new","point":{"x":0.5}}'
    )


class Loud:
    def __repr__(self):
        raise RuntimeError


circular: dict = {}
circular["self"] = circular


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Loud(),
        [Loud()],
        {"a": {1, 2}},
        np.array([object()]),
        np.zeros(2, dtype="f8,f8"),
        np.ma.masked_array([1], [True]),
        np.void(b"a"),
        10**5000,
        {(1, object()): 2},
        circular,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain(value):
    assert not is_plain(value)
    assert split({"a": 1, "b": value}) == ({"a": 1}, {"b": value})
    with pytest.raises(InvalidTrial, match=r"trial 7 .*result\['b'\] is of type"):
        encode_trial(Trial(id=7, state=TrialState.OK, point={}, result={"a": 1, "b": value}))


def test_a_result_that_is_no_mapping():
    with pytest.raises(InvalidTrial, match="mapping, got list"):
        encode_trial(Trial(id=7, state=TrialState.OK, point={}, result=[1]))


@QUICK
@given(
    st.builds(
        Experiment,
        key=any_text,
        fingerprint=any_text,
        space=st.lists(
            st.fixed_dictionaries(
                dict.fromkeys(("label", "distribution", "condition"), any_text),
                optional={"options": any_text, "more": any_text},
            ),
            max_size=3,
        ),
        seed=st.integers(),
    )
)
def test_experiments_come_back(experiment):
    assert decode_experiment(encode_experiment(experiment)) == experiment


def test_an_experiment_that_cannot_be_stored():
    with pytest.raises(InvalidTrial, match="'k' cannot be stored"):
        encode_experiment(Experiment(key="k", fingerprint="f", space=[], seed=object()))
    with pytest.raises(InvalidTrial, match="'k' cannot be stored: 'label'"):
        encode_experiment(Experiment(key="k", fingerprint="f", space=[{}], seed=1))


@pytest.mark.parametrize("field", ["key", "fingerprint", "space", "seed"])
@pytest.mark.parametrize("value", [None, 1.5, [1], {"a": 1}, [{"a": 1}], [{"label": "x"}]])
def test_a_damaged_experiment(field, value):
    document = json.loads(encode_experiment(Experiment(key="k", fingerprint="f", space=[], seed=1)))
    document[field] = value
    with pytest.raises(InvalidTrial, match="not the document of an experiment"):
        decode_experiment(json.dumps(document))
