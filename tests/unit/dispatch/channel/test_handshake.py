from __future__ import annotations

import pickle

import pytest

from sparktrials.dispatch.channel.handshake import (
    MAGIC,
    REPLY_BYTES,
    Address,
    ClientHandshake,
    ServerHandshake,
)
from sparktrials.errors import ChannelProtocolError

SECRET, OTHER = b"s" * 32, b"o" * 32


def shaken(client, server):
    reply = server.feed(client.first)
    proof, keys = client.answer(reply)
    assert server.feed(proof) == b""
    return keys, server


def test_both_get_the_same_keys_one_for_each_direction():
    keys, server = shaken(ClientHandshake(SECRET), ServerHandshake(SECRET))
    assert server.keys == keys
    assert server.wanted == 0
    assert keys.to_server != keys.to_client
    again, _ = shaken(ClientHandshake(SECRET), ServerHandshake(SECRET))
    assert len({keys.to_server, keys.to_client, again.to_server, again.to_client}) == 4


def test_byte_by_byte():
    client, server = ClientHandshake(SECRET), ServerHandshake(SECRET)
    reply = b"".join(server.feed(client.first[i : i + 1]) for i in range(len(client.first)))
    proof, keys = client.answer(reply)
    for i in range(len(proof)):
        assert server.keys is None
        server.feed(proof[i : i + 1])
    assert server.keys == keys


def test_a_client_with_another_secret_is_refused_and_refuses():
    client, server = ClientHandshake(OTHER), ServerHandshake(SECRET)
    reply = server.feed(client.first)
    with pytest.raises(ChannelProtocolError, match="does not know this run's secret"):
        client.answer(reply)
    forged = ClientHandshake(OTHER)._nonce
    with pytest.raises(ChannelProtocolError, match="does not know the secret"):
        server.feed(forged)
    assert server.keys is None


def test_a_server_with_another_secret_is_refused_before_it_gets_a_proof():
    client = ClientHandshake(SECRET)
    with pytest.raises(ChannelProtocolError, match="does not know this run's secret"):
        client.answer(ServerHandshake(OTHER).feed(client.first))


def test_a_recorded_handshake_is_worth_nothing():
    client, server = ClientHandshake(SECRET), ServerHandshake(SECRET)
    reply = server.feed(client.first)
    proof, _ = client.answer(reply)
    later = ServerHandshake(SECRET)
    later.feed(client.first)
    with pytest.raises(ChannelProtocolError, match="does not know the secret"):
        later.feed(proof)
    with pytest.raises(ChannelProtocolError, match="does not know this run's secret"):
        ClientHandshake(SECRET).answer(reply)


def test_what_one_side_says_is_no_proof_when_sent_back():
    client = ClientHandshake(SECRET)
    with pytest.raises(ChannelProtocolError):
        client.answer(client.first + b"\0" * 32)
    # A server that is asked by an attacker proves itself to the attacker's nonce: of no use as the
    # client's proof, with the same nonce on both sides, neither.
    nonce = b"n" * 32
    server = ServerHandshake(SECRET, nonce)
    proof_of_server = server.feed(MAGIC + nonce)[-32:]
    with pytest.raises(ChannelProtocolError, match="does not know the secret"):
        server.feed(proof_of_server)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\0", MAGIC[:-1] + b"\x02", b"SPTRIAL\x01"]
)
def test_other_protocols_and_versions_are_refused_at_the_first_wrong_byte(first):
    with pytest.raises(ChannelProtocolError, match="this protocol and version"):
        ServerHandshake(SECRET).feed(first)
    reply = first.ljust(REPLY_BYTES, b"\0")
    with pytest.raises(ChannelProtocolError, match="this protocol and version"):
        ClientHandshake(SECRET).answer(reply)


def test_short_and_long():
    client, server = ClientHandshake(SECRET), ServerHandshake(SECRET)
    with pytest.raises(ChannelProtocolError, match="more bytes"):
        server.feed(client.first + b"x")
    reply = ServerHandshake(SECRET).feed(client.first)
    for wrong in (b"", reply[:-1], reply + b"x"):
        with pytest.raises(ChannelProtocolError):
            client.answer(wrong)


def test_the_secret_is_not_shown():
    address = Address("driver.example", 4040, SECRET)
    keys, _ = shaken(ClientHandshake(SECRET), ServerHandshake(SECRET))
    assert str(address) == "driver.example:4040"
    assert str(Address("::1", 4040, SECRET)) == "[::1]:4040"
    for shown in (repr(address), f"{address}", f"{address!r}", repr(keys), str({"a": address})):
        assert "ssss" not in shown
        assert str(keys.to_client) not in shown
    assert pickle.loads(pickle.dumps(address)) == address


def test_the_bytes_are_these():
    """Both sides are of one version, but a change has to change the version."""
    client = ClientHandshake(SECRET, b"c" * 32)
    server = ServerHandshake(SECRET, b"v" * 32)
    reply = server.feed(client.first)
    proof, keys = client.answer(reply)
    assert client.first == b"sptrial\x01" + b"c" * 32
    assert reply[:40] == b"sptrial\x01" + b"v" * 32
    assert reply[40:].hex().startswith("442acc7cacc648ab")
    assert proof.hex().startswith("58815209eb372fa4")
    assert keys.to_server.hex().startswith("08ae2c2c1b38dd18")
    assert keys.to_client.hex().startswith("56ce716b27570b27")
