from __future__ import annotations

from pathlib import Path

import pytest

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.store import MemoryStore, SQLiteStore, masked, open_store
from sparktrials.store.url import parse_url


@pytest.mark.parametrize("url", ["memory:", "memory://", "MEMORY:"])
def test_memory(url):
    assert parse_url(url) is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///history.db", "history.db"),
        ("sqlite:///a b/ü%20{x}#1.db", "a b/ü%20{x}#1.db"),
        ("sqlite:////data/history.db", "/data/history.db"),
        ("SQLite:///./x.db", "x.db"),
        ("sqlite:///~/history.db", "/home/me/history.db"),
    ],
)
def test_files(url, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_url(url) == tmp_path / path


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("sqlite://", "name a file"),
        ("sqlite:", "name a file"),
        ("sqlite:///", "name a file"),
        ("sqlite://host/history.db", "name a file"),
        ("sqlite:history.db", "name a file"),
        ("sqlite:///directory/", "name a file"),
        ("sqlite:///a\0b", "name a file"),
        ("sqlite:///:memory:", "use memory:"),
        ("sqlite:///history.db?timeout=3", "no options"),
        ("history.db", "sqlite:///history.db"),
        ("/data/history.db", "sqlite:////data/history.db"),
        ("", "memory: and sqlite"),
        ("memory:name", "memory: and sqlite"),
        ("redis://h", "memory: and sqlite"),
        ("postgresql://h/d", "postgresql stores are not available in this version"),
        ("postgresql+psycopg://h/d", "not available in this version"),
        ("mysql+pymysql://h/d", "mysql stores are not available in this version"),
        ("mongodb://h", "mongodb stores are not available in this version"),
        ("mongo://h", "mongo stores are not available in this version"),
    ],
)
def test_refused(url, remedy):
    with pytest.raises(InvalidArgument, match=remedy):
        open_store(url)


@pytest.mark.parametrize("kind", ["postgresql", "redis", "sqlite"])
def test_secrets_are_not_shown(kind):
    with pytest.raises(InvalidArgument) as caught:
        open_store(f"{kind}://me:s3cr3t@host/db?password=s3cr3t")
    assert "s3cr3t" not in str(caught.value)


def test_masked():
    assert masked("postgresql://me:a@b@host/d?x=1") == "postgresql://***@host/d?***"
    assert masked("sqlite:///a@b.db") == "sqlite:///a@b.db"


@pytest.mark.parametrize("store", [None, 1, Path("history.db"), object()])
def test_neither_a_url_nor_a_store(store):
    with pytest.raises(InvalidArgumentType, match=r"sqlite:///history\.db"):
        open_store(store)


def test_a_store_is_itself():
    store = MemoryStore()
    assert open_store(store) is store


def test_the_url_opens_it_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///history.db") as store:
        assert store.url == f"sqlite:///{tmp_path}/history.db"
        assert isinstance(store, SQLiteStore)
        assert str(tmp_path) in repr(store)
        monkeypatch.chdir("/")
        with open_store(store.url) as again:
            assert again.url == store.url
