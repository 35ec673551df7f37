"""Stores of every version that was released open, whole; versions to come are refused.

``versions/sqlite-<n>.sql`` is what ``iterdump`` says of a store that version n of the tables wrote,
with its two pragmas.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.contract.store_suite import KEY, OK, PLAIN, TrialState, experiment, same, trial

from sparktrials.errors import StoreVersionError
from sparktrials.store import SQLiteStore, open_store, schema
from sparktrials.store.checkup import examined

VERSIONS = Path(__file__).parent / "versions"


@pytest.fixture(params=range(1, schema.VERSION + 1))
def old(request, tmp_path):
    """Return the file of an old version."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as db:
        db.executescript((VERSIONS / f"sqlite-{request.param}.sql").read_text())
    db.close()
    return path


def test_it_opens_whole(old):
    with SQLiteStore(old) as store:
        assert [e.key for e in store.experiments()] == ["Zürich", KEY]
        assert store.experiment(KEY) == experiment()
        trials, position = store.read(KEY)
        assert [t.state.value for t in trials] == ["ok", "failed", "ok", "new", "cancelled"]
        assert trials[0] == trial(0, OK, attachments=("model", ""))
        assert trials[1] == trial(1, TrialState.FAILED)
        assert same(trials[2].result["x"], PLAIN["numpy"]["scalars"])
        assert same(trials[2].result["t"], PLAIN["times"])
        assert trials[2].log == "é\n"
        assert trials[2].reports[0] == (0, 0.5)
        assert np.isnan(trials[2].reports[1][1])
        assert store.attachment(KEY, 0, "model") == b"\0\xff"
        assert store.attachment(KEY, 0, "") == b""
        store.append(KEY, [trial(3, OK)])
        assert [t.id for t in store.read(KEY, position)[0]] == [3]
    with open_store(f"sqlite:///{old}", read_only=True) as store:
        assert [f.what for f in examined(store) if f.wrong] == []


@pytest.fixture
def next_version(monkeypatch):
    """Make of this program one whose tables have another column."""
    steps = {
        schema.VERSION: ("ALTER TABLE trial ADD COLUMN extra TEXT", "UPDATE trial SET extra = 1")
    }
    monkeypatch.setattr(schema, "STEPS", {**schema.STEPS, **steps})
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)


def columns(path):
    with sqlite3.connect(path) as db:
        found = [row[1] for row in db.execute("PRAGMA table_info(trial)")]
        (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return "extra" in found, version


def test_a_step(old, next_version):
    before = columns(old)[1]
    with pytest.raises(StoreVersionError, match="open it once to write"):
        open_store(f"sqlite:///{old}", read_only=True)
    assert columns(old) == (False, before), "a reader changes nothing"
    with SQLiteStore(old) as store:
        assert len(store.read(KEY)[0]) == 5
        store.append(KEY, [trial(3, OK)])
    assert columns(old) == (True, schema.VERSION)
    with SQLiteStore(old) as store:
        assert len(store.read(KEY)[0]) == 5


def test_a_step_that_fails_changes_nothing(old, next_version, monkeypatch):
    version = columns(old)[1]
    statements = (*schema.STEPS[schema.VERSION - 1], "no statement")
    monkeypatch.setattr(schema, "STEPS", {**schema.STEPS, schema.VERSION - 1: statements})
    with pytest.raises(Exception, match="syntax error"):
        SQLiteStore(old)
    assert columns(old) == (False, version)


def test_a_step_that_is_killed_changes_nothing(old):
    version = columns(old)[1]
    code = f"""
import os, sys
from sparktrials.store import SQLiteStore, schema
schema.STEPS = {{**schema.STEPS, schema.VERSION: (
    "ALTER TABLE trial ADD COLUMN extra TEXT", "UPDATE trial SET extra = die()")}}
schema.VERSION += 1
import sqlite3
from sparktrials.store import files
connect = files.connect
def connecting(*a, **k):
    db = connect(*a, **k)
    db.create_function("die", 0, lambda: os.kill(os.getpid(), {int(signal.SIGKILL)}))
    return db
files.connect = connecting
SQLiteStore(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(old)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert columns(old) == (False, version)
    with SQLiteStore(old) as store:
        assert len(store.read(KEY)[0]) == 5


def test_a_newer_one_is_refused(old, next_version, monkeypatch):
    SQLiteStore(old).close()
    monkeypatch.undo()
    for read_only in (False, True):
        with pytest.raises(StoreVersionError, match=r"version \d+ .* knows versions up to \d+"):
            open_store(f"sqlite:///{old}", read_only=read_only)
    assert columns(old)[0]
