"""The current trial as an objective sees it."""

from __future__ import annotations

import math
import threading
from decimal import Decimal

import numpy as np
import pytest

from sparktrials import Trials, current_trial, fmin, hp, rand
from sparktrials.dispatch.current import CurrentTrial
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.study.reports import REPORTS_LIMIT


class Listening:
    def __init__(self):
        self.told = []
        self.stop = False

    def tell(self, trial_id, attempt, reports, lines):
        self.told.append((trial_id, attempt, tuple(reports), tuple(lines)))

    def stopping(self, trial_id):
        return self.stop


def test_outside_of_a_trial_it_works_and_tells_nobody():
    here = current_trial()
    assert (here.id, here.attempt, here.seed) == (None, 0, None)
    here.report(0, 1.0)
    here.log("text")
    assert here.reports == ((0, 1.0),)
    assert here.logged == "text"
    assert here.should_stop() is False
    assert "none" in repr(here)


def test_it_tells_its_listener_at_once():
    listener = Listening()
    here = CurrentTrial(id=3, attempt=2, listener=listener)
    here.report(0, 1)
    here.log("a line\n")
    assert listener.told == [(3, 2, ((0, 1.0),), ()), (3, 2, (), ("a line",))]
    assert here.should_stop() is False
    listener.stop = True
    assert here.should_stop() is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array(2.0), 2.0),
        (Decimal("1.5"), 1.5),
        (True, 1.0),
        (math.inf, math.inf),
        (3, 3.0),
    ],
)
def test_values_that_are_numbers(value, expected):
    here = CurrentTrial()
    here.report(np.int64(1), value)
    assert here.reports == ((1, expected),)
    assert [type(x) for x in here.reports[0]] == [int, float]


def test_nan_is_a_value():
    here = CurrentTrial()
    here.report(0, math.nan)
    assert math.isnan(here.reports[0][1])


@pytest.mark.parametrize("value", ["1", None, [1, 2], np.array([1.0, 2.0]), {}, b"1", 1j])
def test_values_that_are_none(value):
    with pytest.raises(InvalidArgumentType, match="value must be a number, got"):
        CurrentTrial().report(0, value)


@pytest.mark.parametrize("step", ["0", 0.0, None, True, np.float64(1)])
def test_steps_that_are_none(step):
    with pytest.raises(InvalidArgumentType, match="step must be a whole number, got"):
        CurrentTrial().report(step, 0.0)


@pytest.mark.parametrize("step", [-1, 2**63])
def test_steps_out_of_range(step):
    with pytest.raises(InvalidArgument, match="step must be from 0"):
        CurrentTrial().report(step, 0.0)


def test_reports_are_bounded():
    here = CurrentTrial()
    for step in range(5 * REPORTS_LIMIT):
        here.report(step, float(step))
    assert len(here.reports) <= REPORTS_LIMIT
    assert here.reports[0] == (0, 0.0)
    assert here.reports[-1] == (5 * REPORTS_LIMIT - 1, 5.0 * REPORTS_LIMIT - 1)


def test_threads_may_share_it():
    here = CurrentTrial(id=1, listener=Listening())

    def work():
        for step in range(100):
            here.report(step, 0.0)
            here.log("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(here.reports) == 400
    assert here.logged.count("x") == 400


def test_fmin_in_this_process_keeps_what_trials_say(caplog):
    def objective(x):
        here = current_trial()
        assert here.point == {"x": x}
        here.report(0, x)
        here.log(f"x is {x}")
        return x

    caplog.set_level("INFO", "sparktrials.trial")
    trials = Trials()
    fmin(
        objective,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=3,
        rstate=0,
        trials=trials,
        verbose=False,
    )
    for trial in trials.history:
        assert trial.reports == ((0, trial.loss),)
        assert trial.log == f"x is {trial.point['x']}"
        assert trial.seed is not None
    assert [r.getMessage() for r in caplog.records] == [
        f"trial {t.id}: {t.log}" for t in trials.history
    ]
    assert current_trial().id is None


def test_a_trial_in_this_process_learns_that_the_time_is_up():
    seen = []

    def objective(x):
        while not current_trial().should_stop():
            pass
        seen.append(x)
        return x

    trials = Trials()
    fmin(
        objective,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        timeout=0.05,
        trials=trials,
        verbose=False,
    )
    assert len(seen) == 1
    assert trials.losses() == seen
