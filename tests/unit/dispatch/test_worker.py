"""The executor's side of a task, called in this process."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import cloudpickle
import pytest

from sparktrials import hp
from sparktrials.dispatch import travelling, worker
from sparktrials.dispatch.process_state import ProcessState
from sparktrials.dispatch.worker import Pack, run_pack
from sparktrials.space import compile_space
from sparktrials.study.trial import FailureKind, TrialState

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SPACE = compile_space(hp.uniform("x", 0, 1))


def run(objective, xs=(0.5,), *, attempt=0, payload=None, **settings):
    """Run a pack, and return its report with the outcomes loaded."""
    if payload is None:
        payload = pickle.dumps(((), cloudpickle.dumps(objective), cloudpickle.dumps(SPACE)))
    pack = Pack(
        study=f"study {id(objective)} {time.monotonic()}",
        trials=tuple((i, 1, 7, {"x": x}) for i, x in enumerate(xs)),
        **{"time_box_s": 60.0, **settings},
    )
    report = pickle.loads(run_pack(pack, lambda: payload, attempt))
    return report, [pickle.loads(o) for o in report.outcomes]


def test_a_pack_is_run_in_order():
    report, outcomes = run(lambda x: x, (0.1, 0.2, 0.3))
    assert [o.loss for o in outcomes] == [0.1, 0.2, 0.3]
    assert [o.trial_id for o in outcomes] == [0, 1, 2]
    assert not report.repeated
    assert report.complaint is None


def test_one_failure_does_not_end_the_pack():
    _, outcomes = run(lambda x: 1 / x, (1.0, 0.0, 2.0))
    assert [o.state for o in outcomes] == [TrialState.OK, TrialState.FAILED, TrialState.OK]
    assert outcomes[1].failure.type == "ZeroDivisionError"


def test_after_the_time_box_no_trial_is_started_but_the_first_is():
    _, outcomes = run(lambda x: time.sleep(x) or x, (0.05, 0.06, 0.07), time_box_s=0.04)
    assert [o.loss for o in outcomes] == [0.05]


def test_a_pack_ends_early_when_its_results_are_large(monkeypatch):
    monkeypatch.setattr(worker, "TRIAL_LIMIT", 10_000)
    _, outcomes = run(lambda x: {"loss": x, "status": "ok", "data": bytes(4_000)}, [0.1] * 9)
    assert len(outcomes) == 3


def test_values_that_are_too_large_are_dropped_largest_first(monkeypatch):
    monkeypatch.setattr(travelling, "VALUE_LIMIT", 5_000)
    monkeypatch.setattr(travelling, "TRIAL_LIMIT", 10_000)
    _, (outcome,) = run(
        lambda x: {
            "loss": x,
            "status": "ok",
            "a": bytes(4_900),
            "huge": bytes(6_000),
            "object": {b"b" * 4_000},
            "small": 1,
            "attachments": {"file": b"c" * 3_000},
        }
    )
    assert outcome.loss == 0.5
    assert set(outcome.dropped) == {"a", "huge"}
    assert set(outcome.objects) == {"object"}
    assert set(outcome.attachments) == {"file"}
    assert outcome.result["small"] == 1
    assert "4,9" in outcome.dropped["a"]


def test_a_task_that_spark_starts_again_runs_nothing():
    def never(x):
        raise AssertionError

    report, outcomes = run(never, attempt=1)
    assert report.repeated
    assert outcomes == []


def test_an_objective_that_does_not_load_is_a_complaint():
    payload = pickle.dumps(((), b"cnosuchmodule\nname\n.", b"x"))
    report, outcomes = run(None, payload=payload)
    assert outcomes == []
    assert report.complaint.type == "ModuleNotFoundError"
    assert "nosuchmodule" in report.complaint.message
    assert report.complaint.host == report.host
    assert "Traceback" in report.complaint.traceback


class ExitsOnLoading:
    def __reduce__(self):
        return sys.exit, (3,)


def test_whatever_loading_raises_is_a_complaint():
    payload = pickle.dumps(((), cloudpickle.dumps(ExitsOnLoading()), b"x"))
    report, _ = run(None, payload=payload)
    assert report.complaint.type == "SystemExit"


class BaseOnPickling:
    def __reduce__(self):
        raise KeyboardInterrupt


class EvilItems(dict):
    def items(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize("value", [BaseOnPickling, EvilItems, threading.Lock])
def test_values_that_raise_when_they_are_pickled_are_dropped(value):
    _, (outcome,) = run(lambda x: {"loss": x, "status": "ok", "odd": value(), "good": 1})
    assert outcome.loss == 0.5
    assert outcome.state is TrialState.OK
    assert outcome.dropped
    assert "odd" not in outcome.result


def test_attachments_that_raise_fail_the_trial_and_no_more():
    _, (outcome, after) = run(
        lambda x: {"loss": x, "status": "ok", "attachments": EvilItems() if x else None}, (0.5, 0.0)
    )
    assert outcome.failure.type == "KeyboardInterrupt"
    assert after.state is TrialState.OK


# --------------------------------------------------------------------- the trial's time


def test_a_trial_that_takes_too_long_is_interrupted_and_the_next_runs():
    start = time.monotonic()
    _, outcomes = run(lambda x: time.sleep(600) if x > 0.5 else x, (1.0, 0.5), trial_timeout_s=2.0)
    assert time.monotonic() - start < 60
    assert outcomes[0].failure.kind is FailureKind.TIMEOUT
    assert "trial_timeout=2" in outcomes[0].failure.message
    assert outcomes[1].loss == 0.5


def test_what_was_set_up_for_a_trial_is_undone():
    before = signal.getsignal(signal.SIGALRM)
    run(lambda x: x, trial_timeout_s=100.0)
    run(lambda x: time.sleep(600), trial_timeout_s=0.05)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_comes_late_is_ignored():
    with worker._deadline(100.0):
        handler = signal.getsignal(signal.SIGALRM)
    handler(signal.SIGALRM, None)


def test_within_a_thread_only_the_process_can_be_ended():
    found = []
    thread = threading.Thread(target=lambda: found.append(run(lambda x: x, trial_timeout_s=60.0)))
    thread.start()
    thread.join()
    assert found[0][1][0].loss == 0.5


@pytest.mark.parametrize("act", ["c", "swallow"])
def test_a_process_that_does_not_listen_is_ended(act):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import ctypes, time
                from sparktrials.dispatch import travelling, worker
                worker.TIMEOUT_GRACE_S = 0.3
                with worker._deadline(0.1):
                    while True:
                        try:
                            {"ctypes.PyDLL(None).sleep(600)" if act == "c" else "time.sleep(600)"}
                        except BaseException:
                            pass
                """
            ),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"Timeout" in done.stderr


class InACycle:
    """Is freed by the garbage collector alone."""

    def __init__(self):
        self.me = self


def test_studies_that_are_forgotten_are_freed(monkeypatch):
    monkeypatch.setattr(worker, "this_process", lambda state=ProcessState(): state)  # noqa: B008
    kept = []

    def load(name):
        content = pickle.dumps(((), pickle.dumps(InACycle()), pickle.dumps(None)))
        kept.append(weakref.ref(worker.load_study(name, lambda: content)[0]))

    try:
        for i in range(worker._CACHED_STUDIES + 1):
            load(f"study {i}")
        assert [ref() is None for ref in kept] == [True] + [False] * worker._CACHED_STUDIES
    finally:
        gc.unfreeze()
