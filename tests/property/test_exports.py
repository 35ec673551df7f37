"""Whatever trials there are, an export brings all of it back, and tables can be made of it."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from tests.contract.store_suite import experiment
from tests.property.test_records import QUICK, trials as any_trial

from sparktrials.api.exporting import write_csv, write_records
from sparktrials.api.frames import arrow_table, pandas_frame
from sparktrials.api.records import read_records
from sparktrials.api.table import columns_of, values_by_options
from sparktrials.store import MemoryStore
from sparktrials.store.records import encode_experiment, encode_trial

FEW = settings(QUICK, max_examples=25)
names = st.text(st.characters(codec="utf-8"), max_size=5)
histories = st.lists(
    st.tuples(any_trial, st.dictionaries(names, st.binary(max_size=50), max_size=2)), max_size=4
)


@FEW
@given(histories, names.filter(bool))
def test_there_and_back(found, key):
    store, text = MemoryStore(), io.StringIO(newline="")
    store.create(experiment(key))
    expected = []
    for number, (trial, attachments) in enumerate(found):
        given_trial = replace(trial, id=number, attachments=())
        store.append(key, [given_trial], {number: attachments})
        expected.append((replace(given_trial, attachments=tuple(attachments)), attachments))
    write_records(store, store.experiments(), text)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "e.jsonl"
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
        first, *rest = read_records(path)
    assert encode_experiment(first.experiment) == encode_experiment(experiment(key))
    assert [encode_trial(r.trial) for r in rest] == [encode_trial(t) for t, _ in expected]
    assert [r.attachments for r in rest] == [a for _, a in expected]


@FEW
@given(st.lists(any_trial, max_size=4))
def test_any_trial_has_a_place_in_a_table(found):
    pa = pytest.importorskip("pyarrow")
    columns = columns_of(found, ["x"], values_by_options({"x": ["a", None, 1.5]}))
    assert {len(column.cells) for column in columns} == {len(found)}
    assert len(pandas_frame(columns)) == len(found)
    table = arrow_table(columns)
    assert table.num_rows == len(found)
    assert not any(pa.types.is_null(field.type) for field in table.schema)
    write_csv(columns, io.StringIO())
