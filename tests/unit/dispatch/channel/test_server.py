from __future__ import annotations

import base64
import contextlib
import logging
import pickle
import queue
import resource
import socket
import subprocess
import sys
import textwrap
import threading

import pytest
from tests.processes import line_of
from tests.unit.dispatch.channel.wire import PATIENCE, Wire, wait_until

from sparktrials.dispatch.channel import listener
from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.channel.events import Connected, Disconnected, Message, Reason
from sparktrials.dispatch.channel.frames import Kind
from sparktrials.dispatch.channel.handshake import MAGIC, REPLY_BYTES, Address
from sparktrials.dispatch.channel.server import ChannelServer
from sparktrials.errors import ChannelError, ChannelUnreachable, InvalidArgument


def test_a_conversation(server, inbox):
    with connect(server.address, {"lease": 3}) as client:
        hello = inbox.connected()
        assert hello.hello == {"lease": 3}
        client.send({"a": 1}, (b"x" * 200_000,))
        assert inbox.message() == Message(hello.peer, {"a": 1}, (b"x" * 200_000,))
        assert server.send(hello.peer, {"b": (2, 3)}, (b"y",))
        assert client.receive(PATIENCE) == ({"b": (2, 3)}, (b"y",))
        assert client.receive(0) is None
        assert server.n_peers == 1
        assert server.last_heard(hello.peer) is not None
    assert inbox.disconnected() == Disconnected(hello.peer, Reason.CLOSED)
    assert not server.send(hello.peer, {})
    assert server.last_heard(hello.peer) is None
    assert server.n_peers == 0


def test_the_messages_of_one_peer_stay_in_order_from_many_threads(server, inbox):
    with connect(server.address, {}) as client:
        peer = inbox.connected().peer

        def talk(number):
            for i in range(50):
                client.send({"thread": number, "i": i}, (bytes(i * 100),))
                server.send(peer, {"thread": number, "i": i})

        threads = [threading.Thread(target=talk, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        there = [inbox.message().header for _ in range(200)]
        back = [client.receive(PATIENCE)[0] for _ in range(200)]
        for thread in threads:
            thread.join()
    for said in (there, back):
        for k in range(4):
            assert [m["i"] for m in said if m["thread"] == k] == list(range(50))


# --------------------------------------------------------------------------- strangers


def test_a_client_with_another_secret_gets_in_nowhere(server, inbox):
    wrong = Address(server.address.host, server.address.port, b"w" * 32)
    with pytest.raises(ChannelUnreachable, match="does not know this run's secret"):
        connect(wrong, {})
    wire = Wire(server.address)
    wire.sock.sendall(MAGIC + b"n" * 32)
    wire.read(REPLY_BYTES)
    wire.sock.sendall(b"p" * 32)
    assert wire.ended() == b""
    assert server.n_peers == 0
    assert inbox.events.empty()


def test_a_recorded_session_plays_once(server, inbox):
    wire = Wire(server.address)
    said = []
    send = wire.sock.sendall
    wire.sock = Recorder(wire.sock, said)
    wire.introduce(a=1)
    wire.say(Kind.MESSAGE, {"b": 2})
    assert [inbox.connected().hello, inbox.message().header] == [{"a": 1}, {"b": 2}]
    again = Wire(server.address)
    again.sock.sendall(said[0])
    again.read(REPLY_BYTES)
    again.sock.sendall(said[1])
    assert again.ended() == b""
    send(b"".join(said[2:]))  # on the same connection: frames of numbers that have been
    assert inbox.disconnected().reason is Reason.PROTOCOL
    wire.close()
    assert inbox.events.empty()


class Recorder:
    """A socket whose words are kept."""

    def __init__(self, sock, said):
        self.sock, self.said = sock, said

    def sendall(self, data):
        self.said.append(data)
        self.sock.sendall(data)

    def __getattr__(self, name):
        return getattr(self.sock, name)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0", MAGIC[:-1] + b"\x02"]
)
def test_other_protocols_and_versions_are_hung_up_on_without_a_word(server, first):
    wire = Wire(server.address)
    wire.sock.sendall(first)
    assert wire.ended() == b""


@pytest.mark.parametrize("first", [b"", MAGIC[:3], MAGIC + b"n" * 31])
def test_who_does_not_go_on_is_hung_up_on(serve, inbox, first):
    server = serve(handshake_s=0.1)
    wire = Wire(server.address)
    wire.sock.sendall(first)
    assert wire.ended() == b""
    after_proof = Wire(server.address).shake_hands()
    after_proof.ended()
    assert inbox.events.empty()


def test_a_crowd_that_says_nothing_keeps_nobody_out(serve, inbox):
    server = serve(max_unauthenticated=4, handshake_s=PATIENCE)
    crowd = [Wire(server.address) for _ in range(12)]
    with connect(server.address, {}, PATIENCE):
        inbox.connected()
    for wire in crowd:
        wire.close()


def test_no_more_peers_than_fit(serve, inbox):
    server = serve(max_peers=2)
    with connect(server.address, {}), connect(server.address, {}):
        with pytest.raises(ChannelUnreachable, match="it has 2 connections, its limit"):
            connect(server.address, {})
        assert {inbox.connected().peer, inbox.connected().peer} == {1, 2}
        assert server.n_peers == 2


def test_hundreds_at_once(serve, inbox):
    server = serve(max_unauthenticated=16)
    n = 100
    wires = []
    for i in range(n):
        wires.append(Wire(server.address).introduce(i=i))
        wires[-1].say(Kind.MESSAGE, {"i": i})
    seen = {}
    for _ in range(2 * n):
        event = inbox.next()
        if isinstance(event, Connected):
            seen[event.peer] = event.hello["i"]
        else:
            assert event.header["i"] == seen[event.peer]
    for wire in wires:
        wire.close()
    assert {inbox.disconnected().peer for _ in range(n)} == set(seen)


# --------------------------------------------------------------------------- who knows the secret


@pytest.mark.parametrize(
    ("kind", "header", "blobs"),
    [
        (Kind.MESSAGE, {}, ()),
        (Kind.HEARTBEAT, {}, ()),
        (Kind.GOODBYE, {}, ()),
        (Kind.WELCOME, {}, ()),
        (Kind.HELLO, {}, (b"x",)),
        (Kind.HELLO, {"a": "x" * 5_000}, ()),
        (Kind.HELLO, {"a": "x" * 400_000}, ()),
        (Kind.HELLO, {}, (bytes(400_000),)),
    ],
)
def test_first_a_small_hello(server, inbox, kind, header, blobs):
    wire = Wire(server.address).shake_hands()
    wire.say(kind, header, blobs)
    wire.ended()
    assert inbox.events.empty()
    assert server.n_peers == 0


@pytest.mark.parametrize("kind", [Kind.HELLO, Kind.WELCOME])
def test_then_none_again(server, inbox, kind):
    wire = Wire(server.address).introduce()
    wire.say(kind)
    peer = inbox.connected().peer
    assert inbox.disconnected() == Disconnected(
        peer, Reason.PROTOCOL, f"a {kind.name} frame out of turn"
    )
    wire.close()


def test_what_came_before_nonsense_counts(server, inbox):
    wire = Wire(server.address).introduce()
    wire.sock.sendall(wire.frame(Kind.MESSAGE, {"a": 1}) + b"nonsense" * 10)
    inbox.connected()
    assert inbox.message().header == {"a": 1}
    assert inbox.disconnected().reason is Reason.PROTOCOL
    wire.close()


@pytest.mark.parametrize(("end", "detail"), [(0, ""), (-1, "in the middle of a message")])
def test_gone_without_a_word(server, inbox, end, detail):
    wire = Wire(server.address).introduce()
    wire.sock.sendall(wire.frame(Kind.MESSAGE, {"a": 1})[:end])
    wire.close()
    peer = inbox.connected().peer
    assert inbox.disconnected() == Disconnected(peer, Reason.LOST, detail)


def test_a_goodbye_may_say_why(server, inbox):
    wire = Wire(server.address).introduce()
    wire.say(Kind.GOODBYE, {"reason": ["x" * 1000]})
    inbox.connected()
    gone = inbox.disconnected()
    assert gone.reason is Reason.CLOSED
    assert len(gone.detail) == 200
    wire.close()


def test_silence(serve, inbox):
    server = serve(silence_s=0.3)
    with connect(server.address, {"who": "talks"}) as client:
        talks = inbox.connected().peer
        wire = Wire(server.address).introduce(who="silent")
        silent = inbox.connected().peer
        gone = inbox.disconnected()
        assert (gone.peer, gone.reason) == (silent, Reason.SILENT)
        client.send({"still": "here"})
        assert inbox.message() == Message(talks, {"still": "here"})
    wire.close()


def test_a_message_that_dribbles_in_is_not_waited_for(serve, inbox):
    server = serve(silence_s=0.3)
    wire = Wire(server.address).introduce()
    peer = inbox.connected().peer
    frame = wire.frame(Kind.MESSAGE, {}, (bytes(2000),))
    over = threading.Event()

    def dribble():
        for i in range(len(frame)):
            if over.wait(0.02):
                return
            wire.sock.send(frame[i : i + 1])

    thread = threading.Thread(target=dribble)
    thread.start()
    gone = inbox.disconnected()
    over.set()
    thread.join()
    assert (gone.peer, gone.reason) == (peer, Reason.SLOW)
    wire.close()


def test_a_peer_that_does_not_read_is_dropped_when_too_much_waits(serve, inbox):
    server = serve(max_unsent=100_000)
    wire = Wire(server.address, small_buffers=True).introduce()
    peer = inbox.connected().peer
    while server.send(peer, {}, (bytes(50_000),)):
        pass
    gone = inbox.disconnected()
    assert (gone.peer, gone.reason) == (peer, Reason.NOT_READING)
    assert "100,000" in gone.detail
    wire.close()


def test_a_peer_that_does_not_read_is_dropped_in_time_though_it_talks(serve, inbox):
    server = serve(silence_s=0.3)
    wire = Wire(server.address, small_buffers=True).introduce()
    peer = inbox.connected().peer
    server.send(peer, {}, (bytes(20_000_000),))
    over = threading.Event()

    def talk():
        while not over.wait(0.02):
            wire.say(Kind.HEARTBEAT)

    thread = threading.Thread(target=talk)
    thread.start()
    gone = inbox.disconnected()
    over.set()
    thread.join()
    assert (gone.peer, gone.reason) == (peer, Reason.NOT_READING)
    wire.close()


def test_who_talks_faster_than_is_listened_is_slowed_down_and_nothing_is_lost(serve, inbox):
    """A driver may be busy for minutes with a callback of the user's."""
    server = serve(max_intake=2**20)
    wire = Wire(server.address).introduce()
    inbox.connected()
    blob, n = bytes(50_000), 800  # 40 MB; the kernel's buffers take a few
    said = threading.Event()

    def talk():
        with contextlib.suppress(ConnectionError):
            for i in range(n):
                wire.say(Kind.MESSAGE, {"i": i}, (blob,))
            said.set()

    thread = threading.Thread(target=talk)
    thread.start()
    wait_until(lambda: inbox.events.qsize() * len(blob) > 2**19)
    reactor = server._reactor
    wait_until(lambda: reactor._intake._waiting)
    assert inbox.events.qsize() * len(blob) < 2 * 2**20
    assert not said.is_set()
    with connect(server.address, {"late": True}, PATIENCE):  # newcomers get in all the same
        got = []
        while len(got) < n:
            event = inbox.next()
            if isinstance(event, Message):
                got.append(event.header["i"])
    thread.join()
    assert got == list(range(n))
    wire.close()


def test_large_messages_of_many_come_in_one_after_the_other(serve, inbox):
    server = serve(max_intake=3_000_000)
    wires = [Wire(server.address).introduce() for _ in range(6)]
    for _ in wires:
        inbox.connected()

    def talk(wire):
        for _ in range(3):
            wire.say(Kind.MESSAGE, {}, (bytes(2_000_000),))

    threads = [threading.Thread(target=talk, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    for _ in range(18):
        assert len(inbox.message().blobs[0]) == 2_000_000
    for thread, wire in zip(threads, wires, strict=True):
        thread.join()
        wire.close()
    for _ in wires:
        inbox.disconnected()
    wait_until(lambda: server._reactor._intake.used == 0)


# --------------------------------------------------------------------------- ends


def test_dropping(server, inbox):
    with connect(server.address, {}) as client:
        peer = inbox.connected().peer
        server.drop(peer)
        assert inbox.disconnected() == Disconnected(peer, Reason.DROPPED)
        server.drop(peer)
        with pytest.raises(ChannelError, match="dropped"):
            client.receive(PATIENCE)


def test_close_says_goodbye_and_may_be_repeated_in_any_thread(server, inbox):
    client = connect(server.address, {})
    inbox.connected()
    threads = [threading.Thread(target=server.close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()
    with pytest.raises(ChannelError, match="the driver has closed the channel"):
        client.receive(PATIENCE)
    client.close()
    assert inbox.events.empty()
    with pytest.raises(ChannelUnreachable, match="cannot be reached"):
        connect(server.address, {})


def test_close_while_an_event_is_delivered():
    events = queue.SimpleQueue()

    def deliver(event):
        events.put(event)
        server.close()

    server = ChannelServer("127.0.0.1", deliver=deliver)
    with connect(server.address, {}) as client:
        assert isinstance(events.get(timeout=PATIENCE), Connected)
        with pytest.raises(ChannelError):
            client.receive(PATIENCE)
    server._thread.join(PATIENCE)
    assert events.empty()


def test_an_owner_that_fails_is_logged_and_the_channel_goes_on(serve, inbox, caplog):
    def deliver(event):
        inbox(event)
        raise RuntimeError("no room")

    server = serve(deliver=deliver)
    with connect(server.address, {}) as client:
        inbox.connected()
        client.send({"a": 1})
        assert inbox.message().header == {"a": 1}
    inbox.disconnected()
    server.close()
    assert "no room" in caplog.text


def test_an_error_of_the_servers_own_costs_one_connection(serve, inbox, caplog, monkeypatch):
    server = serve()
    wire = Wire(server.address).introduce()
    inbox.connected()
    with connect(server.address, {}) as client:
        inbox.connected()
        reactor = server._reactor
        handle = reactor._handle

        def fail(connection, frame):
            if frame.header.get("fail"):
                raise ZeroDivisionError("oops")
            handle(connection, frame)

        monkeypatch.setattr(reactor, "_handle", fail)
        wire.say(Kind.MESSAGE, {"fail": True})
        gone = inbox.disconnected()
        assert (gone.reason, gone.detail) == (Reason.FAULT, "oops")
        client.send({"fail": False})
        assert inbox.message().header == {"fail": False}
    wire.close()


def test_when_the_channel_itself_fails_all_peers_are_told(serve, inbox, caplog, monkeypatch):
    server = serve()
    with connect(server.address, {}) as client:
        peer = inbox.connected().peer
        monkeypatch.setattr(server._reactor, "_on_wake", lambda: 1 / 0)
        server._reactor._wake()
        assert inbox.disconnected().reason is Reason.FAULT
        with pytest.raises(ChannelError):
            client.receive(PATIENCE)
    assert not server.send(peer, {})
    assert "trials go on without it" in caplog.text


# --------------------------------------------------------------------------- where


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "*", " [::] "])
def test_wildcards_need_a_name_to_be_reached_by(host, inbox):
    with pytest.raises(InvalidArgument, match="listens on every network"):
        ChannelServer(host, deliver=inbox)


def test_a_wildcard_with_a_name(inbox):
    with (
        ChannelServer("0.0.0.0", advertised="127.0.0.1", deliver=inbox) as server,
        connect(server.address, {}),
    ):
        inbox.connected()


def test_it_listens_where_it_is_told_and_nowhere_else(server):
    assert server.address.host == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", server.address.port))


def test_a_port_that_is_taken(server, inbox):
    with pytest.raises(
        ChannelError, match=f"cannot listen on '127.0.0.1', port {server.address.port}"
    ):
        ChannelServer("127.0.0.1", deliver=inbox, port=server.address.port)
    with ChannelServer(
        "127.0.0.1", deliver=inbox, port=server.address.port, port_tries=20
    ) as other:
        assert 0 < other.address.port - server.address.port < 20
    with pytest.raises(ChannelError, match="cannot listen on"):
        ChannelServer("192.0.2.1", deliver=inbox)  # of no machine


@pytest.mark.parametrize(
    "limits", [{"silence_s": 0}, {"handshake_s": -1}, {"max_peers": 0}, {"max_intake": 0}]
)
def test_limits_are_positive(limits, inbox):
    with pytest.raises(InvalidArgument, match="must be positive"):
        ChannelServer("127.0.0.1", deliver=inbox, **limits)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (64, (8, 40)),
        (256, (32, 160)),
        (1024, (128, 640)),
        (1_048_576, (256, 16_384)),
        (resource.RLIM_INFINITY, (256, 16_384)),
    ],
)
def test_open_files_are_left_for_others(monkeypatch, limit, expected):
    monkeypatch.setattr(listener.resource, "getrlimit", lambda _: (limit, limit))
    assert listener.strangers_and_peers(256, None) == expected
    assert listener.strangers_and_peers(256, 5)[1] == 5


# --------------------------------------------------------------------------- the process


def run(script):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_more_files():
    """The real thing: connections wait until there are files again."""
    said = run("""
        import logging, os, queue, resource, socket, sys
        from sparktrials.dispatch.channel.server import ChannelServer
        from sparktrials.dispatch.channel.client import _shake_hands
        import time
        logging.basicConfig(stream=sys.stdout, level="WARNING")
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        events = queue.SimpleQueue()
        with ChannelServer("127.0.0.1", deliver=events.put) as server:
            sock = socket.socket()
            taken = []
            try:
                while True:
                    taken.append(os.dup(0))
            except OSError:
                pass
            sock.connect((server.address.host, server.address.port))
            while not server._reactor._accept_again:
                time.sleep(0.01)
            for fd in taken:
                os.close(fd)
            _shake_hands(sock, server.address, time.monotonic() + 50)
            print("in")
    """)
    assert "cannot take more connections for now" in said
    assert said.endswith("in\n")


def test_a_forked_copy_lets_go():
    """Neither the port nor the connections outlive the driver in a helper that it forked."""
    script = """
        import os, pickle, queue, sys
        from sparktrials.dispatch.channel.server import ChannelServer
        events = queue.SimpleQueue()
        server = ChannelServer("127.0.0.1", deliver=events.put)
        print(pickle.dumps(server.address).hex(), flush=True)
        peer = events.get().peer
        kept = events.get()
        if os.fork() == 0:
            assert not server.send(peer, {})
            server.close()
            del kept  # its receipt is the driver's
            print("helper", flush=True)
            sys.stdin.read()  # lives until the end
            os._exit(0)
        server.send(peer, {"still": "here"})
        events.get()
        os.kill(os.getpid(), 9)
    """
    driver = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = pickle.loads(bytes.fromhex(line_of(driver)))
        with connect(address, {}) as client:
            client.send({})
            assert client.receive(PATIENCE) == ({"still": "here"}, ())
            assert line_of(driver) == "helper\n"
            client.send({})
            with pytest.raises(ChannelError, match="has ended"):
                client.receive(PATIENCE)
        assert driver.wait(PATIENCE) == -9
        with pytest.raises(ChannelUnreachable, match="cannot be reached"):
            connect(address, {})
    finally:
        driver.kill()
        driver.communicate()


# --------------------------------------------------------------------------- the secret


def test_the_secret_is_in_no_log_and_no_text(serve, inbox, caplog):
    caplog.set_level(logging.DEBUG)
    server = serve(handshake_s=0.1)
    secret = server.address.secret
    texts = [repr(server), str(server), repr(server.address), str(server.address)]
    texts += [repr(server._reactor), repr(vars(server))]
    wrong = Address(server.address.host, server.address.port, b"w" * 32)
    with pytest.raises(ChannelUnreachable) as refused:
        connect(wrong, {})
    Wire(server.address).ended()
    wire = Wire(server.address).introduce()
    wire.sock.sendall(b"x" * 100)
    wire.ended()
    client = connect(server.address, {})
    texts += [repr(client), str(refused.value), repr(refused.value)]
    server.close()
    with pytest.raises(ChannelError) as ended:
        client.receive(PATIENCE)
    client.close()
    texts += [str(ended.value), caplog.text]
    assert "SILENT" in caplog.text.upper()
    for shown in (secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode()):
        for text in texts:
            assert shown not in text
    assert secret in pickle.dumps(server.address)  # this is how it travels
