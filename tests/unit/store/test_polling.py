from __future__ import annotations

from sparktrials.store.polling import PollingWaiter


def slept(monkeypatch):
    """Return the pauses that are made from now on, by a clock that moves by them alone."""
    now, pauses = [100.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("sparktrials.store.polling.time.sleep", sleep)
    monkeypatch.setattr("sparktrials.store.polling.time.monotonic", lambda: now[0])
    return pauses


def test_pauses_grow_to_the_longest_and_begin_anew(monkeypatch):
    pauses = slept(monkeypatch)
    waiter = PollingWaiter(0.05)
    for _ in range(30):
        assert waiter.wait(10)
    assert pauses[0] == 0.005
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.05
    waiter.found()
    waiter.wait(10)
    assert pauses[-1] == 0.005


def test_where_changes_are_seen_it_waits_for_one(monkeypatch):
    pauses = slept(monkeypatch)
    left = iter([False] * 20 + [True])
    waiter = PollingWaiter(0.05, lambda: next(left))
    assert waiter.wait(10)
    assert len(pauses) == 20
    assert not PollingWaiter(0.05, lambda: False).wait(1.0)
    assert abs(sum(pauses[20:]) - 1.0) < 1e-9


def test_a_longest_pause_below_the_first_holds(monkeypatch):
    pauses = slept(monkeypatch)
    PollingWaiter(0.001).wait(10)
    assert pauses == [0.001]
