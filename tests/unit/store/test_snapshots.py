"""Where SQLite cannot run, the history is on the local disk, and snapshots of it at its place."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.store_suite import KEY, OK, StoreContract, experiment, trial

from sparktrials import Trials, fmin, hp, rand
from sparktrials.errors import InvalidArgument, StoreError, StoreUnavailable
from sparktrials.store import board_of, mounts, open_store, snapshots
from sparktrials.store.snapshots import SnapshotStore

INFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /mnt/team\\040share rw - nfs4 server:/x rw
31 30 0:31 / /mnt/team\\040share/local rw - xfs /dev/sdb rw
32 22 0:32 / /dbfs rw master:2 - fuse /dev/fuse rw
33 22 0:33 / /data rw - ext4 /dev/sdc rw
34 22 0:34 / /data rw - fuse.sshfs me@there: rw
35 22 0:35 / /odd rw - fuse.own own rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/team share/a", "nfs4"),
        ("/mnt/team shares", "ext4"),
        ("/mnt/team share/local", "xfs"),
        ("/dbfs/x", "fuse"),
        ("/data", "fuse.sshfs"),
    ],
)
def test_what_is_mounted(place, kind):
    assert mounts.mounted_at(Path(place), INFO) == kind


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("ext4", None), ("nfs4", "of kind nfs4"), ("fuse.s3fs", "of kind fuse.s3fs")],
)
def test_kinds(tmp_path, monkeypatch, kind, reason):
    monkeypatch.setattr(mounts, "_kind_of", lambda _: kind)
    found = mounts.why_not_here(tmp_path / "not" / "there")
    assert found is None if reason is None else reason in found


def test_a_place_without_room_for_files_is_no_place_for_snapshots(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError

    monkeypatch.setattr(mounts, "_kind_of", lambda _: "fuse")
    monkeypatch.setattr(mounts.tempfile, "TemporaryFile", refuse)
    assert mounts.why_not_here(tmp_path) is None
    with pytest.raises(StoreUnavailable, match="cannot be"):
        open_store("sqlite:////proc/x/y.db")


def test_workers_do_not_share_a_snapshot(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = SnapshotStore(tmp_path / "runs.db", "it is a test")
    with pytest.raises(InvalidArgument, match="each machine works on a copy of its own"):
        board_of(store)
    store.close()


def test_databricks(monkeypatch):
    monkeypatch.setattr(mounts, "_existing", lambda path: path)
    monkeypatch.setattr(mounts, "_kind_of", lambda _: "fuse")
    for place in ("/dbfs/runs", "/Volumes/a/b/c"):
        assert "remote storage" in mounts.why_not_here(Path(place))


def test_what_is_not_known_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "_kind_of", lambda _: "own")
    assert mounts.why_not_here(tmp_path) is None
    assert list(tmp_path.iterdir()) == []

    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(mounts.fcntl, "lockf", no_locks)
    assert "No locks available" in mounts.why_not_here(tmp_path)
    assert mounts.why_not_here(tmp_path, try_it=False) is None


# --------------------------------------------------------------------------- the store


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Return a place; snapshots are made when they are asked for, not by time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machine"))
    monkeypatch.setenv("SPARKTRIALS_SNAPSHOTS", "always")
    monkeypatch.setattr(snapshots, "_EVERY_S", 10_000.0)
    return tmp_path / "remote" / "h.db"


@pytest.fixture
def other_machine(tmp_path, monkeypatch):
    def move(name):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))

    return move


class TestSnapshotStore(StoreContract):
    @pytest.fixture
    def store(self, remote):
        with open_store(f"sqlite:///{remote}") as store:
            assert isinstance(store, SnapshotStore)
            yield store

    # The reader of a place sees the last snapshot, not what is written meanwhile.
    test_a_reader_writes_nothing = None
    test_who_drives = None

    @pytest.fixture
    def reader(self, filled):
        filled.snapshot()
        with open_store(filled.url, read_only=True) as reader:
            yield reader

    def test_its_condition(self, filled, reader):
        assert [e.key for e in reader.experiments()] == [KEY]


def ids(path):
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
        found = [row[0] for row in db.execute("SELECT id FROM trial ORDER BY id")]
    db.close()
    return found


def test_what_is_at_the_place_is_whole(remote, caplog):
    with open_store(f"sqlite:///{remote}") as store:
        assert caplog.text.count("SQLite cannot run there") == 1
        store.create(experiment())
        store.append(KEY, [trial(0, OK)])
        assert store.snapshot()
        assert not store.snapshot(), "nothing has changed"
        assert ids(remote) == [0]
        store.acquire(KEY)
        store.append(KEY, [trial(1)])
        store.release(KEY)
        assert ids(remote) == [0, 1], "at the end of a run"
        store.append(KEY, [trial(2)])
    assert ids(remote) == [0, 1, 2], "at the end"
    assert [p.name for p in remote.parent.iterdir()] == ["h.db"]
    assert remote.stat().st_mode & 0o777 == 0o600


def test_another_machine_goes_on(remote, other_machine):
    with open_store(f"sqlite:///{remote}") as store:
        store.create(experiment())
        store.append(KEY, [trial(0, OK)])
    for n in (1, 2):
        other_machine(f"machine {n}")
        with open_store(f"sqlite:///{remote}") as store:
            assert [t.id for t in store.read(KEY)[0]] == [*range(n)]
            store.append(KEY, [trial(n)])
    other_machine("machine")  # what it has is old
    with open_store(f"sqlite:///{remote}") as store:
        assert [t.id for t in store.read(KEY)[0]] == [0, 1, 2]


def test_two_machines_at_once(remote, other_machine, caplog):
    with open_store(f"sqlite:///{remote}") as first:
        first.create(experiment())
        first.append(KEY, [trial(0, OK)])
        first.snapshot()
        other_machine("second")
        with open_store(f"sqlite:///{remote}") as second:
            second.append(KEY, [trial(1, OK)])
        first.append(KEY, [trial(2, OK)])
        with pytest.raises(StoreError, match="another machine has written"):
            first.snapshot()
        assert ids(remote) == [0, 1], "what is there stays"
        local = first._session.path
    assert ids(local) == [0, 2], "and so does what is here"
    other_machine("machine")
    caplog.clear()
    with open_store(f"sqlite:///{remote}") as first:
        assert [t.id for t in first.read(KEY)[0]] == [0, 1]
    (aside,) = local.parent.glob("*.aside")
    assert str(aside) in caplog.text
    assert ids(aside) == [0, 2]


def test_a_log_without_its_file_is_not_played_into_a_snapshot(remote, other_machine):
    with open_store(f"sqlite:///{remote}") as store:
        store.create(experiment())
        store.append(KEY, [trial(0, OK)])
        store.snapshot()
        store.append(KEY, [trial(1, OK)])
        local = store._session.path
        log = local.with_name("h.db-wal")
        content = log.read_bytes()
    other_machine("second")
    with open_store(f"sqlite:///{remote}") as store:
        store.append(KEY, [trial(2, OK)])
    # This machine was killed while it put aside what it had.
    local.unlink()
    log.write_bytes(content)
    other_machine("machine")
    with open_store(f"sqlite:///{remote}") as store:
        assert [t.id for t in store.read(KEY)[0]] == [0, 1, 2]
    assert ids(remote) == [0, 1, 2]
    assert [p.read_bytes() for p in local.parent.glob("*.aside-wal")] == [content]


WRITER = """
import sys, os
from sparktrials.store import open_store, snapshots
from tests.contract.store_suite import *
snapshots._EVERY_S = 10_000.0
store = open_store(sys.argv[1])
store.create(experiment())
store.append(KEY, [trial(0, OK)])
store.snapshot()
if sys.argv[2] == "while publishing":
    replace = snapshots.Path.replace
    def kill_at(self, target):
        if self.name.endswith(".new") and self.name.startswith("."):
            replace(self, target)
            os.kill(os.getpid(), 9)
        return replace(self, target)
    snapshots.Path.replace = kill_at
store.append(KEY, [trial(1, OK)])
if sys.argv[2] == "while publishing":
    store.snapshot()
store.append(KEY, [trial(2, OK)])
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("when", "left"), [("later", [0, 1, 2]), ("while publishing", [0, 1])])
def test_a_killed_driver_loses_nothing_on_its_machine(remote, when, left, other_machine):
    url = f"sqlite:///{remote}"
    command = [sys.executable, "-c", WRITER, url, when]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with open_store(url) as store:
        assert [t.id for t in store.read(KEY)[0]] == left
    other_machine("another")
    with open_store(url) as store:
        assert [t.id for t in store.read(KEY)[0]] == left


def test_a_place_that_is_away(remote, caplog):
    with open_store(f"sqlite:///{remote}") as store:
        store.create(experiment())
        store.append(KEY, [trial(0, OK)])
        shutil.rmtree(remote.parent)
        remote.parent.write_text("no directory")
        with pytest.raises(StoreError, match="goes on from there"):
            store.snapshot()
    assert "goes on from there" in caplog.text
    remote.parent.unlink()
    with open_store(f"sqlite:///{remote}") as store:
        assert [t.id for t in store.read(KEY)[0]] == [0]
    assert ids(remote) == [0]


def test_a_run(remote):
    trials = Trials(f"sqlite:///{remote}")
    fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 5, trials=trials, verbose=False)
    assert ids(remote) == [*range(5)]
    assert len(Trials(f"sqlite:///{remote}")) == 5
    with open_store(f"sqlite:///{remote}", read_only=True) as store:
        assert len(store.read("default")[0]) == 5


def test_a_setting_that_makes_no_sense(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARKTRIALS_SNAPSHOTS", "perhaps")
    with pytest.raises(InvalidArgument, match="auto, always or never"):
        open_store(f"sqlite:///{tmp_path}/h.db")
