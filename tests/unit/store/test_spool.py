"""What a store would not take is on this machine, whole, until the next run hands it in."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys

import pytest
from tests.contract.store_suite import KEY, OK, PLAIN, experiment, trial
from tests.processes import killed_after, line_of

from sparktrials import STATUS_OK, Trials, fmin, hp, rand
from sparktrials.errors import (
    InvalidArgument,
    InvalidTrial,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreUnavailable,
)
from sparktrials.store import Spool, SpoolingStore, SQLiteStore, absorb, spool
from sparktrials.study.trial import TrialState

FINGERPRINT = experiment().fingerprint


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARKTRIALS_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def store(tmp_path):
    with SQLiteStore(tmp_path / "history.db") as store:
        store.create(experiment())
        yield store


def spooled(store, *records, key=KEY, fingerprint=FINGERPRINT):
    """Keep records, and return the file."""
    kept = Spool(store.url, key, fingerprint)
    for trials, attachments in records:
        kept.keep(trials, attachments)
    kept.close()
    return kept.path


RECORDS = [
    ([trial(0), trial(1)], None),
    ([trial(0, OK, result={"loss": 0.5, "x": PLAIN["numpy"]["scalars"]})], {0: {"a": b"\0\xff"}}),
    ([trial(1, TrialState.FAILED)], {1: {"": b"", "é": b"x" * 10_000}}),
]


def test_what_is_kept_is_handed_in_once(store, directory, caplog):
    path = spooled(store, *RECORDS)
    assert path.parent == directory
    assert absorb(store, KEY) == 4
    assert "4 states" in caplog.text
    trials, position = store.read(KEY)
    assert [t.state for t in trials] == [OK, TrialState.FAILED]
    assert store.attachment(KEY, 0, "a") == b"\0\xff"
    assert store.attachment(KEY, 1, "é") == b"x" * 10_000
    assert list(directory.iterdir()) == []
    assert absorb(store, KEY) == 0
    assert store.read(KEY)[1] == position


def test_handed_in_twice_changes_nothing(store):
    path = spooled(store, *RECORDS)
    content = path.read_bytes()
    absorb(store, KEY)
    before = store.read(KEY)
    path.write_bytes(content)
    absorb(store, KEY)
    assert store.read(KEY) == before


def test_nothing_is_made_before_it_is_needed(store, directory):
    Spool(store.url, KEY).close()
    assert not directory.exists()
    assert absorb(store, KEY) == 0


def test_nobody_sees_a_file_before_it_is_locked(store, directory, monkeypatch):
    seen = []

    def watched(descriptor):
        seen.extend(directory.glob("*.spool"))
        return lock(descriptor)

    lock = spool.lock
    monkeypatch.setattr(spool, "lock", watched)
    kept = Spool(store.url, KEY)
    kept.keep([trial(0)])
    assert seen == []
    assert spool.waiting(store.url, KEY) == [], "it is in use"
    kept.close()
    assert spool.waiting(store.url, KEY) == [kept.path]


def test_the_next_place_where_the_first_is_full(store, monkeypatch, tmp_path):
    places = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(spool, "spool_directories", lambda: places)
    write = spool.write_line

    def full(descriptor, record):
        if any((tmp_path / "first").iterdir()):
            raise OSError(errno.ENOSPC, "no room")
        write(descriptor, record)

    monkeypatch.setattr(spool, "write_line", full)
    assert spooled(store, RECORDS[0]).parent == tmp_path / "second"
    assert list((tmp_path / "first").iterdir()) == []


def test_for_this_users_eyes(store, directory):
    path = spooled(store, RECORDS[0])
    assert path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "history" not in path.name


def test_a_file_cut_at_any_byte(store, directory):
    """Whole lines are what was acknowledged."""
    path = spooled(store, *[([trial(n, OK)], None) for n in range(4)])
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        store.delete(KEY)
        store.create(experiment())
        path.write_bytes(content[:cut])
        n = max(0, sum(end <= cut for end in ends) - 1)  # without the header
        assert absorb(store, KEY) == n
        assert [t.id for t in store.read(KEY)[0]] == [*range(n)]


def test_flipped_bits_are_no_results(store, caplog):
    path = spooled(store, *[([trial(n, OK)], None) for n in range(3)])
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b'"ok', b'"no')
    path.write_bytes(b"\n".join(lines))
    assert absorb(store, KEY) == 2
    assert [t.id for t in store.read(KEY)[0]] == [0, 2]
    assert "1 lines" in caplog.text
    assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"rubbish\n", b"00000000 {}\n", b"\0" * 100, b"[" * 10_000 + b"\n"]
)
def test_rubbish(store, content):
    path = spooled(store, RECORDS[0])
    path.write_bytes(content)
    assert absorb(store, KEY) == 0
    assert store.read(KEY)[0] == []


def test_hostile_documents(store):
    kept = Spool(store.url, KEY, FINGERPRINT)
    kept.keep([trial(0, OK)])
    for record in (
        {"trials": ["{}"], "attachments": []},
        {"trials": [1], "attachments": []},
        {"trials": [], "attachments": [[0, "a"]]},
        {"trials": "x"},
        {},
    ):
        spool.write_line(kept._descriptor, record)
    kept.close()
    assert absorb(store, KEY) == 1
    assert [t.id for t in store.read(KEY)[0]] == [0]


def test_another_space(store, caplog):
    path = spooled(store, RECORDS[0], fingerprint="e" * 32)
    with caplog.at_level(logging.WARNING, "sparktrials.store"):
        assert absorb(store, KEY) == 0
    assert "another search space" in caplog.text
    assert path.exists()


def test_other_experiments_and_stores(store, tmp_path):
    store.create(experiment("other"))
    paths = [spooled(store, RECORDS[0], key="other")]
    with SQLiteStore(tmp_path / "other.db") as other:
        paths.append(spooled(other, RECORDS[0]))
    assert absorb(store, KEY) == 0
    assert all(path.exists() for path in paths)


WRITE = """
import sys
from sparktrials.store import Spool
from tests.contract.store_suite import KEY, OK, experiment, trial
spool = Spool(sys.argv[1], KEY, experiment().fingerprint)
n = 0
while True:
    spool.keep([trial(n, OK)])
    print(n, flush=True)
    n += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_a_writer_that_lives_and_is_killed(store):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, store.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        told = [line_of(process) for _ in range(5)]
        assert absorb(store, KEY) == 0, "it is still being written"
        process.kill()
        told += process.stdout.read().splitlines()
    n_told = int([line for line in told if line.strip()][-1]) + 1
    n = absorb(store, KEY)
    assert n in {n_told, n_told + 1}
    assert [t.id for t in store.read(KEY)[0]] == [*range(n)]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users")
def test_somebody_elses_directory(store, directory):
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(StoreUnavailable, match="not this user's alone"):
        spooled(store, RECORDS[0])
    (directory / "x").mkdir()
    assert absorb(store, KEY) == 0


def test_links_are_not_followed(store, tmp_path, caplog):
    path = spooled(store, RECORDS[0])
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert absorb(store, KEY) == 0
    assert "cannot be read" in caplog.text


def test_places(monkeypatch, tmp_path):
    monkeypatch.delenv("SPARKTRIALS_SPOOL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    first, *others = spool.spool_directories()
    assert first == tmp_path / "state" / "sparktrials" / "spool"
    assert others
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert spool.spool_directories()[0] == tmp_path / ".local/state/sparktrials/spool"


def test_the_next_place_where_the_first_cannot_be_written(store, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "spool", tmp_path / "second"]
    monkeypatch.setattr(spool, "spool_directories", lambda: places)
    assert spooled(store, RECORDS[0]).parent == tmp_path / "second"
    assert absorb(store, KEY) == 2


class Picky(SQLiteStore):
    """Refuses what has a certain id."""

    refuses: frozenset[int] = frozenset()
    error: Exception = InvalidArgument("too big")

    def append(self, key, trials, attachments=None):
        if self.refuses & {t.id for t in trials}:
            raise self.error
        super().append(key, trials, attachments)


@pytest.mark.parametrize(
    "error", [InvalidArgument("too big"), StoreError("odd"), OverflowError("no such number")]
)
def test_what_is_refused_holds_up_nothing(tmp_path, directory, caplog, error):
    with Picky(tmp_path / "picky.db") as store:
        store.create(experiment())
        store.refuses, store.error = frozenset({1, 5}), error
        path = spooled(
            store,
            ([trial(n, OK) for n in range(4)], {1: {"a": b"one"}, 2: {"a": b"two"}}),
            ([trial(5, OK)], None),
            ([trial(4, OK)], None),
        )
        assert absorb(store, KEY) == 4
        assert [t.id for t in store.read(KEY)[0]] == [0, 2, 3, 4]
        assert store.attachment(KEY, 2, "a") == b"two"
        (aside,) = directory.iterdir()
        assert aside == path.with_suffix(".refused")
        assert str(aside) in caplog.text
        assert str(error) in caplog.text
        assert absorb(store, KEY) == 0, "the next start is not held up"
        store.refuses = frozenset()
        aside.rename(path)
        assert absorb(store, KEY) == 2
        assert [t.id for t in store.read(KEY)[0]] == [*range(6)]
        assert store.attachment(KEY, 1, "a") == b"one"
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreInUse("taken"), StoreCorrupt()])
def test_a_store_that_takes_nothing_leaves_the_file(tmp_path, directory, error):
    with Picky(tmp_path / "picky.db") as store:
        store.create(experiment())
        store.refuses, store.error = frozenset({0}), error
        path = spooled(store, *RECORDS)
        with pytest.raises(type(error)):
            absorb(store, KEY)
    assert list(directory.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgument("too big"),
        StoreInUse("taken over"),
        StoreError("odd"),
        StoreCorrupt("damaged"),
        RuntimeError("a fault of the driver's"),
    ],
)
def test_whatever_a_store_raises_the_results_are_kept(tmp_path, directory, error, caplog):
    with Picky(tmp_path / "picky.db") as store:
        store.create(experiment())
        store.refuses, store.error = frozenset({0}), error
        beside = SpoolingStore(store, Spool(store.url, KEY, FINGERPRINT))
        with pytest.raises(type(error), match=str(error)) as caught:
            beside.append(KEY, [trial(0, OK)], {0: {"a": b"b"}})
        (path,) = directory.iterdir()
        assert str(path) in str(caught.value) + caplog.text
        beside.append(KEY, [trial(1, OK)])
        beside._spool.close()
        store.refuses = frozenset()
        assert absorb(store, KEY) == 2
        assert store.attachment(KEY, 0, "a") == b"b"


def test_what_cannot_be_written_is_kept_without_that(store, directory):
    kept = Spool(store.url, KEY, FINGERPRINT)
    beside = SpoolingStore(store, kept)
    with pytest.raises(InvalidTrial, match="model"):
        beside.append(KEY, [trial(0, OK, result={"loss": 1.0, "model": object(), "a": 1})])
    kept.close()
    assert absorb(store, KEY) == 1
    assert store.read(KEY)[0][0].result == {"loss": 1.0, "a": 1}


# --------------------------------------------------------------------------- runs


class Failing(SQLiteStore):
    """Takes so many appends."""

    left = 10**9

    def append(self, *arguments):
        if self.left <= 0:
            msg = "the disk is full"
            raise StoreUnavailable(msg)
        self.left -= 1
        super().append(*arguments)


def run(store, n, evaluated):
    def objective(p):
        evaluated.append(p["x"] ** 2)
        return {"loss": p["x"] ** 2, "status": STATUS_OK, "attachments": {"a": b"%f" % p["x"]}}

    trials = Trials(store)
    fmin(
        objective,
        {"x": hp.uniform("x", -1, 1)},
        algo=rand.suggest,
        max_evals=n,
        trials=trials,
        rstate=3,
        show_progressbar=False,
        verbose=False,
    )
    return trials


@pytest.mark.parametrize("left", range(7))
def test_a_run_whose_store_fails_goes_on(tmp_path, directory, left):
    n, evaluated = 4, []
    store = Failing(tmp_path / "history.db")
    store.left = left
    with pytest.raises(StoreUnavailable, match="the disk is full") as caught:
        run(store, n, evaluated)
    (path,) = directory.iterdir()
    assert str(path) in str(caught.value)
    assert "the next fmin on this machine" in str(caught.value)
    store.close()
    trials = run(f"sqlite:///{tmp_path}/history.db", n, evaluated)
    assert list(directory.iterdir()) == []
    assert [loss for loss in trials.losses() if loss is not None] == evaluated, "all, once"
    assert len(evaluated) == n
    for document in trials.trials:
        if document["result"]["status"] == STATUS_OK:
            content = trials.trial_attachments(document)["a"]
            assert float(content) ** 2 == pytest.approx(document["result"]["loss"], abs=1e-5)


def test_in_the_same_process(tmp_path, directory):
    evaluated = []
    store = Failing(tmp_path / "history.db")
    store.left = 3
    with pytest.raises(StoreUnavailable):
        run(store, 4, evaluated)
    store.left = 10**9
    trials = run(store, 4, evaluated)
    assert [loss for loss in trials.losses() if loss is not None] == evaluated
    assert list(directory.iterdir()) == []


def test_no_place_at_all(tmp_path, monkeypatch, store):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPARKTRIALS_SPOOL", str(tmp_path / "file"))
    failing = Failing(tmp_path / "history.db")
    failing.left = 0
    beside = SpoolingStore(failing, Spool(failing.url, KEY))
    with pytest.raises(StoreUnavailable, match=r"the disk is full\nNor could the results"):
        beside.append(KEY, [trial(0)])
    with pytest.raises(OSError, match="file"):
        beside.append(KEY, [trial(1)])
