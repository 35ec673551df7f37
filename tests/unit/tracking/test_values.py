"""What is logged of a trial, within MLflow's limits."""

from __future__ import annotations

import math
import re
import string

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sparktrials import hp, scope
from sparktrials.space import compile_space
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.tracking import values
from sparktrials.tracking.values import metrics_of, parameters_of, tags_of


def trial(point=None, **fields):
    return Trial(**{"id": 0, "state": TrialState.OK, "point": point or {}, "attempt": 1, **fields})


def test_of_a_choice_the_option():
    space = compile_space(
        {
            "kernel": hp.choice("kernel", ["linear", "rbf"]),
            "lr": hp.uniform("lr", 0, 1),
            "act": hp.choice("act", [math.sin, None]),
        }
    )
    assert parameters_of(space, trial({"kernel": 1, "lr": 0.25, "act": 0})) == {
        "kernel": "rbf",
        "lr": "0.25",
        "act": "math.sin",
    }


def test_an_option_made_of_parameters_is_flattened_and_repeats_none():
    space = compile_space(
        hp.choice(
            "model",
            [
                {"type": "svm", "C": hp.uniform("C", 0, 9), "opt": {"tol": 0.1}},
                {"type": "rf", "depth": scope.int(hp.quniform("d", 1, 9, 1))},
            ],
        )
    )
    assert parameters_of(space, trial({"model": 0, "C": 2.0})) == {
        "model.type": "svm",
        "model.opt.tol": "0.1",
        "C": "2.0",
    }
    assert parameters_of(space, trial({"model": 1, "d": 4.0})) == {
        "model.type": "rf",
        "model.depth": "4",
        "d": "4.0",
    }


def test_a_space_that_raises_gives_the_raw_point():
    def no(x):
        raise ValueError(x)

    from sparktrials.space.nodes import Call, as_node

    space = compile_space(Call(no, (as_node(hp.uniform("x", 0, 1)),), ()))
    assert parameters_of(space, trial({"x": 0.5})) == {"x": "0.5"}


def test_numbers_of_the_result_are_metrics():
    result = {
        "loss": 1.0,
        "status": "ok",
        "auc": np.float32(0.5),
        "epochs": 3,
        "good": True,
        "per": {"fold": {"0": 0.25}},
        "curve": [1, 2, 3],
        "note": "text",
        "model": object(),
    }
    assert metrics_of(trial(loss=1.0, result=result, duration_s=2.0)) == {
        "loss": 1.0,
        "duration_s": 2.0,
        "auc": 0.5,
        "epochs": 3.0,
        "good": 1.0,
        "per.fold.0": 0.25,
    }
    assert metrics_of(trial(state=TrialState.FAILED)) == {}


def test_a_result_does_not_replace_what_is_measured():
    found = metrics_of(trial(loss=1.0, duration_s=2.0, result={"loss": 1.0, "duration_s": 9}))
    assert found == {"loss": 1.0, "duration_s": 2.0, "duration_s_2": 9.0}


def test_failures_are_tags():
    failure = Failure(
        kind=FailureKind.RAISED, type="ValueError", message="no", traceback="x" * 9000 + "end"
    )
    tags = tags_of(trial(state=TrialState.FAILED, failure=failure, host="h", attempt=2))
    assert tags["sparktrials.error"] == "ValueError: no"
    assert tags["sparktrials.host"] == "h"
    assert tags["sparktrials.attempt"] == "2"
    assert tags["sparktrials.state"] == "failed"
    assert tags["sparktrials.traceback"].endswith("end")
    assert len(tags["sparktrials.traceback"].encode()) <= values.TAG_LIMIT


def test_long_values_are_cut_by_bytes():
    space = compile_space({"x": hp.choice("x", ["ä" * 5000, 1])})
    text = parameters_of(space, trial({"x": 0}))["x"]
    assert text.endswith("ä…")
    assert len(text.encode()) <= values.PARAMETER_LIMIT


@given(st.lists(st.text(max_size=300), min_size=1, max_size=4, unique=True))
def test_any_label_becomes_a_name_that_mlflow_takes(labels):
    validation = pytest.importorskip("mlflow.utils.validation")
    found = values._unique(((label, "v") for label in labels), {})
    assert len(found) == len(labels)
    for name in found:
        assert re.fullmatch(f"[{re.escape(string.ascii_letters + string.digits)}_./ -]+", name)
        assert len(name) <= values.KEY_LIMIT
        validation._validate_param(name, "v")
