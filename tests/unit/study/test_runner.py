"""The runner on a fake dispatcher and clock: the order of its effects, and how runs end."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest
from tests.fakes import FakeClock, FaultyDispatcher, SilentObserver

from sparktrials import hp, rand
from sparktrials.space import compile_space
from sparktrials.store import open_store
from sparktrials.study.history import History
from sparktrials.study.loop import Limits, Loop, StopReason
from sparktrials.study.protocols import Experiment, Finished
from sparktrials.study.runner import Runner
from sparktrials.study.trial import Outcome, TrialState
from sparktrials.study.values import OBJECT_PREFIX

SPACE = compile_space(hp.uniform("x", 0, 1))


@dataclass
class Suggesting:
    """A suggester made of a function."""

    suggest: object
    adaptive: bool = True


@dataclass
class Harness:
    """A runner and everything around it."""

    store: object
    dispatcher: FaultyDispatcher
    runner: Runner
    observer: SilentObserver = field(default_factory=SilentObserver)


def harness(store_url="memory:", *, seed=0, limits=None, given=(), **kwargs) -> Harness:
    store = open_store(store_url)
    store.create(Experiment(key="e", fingerprint="f", space=SPACE.describe(), seed=1))
    store.acquire("e")
    clock = FakeClock()
    dispatcher = kwargs.pop("dispatcher", None) or FaultyDispatcher(random.Random(seed), clock)
    dispatcher.clock = clock
    observer = SilentObserver()
    loop = Loop(
        history=History(SPACE),
        limits=limits or Limits(target=20),
        seed=1,
        started=clock.monotonic(),
        given=given,
    )
    runner = Runner(
        loop=loop,
        suggester=rand.suggest.configured(),
        dispatcher=dispatcher,
        store=store,
        key="e",
        observer=observer,
        clock=clock,
        **kwargs,
    )
    return Harness(store, dispatcher, runner, observer)


def test_ends_with_exactly_the_target() -> None:
    h = harness()
    assert h.runner.run() is None
    assert h.runner.history.count(TrialState.OK) == 20
    assert [t.id for t in h.runner.history] == list(range(20))


def test_the_store_holds_what_the_history_holds() -> None:
    h = harness()
    h.runner.run()
    stored, _ = h.store.read("e")
    assert stored == list(h.runner.history)


def test_a_trial_is_recorded_before_it_is_submitted() -> None:
    class Checking(FaultyDispatcher):
        def submit(self, trials, alone=()):
            stored = {t.id: t for t in h.store.read("e")[0]}
            for trial in trials:
                assert stored[trial.id].state is TrialState.RUNNING
                assert stored[trial.id].attempt == trial.attempt
            super().submit(trials, alone)

    h = harness(dispatcher=Checking(random.Random(3), FakeClock(), lose=0.3))
    h.runner.run()
    assert h.runner.history.count(TrialState.OK, TrialState.FAILED) == 20


def test_random_points_depend_on_seed_and_id_only() -> None:
    points = []
    for seed in range(3):
        h = harness(seed=seed)
        h.dispatcher.slots = seed + 1
        h.runner.run()
        points.append([t.point for t in h.runner.history])
    assert points[0] == points[1] == points[2]


def test_a_timeout_cancels_and_keeps_what_made_it() -> None:
    h = harness(limits=Limits(timeout=5.0))
    stop = h.runner.run()
    assert stop is not None
    assert stop.reason == StopReason.TIMEOUT
    states = {t.state for t in h.runner.history}
    assert states <= {TrialState.OK, TrialState.CANCELLED}
    for trial_id, outcome in h.dispatcher.delivered.items():
        assert h.runner.history[trial_id].loss == outcome.loss


def test_early_stop_sees_each_ended_trial_once() -> None:
    seen: list[int] = []

    def early_stop(ended) -> bool:
        seen.extend(t.id for t in ended)
        return len(seen) >= 7

    h = harness(early_stop=early_stop)
    stop = h.runner.run()
    assert stop is not None
    assert stop.reason == StopReason.EARLY_STOPPING
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("where", ["early_stop", "suggest", "events", "submit"])
def test_an_error_anywhere_ends_the_run_with_it_and_nothing_is_left_running(where: str) -> None:
    def boom(*_args, **_kwargs):
        raise LookupError(where)

    h = harness(**({"early_stop": boom} if where == "early_stop" else {}))
    if where == "suggest":
        h.runner.suggester = Suggesting(boom)
    elif where != "early_stop":
        setattr(h.dispatcher, where, boom)
    with pytest.raises(LookupError, match=where):
        h.runner.run()
    assert all(t.state.terminal for t in h.store.read("e")[0])


def test_an_interrupt_keeps_results_and_cancels_the_rest() -> None:
    calls = 0

    def interrupting(ended) -> bool:
        nonlocal calls
        calls += len(ended)
        if calls > 5:
            raise KeyboardInterrupt
        return False

    h = harness(early_stop=interrupting)
    with pytest.raises(KeyboardInterrupt):
        h.runner.run()
    assert h.runner.history.count(TrialState.OK) >= 5
    assert all(t.state.terminal for t in h.store.read("e")[0])


def test_a_crash_of_the_cluster_raises_it() -> None:
    clock = FakeClock()
    h = harness(dispatcher=FaultyDispatcher(random.Random(1), clock, crash_after=3))
    with pytest.raises(RuntimeError, match="the cluster is gone"):
        h.runner.run()
    assert all(t.state.terminal for t in h.store.read("e")[0])


def test_a_store_that_fails_ends_the_run_with_its_error() -> None:
    h = harness()
    append, count = h.store.append, 0

    def failing(*args, **kwargs):
        nonlocal count
        count += 1
        if count > 4:
            raise OSError("disk full")
        append(*args, **kwargs)

    h.store.append = failing
    with pytest.raises(OSError, match="disk full"):
        h.runner.run()


def test_a_suggester_without_points_ends_the_run() -> None:
    h = harness(limits=Limits())
    inner = h.runner.suggester

    def until_8(space, history, n, context):
        return inner.suggest(space, history, n, context) if history.next_id < 8 else []

    h.runner.suggester = Suggesting(until_8)
    stop = h.runner.run()
    assert stop is not None
    assert stop.reason == StopReason.EXHAUSTED
    assert h.runner.history.count(TrialState.OK) == len(h.runner.history)


def test_the_first_failure_is_shown_and_later_ones_are_not() -> None:
    h = harness(dispatcher=FaultyDispatcher(random.Random(5), FakeClock(), fail=0.5))
    h.runner.run()
    shown = [note for note in h.observer.notes if "ValueError" in note]
    assert len(shown) == 1
    assert "point" in shown[0]


class WithObjects(FaultyDispatcher):
    """Returns a value that is not plain data, an attachment, and news of a dropped one."""

    def outcome(self, trial, *, failed=False) -> Outcome:
        plain = super().outcome(trial, failed=failed)
        fields = {name: getattr(plain, name) for name in plain.__slots__}
        fields["result"] = {**plain.result, "where": {1, 2}}
        fields["attachments"] = {"log": b"text"}
        fields["dropped"] = {"lock": "cannot be pickled"}
        return Outcome(**fields)


def test_values_that_are_not_plain_stay_in_memory_and_are_attached_in_a_durable_store(
    tmp_path,
) -> None:
    for url in ("memory:", f"sqlite:///{tmp_path}/h.db"):
        h = harness(
            url, dispatcher=WithObjects(random.Random(5), FakeClock()), limits=Limits(target=3)
        )
        h.runner.run()
        trial = h.runner.history[0]
        assert trial.result["where"] == {1, 2}
        assert h.store.attachment("e", 0, "log") == b"text"
        assert sum("lock" in note for note in h.observer.notes) == 1
        (stored, *_), _ = h.store.read("e")
        if h.store.durable:
            assert "where" not in stored.result
            assert OBJECT_PREFIX + "where" in stored.attachments
            assert sum("'where'" in note for note in h.observer.notes) == 1
        h.store.close()


def test_a_finished_event_without_a_trial_is_ignored() -> None:
    h = harness()
    outcome = Outcome(trial_id=999, attempt=1, state=TrialState.OK, loss=1.0)
    assert h.runner.loop.handle(Finished(outcome), 0.0) == []


def test_reports_are_stored_while_trials_run_and_call_nobody() -> None:
    calls: list[int] = []

    def early_stop(ended) -> bool:
        assert ended
        calls.append(len(ended))
        return False

    dispatcher = FaultyDispatcher(random.Random(5), FakeClock(), report=0.7)
    h = harness(dispatcher=dispatcher, early_stop=early_stop)
    h.runner.run()
    assert sum(calls) == 20
    assert any(t.reports for t in h.runner.history)
    assert h.store.read("e")[0] == list(h.runner.history)


def test_trials_are_told_to_stop_before_they_are_cancelled() -> None:
    class Ending(FaultyDispatcher):
        def cancel(self, ids):
            assert set(ids) <= self.stopped
            super().cancel(ids)

    dispatcher = Ending(random.Random(2), FakeClock(), cancel_lands=1.0)
    h = harness(dispatcher=dispatcher, limits=Limits(timeout=5.0))
    h.runner.run()
    assert dispatcher.stopped


@pytest.mark.parametrize(("adaptive", "asked"), [(True, [64, 64, 22]), (False, [150])])
def test_thousands_of_free_slots_do_not_wait_for_the_last_point(adaptive, asked) -> None:
    h = harness(limits=Limits(target=150))
    h.dispatcher.slots = 1000
    calls: list[tuple[int, int]] = []

    def suggest(space, history, n, context):
        calls.append((n, len(history)))  # those before are out
        return rand.suggest.configured().suggest(space, history, n, context)

    h.runner.suggester = Suggesting(suggest, adaptive=adaptive)
    h.runner.run()
    assert [n for n, _ in calls] == asked
    assert [out for _, out in calls] == list(itertools.accumulate(asked[:-1], initial=0))


def test_slots_that_are_free_together_need_not_wait_for_each_others_points() -> None:
    h = harness(limits=Limits(target=150))
    h.dispatcher.slots = 1000
    h.runner.ask_first = 1
    asked = []

    def suggest(space, history, n, context):
        asked.append(n)
        return rand.suggest.configured().suggest(space, history, n, context)

    h.runner.suggester = Suggesting(suggest)
    h.runner.run()
    assert asked == [1, 2, 4, 8, 16, 32, 64, 23]


def test_an_interrupt_while_events_are_handled_loses_none_of_them() -> None:
    h = harness()
    calls = []
    original = type(h.runner.loop).handle

    def interrupted(self, event, now):
        calls.append(event)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, event, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(h.runner.loop), "handle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            h.runner.run()
    for trial_id, outcome in h.dispatcher.delivered.items():
        assert h.runner.history[trial_id].loss == outcome.loss
    assert not h.runner.history.count(TrialState.RUNNING)


def test_what_is_no_news_does_not_end_the_wait_for_successes() -> None:
    """A message that came twice, say, while trials have time to end by themselves."""

    class Repeating(FaultyDispatcher):
        def events(self, timeout):
            if not self.stopped:
                return super().events(timeout)
            self.clock.now += 0.1
            if self.clock.now < self.silent_until:
                return [self.told[-1]]
            found = [Finished(self.outcome(trial)) for trial in self.queue]
            self.queue.clear()
            return found

        def stop(self, ids):
            self.silent_until = self.clock.now + 0.35
            return super().stop(ids)

    dispatcher = Repeating(random.Random(2), FakeClock())
    h = harness(dispatcher=dispatcher, limits=Limits(timeout=5.0))
    h.runner.run()
    assert dispatcher.stopped
    assert not dispatcher.cancelled
    assert not h.runner.history.count(TrialState.CANCELLED)


def test_slots_are_given_back_when_no_further_trial_is_expected_and_not_before() -> None:
    h = harness(limits=Limits(target=12))
    begun_when_released = []

    class Noting(FaultyDispatcher):
        def release(self):
            begun_when_released.append(len(h.runner.history))

    h.runner.dispatcher = Noting(random.Random(3), h.runner.clock)
    h.runner.run()
    assert begun_when_released
    assert set(begun_when_released) == {12}
