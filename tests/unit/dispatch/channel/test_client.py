from __future__ import annotations

import contextlib
import pickle
import queue
import subprocess
import sys
import textwrap
import threading

import pytest
from tests.processes import line_of
from tests.unit.dispatch.channel.wire import (
    PATIENCE,
    FakeDriver,
    channel_threads,
    open_files,
    wait_until,
)

from sparktrials.dispatch.channel import client as module
from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.channel.events import Reason
from sparktrials.dispatch.channel.frames import Kind
from sparktrials.dispatch.channel.handshake import MAGIC, Address
from sparktrials.errors import (
    ChannelClosed,
    ChannelError,
    ChannelUnreachable,
    InvalidArgument,
    InvalidArgumentType,
)


@pytest.fixture
def driver():
    made = FakeDriver()
    yield made
    made.close()


@contextlib.contextmanager
def playing(driver, part):
    """Play the driver's part in a thread."""
    failed = []

    def play():
        try:
            part(driver.accept())
        except OSError:
            pass  # the client has hung up
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=play)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not failed


@contextlib.contextmanager
def conversing(driver, *, small_buffers=False, overhear=None, **welcome):
    """Yield a client that a fake driver has welcomed; the test plays both from then on."""
    made = []

    def dial():
        made.append(connect(driver.address, {}, PATIENCE, overhear=overhear))

    thread = threading.Thread(target=dial)
    thread.start()
    driver.accept(small_buffers=small_buffers).shake_hands().welcome(**welcome)
    thread.join(PATIENCE)
    (client,) = made
    yield client
    driver.close()
    client.close()


# --------------------------------------------------------------------------- no driver of ours


def replied(first):
    def part(driver):
        driver.read(len(MAGIC) + 32)
        driver.sock.sendall(first)
        driver.ended()

    return part


def hung_up(driver):
    driver.read(3)
    driver.sock.close()


def said_first(kind):
    def part(driver):
        driver.shake_hands().hear()
        driver.say(kind, {"reason": "no more room"})
        driver.ended()

    return part


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (hung_up, "did not answer as it should"),
        (replied(b"HTTP/1.1 400 Bad Request\r\n".ljust(72)), "this protocol and version"),
        (replied(MAGIC + bytes(64)), "does not know this run's secret"),
        (replied(MAGIC[:-1] + b"\x02" + bytes(64)), "this protocol and version"),
        (said_first(Kind.GOODBYE), "no more room"),
        (said_first(Kind.MESSAGE), "a MESSAGE frame out of turn"),
        (said_first(Kind.HELLO), "a HELLO frame out of turn"),
    ],
)
def test_what_is_no_driver_is_unreachable(driver, part, text):
    with playing(driver, part), pytest.raises(ChannelUnreachable, match=text):
        connect(driver.address, {}, PATIENCE)
    assert not channel_threads()


@pytest.mark.parametrize("known", [b"", MAGIC, MAGIC + bytes(63)])
def test_who_does_not_answer_is_not_waited_for(driver, known):
    with playing(driver, replied(known)), pytest.raises(ChannelUnreachable):
        connect(driver.address, {}, 0.2)


def test_a_driver_that_proves_itself_and_then_says_nothing(driver):
    def part(driver):
        driver.shake_hands().ended()

    with playing(driver, part), pytest.raises(ChannelUnreachable, match="did not answer in time"):
        connect(driver.address, {}, 0.2)


def test_a_server_without_the_secret_gets_no_proof(driver):
    driver.secret = b"w" * 32
    heard = []

    def part(driver):
        driver.read(len(MAGIC) + 32)
        driver.sock.sendall(MAGIC + bytes(64))
        heard.append(driver.ended())

    with playing(driver, part), pytest.raises(ChannelUnreachable):
        connect(driver.address, {}, PATIENCE)
    assert heard == [b""]


def test_nobody_there():
    with pytest.raises(ChannelUnreachable, match=r"127.0.0.1:1 cannot be reached.*firewall"):
        connect(Address("127.0.0.1", 1, b""), {})


@pytest.mark.parametrize(
    ("hello", "error"),
    [
        ([], InvalidArgumentType),
        ({"a": object()}, InvalidArgumentType),
        ({"a": "x" * 2**21}, InvalidArgument),
    ],
)
def test_a_hello_that_cannot_be_said_connects_to_nobody(hello, error):
    with pytest.raises(error):
        connect(Address("127.0.0.1", 1, b""), hello)


# --------------------------------------------------------------------------- signs of life


def test_it_gives_signs_of_life_as_often_as_asked(driver):
    with conversing(driver, heartbeat_s=0.01):
        assert [driver.hear().kind for _ in range(3)] == [Kind.HEARTBEAT] * 3
    assert not channel_threads()


@pytest.mark.parametrize(
    "asked", [1e-300, 1e300, float("inf"), float("nan"), -1.0, 0, "often", None]
)
def test_what_a_driver_asks_for_is_bounded(driver, asked):
    with conversing(driver, heartbeat_s=asked) as client:
        assert client._heart.is_alive()
        client.send({"a": 1})
        while (frame := driver.hear()).kind is Kind.HEARTBEAT:
            pass
        assert frame.header == {"a": 1}
        assert client._heart.is_alive()


# --------------------------------------------------------------------------- overheard


def test_what_comes_while_nobody_receives_is_overheard_and_received_all_the_same(driver):
    overheard = queue.SimpleQueue()
    with conversing(driver, heartbeat_s=0.01, overhear=overheard.put) as client:
        driver.say(Kind.MESSAGE, {"a": 1})
        driver.say(Kind.MESSAGE, {"a": 2})
        assert [overheard.get(timeout=PATIENCE) for _ in range(2)] == [{"a": 1}, {"a": 2}]
        assert [client.receive(PATIENCE)[0] for _ in range(2)] == [{"a": 1}, {"a": 2}]
    assert overheard.empty()
    assert not channel_threads()


@pytest.mark.parametrize("end", ["closed", "garbage", "out of turn"])
def test_what_ends_while_nobody_receives_is_known_after_what_came_before(driver, end):
    overheard = queue.SimpleQueue()
    with conversing(driver, heartbeat_s=0.01, overhear=overheard.put) as client:
        driver.say(Kind.MESSAGE, {"a": 1})
        if end == "closed":
            driver.sock.close()
        elif end == "garbage":
            driver.sock.sendall(bytes(1000))
        else:
            driver.say(Kind.WELCOME, {})
        client._heart.join(PATIENCE)
        assert client.closed
        assert client.receive(PATIENCE)[0] == {"a": 1}
        with pytest.raises(ChannelClosed):
            client.receive(PATIENCE)


# --------------------------------------------------------------------------- interrupted


class Interrupt(BaseException):
    """What a time-out or Ctrl-C raises, anywhere."""


def once(function):
    """Return `function`, but the first call is interrupted."""
    calls = []

    def call(*args):
        calls.append(args)
        if len(calls) == 1:
            raise Interrupt
        return function(*args)

    return call


def test_a_send_that_is_interrupted_while_it_waits_goes_on_with_the_next(driver, monkeypatch):
    with conversing(driver, small_buffers=True) as client:
        blob = bytes(8_000_000)
        with monkeypatch.context() as patch:
            patch.setattr(client, "_ready", once(client._ready))
            with pytest.raises(Interrupt):
                client.send({"n": 1}, (blob,))
        assert not client.closed
        thread = threading.Thread(target=client.send, args=({"n": 2},))
        thread.start()
        got = [driver.hear(), driver.hear()]
        thread.join()
        assert [f.header for f in got] == [{"n": 1}, {"n": 2}]
        assert got[0].blobs == (blob,)


def test_a_send_that_is_interrupted_in_the_middle_ends_the_connection(driver, monkeypatch):
    """Half a message may be out: nothing may follow it."""
    with conversing(driver) as client:
        monkeypatch.setattr(client, "_push", once(client._push))
        with pytest.raises(Interrupt):
            client.send({"n": 1})
        assert client.closed
        with pytest.raises(ChannelClosed, match="interrupted in the middle of a message"):
            client.send({"n": 2})


def test_a_receive_that_is_interrupted_while_it_waits_loses_nothing(driver, monkeypatch):
    with conversing(driver) as client:
        frame = driver.frame(Kind.MESSAGE, {"n": 1}, (bytes(1000),))
        driver.sock.sendall(frame[:500])
        assert client.receive(0.05) is None
        with monkeypatch.context() as patch:
            patch.setattr(client, "_ready", once(client._ready))
            with pytest.raises(Interrupt):
                client.receive(PATIENCE)
        driver.sock.sendall(frame[500:])
        assert client.receive(PATIENCE) == ({"n": 1}, (bytes(1000),))


def test_a_receive_that_is_interrupted_in_the_middle_ends_the_connection(driver, monkeypatch):
    with conversing(driver) as client:
        monkeypatch.setattr(client, "_pull", once(client._pull))
        with pytest.raises(Interrupt):
            client.receive(PATIENCE)
        with pytest.raises(ChannelClosed, match="interrupted"):
            client.receive(PATIENCE)


# --------------------------------------------------------------------------- ends


def test_what_came_before_the_end_is_received_first(driver):
    with conversing(driver) as client:
        driver.say(Kind.MESSAGE, {"n": 1})
        driver.say(Kind.MESSAGE, {"n": 2})
        driver.say(Kind.GOODBYE, {"reason": "that is all"})
        assert [client.receive(PATIENCE)[0]["n"] for _ in range(2)] == [1, 2]
        with pytest.raises(ChannelClosed, match="that is all"):
            client.receive(PATIENCE)
        with pytest.raises(ChannelClosed, match="that is all"):
            client.send({})
        assert client.closed


def test_a_driver_that_dies(driver):
    with conversing(driver) as client:
        driver.close()
        with pytest.raises(ChannelClosed, match="has ended"):
            client.receive(PATIENCE)
        with pytest.raises(ChannelClosed):
            client.send({}, (bytes(20_000_000),))


@pytest.mark.parametrize("kind", [Kind.HELLO, Kind.WELCOME, Kind.HEARTBEAT])
def test_what_no_driver_says(driver, kind):
    with conversing(driver) as client:
        driver.say(kind)
        with pytest.raises(ChannelClosed, match=f"a {kind.name} frame out of turn"):
            client.receive(PATIENCE)


def test_nonsense_ends_it(driver):
    with conversing(driver) as client:
        driver.say(Kind.MESSAGE, {"n": 1})
        driver.sock.sendall(b"nonsense" * 10)
        assert client.receive(PATIENCE)[0] == {"n": 1}
        with pytest.raises(ChannelClosed, match="not authentic"):
            client.receive(PATIENCE)


def test_a_driver_that_does_not_read_is_given_up(driver, monkeypatch):
    monkeypatch.setattr(module, "_SEND_S", 0.1)
    with (
        conversing(driver, small_buffers=True) as client,
        pytest.raises(ChannelClosed, match="the driver does not read"),
    ):
        client.send({}, (bytes(20_000_000),))


def test_what_cannot_be_sent_leaves_the_connection_as_it_is(driver):
    with conversing(driver) as client:
        with pytest.raises(InvalidArgumentType):
            client.send({"a": object()})
        client.send({"a": 1})
        assert driver.hear().header == {"a": 1}


def test_all_that_was_sent_arrives_before_the_goodbye(server, inbox):
    client = connect(server.address, {})
    peer = inbox.connected().peer
    for _ in range(3):
        client.send({}, (bytes(5_000_000),))
        server.send(peer, {"unread": bytes(1000)})
    client.close()
    client.close()
    assert [len(inbox.message().blobs[0]) for _ in range(3)] == [5_000_000] * 3
    assert inbox.disconnected().reason is Reason.CLOSED
    with pytest.raises(ChannelClosed, match="closed here"):
        client.send({})
    with pytest.raises(ChannelClosed, match="closed here"):
        client.receive()
    assert "closed" in repr(client)


def test_a_driver_that_never_stops_talking_does_not_keep_a_client_from_closing(driver, monkeypatch):
    monkeypatch.setattr(module, "_LINGER_S", 0.1)
    with conversing(driver) as client:
        over = threading.Event()

        def talk():
            with contextlib.suppress(OSError):
                while not over.is_set():
                    driver.sock.sendall(bytes(100_000))

        thread = threading.Thread(target=talk)
        thread.start()
        client.close()
        over.set()
        thread.join()


def test_closing_wakes_who_waits_in_another_thread(driver, monkeypatch):
    monkeypatch.setattr(module, "_LINGER_S", 0.1)
    with conversing(driver) as client:
        ended = []
        waits = threading.Event()
        ready = client._ready

        def waiting(*args):
            waits.set()
            return ready(*args)

        monkeypatch.setattr(client, "_ready", waiting)

        def wait():
            try:
                client.receive(PATIENCE)
            except ChannelError as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(PATIENCE)
        client.close()
        thread.join(PATIENCE)
        assert isinstance(ended[0], ChannelClosed)


def test_a_forked_copy_cannot_use_it_and_does_not_keep_it_open(server, inbox):
    script = """
        import os, pickle, sys
        from sparktrials.dispatch.channel.client import connect
        client = connect(pickle.loads(bytes.fromhex(sys.argv[1])), {})
        child = os.fork()
        if child == 0:
            for use in (lambda: client.send({}), client.receive):
                try:
                    use()
                except OSError as error:
                    print(error)
            print(client.closed, flush=True)
            client.close()
            sys.stdin.read()
            os._exit(0)
        client.send({"parent": True})
        os._exit(1)
    """
    task = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            textwrap.dedent(script),
            pickle.dumps(server.address).hex(),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        inbox.connected()
        assert inbox.message().header == {"parent": True}
        assert inbox.disconnected().reason is Reason.LOST
        said = [line_of(task) for _ in range(3)]
        assert all("forked copy of it cannot use" in line for line in said[:2])
        assert said[2] == "True\n"
    finally:
        task.kill()
        task.communicate()


def test_nothing_is_left(serve, inbox):
    server = serve()
    before = open_files()
    for _ in range(20):
        with connect(server.address, {}):
            inbox.connected()
        inbox.disconnected()
    wait_until(lambda: open_files() <= before)
