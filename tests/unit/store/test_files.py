"""What is opened as a store, and what is refused: nothing is ever emptied or overwritten."""

from __future__ import annotations

import logging
import random
import shutil
import sqlite3
import stat
import zlib
from contextlib import closing

import pytest
from tests.contract.store_suite import KEY, OK, experiment, trial

from sparktrials.errors import StoreCorrupt, StoreError, StoreUnavailable, StoreVersionError
from sparktrials.store import SQLiteStore, files
from sparktrials.store.schema import VERSION

N_TRIALS = 300


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.db"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Return a closed file with trials and attachments, to be copied."""
    path = tmp_path_factory.mktemp("full") / "history.db"
    with SQLiteStore(path) as store:
        fill(store)
    return path


def fill(store, n=N_TRIALS):
    store.create(experiment())
    store.append(KEY, [trial(i) for i in range(n)])
    store.append(KEY, [trial(i, OK) for i in range(n)], {0: {"a": bytes(9000)}})


def copy(source, target):
    shutil.copyfile(source, target)
    return target


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# --------------------------------------------------------------------------- new files


def test_a_new_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "a" / "b" / "history.db"
    with SQLiteStore(path) as store:
        store.create(experiment())
        assert {p.name: mode(p) for p in path.parent.iterdir()} == dict.fromkeys(
            ("history.db", "history.db-wal", "history.db-shm"), 0o600
        )
    assert [p.name for p in path.parent.iterdir()] == ["history.db"]
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


@pytest.mark.parametrize("name", ["a b", "ü😀", "100%41", "q?x=1", "h#1", "'; DROP TABLE", "[x]"])
def test_any_name(tmp_path, name):
    with SQLiteStore(tmp_path / name) as store:
        store.create(experiment())
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_settings(path):
    with SQLiteStore(path) as store:
        pragmas = ("journal_mode", "synchronous", "trusted_schema", "user_version")
        values = store._session.read(
            lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
        )
    full_sync = 2
    assert values == ["wal", full_sync, 0, VERSION]


class NoLog(sqlite3.Connection):
    def execute(self, statement, *parameters):
        if statement == "PRAGMA journal_mode = WAL":
            raise sqlite3.OperationalError("locking protocol")
        return super().execute(statement, *parameters)


def test_without_a_write_ahead_log(path, monkeypatch, caplog):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=NoLog, **k))
    with caplog.at_level(logging.WARNING, "sparktrials.store"), SQLiteStore(path) as store:
        fill(store, 5)
        assert len(store.read(KEY)[0]) == 5
        extra_sync = 3
        assert store._session.read(
            lambda db: [
                db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "synchronous")
            ]
        ) == ["delete", extra_sync]
    assert len(caplog.records) == 1
    assert "allows no write-ahead log" in caplog.text


def test_without_hard_links(path, monkeypatch):
    def link(*_):
        raise PermissionError

    monkeypatch.setattr("os.link", link)
    with SQLiteStore(path) as store:
        fill(store, 5)
    with SQLiteStore(path) as store:
        assert len(store.read(KEY)[0]) == 5
    assert [p.name for p in path.parent.iterdir()] == ["history.db"]


def test_somebody_else_was_faster(path, full, monkeypatch):
    def exists(self):
        monkeypatch.undo()
        copy(full, path)
        return False

    monkeypatch.setattr("pathlib.Path.exists", exists)
    with SQLiteStore(path) as store:
        assert len(store.read(KEY)[0]) == N_TRIALS


def test_no_directory_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"file/history\.db"):
        SQLiteStore(tmp_path / "file" / "history.db")


def test_a_pickled_store_makes_no_file(path):
    store = SQLiteStore(path)
    twin = SQLiteStore.__new__(SQLiteStore)
    twin.__setstate__(store.__getstate__())
    store.close()
    path.unlink()
    with pytest.raises(StoreUnavailable, match="not there"):
        twin.experiments()
    assert not path.exists()


# --------------------------------------------------------------------------- other files


@pytest.mark.parametrize(
    "content", [b"x", b"not a database, but long enough for a header " * 5, b"SQLite format 3\0"]
)
def test_not_sqlite(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"history\.db is not an SQLite file"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_of_another_program(path):
    sql(path, "CREATE TABLE trial (x)", "INSERT INTO trial VALUES (1)")
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=r"history\.db is an SQLite file of another program"):
        SQLiteStore(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["history.db"]


def test_a_directory(path):
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="not a file"):
        SQLiteStore(path)


def test_an_empty_file(path, monkeypatch):
    monkeypatch.setattr(files, "_POLL_S", 0)
    path.touch()
    with pytest.raises(StoreCorrupt, match="is empty and no store"):
        SQLiteStore(path)
    assert path.read_bytes() == b""


def test_the_log_of_a_file_that_is_gone(path, full):
    with SQLiteStore(path) as store:
        fill(store)
        log = path.with_name("history.db-wal").read_bytes()
    path.unlink()
    path.with_name("history.db-wal").write_bytes(log)
    with pytest.raises(StoreCorrupt, match=r"is missing, but history\.db-wal .* is there"):
        SQLiteStore(path)
    assert path.with_name("history.db-wal").read_bytes() == log
    assert not path.exists()


def test_newer_tables(path, full):
    sql(copy(full, path), f"PRAGMA user_version = {VERSION + 6}")
    with pytest.raises(StoreVersionError, match=rf"version {VERSION + 6} .* up to {VERSION}"):
        SQLiteStore(path)


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 0",
        "DROP TABLE counter",
        "ALTER TABLE trial RENAME TO old",
        "CREATE TRIGGER t AFTER INSERT ON trial BEGIN DELETE FROM trial; END",
    ],
)
def test_other_tables(path, full, statement):
    sql(copy(full, path), statement)
    with pytest.raises(StoreCorrupt, match=r"has not the tables of a store|there never was"):
        SQLiteStore(path)


def test_other_columns(path, full):
    sql(copy(full, path), "ALTER TABLE trial RENAME COLUMN crc TO checksum")
    with SQLiteStore(path) as store, pytest.raises(StoreCorrupt, match="no such column"):
        store.read(KEY)


def test_views_of_others_are_no_matter(path, full):
    sql(copy(full, path), "CREATE VIEW v AS SELECT * FROM trial", "CREATE TABLE notes (text)")
    with SQLiteStore(path) as store:
        assert len(store.read(KEY)[0]) == N_TRIALS


# --------------------------------------------------------------------------- damage


def cuts(size):
    rng = random.Random(1)
    edges = [0, 1, 15, 16, 99, 100, 4095, 4096, 4097, 8192, size - 4096, size - 1]
    return sorted({*edges, *(rng.randrange(size) for _ in range(20))})


def test_a_file_that_was_cut(path, full, monkeypatch):
    monkeypatch.setattr(files, "_POLL_S", 0)
    content = full.read_bytes()
    for size in cuts(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(StoreCorrupt, match=r"history\.db"):
            SQLiteStore(path)
        assert path.read_bytes() == content[:size]


def test_a_file_that_was_cut_beside_its_log(path, tmp_path, monkeypatch):
    """Either the log has what is missing, or the loss is noticed."""
    monkeypatch.setattr(files, "_POLL_S", 0)
    live = tmp_path / "live.db"
    with SQLiteStore(live) as store:
        fill(store)
        store._session.read(lambda _: None)
        content = live.read_bytes()
        log = live.with_name("live.db-wal").read_bytes()
    noticed = 0
    for size in cuts(len(content)):
        path.write_bytes(content[:size])
        path.with_name("history.db-wal").write_bytes(log)
        path.with_name("history.db-shm").unlink(missing_ok=True)
        try:
            with SQLiteStore(path) as store:
                trials, _ = store.read(KEY)
        except StoreCorrupt:
            noticed += 1
        else:
            assert trials == [
                trial(i, OK, attachments=("a",) if i == 0 else ()) for i in range(N_TRIALS)
            ]
    assert noticed


def test_a_log_that_was_cut(path, tmp_path):
    """As after a power failure on a disk that lies: what is left is a past state, and whole."""
    live = tmp_path / "live.db"
    with SQLiteStore(live) as store:
        store.create(experiment())
        for k in range(20):
            store.append(KEY, [trial(i) for i in range(5 * k, 5 * k + 5)])
        content = live.read_bytes()
        log = live.with_name("live.db-wal").read_bytes()
    rng = random.Random(2)
    for size in sorted(rng.randrange(len(log)) for _ in range(15)):
        path.write_bytes(content)
        path.with_name("history.db-wal").write_bytes(log[:size])
        path.with_name("history.db-shm").unlink(missing_ok=True)
        with SQLiteStore(path) as store:
            if store.experiment(KEY) is None:
                continue
            trials, _ = store.read(KEY)
            assert len(trials) % 5 == 0
            assert trials == [trial(i) for i in range(len(trials))]
            store.append(KEY, [trial(999)])


def test_flipped_bits_in_documents(path, full):
    content = full.read_bytes()
    rng = random.Random(3)
    places = [i for i in range(len(content)) if content.startswith(b'{"v":1,"id":', i)]
    assert len(places) >= N_TRIALS
    noticed = 0
    for _ in range(25):
        damaged = bytearray(content)
        place = rng.choice(places) + rng.randrange(100)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with SQLiteStore(path) as store:
            try:
                trials, _ = store.read(KEY)
            except StoreCorrupt as error:
                noticed += "trial " in str(error) and "checksum" in str(error)
            else:  # a document that is not in use any more: the trial's state before
                assert len(trials) == N_TRIALS
                assert all(t.state is OK for t in trials)
    assert noticed > 12


def test_flipped_bits_anywhere(path, full):
    content = full.read_bytes()
    rng = random.Random(4)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            with SQLiteStore(path) as store:
                store.experiments()
                store.read(KEY)
                store.attachment(KEY, 0, "a")
                store.append(KEY, [trial(1000)])
        except (StoreError, KeyError):
            pass
        for suffix in ("-wal", "-shm"):
            path.with_name(f"history.db{suffix}").unlink(missing_ok=True)


def test_a_damaged_attachment(path, full):
    sql(copy(full, path), "UPDATE piece SET content = zeroblob(8999)")
    with SQLiteStore(path) as store, pytest.raises(StoreCorrupt, match="'a' of trial 0"):
        store.attachment(KEY, 0, "a")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[" * 100_000,
        "null",
        '{"v":1,"id":3,"state":"ok","point":{}}',
        '{"v":1,"id":7,"state":"ok","point":{"x":"__import__"}}',
        '{"v":1,"id":7,"state":"ok","point":{},"result":{"a":{"__sparktrials__":["pickle","gA=="]}}}',
        b"\xff\xfe",
        7,
    ],
    ids=lambda d: str(d)[:12],
)
def test_hostile_documents(path, full, document):
    data = document if isinstance(document, bytes) else str(document).encode()
    query = "UPDATE trial SET document = ?, crc = ? WHERE id = 7"
    sql(copy(full, path), (query, (document, zlib.crc32(data))))
    with SQLiteStore(path) as store, pytest.raises(StoreCorrupt, match="trial 7 of 'default'"):
        store.read(KEY)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE trial SET position = ?", "x"),
        ("UPDATE trial SET position = ?", 2.5),
        ("UPDATE counter SET position = ?", "x"),
        ("DELETE FROM counter WHERE position <> ?", -1),
        ("UPDATE trial SET crc = ?", b"x"),
        ("UPDATE experiment SET document = ?", "{}"),
        ("UPDATE experiment SET document = ?", b"\xff"),
        ("UPDATE experiment SET document = CAST(? AS TEXT)", b"\xff"),
        ("UPDATE piece SET content = ?", "text"),
        ("UPDATE attachment SET sha256 = ?", "text"),
    ],
)
def test_hostile_columns(path, full, statement, value):
    sql(copy(full, path), (statement, (value,)))
    with SQLiteStore(path) as store, pytest.raises(StoreCorrupt, match=r"history\.db"):  # noqa: PT012 - whichever reads it
        store.experiments()
        store.read(KEY)
        store.attachment(KEY, 0, "a")
        store.append(KEY, [trial(1000)])


def test_a_newer_document(path, full):
    document = '{"v":9,"id":7,"state":"ok","point":{}}'
    query = "UPDATE trial SET document = ?, crc = ? WHERE id = 7"
    sql(copy(full, path), (query, (document, zlib.crc32(document.encode()))))
    with SQLiteStore(path) as store, pytest.raises(StoreVersionError, match="version 9"):
        store.read(KEY)


# --------------------------------------------------------------------------- no room, no rights


def test_disk_full(path):
    with SQLiteStore(path) as store:
        store.create(experiment())

        def limit(pages):
            def work(db):
                (count,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count = {count + pages}")

            store._session.read(work)

        limit(5)
        acknowledged = []
        with pytest.raises(StoreUnavailable, match=r"full.*make room"):  # noqa: PT012 - at some time
            for n in range(1000):
                states = [trial(2 * n), trial(2 * n + 1)]
                store.append(KEY, states, {2 * n: {"a": bytes(500)}})
                acknowledged += states
        assert 0 < len(acknowledged) < 1000
        n = len(acknowledged) // 2
        assert [t.id for t in store.read(KEY)[0]] == [t.id for t in acknowledged]
        with pytest.raises(KeyError):
            store.attachment(KEY, 2 * n, "a")
        limit(10_000)
        store.append(KEY, [trial(2 * n), trial(2 * n + 1)], {2 * n: {"a": b"1"}})
        assert store.attachment(KEY, 2 * n, "a") == b"1"


def test_read_only(path, full):
    with SQLiteStore(copy(full, path)) as store:
        store._session.read(lambda db: db.execute("PRAGMA query_only = ON"))
        with pytest.raises(StoreUnavailable, match=r"readonly.*may not be written"):
            store.append(KEY, [trial(1000)])
        assert len(store.read(KEY)[0]) == N_TRIALS


def test_locked(path, full):
    with SQLiteStore(copy(full, path), timeout_s=0.06) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert len(store.read(KEY)[0]) == N_TRIALS, "readers go on"
            with pytest.raises(StoreUnavailable, match="another process keeps it locked"):
                store.append(KEY, [trial(1000)])
            other.execute("ROLLBACK")
        store.append(KEY, [trial(1000)])


def test_removed_while_it_is_open(path, full):
    with SQLiteStore(copy(full, path)) as store:
        path.rename(path.with_name("away.db"))
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            store.append(KEY, [trial(1000)])
        copy(full, path)
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            store.append(KEY, [trial(1000)])


def test_an_attachment_beyond_what_sqlite_holds(path):
    with SQLiteStore(path) as store:
        store.create(experiment())

        def limit(db):
            if hasattr(db, "setlimit"):  # Python 3.11
                db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
            return hasattr(db, "setlimit")

        if store._session.read(limit):
            with pytest.raises(ValueError, match="too big"):
                store.append(KEY, [trial(0)], {0: {"a": bytes(20_000)}})
            assert store.read(KEY) == ([], 0)
