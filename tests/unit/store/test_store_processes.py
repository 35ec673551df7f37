"""Several processes, some of them killed, on one file."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager

import pytest
from tests.contract.store_suite import KEY, OK, RUNNING, experiment, trial
from tests.processes import PATIENCE, killed_after, line_of

from sparktrials.store import SQLiteStore

PRELUDE = """
import json, os, sys
from sparktrials.store import open_store, SQLiteStore
from tests.contract.store_suite import KEY, OK, experiment, trial
path = sys.argv[1]
def say(*words):
    print(*words, flush=True)
"""


@contextmanager
def running(script, *arguments):
    """Run a script in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        yield process


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.db"


def check_integrity(path):
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


CREATE = """
say("ready")
sys.stdin.readline()
store = SQLiteStore(path)
store.create(experiment(seed=int(sys.argv[2])))
store.append(KEY, [trial(int(sys.argv[2]), OK)])
say(json.dumps(store.experiment(KEY).seed))
store.close()
"""


def test_eight_processes_make_one_file(path):
    n = 8
    with ExitStack() as stack:
        processes = [stack.enter_context(running(CREATE, path, k)) for k in range(n)]
        for process in processes:
            assert line_of(process) == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        seeds = {json.loads(line_of(process)) for process in processes}
        assert [process.wait(PATIENCE) for process in processes] == [0] * n
    assert len(seeds) == 1
    with SQLiteStore(path) as store:
        assert store.read(KEY)[0] == [trial(k, OK) for k in range(n)]
    assert [p.name for p in path.parent.iterdir()] == ["history.db"]


WRITE = """
store = open_store(f"sqlite:///{path}")
store.create(experiment())
store.acquire(KEY)
n_packs, size = int(sys.argv[2]), int(sys.argv[3])
for k in range(n_packs):
    ids = range(k * size, (k + 1) * size)
    store.append(KEY, [trial(i) for i in ids])
    say("running", k)
    store.append(KEY, [trial(i, OK) for i in ids], {ids[0]: {"a": b"%d" % k}})
    say("ok", k)
store.close()
"""


def test_readers_see_whole_transactions(path):
    n_packs, size = 40, 7
    with SQLiteStore(path) as store, running(WRITE, path, n_packs, size) as writer:
        store.create(experiment())
        known, position, over = {}, 0, False
        deadline = time.monotonic() + PATIENCE
        while not over:
            assert time.monotonic() < deadline, "the writer hangs"
            over = writer.poll() is not None  # then this read is of all there is
            changed, position = store.read(KEY, position)
            for t in changed:
                assert known.get(t.id) in {None, RUNNING}
                known[t.id] = t.state
            assert len(known) % size == 0
            for k in range(len(known) // size):
                assert len({known[i] for i in range(k * size, (k + 1) * size)}) == 1
            assert writer.poll() in {None, 0}
        assert sum(s is OK for s in known.values()) == n_packs * size
        trials, _ = store.read(KEY)
        assert {t.id: t.state for t in trials} == known
    check_integrity(path)


def test_a_writer_that_is_killed_loses_nothing_acknowledged(path):
    rng = random.Random(5)
    size = 5
    for _ in range(10):
        path.unlink(missing_ok=True)
        with running(WRITE, path, 10_000, size) as writer:
            told = [line_of(writer).split() for _ in range(rng.randrange(1, 40))]
            writer.kill()
            told += [line.split() for line in writer.stdout.read().splitlines(keepends=False)]
        told = [line for line in told if len(line) == 2 and line[1].isdigit()]
        with SQLiteStore(path) as store:
            stored = {t.id: t.state for t in store.read(KEY)[0]}
            assert len(stored) % size == 0
            for what, pack in told:
                first = int(pack) * size
                states = {stored[i] for i in range(first, first + size)}
                assert states <= ({OK} if what == "ok" else {RUNNING, OK})
                if what == "ok":
                    assert store.attachment(KEY, first, "a") == pack.encode()
            store.acquire(KEY)  # from a process that is gone
            store.append(KEY, [trial(n) for n in stored])
        check_integrity(path)
        path.unlink()


VISIT = """
store = SQLiteStore(path)
store.append(KEY, [trial(int(sys.argv[2]))])
say(json.dumps([t.id for t in store.read(KEY)[0]]))
store.close()
"""


def test_a_second_store_takes_no_locks_away(path):
    """A file that a process opens by other means and closes is a file that it has no locks on."""
    with SQLiteStore(path) as store:
        store.create(experiment())
        for n in (0, 2, 4):
            SQLiteStore(path).close()
            store.append(KEY, [trial(n)])
            with running(VISIT, path, n + 1) as other:
                assert json.loads(line_of(other)) == [*range(n + 2)]
                assert other.wait(PATIENCE) == 0
            assert path.with_name("history.db-wal").exists()
            assert len(store.read(KEY)[0]) == n + 2
    with SQLiteStore(path) as store:
        assert [t.id for t in store.read(KEY)[0]] == [*range(6)]


FORK = """
import threading
store = SQLiteStore(path)
store.create(experiment())
store.acquire(KEY)
store.append(KEY, [trial(0)])
turns = threading.Semaphore(0)
n_written = 0
def write():
    global n_written
    for _ in range(4):
        turns.acquire()
        for _ in range(10):
            store.append(KEY, [trial(1000 + n_written)])
            n_written += 1
thread = threading.Thread(target=write)
thread.start()
for k in range(1, 5):
    turns.release()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.append(KEY, [trial(k)])
            assert {0, k} <= {t.id for t in store.read(KEY)[0]}
            store.release(KEY)  # the parent's
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
thread.join()
store.append(KEY, [trial(5)])
say(n_written)
if os.fork() == 0:
    sys.exit()  # with all that a normal end does
os.wait()
store.append(KEY, [trial(6)])
store.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forks_have_connections_of_their_own(path):
    with running(FORK, path) as process:
        n_written = int(line_of(process))
        assert process.wait(PATIENCE) == 0
    with SQLiteStore(path) as store:
        ids = [t.id for t in store.read(KEY)[0]]
    assert ids == [*range(7), *range(1000, 1000 + n_written)]
    check_integrity(path)
