"""What the log says of trials."""

from __future__ import annotations

import json
import logging

import pytest

from fakes import SilentObserver
from sparktrials import Trials, fmin, hp, rand
from sparktrials.observers import Observers, TransitionLog
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, logger="sparktrials.study")
    return caplog


def test_each_transition_is_a_record_with_fields(log):
    def objective(x):
        if x > 0.5:
            raise ValueError("too large")
        return x

    fmin(
        objective,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=4,
        rstate=0,
        trials=Trials(exp_key="logged"),
        catch_eval_exceptions=True,
        verbose=False,
    )
    records = [r for r in log.records if r.name == "sparktrials.study"]
    assert [r.levelno for r in records] == [logging.DEBUG, logging.INFO] * 4
    assert {r.state for r in records} == {"running", "ok", "failed"}
    for record in records:
        assert record.experiment == "logged"
        assert record.attempt == 1
    ok = next(r for r in records if r.state == "ok")
    assert ok.getMessage() == (
        f"trial {ok.trial_id} ok on {ok.host} in {ok.duration_s:.3g} s: loss {ok.loss:.6g}"
    )
    failed = next(r for r in records if r.state == "failed")
    assert failed.error == "ValueError: too large"
    assert "raise ValueError" in failed.traceback
    assert "\n" not in failed.getMessage()
    json.dumps({k: v for k, v in vars(failed).items() if k not in {"args", "exc_info"}})


def test_a_report_is_no_transition(log):
    trial = Trial(id=0, state=TrialState.RUNNING, point={}, attempt=2)
    observer = TransitionLog("e")
    observer.changed([trial])
    assert log.messages == ["trial 0 submitted, attempt 2"]
    observer.changed(
        [Trial(id=0, state=TrialState.RUNNING, point={}, attempt=2, reports=((1, 0.5),))]
    )
    assert len(log.messages) == 1


def test_failures_without_an_objective(log):
    failure = Failure(kind=FailureKind.WORKER_LOST, type="WorkerLost", message="killed")
    TransitionLog("e").changed(
        [
            Trial(id=1, state=TrialState.FAILED, point={}, attempt=1, failure=failure, host="h"),
            Trial(id=2, state=TrialState.CANCELLED, point={}, attempt=1),
        ]
    )
    assert log.messages == ["trial 1 failed on h: WorkerLost: killed", "trial 2 cancelled"]
    assert log.records[0].traceback is None


def test_all_observers_are_told():
    several = SilentObserver(), SilentObserver()
    together = Observers(*several)
    together.changed([Trial(id=0, state=TrialState.NEW, point={})])
    together.update(None, 0)
    together.note("text")
    assert [(len(o.changes), o.updates, o.notes) for o in several] == [(1, 1, ["text"])] * 2
