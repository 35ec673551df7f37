"""A journal in MongoDB does not grow with time, and nobody is harmed by what is swept."""

from __future__ import annotations

import pytest
from tests.contract.store_suite import KEY, OK, experiment, trial

from sparktrials.store import open_store
from sparktrials.store.mongo import journal, sweeping


@pytest.fixture(scope="module")
def url(mongo_server):
    return mongo_server.fresh()


@pytest.fixture
def store(url, monkeypatch):
    monkeypatch.setattr(sweeping, "HOLD_S", 0.0)
    with open_store(url) as store:
        store.create(experiment())
        yield store
    with open_store(url) as store:
        store.delete(KEY)


def count(store, collection):
    return store._client.call(lambda db: db[collection].count_documents({}))


def reported(number, n):
    return trial(number, reports=tuple((step, float(step)) for step in range(n)))


def test_reports_leave_nothing_behind(store):
    store.acquire(KEY)
    before = count(store, sweeping.ENTRIES)
    for step in range(30):
        store.append(KEY, [reported(0, step), reported(1, step)])
    store.append(KEY, [trial(0, OK)])
    position = store.read(KEY)[1]
    mine = store._journals.of(KEY)
    mine.sweep()
    assert count(store, sweeping.ENTRIES) <= before + 3, "the holder, and one for each trial"
    assert store.read(KEY)[0] == [trial(0, OK), reported(1, 29)]
    assert store.read(KEY)[1] == position
    store.append(KEY, [trial(1, OK)])
    assert [t.id for t in store.read(KEY, position)[0]] == [1]
    with open_store(store.url) as other:
        assert other.read(KEY)[0] == [trial(0, OK), trial(1, OK)]
        other.append(KEY, [trial(2)])
    assert [t.id for t in store.read(KEY)[0]] == [0, 1, 2]
    store.release(KEY)


def test_rows_in_pieces(store, monkeypatch):
    monkeypatch.setattr(journal, "_ROWS_SIZE", 100)
    before = count(store, journal.PIECES)
    with open_store(store.url) as reader:
        for step in range(5):
            store.append(KEY, [reported(0, step)])
            assert reader.read(KEY)[0] == [reported(0, step)]
        store._journals.of(KEY).sweep()
        assert count(store, journal.PIECES) == before + 1
        assert reader.read(KEY)[0] == [reported(0, 4)]


def test_attachments_that_were_replaced(store):
    before = count(store, journal.PIECES)
    for attempt in range(1, 4):
        store.append(KEY, [trial(0, attempt=attempt)], {0: {"a": b"%d" % attempt}})
    store._journals.of(KEY).sweep()
    assert count(store, journal.PIECES) == before + 1
    assert store.attachment(KEY, 0, "a") == b"3"


def test_a_writer_that_slept(store, monkeypatch):
    """It knows of an end that others have long since passed, and swept."""
    with open_store(store.url) as sleeper:
        sleeper.append(KEY, [trial(0)])
        for step in range(20):
            store.append(KEY, [reported(1, step)])
        store._journals.of(KEY).sweep()
        swept = count(store, sweeping.ENTRIES)
        monkeypatch.setattr(journal, "_TRUST_S", -1.0)
        sleeper.append(KEY, [trial(2)])
        assert count(store, sweeping.ENTRIES) == swept + 1
    seen, position = store.read(KEY)
    assert [t.id for t in seen] == [0, 1, 2]
    assert store.read(KEY, position - 1)[0] == [trial(2)], "at the end, where readers look"


def test_compact(store):
    for step in range(5):
        store.append(KEY, [reported(0, step)])
    with open_store(store.url) as other:
        before, after = other.compact()
    assert after == before - 4
    assert store.read(KEY)[0] == [reported(0, 4)]
    store.append(KEY, [trial(0, OK)])
    assert store.read(KEY)[0] == [trial(0, OK)]
