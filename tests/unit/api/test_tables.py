"""Trials as tables: columns, their types, and what is missing."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sparktrials import STATUS_OK, Trials, fmin, hp, rand
from sparktrials.api.constants import described
from sparktrials.api.table import Column, columns_of, values_by_options
from sparktrials.errors import InvalidArgumentType
from sparktrials.space import compile_space
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.study.values import loads

EAST, WEST = (dt.timezone(dt.timedelta(minutes=sign * 90)) for sign in (1, -1))
SPACE = {
    "kind": hp.choice("kind", ["linear", {"depth": hp.randint("depth", 5)}]),
    "size": hp.choice("size", [16, 32]),
    "lr": hp.uniform("lr", 0, 1),
}


def objective(config):
    if config["lr"] > 0.8:
        raise ValueError("too fast")
    return {
        "loss": config["lr"],
        "status": STATUS_OK,
        "rows": np.int64(7),
        "note": "é",
        "good": True,
        "table": [1, 2],
    }


def run(store=None):
    trials = Trials(store, "e") if store else Trials()
    fmin(
        objective,
        SPACE,
        algo=rand.suggest,
        max_evals=30,
        trials=trials,
        rstate=1,
        verbose=False,
        catch_eval_exceptions=True,
    )
    return trials


FIRST = ["id", "state", "loss", "params_kind", "params_depth", "params_size", "params_lr"]
LAST = [
    "created",
    "started",
    "finished",
    "duration_s",
    "attempt",
    "host",
    "error_type",
    "error_message",
]


def test_pandas():
    frame = run().to_pandas()
    assert sorted(frame.columns) == sorted(
        [*FIRST, "result_rows", "result_note", "result_good", *LAST]
    )
    assert list(frame["id"]) == list(range(30))
    ok = frame[frame["state"] == "ok"]
    failed = frame[frame["state"] == "failed"]
    assert len(ok) + len(failed) == 30
    assert len(failed)
    assert (ok["loss"] == ok["params_lr"]).all()
    assert failed["loss"].isna().all()
    assert set(failed["error_type"]) == {"ValueError"}
    assert set(failed["error_message"]) == {"too fast"}
    assert ok["error_type"].isna().all()
    assert set(frame["params_size"]) == {16, 32}
    assert frame["params_size"].dtype == "int64"
    linear = frame["params_kind"] == "linear"
    assert frame["params_depth"].isna().equals(linear)
    assert frame["params_depth"].dtype == "Int64"
    assert frame["params_kind"][~linear].iloc[0].startswith('{"depth":')
    assert frame["result_rows"].dtype == "Int64"
    assert frame["result_good"].dtype == "boolean"
    assert set(ok["result_note"]) == {"é"}
    assert str(frame["finished"].dtype) == "datetime64[us, UTC]"
    assert (frame["duration_s"] >= 0).all()


def test_arrow_has_the_same():
    pytest.importorskip("pyarrow")
    trials = run()
    table, frame = trials.to_arrow(), trials.to_pandas()
    assert table.column_names == list(frame.columns)
    for name in frame:
        theirs = frame[name].astype(object).where(frame[name].notna(), None)
        assert table[name].to_pylist() == list(theirs), name


def test_a_history_that_was_just_opened(tmp_path):
    url = f"sqlite:///{tmp_path}/h.db"
    with run(url).store:
        pass
    opened = Trials(url, "e")
    frame = opened.to_pandas()
    # Plain options are kept with the experiment; one that is made of others is its index.
    assert set(frame["params_kind"]) == {"linear", "1"}
    assert set(frame["params_size"]) == {16, 32}
    assert frame["params_depth"].isna().equals(frame["params_kind"] == "linear")
    whole = opened.to_pandas(SPACE)
    assert set(whole["params_kind"]) > {"linear"}
    assert "1" not in set(whole["params_kind"])


def test_options_are_those_of_the_last_run(tmp_path):
    url = f"sqlite:///{tmp_path}/h.db"
    for options in (["a", "b"], ["A", "B"]):
        trials = Trials(url, "e")
        space = hp.choice("c", options)
        n = len(trials.history) + 3
        fmin(lambda _: 1.0, space, rand.suggest, n, trials=trials, rstate=0, verbose=False)
        trials.store.close()
    assert set(Trials(url, "e").to_pandas()["params_c"]) <= {"A", "B"}


@pytest.mark.parametrize("options", [[object(), 2], ["x" * 5000, 1], [np.zeros(1000), "a"]])
def test_options_that_are_not_kept(tmp_path, options):
    url = f"sqlite:///{tmp_path}/h.db"
    trials = Trials(url)
    fmin(lambda _: 1.0, hp.choice("c", options), rand.suggest, 8, trials=trials, verbose=False)
    row = trials.experiment().space[0]
    assert len(row.get("options", "")) < 100
    trials.store.close()
    assert set(Trials(url).to_pandas()["params_c"]) <= {0, 1, 2, "0", "1", "a"}


def test_no_trials():
    pytest.importorskip("pyarrow")
    frame = Trials().to_pandas()
    assert list(frame.columns) == ["id", "state", "loss", *LAST]
    assert len(frame) == 0
    assert Trials().to_arrow().num_rows == 0


def of(result, **fields):
    return Trial(id=0, state=TrialState.OK, point={"x": 0.5}, loss=1.0, result=result, **fields)


def cells(values):
    trials = [of({"v": value}) for value in values]
    columns = {c.name: c for c in columns_of(trials, ["x"], values_by_options({}))}
    return columns["result_v"]


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([True, np.bool_(False), None], "bool", [True, False, None]),
        ([1, np.int8(2)], "int", [1, 2]),
        ([1, 2.5, None], "float", [1.0, 2.5, None]),
        ([2**70, 1], "float", [float(2**70), 1.0]),
        ([10**400], "float", [math.inf]),
        ([None], "float", [None]),
        (["a", None, "é"], "text", ["a", None, "é"]),
        (["\ud800"], "text", ["\\ud800"]),
        ([1, "a", True], "text", ["1", "a", "true"]),
        ([dt.date(2020, 1, 2), 1], "text", ["2020-01-02", "1"]),
        (
            [dt.datetime(2020, 1, 2, 3)],  # noqa: DTZ001 - as Hyperopt has it
            "time",
            [dt.datetime(2020, 1, 2, 3, tzinfo=dt.timezone.utc)],
        ),
        (
            [dt.datetime.min.replace(tzinfo=EAST), dt.datetime.max.replace(tzinfo=WEST)],
            "time",
            [
                dt.datetime.min.replace(tzinfo=dt.timezone.utc),
                dt.datetime.max.replace(tzinfo=dt.timezone.utc),
            ],
        ),
    ],
)
def test_kinds(values, kind, shown):
    column = cells(values)
    assert column == Column("result_v", kind, shown)


def test_what_is_no_single_value_is_left_out():
    trials = [of({"v": [1], "w": {"a": 1}, "x": np.zeros(2), "y": b"a", "attachments": 1})]
    names = [c.name for c in columns_of(trials, ["x"], values_by_options({}))]
    assert [n for n in names if n.startswith("result_")] == []


def test_labels_and_keys_do_not_meet():
    failure = Failure(kind=FailureKind.RAISED, type="E", message="m")
    trial = Trial(
        id=0,
        state=TrialState.FAILED,
        point={"id": 1, "loss": 2.0},
        result={"id": 3, "params_id": 4},
        failure=failure,
    )
    columns = columns_of([trial], ["id", "loss"], values_by_options({}))
    names = [c.name for c in columns]
    assert len(set(names)) == len(names)
    row = {c.name: c.cells[0] for c in columns}
    assert (row["id"], row["params_id"], row["result_id"], row["result_params_id"]) == (0, 1, 3, 4)


def test_to_spark_wants_a_session():
    with pytest.raises(InvalidArgumentType, match="session"):
        Trials().to_spark("spark")


def test_to_spark_imports_nothing():
    """What it hands to the session are rows and a text."""
    code = """
import sys
from sparktrials import Trials
class Session:
    def createDataFrame(self, rows, schema):
        return rows, schema
rows, schema = Trials().to_spark(Session())
assert rows == [] and schema.startswith("`id` BIGINT, `state` STRING, `loss` DOUBLE"), schema
assert not {"pandas", "pyarrow", "pyspark"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match="pandas"):
        Trials().to_pandas()
    assert pd


def test_options_that_are_arrays_or_their_own_indices_are_no_trouble():
    options = [np.zeros(3), np.ones((2, 1)), 7]
    (row,) = described(compile_space(hp.choice("a", options)))
    assert [np.shape(o) for o in loads(row["options"])] == [(3,), (2, 1), ()]
    (row,) = described(compile_space(hp.choice("a", [0, 1, 2])))
    assert "options" not in row
