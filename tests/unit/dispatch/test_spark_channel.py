from __future__ import annotations

import logging

import pytest

from sparktrials.dispatch.spark_channel import CHANNEL_PORT, place_to_listen
from sparktrials.errors import InvalidArgument

HOST = {"spark.driver.host": "driver.example"}


def place(conf, *, local=False, in_clear=False):
    return place_to_listen(conf.get, local=local, in_clear=in_clear)


def test_where_sparks_driver_listens():
    assert place(HOST) == ("driver.example", "driver.example", 0)
    assert place({**HOST, "spark.driver.bindAddress": "0.0.0.0"}) == (
        "0.0.0.0",
        "driver.example",
        0,
    )
    assert place({**HOST, CHANNEL_PORT: "7078"})[2] == 7078
    assert place({}) == ("127.0.0.1", "127.0.0.1", 0)


def test_where_all_tasks_are_on_this_machine_nobody_else_can_connect():
    assert place({**HOST, "spark.driver.bindAddress": "0.0.0.0"}, local=True) == (
        "127.0.0.1",
        "127.0.0.1",
        0,
    )


@pytest.mark.parametrize(
    "name",
    [
        "spark.network.crypto.enabled",
        "spark.authenticate.enableSaslEncryption",
        "spark.ssl.rpc.enabled",
    ],
)
def test_nothing_goes_out_in_clear_where_spark_encrypts(name, caplog):
    caplog.set_level(logging.INFO)
    conf = {**HOST, name: "True"}
    assert place(conf) is None
    assert f"{name} is set and the channel to executors is not encrypted" in caplog.text
    assert place(conf, in_clear=True) == ("driver.example", "driver.example", 0)
    assert place(conf, local=True) is not None
    assert place({**HOST, name: "false"}) is not None


@pytest.mark.parametrize("port", ["http", "-1", "65536", "", "7078.5"])
def test_a_port_is_a_number(port):
    with pytest.raises(InvalidArgument, match=CHANNEL_PORT):
        place({CHANNEL_PORT: port})
