from __future__ import annotations

import pytest

from sparktrials.store.patience import Patience


class Clock:
    now = 0.0

    def __init__(self):
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def waits(total_s, **options):
    clock = Clock()
    patience = Patience(total_s, clock=clock, sleep=clock.sleep, **options)
    news = []
    while patience.wait():
        news.append(patience.is_news)
    return clock, patience, news


def test_it_ends_when_it_should():
    clock, patience, _ = waits(60)
    assert clock.now == pytest.approx(60)
    assert patience.left_s() == 0
    assert patience.n_tries == len(clock.slept) + 1


def test_waits_grow_and_differ():
    clock, _, _ = waits(60)
    assert 0.025 <= clock.slept[0] <= 0.075
    assert max(clock.slept) <= 3.0
    assert 20 < len(clock.slept) < 80
    assert clock.slept != waits(60)[0].slept


def test_no_time_no_wait():
    clock, patience, _ = waits(0)
    assert clock.slept == []
    assert patience.n_tries == 1


def test_people_hear_of_fewer_and_fewer():
    _, _, news = waits(60)
    assert news[:4] == [True, False, True, False]
    assert sum(news) <= 7
