"""Whatever happens, in whatever order: the invariants of a run, over seeded schedules of faults."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from tests.fakes import FakeClock, FaultyDispatcher, SilentObserver

from sparktrials import hp, rand
from sparktrials.space import compile_space
from sparktrials.store import open_store
from sparktrials.study.history import History
from sparktrials.study.loop import Limits, Loop
from sparktrials.study.protocols import Experiment
from sparktrials.study.runner import Runner
from sparktrials.study.trial import TERMINAL, TrialState

SPACE = compile_space({"x": hp.uniform("x", 0, 1), "n": hp.randint("n", 5)})


class Killed(BaseException):
    """The driver dies here."""


class Watching:
    """A store that checks every transition, and may kill the driver before or after a write."""

    def __init__(self, inner, rng: random.Random, kill: float) -> None:
        self.inner, self.rng, self.kill = inner, rng, kill
        self.durable = True
        self.acknowledged: dict[int, float | None] = {}

    def append(self, key, trials, attachments=None) -> None:
        if self.rng.random() < self.kill:
            raise Killed
        before = {t.id: t for t in self.inner.read(key)[0]}
        for trial in trials:
            old = before.get(trial.id)
            if old is None:
                assert trial.state is TrialState.RUNNING
                assert trial.attempt == 1
            else:
                assert old.state not in TERMINAL
                assert trial.attempt in (old.attempt, old.attempt + 1)
                assert trial.point == old.point
        self.inner.append(key, trials, attachments)
        for trial in trials:
            if trial.state is TrialState.OK:
                assert trial.id not in self.acknowledged
                self.acknowledged[trial.id] = trial.loss
        if self.rng.random() < self.kill:
            raise Killed

    def __getattr__(self, name):
        return getattr(self.inner, name)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    target=st.integers(1, 40),
    slots=st.integers(1, 9),
    ahead=st.integers(0, 5),
    lose=st.floats(0, 0.5),
    together=st.floats(0, 0.3),
    fail=st.floats(0, 0.4),
    give_back=st.floats(0, 0.3),
    repeat=st.floats(0, 0.5),
    retries=st.integers(0, 3),
    kill=st.sampled_from([0.0, 0.02, 0.1]),
)
def test_any_schedule_ends_with_the_exact_budget_and_nothing_lost(
    seed, target, slots, ahead, lose, together, fail, give_back, repeat, retries, kill
) -> None:
    rng = random.Random(seed)
    store = Watching(open_store("memory:"), rng, kill)
    store.create(Experiment(key="e", fingerprint="f", space=SPACE.describe(), seed=1))
    runs: Counter[int] = Counter()
    for _life in range(200):
        clock = FakeClock()
        dispatcher = FaultyDispatcher(
            rng,
            clock,
            slots=slots,
            ahead=ahead,
            lose=lose,
            lose_together=together,
            fail=fail,
            give_back=give_back,
            repeat=repeat,
        )
        loop = Loop(
            history=History(SPACE, store.read("e")[0]),
            limits=Limits(target=target, max_retries=retries),
            seed=1,
            started=0.0,
        )
        runner = Runner(
            loop=loop,
            suggester=rand.suggest.configured(),
            dispatcher=dispatcher,
            store=store,
            key="e",
            observer=SilentObserver(),
            clock=clock,
        )
        try:
            runner._run()
        except Killed:  # nothing is cleaned up: the process is gone
            runs.update(trial_id for trial_id, _ in dispatcher.runs)
            continue
        runs.update(trial_id for trial_id, _ in dispatcher.runs)
        break
    else:
        pytest.fail("it never ended")
    trials, _ = store.read("e")
    assert [t.id for t in trials] == list(range(len(trials)))
    assert all(t.state in TERMINAL for t in trials)
    counted = [t for t in trials if t.state in (TrialState.OK, TrialState.FAILED)]
    assert len(counted) == target == len(trials)
    for trial_id, loss in store.acknowledged.items():
        assert trials[trial_id].state is TrialState.OK
        assert trials[trial_id].loss == loss
    if kill == 0:
        for trial_id, n in runs.items():
            assert n <= 1 + max(1, retries) + (1 if together else 0), (trial_id, n)
