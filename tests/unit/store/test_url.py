from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from sparktrials.errors import InvalidArgument, InvalidArgumentType, StoreUnavailable
from sparktrials.store import MemoryStore, SQLiteStore, masked, open_store
from sparktrials.store.url import is_url, kind_of, scrubbed, sqlite_path


@pytest.mark.parametrize("url", ["memory:", "memory://", "MEMORY:"])
def test_memory(url):
    assert kind_of(url) == "memory"
    assert isinstance(open_store(url), MemoryStore)


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
    assert kind_of(url) == "sqlite"
    assert sqlite_path(url) == tmp_path / path


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
        ("", "memory:, sqlite"),
        ("memory:name", "memory:, sqlite"),
        ("redis://h", "memory:, sqlite"),
        ("sqlite+pysqlite:///a.db", "memory:, sqlite"),
        ("mongodb+x://h", "memory:, sqlite"),
        ("postgresql+://h/d", "memory:, sqlite"),
        ("postgresql:h/d", "memory:, sqlite"),
        ("postgresql://h", "names no database"),
        ("postgresql://h/", "names no database"),
        ("mysql://h:port/d", "malformed"),
        ("postgresql://me:sec@ret@h/d", "%40"),
        ("postgresql+nosuch://h/d", "no dialect and driver 'postgresql.nosuch'"),
        ("postgresql+asyncpg://h/d", "needs the driver asyncpg|no dialect and driver"),
        ("mongo://h:1/db/trials", "mongo://host:port/database/jobs"),
        ("mongodb://h/db/jobs", "names no database"),
        ("mongodb://h/d$b", "names no database"),
        ("mongodb://me:a/b@h/db", "%40"),
        ("mongodb://h:port/db", "cannot be used"),
    ],
)
def test_refused(url, remedy):
    with pytest.raises((InvalidArgument, StoreUnavailable), match=remedy):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cr3t@host/db?password=s3cr3t",
        "sqlite://me:s3cr3t@host/db?password=s3cr3t",
        "postgresql://me:s3cr3t@host?password=s3cr3t",
        "postgresql://me:s3cr3t/@host:x/d",
        "postgresql://me:p@s3cr3t@127.0.0.1:1/d",
        "mysql://me:p@s3cr3t@127.0.0.1:1/d",
        "mongodb://me:p@s3cr3t@127.0.0.1:1/d",
        "postgresql:me:s3cr3t@host/d",
        "postgresql+nosuch://me:s3cr3t@host/db",
        "mysql://me:s3cr3t@host:port/db",
        "mongodb://me:s3cr3t/@host/db",
        "mongodb://me:s3cr3t@host:port/db?authSource=s3cr3t",
        "mongodb://me:s3cr3t:@host/d/b/c",
        "me:s3cr3t@host/d",
    ],
)
def test_secrets_are_not_shown(url):
    with pytest.raises(InvalidArgument) as caught:
        open_store(url)
    shown = "".join(traceback.format_exception(caught.value, limit=0))
    assert "s3cr3t" not in shown.partition("InvalidArgument")[2]
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgres://h/d", "sql"),
        ("PostgreSQL+psycopg2://h/d", "sql"),
        ("mariadb://h/d", "sql"),
        ("mysql+mysqldb://h/d", "sql"),
        ("mongodb://h", "mongo"),
        ("mongodb+srv://h/d", "mongo"),
        ("mongo://h:1234/d/jobs", "mongo"),
    ],
)
def test_kinds(url, kind):
    assert is_url(url)
    assert kind_of(url) == kind


@pytest.mark.parametrize("name", ["experiment", "a:b", "postgresql", "10:30", "s3:x"])
def test_names(name):
    assert not is_url(name)


def test_masked():
    assert masked("postgresql://me:a@b@host/d?x=1") == "postgresql://***@host/d?***"
    assert masked("postgresql://me:a/b?c@host/d") == "postgresql://***@host/d"
    assert masked("sqlite:///a@b.db") == "sqlite:///a@b.db"
    assert masked("mongodb://me:a@h1,h2:3/d") == "mongodb://***@h1,h2:3/d"


def test_scrubbed():
    words = "login of me with p@ss and p%40ss failed"
    assert scrubbed(words, [None, "", "p@ss"]) == "login of me with *** and *** failed"
    assert scrubbed(words, ["p%40ss"]) == "login of me with *** and *** failed"


@pytest.mark.parametrize(
    ("package", "url"),
    [
        ("sqlalchemy", "mysql://h/d"),
        ("pymysql", "mysql://h/d"),
        ("psycopg", "postgresql://h/d"),
        ("pymongo", "mongodb://h/d"),
    ],
)
def test_what_is_not_installed(package, url):
    script = f"""
import sys
from sparktrials.errors import StoreUnavailable
from sparktrials.store import open_store
sys.modules[{package!r}] = None
try:
    open_store({url!r})
except StoreUnavailable as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert "pip install" in done.stdout
    assert package in done.stdout.partition("pip install")[2]


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
