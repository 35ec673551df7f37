from __future__ import annotations

import sqlite3

import pytest
from tests.contract.store_suite import KEY, OK, StoreContract, experiment, trial

from sparktrials.store import SQLiteStore, open_store


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        with open_store(f"sqlite:///{tmp_path}/history.db") as store:
            yield store


class TestAnotherJournal(StoreContract):
    """Where the file system allows no write-ahead log."""

    @pytest.fixture
    def store(self, tmp_path, monkeypatch):
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=NoLog, **k))
        with SQLiteStore(tmp_path / "history.db") as store:
            yield store


class NoLog(sqlite3.Connection):
    def execute(self, sql, *parameters):
        return super().execute(sql.replace("journal_mode = WAL", "journal_mode"), *parameters)


def test_everything_is_there_after_opening_again(tmp_path):
    url = f"sqlite:///{tmp_path}/history.db"
    for n in range(3):
        with open_store(url) as store:
            assert store.create(experiment()) == experiment()
            store.acquire(KEY)
            store.append(KEY, [trial(n)])
            store.append(KEY, [trial(n, OK)], {n: {"a": b"%d" % n}})
    with open_store(url) as store:
        assert store.read(KEY)[0] == [trial(n, OK, attachments=("a",)) for n in range(3)]
        assert [store.attachment(KEY, n, "a") for n in range(3)] == [b"0", b"1", b"2"]
