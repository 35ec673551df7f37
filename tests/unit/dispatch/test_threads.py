"""Trials in threads: what the contract suite does not ask."""

from __future__ import annotations

import threading

import pytest
from tests.contract.dispatcher_suite import drain, open_with, trial

from sparktrials import Trials, current_trial, fmin, hp, rand
from sparktrials.dispatch.threads import ThreadDispatcher
from sparktrials.errors import InvalidArgument
from sparktrials.study.protocols import Cancelled, Finished

PATIENCE = 30


class Spark:
    """Notes what threads ask of it."""

    def __init__(self):
        self.entered = []
        self.cancelled = []

    def capture(self):
        return "captured"

    def enter(self, captured, tags):
        self.entered.append((threading.current_thread().name, captured, tags))

    def cancel(self, tags):
        self.cancelled += tags


@pytest.fixture
def opened():
    dispatchers = []

    def make(objective, n=2, owner=None):
        dispatchers.append(ThreadDispatcher(n, owner))
        return open_with(dispatchers[-1], objective)

    yield make
    for dispatcher in dispatchers:
        dispatcher.close()


def test_trials_run_at_the_same_time(opened):
    together = threading.Barrier(3)
    dispatcher = opened(lambda p: together.wait(PATIENCE) * 0 + p["x"], 3)
    assert dispatcher.room() == 3
    dispatcher.submit([trial(i) for i in range(3)])
    assert dispatcher.room() == 0
    assert all(isinstance(e, Finished) and e.outcome.failure is None for e in drain(dispatcher, 3))
    assert dispatcher.room() == 3


def test_a_running_trial_is_disowned_and_keeps_its_slot_until_it_returns(opened):
    begun, go = threading.Event(), threading.Event()

    def objective(p):
        begun.set()
        assert go.wait(PATIENCE)
        return p["x"]

    spark = Spark()
    dispatcher = opened(objective, 1, spark)
    dispatcher.submit([trial(0), trial(1)])
    assert begun.wait(PATIENCE)
    dispatcher.cancel([0, 1, 7])
    dispatcher.cancel([0])
    assert dispatcher.events(0) == [Cancelled(0, 1), Cancelled(1, 1)]
    ((name, captured, tags),) = spark.entered
    assert captured == "captured"
    assert spark.cancelled == [name]
    assert name in tags
    assert dispatcher.room() == 0
    go.set()
    assert dispatcher.events(PATIENCE) == []  # what it returns is dropped, its slot is free
    assert dispatcher.room() == 1


def test_a_trial_learns_that_it_should_stop(opened):
    begun = threading.Event()

    def objective(p):
        begun.set()
        while not current_trial().should_stop():
            pass
        return p["x"]

    dispatcher = opened(objective)
    dispatcher.submit([trial(0)])
    assert begun.wait(PATIENCE)
    assert not dispatcher.stop([5])
    assert dispatcher.stop([0])
    (event,) = drain(dispatcher, 1)
    assert event.outcome.loss == 0.0


def test_fmin_in_threads():
    together = threading.Barrier(2)
    trials = Trials(n_jobs=2, threads=True)

    def objective(x):
        together.wait(PATIENCE)
        return x

    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=8, trials=trials,
         verbose=False, rstate=0)  # fmt: skip
    assert trials.losses() == [t.point["x"] for t in trials.history]
    assert len(trials) == 8


def test_an_exception_ends_fmin_as_without_threads():
    def objective(x):
        raise KeyError("objective")

    with pytest.raises(KeyError, match="objective"):
        fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=8, verbose=False,
             trials=Trials(n_jobs=2, threads=True))  # fmt: skip


@pytest.mark.parametrize("wrong", [0, -2, 1.5, True, "2", None])
def test_a_number_of_jobs_that_makes_no_sense(wrong):
    with pytest.raises(InvalidArgument, match="n_jobs"):
        Trials(n_jobs=wrong, threads=True)
