"""What an objective may return, and what becomes of it: the design's table, row by row."""

from __future__ import annotations

import math
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest

from sparktrials import (
    JOB_STATE_DONE,
    STATUS_FAIL,
    STATUS_NEW,
    STATUS_OK,
    STATUS_RUNNING,
    STATUS_SUSPENDED,
    Trials,
    fmin,
    hp,
    rand,
)
from sparktrials.errors import InvalidLoss, InvalidResultStatus
from sparktrials.study.trial import FailureKind, TrialState


def one(returned, *, catch=True):
    """Run one trial whose objective returns `returned`."""
    trials = Trials()
    fmin(
        lambda x: returned,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=1,
        trials=trials,
        catch_eval_exceptions=catch,
        return_argmin=False,
        verbose=False,
    )
    (trial,) = trials.history
    return trial, trials


GOOD = [
    1.5, 2, True, np.float64(1.5), np.float32(1.5), np.float16(1.5), np.int64(3), np.int8(3),
    np.uint64(3), np.bool_(True), np.array(1.5), Decimal("1.5"), -0.0, 1e308, 5e-324,
    np.longdouble(1.5),
]  # fmt: skip


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "dict"])
@pytest.mark.parametrize("loss", GOOD, ids=lambda v: f"{type(v).__name__}-{v}")
def test_numbers_of_all_kinds_are_losses_and_become_floats(loss, wrap):
    trial, trials = one({"loss": loss, "status": STATUS_OK} if wrap else loss)
    assert trial.state is TrialState.OK
    assert type(trial.loss) is float
    assert trial.loss == float(loss)
    assert type(trials.results[0]["loss"]) is float
    assert trials.results[0]["status"] == STATUS_OK
    assert trials.trials[0]["state"] == JOB_STATE_DONE


class Tensor:
    """A number as machine-learning libraries return it."""

    def __float__(self) -> float:
        return 1.5


@pytest.mark.parametrize("loss", [Tensor(), np.array([1.5]), np.array([[1.5]]), Fraction(3, 2)])
@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "dict"])
def test_what_turns_into_a_number_is_a_loss(loss, wrap):
    trial, _ = one({"loss": loss, "status": STATUS_OK} if wrap else loss, catch=False)
    assert trial.loss == 1.5


def test_what_hyperopt_takes_for_a_result():
    assert one({"loss": "1.5", "status": STATUS_OK}, catch=False)[0].loss == 1.5
    assert one([("loss", 1.5), ("status", STATUS_OK)], catch=False)[0].loss == 1.5
    assert one("1.5", catch=True)[0].failure.type == "MissingLoss"


@pytest.mark.parametrize(
    "loss", [math.nan, math.inf, -math.inf, np.float32("nan"), Decimal("NaN"), Decimal("-Infinity")]
)
@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "dict"])
def test_losses_that_are_not_finite_fail_quietly_and_are_never_best(loss, wrap):
    trial, trials = one({"loss": loss, "status": STATUS_OK} if wrap else loss, catch=False)
    assert trial.state is TrialState.FAILED
    assert trial.loss is None
    assert trial.failure.kind is FailureKind.REPORTED
    assert trial.failure.type == "NonFiniteLoss"
    assert trials.trials[0]["state"] == JOB_STATE_DONE
    assert trials.statuses() == [STATUS_FAIL]


BAD = [
    None, "text", b"1", 1j, [1.0], (1.0,), {1.0}, np.array([1.0, 2.0]), np.array([]), object(),
    np.complex128(1), np.datetime64("2020-01-01"), np.array("a"),
]  # fmt: skip


@pytest.mark.parametrize("loss", BAD, ids=lambda v: f"{type(v).__name__}-{v}"[:20])
@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "dict"])
def test_what_is_no_number_is_no_loss(loss, wrap):
    returned = {"loss": loss, "status": STATUS_OK} if wrap else loss
    trial, _ = one(returned)
    assert trial.state is TrialState.FAILED
    assert trial.failure.type == "MissingLoss"
    assert type(loss).__name__ in trial.failure.message
    with pytest.raises(InvalidLoss) as caught:
        one(returned, catch=False)
    assert isinstance(caught.value, TypeError)  # what Hyperopt raises
    assert isinstance(caught.value, ValueError)


def test_a_number_too_large_for_a_float_is_no_loss():
    trial, _ = one(10**400)
    assert trial.state is TrialState.FAILED
    assert trial.failure.type == "InvalidLoss"


def test_a_missing_loss():
    trial, _ = one({"status": STATUS_OK, "accuracy": 1})
    assert trial.failure.type == "InvalidLoss"
    assert "accuracy" in trial.failure.message


@pytest.mark.parametrize("status", ["done", None, 1, "", ["ok"], {}, np.array(["ok", "ok"])])
def test_an_unknown_status(status):
    trial, _ = one({"loss": 1.0, "status": status})
    assert trial.failure.type == "InvalidResultStatus"
    with pytest.raises(InvalidResultStatus, match="status"):
        one({"loss": 1.0, "status": status}, catch=False)


def test_a_dict_without_status():
    with pytest.raises(InvalidResultStatus):
        one({"loss": 1.0}, catch=False)
    with pytest.raises(InvalidResultStatus):
        one({}, catch=False)


@pytest.mark.parametrize("status", [STATUS_FAIL, STATUS_NEW, STATUS_RUNNING, STATUS_SUSPENDED])
def test_other_statuses_fail_even_with_a_loss(status):
    trial, trials = one({"loss": -99.0, "status": status, "why": "because"}, catch=False)
    assert trial.state is TrialState.FAILED
    assert trial.loss is None
    assert trials.results[0]["why"] == "because"
    assert trials.trials[0]["state"] == JOB_STATE_DONE


@pytest.mark.parametrize("kind", [OrderedDict, MappingProxyType])
def test_any_mapping_is_a_result(kind):
    trial, trials = one(kind({"loss": 1.0, "status": STATUS_OK, "more": 2}))
    assert trial.loss == 1.0
    assert trials.results[0] == {"loss": 1.0, "status": STATUS_OK, "more": 2}


def test_the_objectives_own_dict_is_not_changed():
    mine = {"loss": np.float32(1), "status": STATUS_OK, "attachments": {"a": b"b"}}
    one(mine)
    assert set(mine) == {"loss", "status", "attachments"}
    assert type(mine["loss"]) is np.float32


@pytest.mark.parametrize("attachments", [None, 3, [b"x"], {"a": 3}])
def test_attachments_that_are_none_are_dropped_and_the_loss_kept(attachments):
    trial, trials = one({"loss": 1.0, "status": STATUS_OK, "attachments": attachments})
    assert trial.loss == 1.0
    assert trials.trial_attachments(0) == {}


def test_keys_that_are_no_strings():
    trial, _ = one({"loss": 1.0, "status": STATUS_OK, 3: "three", ("a",): 1})
    assert trial.state is TrialState.OK
