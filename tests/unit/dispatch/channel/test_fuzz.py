"""The channel under hostile peers: `fuzzing` says what they do. `make soak` sends 100,000."""

from __future__ import annotations

import gc
import json
import logging
import queue
import random
import socket
import threading
from pathlib import Path

import pytest
from tests.unit.dispatch.channel.fuzzing import attack_client, attack_server, hostile_outcomes
from tests.unit.dispatch.channel.wire import (
    PATIENCE,
    channel_threads,
    open_files,
    wait_until,
)

from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.channel.events import Connected, Disconnected, Reason
from sparktrials.dispatch.channel.handshake import Address
from sparktrials.dispatch.channel.server import ChannelServer
from sparktrials.dispatch.messages import decode_outcomes, decode_report
from sparktrials.errors import ChannelError
from sparktrials.study.values import loads

MIB = 2**20


def resident():
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Owner:
    """Takes events as a driver does, answers the one who behaves, and reads what the others say."""

    def __init__(self):
        self.events = queue.SimpleQueue()
        self.server: ChannelServer
        self.good = 0
        self.reasons = dict.fromkeys(Reason, 0)
        self.refused = self.taken = 0
        self.wrong = []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while (event := self.events.get()) is not None:
            try:
                self.take(event)
            except Exception as error:
                self.wrong.append(error)

    def take(self, event):
        if isinstance(event, Connected):
            if event.hello.get("who") == "good":
                self.good = event.peer
        elif isinstance(event, Disconnected):
            self.reasons[event.reason] += 1
        elif event.peer == self.good:
            self.server.send(event.peer, event.header, event.blobs)
        else:
            self.read(event)

    def read(self, event):
        for decode in (decode_outcomes, lambda header, _: decode_report(header)):
            try:
                decode(event.header, event.blobs)
                self.taken += 1
            except ValueError:
                self.refused += 1


def besiege(seeds, *, attackers, per_look):
    """Let attackers loose on a server while a client that behaves goes on; return what was seen."""
    owner = Owner()
    server = owner.server = ChannelServer(
        "127.0.0.1",
        deliver=owner.events.put,
        handshake_s=1.0,
        silence_s=30.0,
        max_unauthenticated=64,
        max_intake=8 * MIB,
    )
    owner.thread.start()
    todo = queue.SimpleQueue()
    for seed in seeds:
        todo.put(seed)
    for _ in range(attackers):
        todo.put(None)
    looks = []

    def attack():
        while (seed := todo.get()) is not None:
            attack_server(server.address, seed)

    threads = [threading.Thread(target=attack) for _ in range(attackers)]
    with connect(server.address, {"who": "good"}, PATIENCE) as client:
        for thread in threads:
            thread.start()
        rounds = 0
        while any(thread.is_alive() for thread in threads):
            blob = bytes(rounds % 1000)
            client.send({"round": rounds}, (blob,))
            assert client.receive(PATIENCE) == ({"round": rounds}, (blob,))
            rounds += 1
            done = len(seeds) - todo.qsize()
            if done >= per_look * len(looks):
                gc.collect()
                looks.append((done, rounds, resident()))
        for thread in threads:
            thread.join()
        wait_until(lambda: server.n_peers == 1)
        wait_until(lambda: not server._reactor._unauthenticated)
        client.send({"last": True})
        assert client.receive(PATIENCE) == ({"last": True}, ())
    wait_until(lambda: server.n_peers == 0)
    owner.events.put(None)
    owner.thread.join(PATIENCE)
    assert server._reactor._intake.used == 0
    server.close()
    assert owner.wrong == []
    assert owner.reasons[Reason.FAULT] == 0
    return owner, rounds, looks


@pytest.fixture
def clean(caplog):
    """No file and no thread is left, and the server has complained about nothing."""
    caplog.set_level(logging.WARNING, "sparktrials.channel")
    gc.collect()
    files = open_files()
    yield
    gc.collect()
    wait_until(lambda: not channel_threads())
    wait_until(lambda: open_files() <= files)
    assert [record for record in caplog.records if record.name.startswith("sparktrials")] == []


def test_a_server_bears_hostile_clients(clean):
    owner, rounds, _ = besiege(range(1500), attackers=4, per_look=10**9)
    assert rounds > 50
    # They got everywhere: in, refused at the door, heard, and hung up on for what they said.
    assert owner.reasons[Reason.PROTOCOL] > 100
    assert owner.reasons[Reason.LOST] > 20
    assert owner.refused > 50
    assert owner.taken > 5


@pytest.mark.soak
def test_a_server_bears_100_000_hostile_clients(clean):
    owner, rounds, looks = besiege(range(100_000), attackers=4, per_look=10_000)
    print(f"rounds of the client that behaves: {rounds:,}")
    print({reason.value: n for reason, n in owner.reasons.items()}, owner.taken, owner.refused)
    for (n, done, size), (_, before, _) in zip(looks[1:], looks, strict=False):
        print(f"after {n:,}: {done - before:,} rounds, {size / MIB:.1f} MiB")
        assert done > before
    sizes = [size for _, _, size in looks]
    assert max(sizes[2:]) - sizes[1] < 32 * MIB


def meet(seeds):
    """Have clients meet hostile drivers; return how often they got in, and how many messages."""
    secret = b"s" * 32
    got_in = heard = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        address = Address("127.0.0.1", listener.getsockname()[1], secret)

        def play():
            for seed in seeds:
                attack_client(listener, secret, seed)

        thread = threading.Thread(target=play)
        thread.start()
        for _ in seeds:
            try:
                client = connect(address, {"lease": 0}, 2.0)
            except ChannelError:
                continue
            got_in += 1
            try:
                while client.receive(0.5) is not None:
                    heard += 1
            except ChannelError:
                pass
            client.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return got_in, heard


def test_a_client_bears_hostile_drivers(clean):
    got_in, heard = meet(range(600))
    assert got_in > 20
    assert heard > 10


@pytest.mark.soak
def test_a_client_bears_10_000_hostile_drivers(clean):
    got_in, heard = meet(range(10_000))
    print(f"{got_in:,} connections, {heard:,} messages")
    assert got_in > 500


def decode_all(seeds):
    """Return how many hostile documents were taken for outcomes, and how many were refused."""
    taken = refused = 0
    for seed in seeds:
        header, blobs = hostile_outcomes(random.Random(seed))
        try:
            arrived = loads(json.dumps(header))
        except ValueError:  # the channel refuses it before anybody sees it
            refused += 1
            continue
        try:
            decode_outcomes(arrived, blobs)
            taken += 1
        except ValueError:
            refused += 1
    return taken, refused


def test_hostile_outcomes_are_refused_as_such():
    taken, refused = decode_all(range(3000))
    assert taken > 100
    assert refused > 500


@pytest.mark.soak
def test_100_000_hostile_outcomes_are_refused_as_such():
    taken, refused = decode_all(range(100_000))
    print(f"{taken:,} taken, {refused:,} refused")
