from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from tests.contract.store_suite import KEY, OK, experiment, trial
from tests.processes import PATIENCE, killed_after, line_of

from sparktrials.errors import StoreCorrupt, StoreInUse, StoreUnavailable
from sparktrials.store import SQLiteStore
from sparktrials.store.lease import Holder

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")  # noqa: PTH110 - in a decorator

HOLD = """
import sys
from sparktrials.store import open_store
store = open_store(sys.argv[1])
store.acquire("default")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path):
    with SQLiteStore(tmp_path / "history.db") as store:
        store.create(experiment())
        yield store


@pytest.fixture
def other(store):
    """Return a process that holds the experiment."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, store.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        assert line_of(process) == "held\n"
        yield process


def change(store, **columns):
    with closing(sqlite3.connect(store._session.path)) as db, db:
        for name, value in columns.items():
            assert db.execute(f"UPDATE lease SET {name} = ?", (value,)).rowcount == 1


def test_held_by_a_living_process(store, other):
    for _ in range(2):
        with pytest.raises(StoreInUse, match=rf"process {other.pid} on host .*kill {other.pid}"):
            store.acquire(KEY)
    with pytest.raises(StoreInUse, match=str(other.pid)):
        store.delete(KEY)
    store.release(KEY)
    with pytest.raises(StoreInUse):
        store.acquire(KEY)
    other.communicate("", timeout=PATIENCE)
    store.acquire(KEY)


@needs_proc
def test_held_by_a_process_that_was_killed(store, other):
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, but still in the process table
    store.acquire(KEY)
    with pytest.raises(StoreInUse, match="this process already"):
        store.acquire(KEY)


@needs_proc
def test_held_by_a_process_whose_number_another_one_has(store, other):
    change(store, started="another boot:1")
    store.acquire(KEY)


def test_held_by_this_process(store, tmp_path):
    with SQLiteStore(tmp_path / "history.db") as twin:
        twin.acquire(KEY)
        with pytest.raises(StoreInUse, match=r"this process already .*close its store"):
            store.acquire(KEY)
        store.release(KEY)
        with pytest.raises(StoreInUse):
            store.acquire(KEY)
    store.acquire(KEY)


def test_a_store_that_was_lost_gives_its_lease_back(store, tmp_path):
    twin = SQLiteStore(tmp_path / "history.db")
    twin.acquire(KEY)
    del twin
    store.acquire(KEY)


@pytest.mark.parametrize("column", ["host", "namespace"])
def test_held_elsewhere(store, tmp_path, caplog, column):
    store.acquire(KEY)
    store.append(KEY, [trial(0)])
    change(store, **{column: "elsewhere"})
    with SQLiteStore(tmp_path / "history.db") as successor:
        with caplog.at_level(logging.WARNING, "sparktrials.store"):
            successor.acquire(KEY)
        assert f"process {os.getpid()} on host" in caplog.text
        assert "cannot be seen" in caplog.text
        successor.append(KEY, [trial(0, OK)])
        with pytest.raises(StoreInUse, match="taken over by process"):
            store.append(KEY, [trial(1)])
        with pytest.raises(StoreInUse, match="this process already"):
            store.acquire(KEY)
    with pytest.raises(StoreInUse, match="taken over by nobody"):
        store.append(KEY, [trial(1)])
    store.release(KEY)
    store.acquire(KEY)
    store.append(KEY, [trial(1)])
    assert store.read(KEY)[0] == [trial(0, OK), trial(1)]


def test_a_driver_that_was_replaced_cannot_release_its_successor(store, tmp_path):
    store.acquire(KEY)
    change(store, host="elsewhere")
    with SQLiteStore(tmp_path / "history.db") as successor:
        successor.acquire(KEY)
        store.release(KEY)
        with pytest.raises(StoreInUse):
            store.acquire(KEY)


def test_who_holds_no_lease_may_append(store, tmp_path):
    store.acquire(KEY)
    with SQLiteStore(tmp_path / "history.db") as twin:
        twin.append(KEY, [trial(0)])
    assert store.read(KEY)[0] == [trial(0)]


@pytest.mark.parametrize("columns", [{"pid": "x"}, {"owner": b"1"}])
def test_a_damaged_lease(store, columns):
    store.acquire(KEY)
    change(store, **columns)
    with pytest.raises(StoreCorrupt, match="damaged lease"):
        store.append(KEY, [trial(0)])


@pytest.mark.parametrize("text", ["", "3", "[1]", "[" * 100_000])
def test_no_other_text_is_a_holder(text):
    with pytest.raises(ValueError):
        Holder.from_text(text, "o")


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 2, 2**62])
def test_no_such_process(pid):
    assert not Holder(host="h", namespace="", pid=pid, started="", owner="o").alive()


def test_this_process_lives():
    here = Holder.here("o")
    assert here.alive()
    assert here.visible(here)
    assert here.same_process(Holder.here("p"))


@needs_proc
def test_what_is_not_known_of_a_process_is_no_proof_of_death():
    assert Holder(host="h", namespace="", pid=os.getpid(), started="", owner="o").alive()
    assert Holder(host="h", namespace="", pid=1, started="", owner="o").alive()


def test_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr("sparktrials.store.lease._PROC", tmp_path)
    here = Holder.here("o")
    assert (here.started, here.namespace) == ("", "")
    assert here.alive()


def test_a_lease_that_could_not_be_given_back(store, tmp_path):
    """On a full disk, say: the next run in the same notebook must not have to wait for its end."""
    twin = SQLiteStore(tmp_path / "history.db")
    twin.acquire(KEY)
    twin._session.read(lambda db: db.execute("PRAGMA query_only = ON"))
    twin.close()
    store.acquire(KEY)


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoreUnavailable])
def test_a_lease_whose_acknowledgement_was_lost(store, tmp_path, monkeypatch, error):
    write = store._session.write

    def lost(work):
        write(work)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store._session, "write", lost)
        with pytest.raises(error):
            store.acquire(KEY)
    store.acquire(KEY)
    with pytest.raises(StoreInUse):
        store.acquire(KEY)
    store.release(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(store._session, "write", lost)
        with pytest.raises(error):
            store.acquire(KEY)
    store.close()
    with SQLiteStore(tmp_path / "history.db") as twin:
        assert twin._session.read(lambda db: db.execute("SELECT * FROM lease").fetchall()) == []


def test_a_release_that_could_not_be_written_does_not_lock_out_its_own_store(store, monkeypatch):
    store.acquire(KEY)
    with monkeypatch.context() as patch:

        def full(*_):
            raise StoreUnavailable

        patch.setattr(store, "_free", full)
        with pytest.raises(StoreUnavailable):
            store.release(KEY)
    store.acquire(KEY)
    store.release(KEY)
