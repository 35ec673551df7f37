"""The server's thread: accepts, reads, writes and drops; one loop, no waiting but in ``select``.

It uses ``selectors``, not asyncio: a message is written to the socket in its sender's thread (no
hand-over, which asyncio needs and which costs more than the message), buffers and deadlines are
this module's own, and a notebook's event loop has no part in it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sparktrials.dispatch.channel.connection import Connection, ReceiveBudget, Sent
from sparktrials.dispatch.channel.events import Connected, Disconnected, Event, Message, Reason
from sparktrials.dispatch.channel.frames import BLOBS_LIMIT, Body, Frame, Kind, pack
from sparktrials.dispatch.channel.sockets import tune
from sparktrials.errors import ChannelProtocolError

__all__ = ["Limits", "Reactor"]

logger = logging.getLogger("sparktrials.channel")

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_RECEIVE_BYTES = 2**18
_ACCEPTS_AT_ONCE = 64
#: Seconds that a handshake gets when as many as may be are under way.
_CROWDED_HANDSHAKE_S = 1.0
#: Messages from this size on count against the budget for what is under way.
_LARGE = 2**20
_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_HEARTBEATS_PER_SILENCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server bears: see `ChannelServer`; `under_way` bounds half-received messages."""

    silence_s: float
    handshake_s: float
    max_unauthenticated: int
    max_peers: int
    max_unsent: int
    under_way: int = 4 * BLOBS_LIMIT


class Reactor:
    """Holds the connections. `send`, `doom` and `stop` are for any thread, `run` is the thread.

    Parameters
    ----------
    listener
        Listens; is closed at the end.
    secret
        Asked for on every connection.
    deliver
        Takes events.
    limits
        What to bear.
    """

    def __init__(
        self,
        listener: socket.socket,
        secret: bytes,
        deliver: Callable[[Event], None],
        limits: Limits,
    ) -> None:
        self._listener = listener
        self._secret = secret
        self._deliver = deliver
        self._limits = limits
        self._pid = os.getpid()
        self._numbers = itertools.count(1)
        self.peers: dict[int, Connection] = {}
        self._unauthenticated: dict[Connection, None] = {}
        self._budget = ReceiveBudget(limits.under_way)
        self._waiting: deque[Connection] = deque()
        self._attention: deque[Connection] = deque()
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._listening = False
        self._accept_again = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        for end in (self._wake_out, self._wake_in):
            end.settimeout(0.0)
        self._selector.register(self._wake_out, _READ, None)

    # ------------------------------------------------------------------ any thread

    def stop(self) -> None:
        """Have `run` end, soon."""
        self._stopping.set()
        self._wake()

    def abandon(self) -> None:
        """Let go of all sockets, in a forked copy of the process that runs this."""
        for connection in [*self._unauthenticated, *self.peers.values()]:
            connection.sock.close()
        self._close_own()

    def send(self, connection: Connection, kind: Kind, body: Body) -> bool:
        """Send a frame; return whether it is on its way."""
        sent = connection.send(kind, body, self._limits.max_unsent)
        if sent is Sent.FULL:
            detail = f"more than {self._limits.max_unsent:,} bytes wait for it"
            self.doom(connection, Reason.NOT_READING, detail)
        elif sent is Sent.QUEUED:
            self._attend(connection)
        return sent in {Sent.OUT, Sent.QUEUED}

    def doom(self, connection: Connection, reason: Reason, detail: str) -> None:
        """Have a connection ended, soon."""
        connection.doom = connection.doom or (reason, detail)
        self._attend(connection)

    def _attend(self, connection: Connection) -> None:
        self._attention.append(connection)
        self._wake()

    def _wake(self) -> None:
        if not self._awake.is_set():
            self._awake.set()
            with contextlib.suppress(OSError):  # it is awake, or has ended
                self._wake_in.send(b"\0")

    # ------------------------------------------------------------------ the server's thread

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            self._loop()
        except Exception:
            logger.exception("the channel has ended: trials go on without it")
            for connection in list(self.peers.values()):
                self._end(connection, Reason.FAULT, "the channel has ended by an internal error")
        finally:
            self._stopping.set()
            goodbye = pack({"reason": "the driver has closed the channel"})
            for connection in [*self.peers.values(), *self._unauthenticated]:
                connection.send(Kind.GOODBYE, goodbye, self._limits.max_unsent)
                connection.close()
            self.peers.clear()
            self._unauthenticated.clear()
            self._close_own()

    def _close_own(self) -> None:
        self._selector.close()
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # in forked copies, too
        for own in (self._listener, self._wake_in, self._wake_out):
            own.close()

    def _loop(self) -> None:
        tick_s = min(1.0, max(0.02, min(self._limits.handshake_s, self._limits.silence_s) / 4))
        next_tick = 0.0
        while not self._stopping.is_set():
            if (now := time.monotonic()) >= next_tick:
                self._tick(now)
                next_tick = now + tick_s
            for key, events in self._selector.select(max(0.0, next_tick - now)):
                if self._stopping.is_set():
                    return
                if isinstance(key.data, Connection):
                    self._serve(key.data, events)
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._on_wake()

    def _on_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(64)
        self._awake.clear()  # only now: whoever saw it set has sent no byte, but is seen below
        while self._attention:
            connection = self._attention.popleft()
            if connection.closed:
                continue
            if connection.doom is not None:
                self._send_goodbye(connection, connection.doom[0].value)
                self._end(connection, *connection.doom)
            else:
                self._watch(connection)

    def _tick(self, now: float) -> None:
        """Drop who is late; listen where there is room."""
        crowded = len(self._unauthenticated) >= self._limits.max_unauthenticated
        limit = (
            min(self._limits.handshake_s, _CROWDED_HANDSHAKE_S)
            if crowded
            else self._limits.handshake_s
        )
        for connection in list(self._unauthenticated):
            if now - connection.opened < limit:
                break  # the others are younger
            self._end(connection, Reason.SILENT, "the handshake took too long")
        for connection in list(self.peers.values()):
            if connection.stalled_s(now) > self._limits.silence_s:
                detail = f"it took nothing for {self._limits.silence_s:g} s"
                self._end(connection, Reason.NOT_READING, detail)
            elif now - connection.last_heard > self._limits.silence_s and not connection.paused:
                # This thread may have been kept from reading: what waits counts as heard.
                self._serve(connection, _READ)
                if now - connection.last_heard > self._limits.silence_s:
                    detail = f"nothing came for {self._limits.silence_s:g} s"
                    self._end(connection, Reason.SILENT, detail)
        self._listen_if_room(now)

    def _listen_if_room(self, now: float) -> None:
        room = (
            len(self._unauthenticated) < self._limits.max_unauthenticated
            and now >= self._accept_again
        )
        if room and not self._listening:
            self._selector.register(self._listener, _READ, None)
        elif not room and self._listening:
            self._selector.unregister(self._listener)
        self._listening = room

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            if len(self._unauthenticated) >= self._limits.max_unauthenticated:
                break
            try:
                sock, remote = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                logger.warning("the channel cannot take more connections for now: %s", error)
                self._accept_again = time.monotonic() + 1.0
                break
            sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # gone again: reading tells
                tune(sock)
            connection = Connection(sock, str(remote[0]), self._secret)
            self._unauthenticated[connection] = None
            self._watch(connection)
        self._listen_if_room(time.monotonic())

    def _watch(self, connection: Connection) -> None:
        """Register a connection for what there is to wait for."""
        interest = (0 if connection.paused else _READ) | (_WRITE if connection.owes else 0)
        if interest == connection.interest:
            return
        if not connection.interest:
            self._selector.register(connection.sock, interest, connection)
        elif not interest:
            self._selector.unregister(connection.sock)
        else:
            self._selector.modify(connection.sock, interest, connection)
        connection.interest = interest

    def _serve(self, connection: Connection, events: int) -> None:
        if connection.closed:
            return
        try:
            if events & _WRITE:
                connection.flush()
            if events & _READ:
                self._read(connection)
        except (BlockingIOError, InterruptedError):
            pass
        except ChannelProtocolError as error:
            self._end(connection, Reason.PROTOCOL, str(error))
        except OSError as error:
            self._end(connection, Reason.LOST, error.strerror or str(error))
        except Exception as error:
            logger.exception("an error in the channel: one connection is dropped")
            self._end(connection, Reason.FAULT, str(error))
        if not connection.closed:
            self._watch(connection)

    def _read(self, connection: Connection) -> None:
        handshake, decoder = connection.handshake, connection.decoder
        data = connection.sock.recv(handshake.wanted if handshake else _RECEIVE_BYTES)
        if not data:
            cut = decoder is not None and decoder.in_frame
            self._end(connection, Reason.LOST, "in the middle of a message" if cut else "")
            return
        connection.last_heard = time.monotonic()
        if handshake is not None:
            reply = handshake.feed(data)
            if reply and connection.sock.send(reply) < len(reply):
                self._end(connection, Reason.NOT_READING, "in the handshake")
            elif handshake.keys is not None:
                connection.open(handshake.keys)
        elif decoder is not None:
            for frame in decoder.feed(data):
                self._handle(connection, frame)
                if connection.closed:
                    return
            self._bound(connection, decoder.announced)

    def _bound(self, connection: Connection, announced: int) -> None:
        """Let a large message that has begun come in only while there is room for it."""
        large = announced if announced >= _LARGE else 0
        if not large and not connection.held:
            return
        before = connection.held
        self._budget.release(connection.held)
        connection.held = large if self._budget.admit(large) else 0
        if connection.held < large:
            connection.paused = True
            self._waiting.append(connection)
        if connection.held < before:
            self._resume()

    def _resume(self) -> None:
        while self._waiting:
            connection = self._waiting[0]
            decoder = connection.decoder
            if not connection.closed and decoder is not None:
                if not self._budget.admit(decoder.announced):
                    return
                connection.held = decoder.announced
                connection.paused = False
                connection.last_heard = time.monotonic()
                self._watch(connection)
            self._waiting.popleft()

    def _handle(self, connection: Connection, frame: Frame) -> None:
        if not connection.id:
            self._welcome(connection, frame)
        elif frame.kind is Kind.MESSAGE:
            self._tell(Message(connection.id, frame.header, frame.blobs))
        elif frame.kind is Kind.GOODBYE:
            self._end(connection, Reason.CLOSED, str(frame.header.get("reason", ""))[:200])
        elif frame.kind is not Kind.HEARTBEAT:
            msg = f"a {frame.kind.name} frame out of turn"
            raise ChannelProtocolError(msg)

    def _welcome(self, connection: Connection, frame: Frame) -> None:
        if frame.kind is not Kind.HELLO or frame.blobs:
            msg = f"a {frame.kind.name} frame before the hello"
            raise ChannelProtocolError(msg)
        if len(self.peers) >= self._limits.max_peers:
            self._send_goodbye(
                connection, f"it has {self._limits.max_peers:,} connections, its limit"
            )
            self._end(connection, Reason.DROPPED, "too many connections")
            logger.warning("the channel has %d connections, its limit", self._limits.max_peers)
            return
        heartbeat_s = self._limits.silence_s / _HEARTBEATS_PER_SILENCE
        self.send(connection, Kind.WELCOME, pack({"heartbeat_s": heartbeat_s}))
        del self._unauthenticated[connection]
        connection.id = next(self._numbers)
        self.peers[connection.id] = connection
        self._tell(Connected(connection.id, frame.header))

    def _send_goodbye(self, connection: Connection, reason: str) -> None:
        connection.send(Kind.GOODBYE, pack({"reason": reason}), self._limits.max_unsent)

    def _end(self, connection: Connection, reason: Reason, detail: str) -> None:
        """Close a connection and tell, once."""
        if connection.closed:
            return
        if connection.interest:
            self._selector.unregister(connection.sock)
        connection.close()
        self._unauthenticated.pop(connection, None)
        freed, connection.held = connection.held, 0
        self._budget.release(freed)
        logger.debug("channel: %s from %s: %s", reason.value, connection.remote, detail)
        if connection.id:
            self.peers.pop(connection.id, None)
            self._tell(Disconnected(connection.id, reason, detail))
        if freed:
            self._resume()

    def _tell(self, event: Event) -> None:
        try:
            self._deliver(event)
        except Exception:
            logger.exception("the channel's owner failed to take an event")
