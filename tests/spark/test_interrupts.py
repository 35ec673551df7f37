"""One to three interrupts at random instants of a study on Spark: nothing is lost, all goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from sparktrials import SparkTrials, Trials, fmin, hp, rand
from sparktrials.study.trial import TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = hp.uniform("x", 0, 1)
STEP = 12


def noting(path):
    """Return an objective that notes each evaluation that it finishes."""

    def objective(x):
        time.sleep(0.02)
        with Path(path).open("a") as file:  # one short write with O_APPEND: whole lines
            file.write(f"{x!r}\n")
        return x

    return objective


def interrupts(rng, trials):
    """Send this process one to three interrupts at random instants of the study that runs."""
    before = len(trials.history)
    instants = [rng.uniform(0, 0.5), *(rng.uniform(0, 0.1) for _ in range(rng.randrange(3)))]

    def send():
        while len(trials.history) == before and not done.is_set():
            done.wait(0.005)
        for instant in instants:
            if done.wait(instant):
                return
            os.kill(os.getpid(), signal.SIGINT)

    done = threading.Event()
    sender = threading.Thread(target=send)
    return sender, done


def one_round(objective, trials, rng, target):
    """Run a study that may be interrupted; return whether it was."""
    sender, done = interrupts(rng, trials)
    try:
        sender.start()
        try:
            fmin(objective, X, rand.suggest, target, trials=trials, rstate=1, verbose=False)
        finally:
            done.set()
            sender.join()
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # the last one, which was on its way
            sender.join()
        return True
    return False


def check(url, noted):
    """Compare the history in the store with what was evaluated."""
    kept = Trials(url)
    history = kept.history
    assert [t.id for t in history] == list(range(len(history))), "ids without gaps"
    assert not [t for t in history if not t.state.terminal], "none is left running"
    assert {t.state for t in history} <= {TrialState.OK, TrialState.CANCELLED}
    evaluated = Counter(map(float, noted.read_text().split()))
    for trial in history:
        if trial.state is TrialState.OK:
            assert trial.loss == trial.point["x"]
            assert evaluated[trial.point["x"]], "a result that nobody made"
    assert max(evaluated.values(), default=1) == 1, "evaluated twice"
    kept.store.close()


@pytest.mark.parametrize("channel", [True, False], ids=["pulling", "pushing"])
@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 5), *(pytest.param(i, 40, marks=pytest.mark.soak) for i in (2, 3))]
)
def test_interrupts_at_random_instants(spark_local, tmp_path, channel, seed, rounds):
    rng, url, noted = random.Random(seed), f"sqlite:///{tmp_path}/runs.db", tmp_path / "noted"
    noted.touch()
    trials = SparkTrials(2, store=url, channel=channel)
    objective = noting(noted)
    interrupted = 0
    for i in range(1, rounds + 1):
        interrupted += one_round(objective, trials, rng, i * STEP)
        check(url, noted)
    assert interrupted, "the instants are too late"
    fmin(objective, X, rand.suggest, rounds * STEP, trials=trials, rstate=1, verbose=False)
    assert trials.count_successful_trials() == rounds * STEP
    check(url, noted)
