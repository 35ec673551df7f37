"""A peer that says what a test likes, with or without knowing the secret."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from sparktrials.dispatch.channel.events import Connected, Disconnected, Event, Message
from sparktrials.dispatch.channel.frames import (
    HEAD_BYTES,
    FrameDecoder,
    FrameEncoder,
    Kind,
    pack,
)
from sparktrials.dispatch.channel.handshake import (
    REPLY_BYTES,
    Address,
    ClientHandshake,
    ServerHandshake,
)

#: Seconds after which a test that waits for something gives up; never waited for in full.
PATIENCE = 60.0


@dataclass
class Inbox:
    """What a server has delivered."""

    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)

    def __call__(self, event: Event) -> None:
        self.events.put(event)

    def next(self) -> Event:
        return self.events.get(timeout=PATIENCE)

    def connected(self) -> Connected:
        event = self.next()
        assert isinstance(event, Connected), event
        return event

    def message(self) -> Message:
        event = self.next()
        assert isinstance(event, Message), event
        return event

    def disconnected(self) -> Disconnected:
        event = self.next()
        assert isinstance(event, Disconnected), event
        return event


class Wire:
    """A connection to a server, as bytes and frames."""

    def __init__(self, address, *, small_buffers=False):
        self.address = address
        self.sock = socket.socket()
        if small_buffers:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(PATIENCE)
        self.sock.connect((address.host, address.port))
        self.encoder: FrameEncoder
        self.decoder: FrameDecoder

    def shake_hands(self, secret=None):
        handshake = ClientHandshake(self.address.secret if secret is None else secret)
        self.sock.sendall(handshake.first)
        proof, keys = handshake.answer(self.read(REPLY_BYTES))
        self.sock.sendall(proof)
        self.encoder, self.decoder = FrameEncoder(keys.to_server), FrameDecoder(keys.to_client)
        return self

    def introduce(self, **hello):
        self.shake_hands().say(Kind.HELLO, hello)
        frame = self.hear()
        assert frame.kind is Kind.WELCOME
        return self

    def frame(self, kind, header=None, blobs=()):
        return b"".join(self.encoder.encode(kind, pack(header or {}, blobs)))

    def say(self, kind, header=None, blobs=()):
        self.sock.sendall(self.frame(kind, header, blobs))

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def hear(self):
        """Return the next frame."""
        (frame,) = [
            *self.decoder.feed(self.read(HEAD_BYTES)),
            *self.decoder.feed(self.read(self.decoder.announced)),
        ]
        return frame

    def ended(self):
        """Read until the server has closed; return what it said last."""
        said = b""
        with contextlib.suppress(ConnectionError):
            while data := self.sock.recv(65536):
                said += data
        self.sock.close()
        return said

    def close(self):
        self.sock.close()


class FakeDriver:
    """A listening socket, on which a test plays the driver for one client."""

    def __init__(self, secret=b"s" * 32):
        self.secret = secret
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.address = Address("127.0.0.1", self.listener.getsockname()[1], b"s" * 32)
        self.sock: socket.socket
        self.encoder: FrameEncoder
        self.decoder: FrameDecoder

    def accept(self, *, small_buffers=False):
        if small_buffers:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(PATIENCE)
        return self

    def shake_hands(self):
        handshake = ServerHandshake(self.secret)
        while handshake.wanted:
            data = self.sock.recv(handshake.wanted)
            if not data:
                raise ConnectionResetError
            self.sock.sendall(handshake.feed(data))
        self.encoder = FrameEncoder(handshake.keys.to_client)
        self.decoder = FrameDecoder(handshake.keys.to_server)
        return self

    def welcome(self, **header):
        assert self.hear().kind is Kind.HELLO
        self.say(Kind.WELCOME, header)
        return self

    read, hear, frame, say, ended = Wire.read, Wire.hear, Wire.frame, Wire.say, Wire.ended

    def close(self):
        self.listener.close()
        if hasattr(self, "sock"):
            self.sock.close()


def open_files():
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def channel_threads():
    ours = {"sparktrials-channel", "sparktrials-heartbeat"}
    return sorted(t.name for t in threading.enumerate() if t.name in ours)


def wait_until(condition):
    """Wait for what another thread does, without its help."""
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it did not happen")
