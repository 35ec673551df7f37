"""Finding a Spark, without one."""

from __future__ import annotations

import socket

import pytest

from sparktrials.dispatch.spark_finding import _check_answers
from sparktrials.errors import SparkNotAvailable


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place():
    """Return a port that nothing listens on, as long as the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


def test_a_connect_server_that_is_not_there_is_named_without_its_token(no_proxy, place):
    port = place.getsockname()[1]
    with pytest.raises(SparkNotAvailable, match=f"127.0.0.1:{port}") as caught:
        _check_answers(f"sc://127.0.0.1:{port}/;token=s3cret")
    assert "s3cret" not in str(caught.value)


def test_what_answers_is_left_to_spark(no_proxy, place):
    place.listen()
    _check_answers(f"sc://127.0.0.1:{place.getsockname()[1]}")


@pytest.mark.parametrize("remote", ["", "local[2]", "sc:/nowhere", "sc://host:port"])
def test_what_is_no_address_is_left_to_spark(no_proxy, remote):
    _check_answers(remote)


def test_behind_a_proxy_it_is_left_to_spark(monkeypatch, place):
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    _check_answers(f"sc://127.0.0.1:{place.getsockname()[1]}")
