"""The backlog: order, bounds, errors, and an end that does not wait for ever."""

from __future__ import annotations

import threading
import time

import pytest

from sparktrials.tracking import backlog
from sparktrials.tracking.backlog import Backlog

SOON = {"within_s": 30.0, "stalled_s": 30.0}


def join(threads):
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


class Server:
    """Keeps what is written, and fails or waits when told to."""

    def __init__(self):
        self.written = []
        self.errors = []
        self.let = threading.Event()
        self.let.set()
        self.called = threading.Event()
        self.warned = []

    def write(self, key, news):
        self.called.set()
        assert self.let.wait(30)
        if self.errors:
            error = self.errors.pop(0)
            if error is not None:
                raise error
        self.written.append((key, news))

    def backlog(self, **settings):
        return Backlog(
            self.write, lambda e: isinstance(e, ValueError), self.warned.append, **settings
        )


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 0.0)


def test_everything_is_written_in_order():
    server = Server()
    pending = server.backlog()
    for n in range(100):
        pending.put(n, str(n))
    assert not pending.close(**SOON)
    assert server.written == [(n, str(n)) for n in range(100)]


def test_later_news_replace_those_that_wait():
    server = Server()
    server.let.clear()
    pending = server.backlog()
    pending.put(1, "a")
    assert server.called.wait(30)
    pending.put(1, "b")
    pending.put(2, "x")
    pending.put(1, "c")
    assert len(pending) == 3
    server.let.set()
    assert not pending.close(**SOON)
    assert server.written == [(1, "a"), (1, "c"), (2, "x")]


def test_one_key_is_never_written_by_two_threads():
    inside = set()

    def write(key, news):
        assert key not in inside
        inside.add(key)
        inside.discard(key)

    errors = []
    pending = Backlog(write, lambda e: True, errors.append, threads=8)
    for n in range(2000):
        pending.put(n % 3, n)
    assert not pending.close(**SOON)
    assert not errors


def test_what_fails_is_tried_again_and_the_first_error_told_once():
    server = Server()
    server.errors = [OSError("down"), OSError("still"), None]
    pending = server.backlog()
    pending.put(1, "a")
    left = pending.close(**SOON)
    assert not left
    assert server.written == [(1, "a")]
    assert [str(e) for e in server.warned] == ["down"]


def test_what_is_refused_is_counted():
    server = Server()
    server.errors = [ValueError("no"), None, ValueError("no")]
    pending = server.backlog()
    for n in range(4):
        pending.put(n, n)
    left = pending.close(**SOON)
    assert left.keys == {0, 2}
    assert str(left.error) == "no"
    assert len(server.written) == 2


def test_refused_and_accepted_later_is_not_missing():
    server = Server()
    server.errors = [ValueError("no")]
    server.let.clear()
    pending = server.backlog()
    pending.put(1, "a")
    assert server.called.wait(30)
    pending.put(1, "b")
    server.let.set()
    assert not pending.close(**SOON)


def test_beyond_the_limit_news_are_counted_not_kept():
    server = Server()
    server.let.clear()
    pending = server.backlog(limit=2)
    pending.put(0, 0)
    assert server.called.wait(30)
    for n in range(1, 6):
        pending.put(n, n)
    server.let.set()
    assert pending.close(**SOON).keys == {3, 4, 5}


def test_a_server_that_never_answers_is_given_up():
    server = Server()
    server.let.clear()
    pending = server.backlog()
    pending.put(1, "a")
    pending.put(2, "b")
    left = pending.close(within_s=30.0, stalled_s=0.01)
    assert left.keys == {1, 2}
    assert left.error is None
    server.let.set()


def test_after_the_end_nothing_more_is_written():
    others = set(threading.enumerate())
    server = Server()
    server.let.clear()
    pending = server.backlog()
    pending.put(1, "a")
    assert server.called.wait(30)
    pending.put(2, "b")
    pending.close(within_s=0.0, stalled_s=0.0)
    server.let.set()
    join(set(threading.enumerate()) - others)
    assert server.written == [(1, "a")]


def test_it_may_go_on_without_anybody_waiting():
    others = set(threading.enumerate())
    server = Server()
    server.let.clear()
    pending = server.backlog()
    pending.put(1, "a")
    pending.put(2, "b")
    assert pending.close(within_s=0.0, stalled_s=0.0, later_s=60.0).keys == {1, 2}
    server.let.set()
    join(set(threading.enumerate()) - others)
    assert server.written == [(1, "a"), (2, "b")]


def test_threads_that_have_nothing_to_do_end_with_the_time_though_one_hangs():
    others = set(threading.enumerate())
    server = Server()
    server.let.clear()
    pending = server.backlog(threads=3)
    pending.put(1, "a")
    assert server.called.wait(30)
    pending.put(1, "b")  # of the same key: it waits for the one that hangs
    pending.close(within_s=0.0, stalled_s=0.0, later_s=0.01)
    left = set(threading.enumerate()) - others
    deadline = time.monotonic() + 30
    while sum(thread.is_alive() for thread in left) > 1:
        assert time.monotonic() < deadline
        for thread in left:
            thread.join(0.01)
    server.let.set()
    join(left)
    assert server.written == [(1, "a")]


def test_a_pause_ends_with_the_time(monkeypatch):
    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(backlog, "LONGEST_PAUSE_S", 1000.0)
    others = set(threading.enumerate())
    server = Server()
    server.errors = [OSError("down")] * 3
    pending = server.backlog()
    pending.put(1, "a")
    pending.close(within_s=0.0, stalled_s=0.0, later_s=0.2)
    join(set(threading.enumerate()) - others)
