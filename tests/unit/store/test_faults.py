"""The nth operation on SQLite fails, for every n: what was acknowledged stays, and is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from tests.contract.store_suite import KEY, NEW, OK, experiment, trial

from sparktrials.errors import StoreCorrupt, StoreError, StoreUnavailable
from sparktrials.store import SQLiteStore
from sparktrials.store.faults import translated

N = 3


class Fuse:
    """Counts operations; fails one of them, before or after it is done, or all from it on."""

    def __init__(self, at, kind, message="disk I/O error"):
        self.at, self.kind, self.message = at, kind, message
        self.n = 0

    @property
    def blown(self):
        return self.n >= self.at

    def run(self, operation, *arguments):
        self.n += 1
        fails = self.n == self.at or (self.kind == "from then on" and self.blown)
        if fails and self.kind != "after":
            raise sqlite3.OperationalError(self.message)
        if arguments[0].startswith("PRAGMA synchronous"):
            arguments = ("PRAGMA synchronous = OFF",)  # nobody is killed here: just quicker
        result = operation(*arguments)
        if fails:
            raise sqlite3.OperationalError(self.message)
        return result


@pytest.fixture
def fused(monkeypatch):
    """Return a function that puts a fuse into all connections to come."""
    connect = sqlite3.connect

    def install(fuse):
        class Connection(sqlite3.Connection):
            def execute(self, *arguments):
                return fuse.run(super().execute, *arguments)

            def executemany(self, *arguments):
                return fuse.run(super().executemany, *arguments)

        def fused_connect(*a, **k):
            return connect(*a, factory=Connection, **k)

        monkeypatch.setattr(sqlite3, "connect", fused_connect)

    yield install
    monkeypatch.undo()


def scenario(path, acknowledge):
    """Drive an experiment; tell of every call that returned."""
    with SQLiteStore(path) as store:
        acknowledge("create", store.create(experiment()))
        store.acquire(KEY)
        for n in range(N):
            states = [trial(n, NEW, attempt=0), trial(n), trial(n, OK, attachments=("a",))]
            for state in states:
                files = {n: {"a": b"%d" % n}} if state.state is OK else None
                store.append(KEY, [state], files)
                acknowledge("append", state)
            acknowledge("read", store.read(KEY))
        store.release(KEY)


FINAL = [trial(n, OK, attachments=("a",)) for n in range(N)]


@pytest.mark.parametrize("kind", ["before", "after", "from then on"])
def test_every_operation_fails_once(tmp_path, fused, kind):
    at, passed = 0, False
    while not passed:
        at += 1
        fuse = Fuse(at, kind)
        path = tmp_path / f"{at}.db"
        done = []
        fused(fuse)
        try:
            scenario(path, lambda *event, done=done: done.append(event))
        except StoreUnavailable:
            assert fuse.blown
        passed = not fuse.blown
        fused(Fuse(float("inf"), kind))
        check(path, done)
        scenario(path, lambda *_: None)
        with SQLiteStore(path) as store:
            assert store.read(KEY)[0] == FINAL
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []
    assert at > 40


def check(path, done):
    """Whether the file holds what was acknowledged, and of the next call all or nothing."""
    if not path.exists():
        assert not done
        return
    with SQLiteStore(path) as store:
        stored = store.read(KEY)[0] if store.experiment(KEY) else None
        assert (stored is not None) or not done
        acknowledged = {}
        for what, value in done:
            if what == "append":
                acknowledged[value.id] = value
        order = [None, NEW, trial(0).state, OK]
        behind = 0
        for n in range(N):
            known = acknowledged.get(n)
            state = next((t for t in stored or () if t.id == n), None)
            steps = order.index(state and state.state) - order.index(known and known.state)
            assert steps in {0, 1}
            behind += steps
            if state is not None and state.state is OK:
                assert store.attachment(KEY, n, "a") == b"%d" % n
            else:
                with pytest.raises(StoreError if stored is None else KeyError):
                    store.attachment(KEY, n, "a")
        assert behind <= 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_lock_that_goes_away_is_waited_for(tmp_path, fused, at):
    with SQLiteStore(tmp_path / "history.db") as store:
        store.create(experiment())
    fused(fuse := Fuse(at, "before", "database is locked"))
    with SQLiteStore(tmp_path / "history.db") as store:
        store.append(KEY, [trial(0)])
        assert store.read(KEY)[0] == [trial(0)]
    assert fuse.blown


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    with SQLiteStore(tmp_path / "history.db") as store:
        store.create(experiment())
        store.append(KEY, [trial(0)])

        def interrupted(db):
            db.execute("DELETE FROM trial")
            raise KeyboardInterrupt

        for call in (store._session.write, store._session.read):
            with pytest.raises(KeyboardInterrupt):
                call(interrupted)
        assert store.read(KEY)[0] == [trial(0)]
        store._session._connection.execute("BEGIN")  # interrupted again while it cleaned up
        store.append(KEY, [trial(1)])
        assert len(store.read(KEY)[0]) == 2


CODES = {
    "SQLITE_BUSY": StoreUnavailable,
    "SQLITE_FULL": StoreUnavailable,
    "SQLITE_READONLY": StoreUnavailable,
    "SQLITE_IOERR": StoreUnavailable,
    "SQLITE_CANTOPEN": StoreUnavailable,
    "SQLITE_CORRUPT": StoreCorrupt,
    "SQLITE_NOTADB": StoreCorrupt,
    "SQLITE_ERROR": StoreCorrupt,
}


@pytest.mark.parametrize("name", CODES)
def test_codes(name):
    error = sqlite3.OperationalError("text")
    error.sqlite_errorcode = getattr(sqlite3, name, None)
    if error.sqlite_errorcode is None:
        pytest.skip("Python 3.10 has no codes")
    made = translated(error, "sqlite:///h.db")
    assert type(made) is CODES[name]
    assert "sqlite:///h.db" in str(made)
    error.sqlite_errorcode |= 7 << 8  # an extended code
    assert type(translated(error, "u")) is CODES[name]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlite3.OperationalError("database is locked"), StoreUnavailable),
        (sqlite3.OperationalError("database or disk is full"), StoreUnavailable),
        (sqlite3.DatabaseError("database disk image is malformed"), StoreCorrupt),
        (sqlite3.OperationalError("no such table: trial"), StoreCorrupt),
        (sqlite3.ProgrammingError("wrong number of bindings"), StoreError),
    ],
)
def test_messages(error, expected):
    """Python 3.10 passes no codes on."""
    assert type(translated(error, "u")) is expected
