"""Waiting by change streams, with a collection that stands in for a replica set's."""

from __future__ import annotations

import pytest

pymongo = pytest.importorskip("pymongo")

from pymongo import errors  # noqa: E402

from sparktrials.store.mongo.board import MongoBoard  # noqa: E402
from sparktrials.store.mongo.client import parsed  # noqa: E402
from sparktrials.store.polling import PollingWaiter  # noqa: E402


class Stream:
    def __init__(self, log, news):
        self.log, self.news = log, news

    def try_next(self):
        found = self.news.pop(0) if self.news else None
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        self.log.append("closed")


class Client:
    """Stands for a `Client`: its server has change streams, or has not."""

    url = "mongodb://h/d"

    def __init__(self, streams, *, watches=True):
        self.streams, self.log, self._watches = streams, [], watches

    def watches(self, _collection):
        return self._watches

    def call(self, work):
        return work({"sparktrials_board": self})

    def watch(self, pipeline, **options):
        self.log.append((pipeline, options))
        return Stream(self.log, self.streams.pop(0))


def test_it_hears_of_notes_for_it():
    client = Client([[None, {"a": 1}]])
    waiter = MongoBoard(client).waiter("us")
    ((pipeline, options),) = client.log
    assert pipeline == [{"$match": {"fullDocument.wake": "us"}}]
    assert options["full_document"] == "updateLookup"
    assert waiter.wait(10) is True
    assert waiter.wait(0) is False
    waiter.close()
    waiter.close()
    assert client.log[1:] == ["closed"]


def test_it_is_opened_again_when_it_breaks(monkeypatch):
    monkeypatch.setattr("sparktrials.store.mongo.board.time.sleep", lambda _: None)
    client = Client([[errors.AutoReconnect("away")], [{"a": 1}]])
    waiter = MongoBoard(client).waiter("us")
    assert waiter.wait(10) is True, "there may be news"
    assert waiter.wait(10) is True, "and while there was no stream as well"
    assert len([entry for entry in client.log if entry != "closed"]) == 2
    assert waiter.wait(10) is True


def test_a_server_that_stands_alone_is_looked_at():
    waiter = MongoBoard(Client([], watches=False)).waiter("us")
    assert isinstance(waiter, PollingWaiter)


def test_a_pickle_has_no_secret_of_the_options():
    options = "tls=true&tlsCertificateKeyFilePassword=s3cr3t%40&appname=x"
    place = parsed(f"mongodb://me:pa55w0rd@h:1/db?{options}&authMechanismProperties=T:t0ken")
    assert place.opener == ("mongodb://h:1/?tls=true&appname=x", "db")
    assert set(place.secrets) == {"pa55w0rd", "s3cr3t%40", "T:t0ken"}
    assert parsed("mongodb://h/db").opener == ("mongodb://h/", "db")
