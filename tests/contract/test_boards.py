"""What every board promises, on SQLite and on real servers."""

from __future__ import annotations

import os
import resource
import threading
import time

import pytest

from sparktrials.errors import InvalidArgument
from sparktrials.store import MemoryStore, board_of, open_store
from sparktrials.study.board import BODY_LIMIT, Sheet

KINDS = ["sqlite", "postgres_server", "mariadb_server", "mongo_server"]
PATIENCE = 30


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/board.db"
    return request.getfixturevalue(request.param).fresh()


@pytest.fixture
def boards(url):
    """Return two boards of one store, with connections of their own."""
    with open_store(url) as one, open_store(url) as other:
        yield board_of(one), board_of(other)


def test_notes_are_pinned_found_and_read(boards):
    board, other = boards
    board.pin([Sheet("b/2", "new", "two", b"\0body"), Sheet("b/1", "old", "ключ")], "someone")
    board.pin([Sheet("a/1", "new", "one")])
    assert [(n.name, n.tag, n.text) for n in other.find("b/")] == [
        ("b/1", "old", "ключ"),
        ("b/2", "new", "two"),
    ]
    assert [n.name for n in other.find("", "new")] == ["a/1", "b/2"]
    assert other.find("B/") == []
    assert other.get("b/2") == other.find("b/2")[0]
    assert other.get("b/3") is None
    assert (other.body("b/2"), other.body("b/1"), other.body("x")) == (b"\0body", b"", b"")
    assert board.url == other.url


def test_a_name_that_is_taken_stays(boards):
    board, other = boards
    board.pin([Sheet("a", "new", "first", b"1")])
    other.pin([Sheet("a", "new", "second", b"2"), Sheet("b", "new", "third")])
    assert [n.text for n in board.find("")] == ["first", "third"]
    assert board.body("a") == b"1"


def test_of_two_who_swap_one_is_too_late(boards):
    board, other = boards
    board.pin([Sheet("a", "new", "first", b"1")])
    mine, theirs = board.get("a"), other.get("a")
    new = board.swap(mine, Sheet("a", "taken", "mine", b"2"), "someone")
    assert (new.tag, new.text) == ("taken", "mine")
    assert other.swap(theirs, Sheet("a", "taken", "theirs")) is None
    assert other.get("a") == new
    assert other.body("a") == b"2"
    assert other.swap(new, Sheet("a", "done", "theirs")) is not None
    assert board.swap(new, Sheet("a", "new", "mine")) is None


def test_removing_what_has_changed_does_nothing(boards):
    board, other = boards
    board.pin([Sheet("a", "new", "first")])
    note = board.get("a")
    new = other.swap(note, Sheet("a", "taken", "second"))
    assert not board.remove(note)
    assert other.remove(new)
    assert board.remove(new), "it is gone, whoever did it"
    assert board.swap(new, Sheet("a", "new", "third")) is None


def test_a_note_of_the_same_name_is_another_one(boards):
    board, other = boards
    board.pin([Sheet("a", "new", "first")])
    first = board.get("a")
    assert board.remove(first)
    other.pin([Sheet("a", "new", "first")])
    assert board.get("a").version != first.version
    assert board.swap(first, Sheet("a", "taken", "late")) is None


def test_erasing_by_prefix(boards):
    board, other = boards
    board.pin([Sheet(f"{p}/{i}", "", "") for p in ("a", "ab", "b") for i in range(3)])
    other.erase("a/")
    assert [n.name for n in board.find("")] == [f"{p}/{i}" for p in ("ab", "b") for i in range(3)]
    other.erase("nothing/")


def test_large_bodies(boards):
    board, other = boards
    content = bytes(range(256)) * (BODY_LIMIT // 256)
    board.pin([Sheet("a", "", "x" * 70_000, content)])
    assert other.body("a") == content
    assert len(other.get("a").text) == 70_000


def test_many_take_each_note_once(url):
    """Eight threads with connections of their own: nobody gets what another one has."""
    n_notes, taken, lock = 40, [], threading.Lock()
    with open_store(url) as store:
        board_of(store).pin([Sheet(f"n/{i:03d}", "new", "") for i in range(n_notes)])

    def take(who):
        with open_store(url) as own:
            board = board_of(own)
            while waiting := board.find("n/", "new"):
                note = waiting[who % len(waiting)]
                if board.swap(note, Sheet(note.name, "taken", str(who))):
                    with lock:
                        taken.append(note.name)

    threads = [threading.Thread(target=take, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken) == [f"n/{i:03d}" for i in range(n_notes)]


def test_who_waits_hears_of_news(boards):
    board, other = boards
    waiter = board.waiter("us")
    try:
        heard = threading.Event()

        def wait():
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and not board.find("a"):
                waiter.wait(PATIENCE)
            heard.set()

        thread = threading.Thread(target=wait)
        thread.start()
        other.pin([Sheet("a", "new", "")], "us")
        assert heard.wait(PATIENCE)
        thread.join()
        waiter.found()
        other.swap(other.get("a"), Sheet("a", "taken", ""), "us")
        assert waiter.wait(PATIENCE)
    finally:
        waiter.close()
        waiter.close()


def test_waiting_ends_without_news(boards):
    waiter = boards[0].waiter("us")
    waiter.wait(0.01)
    waiter.wait(0.0)
    waiter.close()


def test_only_who_is_meant_is_woken(postgres_server):
    with open_store(postgres_server.fresh()) as one, open_store(one_url(one)) as other:
        board, waiter = board_of(one), board_of(other).waiter("us")
        board.pin([Sheet("a", "new", "")], "them")
        assert waiter.wait(0.05) is False
        board.pin([Sheet("b", "new", "")], "us")
        assert waiter.wait(PATIENCE) is True
        waiter.close()


def one_url(store):
    return store._database._url.render_as_string(hide_password=False)


def test_a_listener_comes_back(postgres_server):
    from sqlalchemy import text

    with open_store(postgres_server.fresh()) as store:
        board = board_of(store)
        waiter = board.waiter("us")
        pid = waiter._connection.info.backend_pid
        end = "SELECT pg_terminate_backend(:pid)"
        store._database.write(lambda db: db.execute(text(end), {"pid": pid}))
        assert waiter.wait(PATIENCE), "its connection broke: there may be news"
        assert waiter.wait(PATIENCE), "and while there was none as well"
        board.pin([Sheet("b", "new", "")], "us")
        assert waiter.wait(PATIENCE)
        waiter.close()


def test_a_store_in_memory_has_none():
    with pytest.raises(InvalidArgument, match="name a store that they share"):
        board_of(MemoryStore())


def test_an_old_file_gets_its_table(tmp_path):
    url = f"sqlite:///{tmp_path}/old.db"
    open_store(url).close()
    with open_store(url) as store:
        board_of(store).pin([Sheet("a", "new", "")])
    with open_store(url) as store:
        assert [n.name for n in board_of(store).find("")] == ["a"]


def test_news_come_to_a_process_with_many_files(boards):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], min(4096, limits[1])), limits[1]))
    held = []
    try:
        held += [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        waiter = boards[0].waiter("us")
        waiter.wait(0.01)
        boards[1].pin([Sheet("a", "new", "one")], "us")
        assert waiter.wait(PATIENCE)
        waiter.close()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
