"""One connection as the server holds it: its socket, what it owes, what was heard of it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from sparktrials.dispatch.channel.frames import Body, FrameDecoder, FrameEncoder, Kind
from sparktrials.dispatch.channel.handshake import Keys, ServerHandshake

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.events import Reason

__all__ = ["Connection", "Sent"]

_PIECES_AT_ONCE = 64


class Sent(Enum):
    """What became of a message."""

    OUT = auto()  #: the kernel has it
    QUEUED = auto()  #: it goes out when there is room
    FULL = auto()  #: the peer does not read; not taken
    GONE = auto()  #: there is no peer any more; not taken


class Connection:
    """The state of one connection.

    `send` may be called in any thread; all else is for the server's thread alone.

    Attributes
    ----------
    id
        The peer's number, 0 until it has said hello.
    doom
        Set by any thread to have the connection ended.
    interest
        The events that its socket is registered for.
    held
        Bytes of the server's `Intake` that it has taken.
    paused, wanted
        Whether it waits for that, and for how much.
    message_since
        When the message that is under way began, None between messages.
    """

    def __init__(self, sock: socket.socket, remote: str, secret: bytes) -> None:
        self.sock = sock
        self.remote = remote
        self.handshake: ServerHandshake | None = ServerHandshake(secret)
        self.id = 0
        self.opened = self.last_heard = time.monotonic()
        self.doom: tuple[Reason, str] | None = None
        self.interest = 0
        self.held = 0
        self.wanted = 0
        self.paused = False
        self.message_since: float | None = None
        self.closed = False
        self.decoder: FrameDecoder | None = None
        self._encoder: FrameEncoder | None = None
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._n_unsent = 0
        self._progressed = self.opened
        self._broken = False

    def open(self, keys: Keys) -> None:
        """Go from the handshake to frames."""
        self.handshake = None
        self.decoder = FrameDecoder(keys.to_server)
        self._encoder = FrameEncoder(keys.to_client)

    @property
    def owes(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._unsent)

    def stalled_s(self, now: float) -> float:
        """Return for how long the peer has taken nothing of what waits."""
        return now - self._progressed if self._unsent else 0.0

    def send(self, kind: Kind, body: Body, max_unsent: int) -> Sent:
        """Send a frame, as far as the kernel takes it, and keep the rest."""
        with self._lock:
            if self.closed or self._broken or self._encoder is None:
                return Sent.GONE
            if self._unsent and self._n_unsent + body.size > max_unsent:
                return Sent.FULL
            idle = not self._unsent
            for piece in self._encoder.encode(kind, body):
                self._unsent.append(memoryview(piece))
                self._n_unsent += len(piece)
            if idle:
                self._progressed = time.monotonic()
                self._push()
            return Sent.QUEUED if self._unsent else Sent.OUT

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        with self._lock:
            if not self.closed:
                self._push()

    def _push(self) -> None:
        while self._unsent:
            try:
                sent = self.sock.sendmsg(itertools.islice(self._unsent, _PIECES_AT_ONCE))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # What the peer sent before it went may still be unread: reading finds the end.
                self._broken = True
                self._unsent.clear()
                self._n_unsent = 0
                return
            self._progressed = time.monotonic()
            self._n_unsent -= sent
            while sent:
                first = self._unsent.popleft()
                if sent < len(first):
                    self._unsent.appendleft(first[sent:])
                    break
                sent -= len(first)

    def close(self) -> None:
        """End it, in forked copies of this process, too."""
        with self._lock:
            self.closed = True
            self._unsent.clear()
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()
