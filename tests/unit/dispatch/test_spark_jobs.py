"""Jobs in threads, on a backend that the test plays: tags, cancelling, ends."""

from __future__ import annotations

import queue
import threading

import pytest

from sparktrials.dispatch.spark_jobs import Job, JobPool

PATIENCE_S = 30.0


class Backend:
    """Runs jobs until they are let go or cancelled."""

    def __init__(self):
        self.let = {}  # by description
        self.started = queue.SimpleQueue()
        self.cancelled = []
        self.slow = None

    def capture(self):
        return "captured"

    def enter(self, captured, tags):
        assert captured == "captured"
        self.pool_tags = tags

    def run(self, shipment, pack, description, tag):
        go = self.let.setdefault(tag, threading.Event())
        self.started.put(tag)
        assert go.wait(PATIENCE_S)
        return description.encode()

    def cancel(self, tags):
        self.cancelled.append(list(tags))
        if self.slow is not None:
            assert self.slow.wait(PATIENCE_S)


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture
def ends():
    return queue.SimpleQueue()


@pytest.fixture
def pool(backend, ends):
    pool = JobPool(backend, None, ends.put)
    yield pool
    for go in backend.let.values():
        go.set()
    pool.close(PATIENCE_S)


def start(pool, backend, *names):
    jobs = [Job(None, name, None) for name in names]
    for job in jobs:
        pool.submit(job)
    for _ in jobs:
        backend.started.get(timeout=PATIENCE_S)
    return jobs


def test_each_job_has_a_tag_of_its_own_and_all_have_the_pools(pool, backend, ends):
    (first,) = start(pool, backend, "first")
    backend.let[first.tag].set()
    end = ends.get(timeout=PATIENCE_S)
    assert (end.job, end.result) == (first, b"first")
    pool.forget(first)
    (second,) = start(pool, backend, "second")
    assert len(pool._threads) == 1  # the same thread
    assert len({first.tag, second.tag, *backend.pool_tags}) == 3


def test_some_are_cancelled_by_their_tags_at_one_go_and_all_by_the_pools(pool, backend):
    a, b, c = start(pool, backend, "a", "b", "c")
    pool.cancel([a, c])
    assert backend.cancelled == [[a.tag, c.tag]]
    assert [job.cancelled for job in (a, b, c)] == [True, False, True]
    pool.cancel(iter([a, b, c]))
    assert backend.cancelled[1:] == [list(backend.pool_tags)]
    pool.cancel([])
    assert len(backend.cancelled) == 2


def test_a_spark_that_takes_long_to_cancel_keeps_no_result_back(pool, backend, ends):
    a, b = start(pool, backend, "a", "b")
    backend.slow = threading.Event()
    cancelling = threading.Thread(target=pool.cancel, args=([a],))
    cancelling.start()
    backend.let[b.tag].set()
    assert ends.get(timeout=PATIENCE_S).job is b  # while the other is being cancelled
    backend.slow.set()
    cancelling.join(PATIENCE_S)
    assert not cancelling.is_alive()


def test_what_is_cancelled_before_its_turn_never_runs(pool, backend, ends):
    enter, turn = backend.enter, threading.Event()

    def wait(captured, tags):
        assert turn.wait(PATIENCE_S)
        enter(captured, tags)

    backend.enter = wait
    job = Job(None, "late", None)
    pool.submit(job)
    pool.cancel([job])
    turn.set()
    end = ends.get(timeout=PATIENCE_S)
    assert (end.result, end.error) == (None, None)
    assert backend.started.empty()
