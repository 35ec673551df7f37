"""What stores on servers promise when several processes use them, and some are killed."""

from __future__ import annotations

import logging
import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import pytest
from tests import servers
from tests.contract.store_suite import KEY, OK, RUNNING, experiment, trial
from tests.ports import free_port
from tests.processes import PATIENCE, killed_after, line_of

from sparktrials import Trials, fmin, hp, rand
from sparktrials.errors import StoreError, StoreInUse, StoreUnavailable
from sparktrials.store import lease, open_store

pytestmark = pytest.mark.newest

PRELUDE = """
import os, sys
from sparktrials.store import open_store
from tests.contract.store_suite import KEY, OK, experiment, trial

url = sys.argv[1]
def say(*words):
    print(*words, flush=True)
"""
KINDS = ["postgres_server", "mariadb_server", "mongo_server"]


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


@pytest.fixture(params=KINDS)
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def url(server):
    return server.fresh()


CREATE = """
say("ready")
sys.stdin.readline()
number = int(sys.argv[2])
store = open_store(url)
store.create(experiment(seed=number))
store.append(KEY, [trial(number, OK)], {number: {"a": b"%d" % number}})
say(store.experiment(KEY).seed)
store.close()
"""


def test_eight_processes_make_one_store(url):
    n = 8
    with ExitStack() as stack:
        processes = [stack.enter_context(running(CREATE, url, k)) for k in range(n)]
        for process in processes:
            assert line_of(process) == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        seeds = {line_of(process) for process in processes}
        assert [process.wait(PATIENCE) for process in processes] == [0] * n
    assert len(seeds) == 1
    with open_store(url) as store:
        assert store.read(KEY)[0] == [trial(k, OK, attachments=("a",)) for k in range(n)]
        assert [store.attachment(KEY, k, "a") for k in range(n)] == [b"%d" % k for k in range(n)]


WRITE = """
store = open_store(url)
first, n_packs, size = (int(a) for a in sys.argv[2:5])
if first == 0 and len(sys.argv) > 5:
    store.acquire(KEY)
for k in range(n_packs):
    ids = range(first + k * size, first + (k + 1) * size)
    store.append(KEY, [trial(i) for i in ids])
    say("running", k)
    store.append(KEY, [trial(i, OK) for i in ids], {ids[0]: {"a": b"%d" % k}})
    say("ok", k)
store.close()
"""


def test_a_reader_passes_nothing_over(url):
    """Writers commit beside each other: whoever reads on from a position sees all, and whole."""
    n_writers, n_packs, size = 3, 8, 3
    n = n_writers * n_packs * size
    with ExitStack() as stack:
        store = stack.enter_context(open_store(url))
        store.create(experiment())
        writers = [
            stack.enter_context(running(WRITE, url, 1000 * k, n_packs, size))
            for k in range(n_writers)
        ]
        known, position, over = {}, 0, False
        deadline = time.monotonic() + PATIENCE
        while not over:
            assert time.monotonic() < deadline, "a writer hangs"
            over = all(w.poll() is not None for w in writers)  # then this read is of all there is
            changed, after = store.read(KEY, position)
            assert after >= position
            position = after
            for t in changed:
                assert known.get(t.id) in {None, RUNNING}, "a state comes once"
                known[t.id] = t.state
            packs = {}
            for i, state in known.items():
                packs.setdefault(i // 1000 * 1000 + i % 1000 // size, []).append(state)
            assert all(len(pack) == size for pack in packs.values()), "half an append"
            assert all(len(set(pack)) == 1 for pack in packs.values()), "half an append"
            assert all(w.poll() in {None, 0} for w in writers)
        assert sum(state is OK for state in known.values()) == n, "passed over"
        assert {t.id: t.state for t in store.read(KEY)[0]} == known


def test_a_writer_that_is_killed_loses_nothing_acknowledged(url):
    rng = random.Random(5)
    size = 4
    with open_store(url) as store:
        for _ in range(3):
            store.create(experiment())
            with running(WRITE, url, 0, 10_000, size, "acquire") as writer:
                told = [line_of(writer).split() for _ in range(rng.randrange(1, 30))]
                with pytest.raises(StoreInUse, match=f"process {writer.pid} on host"):
                    store.acquire(KEY)
                writer.kill()
                told += [line.split() for line in writer.stdout.read().splitlines()]
            told = [line for line in told if len(line) == 2 and line[1].isdigit()]
            stored = {t.id: t.state for t in store.read(KEY)[0]}
            assert len(stored) % size == 0
            assert sorted(stored) == [*range(len(stored))], "no gaps"
            for what, pack in told:
                first = int(pack) * size
                states = {stored[i] for i in range(first, first + size)}
                assert states <= ({OK} if what == "ok" else {RUNNING, OK})
                if what == "ok":
                    assert store.attachment(KEY, first, "a") == pack.encode()
            store.acquire(KEY)  # from a process that is gone
            store.append(KEY, [trial(n, OK) for n in stored])
            assert all(t.state is OK for t in store.read(KEY)[0])
            store.delete(KEY)


# --------------------------------------------------------------------------- leases


@pytest.fixture
def pair(url):
    """Return two stores that take each other for drivers on other machines."""
    with open_store(url) as one, open_store(url) as other, pytest.MonkeyPatch.context() as patch:
        one.create(experiment())
        hosts = {id(one): "one", id(other): "other"}
        owners = {}

        def here(owner):
            host = owners.get(owner, "elsewhere")
            return lease.Holder(
                host=host, namespace="n", pid=7, started=f"boot of {host}:1", owner=owner
            )

        patch.setattr(lease.Holder, "here", here)
        for store in (one, other):
            store.experiments()
            owners[store._owner.name] = hosts[id(store)]
        yield one, other


def test_a_driver_elsewhere_is_believed_to_live(pair):
    one, other = pair
    one.acquire(KEY)
    with pytest.raises(StoreInUse, match=r"process 7 on host one, which was heard of \d+ s ago"):
        other.acquire(KEY)
    with pytest.raises(StoreInUse, match="host one"):
        other.delete(KEY)
    one.release(KEY)
    other.acquire(KEY)


def test_a_driver_elsewhere_that_is_silent_is_replaced(pair, monkeypatch, caplog):
    one, other = pair
    one.acquire(KEY)
    one.append(KEY, [trial(0)])
    monkeypatch.setattr(lease, "LEASE_S", -1.0)  # whoever was heard of is too late
    with caplog.at_level(logging.WARNING, "sparktrials.store"):
        other.acquire(KEY)
    assert "process 7 on host one" in caplog.text
    assert "not heard of" in caplog.text
    other.append(KEY, [trial(0, OK)])
    with pytest.raises(StoreInUse, match="taken over by process 7 on host other"):
        one.append(KEY, [trial(1)])
    one.release(KEY)
    other.append(KEY, [trial(2)])
    assert [t.id for t in other.read(KEY)[0]] == [0, 2]


def make_older(store, seconds):
    """Have a store's signs of life be from before they were."""
    if hasattr(store, "_database"):
        from sqlalchemy import text

        older = text(f"UPDATE sparktrials_experiment SET heard = heard - {seconds}")
        store._database.write(lambda db: db.execute(older))
        return

    def work(db):
        (sign,) = db["sparktrials_signs"].find()
        heard = sign["heard"] - timedelta(seconds=seconds)
        db["sparktrials_signs"].replace_one({"_id": sign["_id"]}, sign | {"heard": heard})

    store._client.call(work)


def silence(store):
    """Return for how many seconds the driver that keeps a store out was not heard of."""
    with pytest.raises(StoreInUse) as caught:
        store.acquire(KEY)
    return int(re.search(r"heard of (\d+) s ago", str(caught.value))[1])


def test_a_sign_of_life_renews_a_lease(pair, monkeypatch):
    one, other = pair
    monkeypatch.setattr(lease, "LEASE_S", 1e6)
    one.acquire(KEY)
    one._heartbeat.stop()
    make_older(one, 10_000)
    assert silence(other) >= 9_999
    one._hear()
    assert silence(other) < 9_000


# --------------------------------------------------------------------------- texts of attackers

TEXTS = [
    "'; DROP TABLE sparktrials_trial; --",
    "\\'; DELETE FROM sparktrials_trial; #",
    '{"$gt": ""}',
    "$where",
    "a.b.$[]",
    "%(x)s :y {z} %s",
    "\0",
    "ключ",
    "trailing ",
    "UPPER",
    "upper",
    "x" * 5000,
]


def test_texts_are_only_texts(url):
    with open_store(url) as store:
        for text in TEXTS:
            store.create(experiment(text))
            store.acquire(text)
            state = trial(0, OK, point={text: 1.5}, host=text, result={text: text, "$set": {}})
            store.append(text, [state], {0: {text: text.encode(), "other": b""}})
        assert {e.key for e in store.experiments()} == set(TEXTS)
        for text in TEXTS:
            (found,), _ = store.read(text)
            assert found.point == {text: 1.5}
            assert found.result == {text: text, "$set": {}}
            assert found.attachments == (text, "other")
            assert store.attachment(text, 0, text) == text.encode()
            with pytest.raises(KeyError):
                store.attachment(text, 0, text + " ")
        for text in TEXTS:
            store.release(text)
            store.delete(text)
        assert store.experiments() == []


def test_what_is_no_text_is_no_query(url):
    with open_store(url) as store:
        store.create(experiment())
        for key in ({"$ne": ""}, ["a"], b"a", None):
            for call in (store.experiment, store.read, store.delete):
                with pytest.raises(TypeError, match="must be text"):
                    call(key)


# --------------------------------------------------------------------------- servers that fail


DURABLE = [
    partial(servers.postgres, durable=True),
    partial(servers.mariadb, durable=True),
    servers.mongo,
]


@pytest.fixture(params=DURABLE, ids=["postgres", "mariadb", "mongo"])
def own_server(request):
    """Return a server of this test's own, to be killed, which loses nothing then."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(request.param())
        except servers.Missing as error:
            pytest.skip(f"NOT TESTED: {error}")


def test_a_server_that_is_away_for_a_while(own_server, caplog):
    with open_store(own_server.fresh()) as store:
        store.create(experiment())
        store.acquire(KEY)
        store.append(KEY, [trial(0)])
        own_server.kill()
        tried = threading.Event()

        class Telltale(logging.Handler):
            def emit(self, record):
                tried.set()

        handler = Telltale()
        logging.getLogger("sparktrials.store").addHandler(handler)
        try:
            back = threading.Thread(target=lambda: (tried.wait(60), own_server.start()))
            back.start()
            store.append(KEY, [trial(0, OK), trial(1)], {0: {"a": b"1"}})
            back.join()
        finally:
            logging.getLogger("sparktrials.store").removeHandler(handler)
        assert "trying again" in caplog.text
        assert [t.state for t in store.read(KEY)[0]] == [OK, RUNNING]
        assert store.attachment(KEY, 0, "a") == b"1"
        store.append(KEY, [trial(1, OK)])


def test_a_server_that_stays_away(own_server):
    url = own_server.fresh()
    with open_store(url) as store:
        store.create(experiment())
        store.acquire(KEY)
        own_server.kill()
        connection = getattr(store, "_database", None) or store._client
        connection.timeout_s = 0.5
        with pytest.raises(StoreUnavailable, match="is unavailable") as caught:
            store.append(KEY, [trial(0)])
        assert "s3cr3t" not in str(caught.value)
        with pytest.raises(StoreUnavailable):
            store.read(KEY)


def test_a_run_whose_server_goes_away(own_server, tmp_path, monkeypatch):
    """What was evaluated while it was away is in the history when it is back."""
    monkeypatch.setenv("SPARKTRIALS_SPOOL", str(tmp_path))
    url, evaluated = own_server.fresh(), []

    def objective(x):
        if len(evaluated) == 3 and own_server.lifeline is not None:
            own_server.kill()
        evaluated.append(x)
        return x

    def run(timeout_s):
        store = open_store(url)
        (getattr(store, "_database", None) or store._client).timeout_s = timeout_s
        trials = Trials(store)
        space = hp.uniform("x", -1, 1)
        fmin(objective, space, rand.suggest, 6, trials=trials, verbose=False, rstate=1)
        return trials

    with pytest.raises(StoreUnavailable, match="is unavailable") as caught:
        run(0.3)
    (path,) = tmp_path.iterdir()
    assert str(path) in str(caught.value)
    own_server.start()
    own_server.wait()
    trials = run(60)
    assert list(tmp_path.iterdir()) == []
    assert [loss for loss in trials.losses() if loss is not None] == evaluated
    trials.store.close()


def test_nobody_home(monkeypatch):
    monkeypatch.setattr("sparktrials.store.sql.store._OPENING_S", 0.1)
    monkeypatch.setattr("sparktrials.store.mongo.store._OPENING_S", 0.1)
    port = free_port()
    for kind in ("postgresql", "mysql", "mongodb"):
        options = "?serverSelectionTimeoutMS=100" if kind == "mongodb" else ""
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}/d is unavailable") as caught:
            open_store(f"{kind}://me:s3cr3t@127.0.0.1:{port}/d{options}")
        assert "s3cr3t" not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_wrong_passwords_are_not_tried_again(mariadb_server):
    url = mariadb_server.fresh().replace("root@", "root:s3cr3t@")
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match="check user, password") as caught:
        open_store(url)
    assert "s3cr3t" not in str(caught.value)
    assert time.monotonic() - start < 60


def test_pickles_have_no_password(postgres_server):
    import pickle

    with open_store(postgres_server.fresh()) as store:
        assert b"s3cr3t" not in pickle.dumps(store)
        assert "s3cr3t" not in repr(store) + store.url


@pytest.mark.parametrize("kind", ["postgres_server", "mariadb_server"])
def test_tables_of_the_future(kind, request):
    from sqlalchemy import create_engine, text

    url = request.getfixturevalue(kind).fresh()
    open_store(url).close()
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(text("UPDATE sparktrials_store SET version = 99"))
    engine.dispose()
    with pytest.raises(StoreError, match="version 99 of the tables"):
        open_store(url)


def test_damage_is_noticed(postgres_server):
    from sqlalchemy import create_engine, text

    url = postgres_server.fresh()
    with open_store(url) as store:
        store.create(experiment())
        store.append(KEY, [trial(0, OK)], {0: {"a": b"content"}})
        engine = create_engine(url)
        with engine.begin() as db:
            db.execute(text("UPDATE sparktrials_piece SET content = 'c0ntent'"))
        with pytest.raises(StoreError, match=r"'a' of trial 0 .* is damaged"):
            store.attachment(KEY, 0, "a")
        with engine.begin() as db:
            db.execute(text("UPDATE sparktrials_trial SET document = '{}'"))
        with pytest.raises(StoreError, match=r"trial 0 .* is damaged"):
            store.read(KEY)
        with engine.begin() as db:
            db.execute(text("DROP TABLE sparktrials_trial"))
        engine.dispose()
        with pytest.raises(StoreError, match="not of a store, or damaged"):
            store.read(KEY)


def test_forks_have_connections_of_their_own(url):
    with open_store(url) as store:
        store.create(experiment())
        store.acquire(KEY)
        store.append(KEY, [trial(0)])
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with pytest.raises(StoreInUse):
                    store.acquire(KEY)
                store.append(KEY, [trial(1)])
                store.release(KEY)  # the parent's
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        store.append(KEY, [trial(2)])
        assert [t.id for t in store.read(KEY)[0]] == [0, 1, 2]
