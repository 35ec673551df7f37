"""The server's thread: accepts, reads, writes and drops; one loop, no waiting but in ``select``.

It uses ``selectors``, not asyncio: a message is written to the socket in its sender's thread (no
hand-over, which asyncio needs and which costs more than the message), buffers and deadlines are
this module's own, and a notebook's event loop has no part in it.
"""

from __future__ import annotations

import contextlib
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

from sparktrials.dispatch.channel.budget import Intake
from sparktrials.dispatch.channel.connection import Connection, Sent
from sparktrials.dispatch.channel.events import Connected, Disconnected, Event, Message, Reason
from sparktrials.dispatch.channel.forks import let_go_in_forks, may_forget
from sparktrials.dispatch.channel.frames import (
    Body,
    Frame,
    FrameDecoder,
    Kind,
    pack,
)
from sparktrials.dispatch.channel.sockets import tune
from sparktrials.errors import ChannelProtocolError

__all__ = ["Limits", "Reactor"]

logger = logging.getLogger("sparktrials.channel")

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_RECEIVE_BYTES = 2**18
_ACCEPTS_AT_ONCE = 64
#: Seconds that a handshake gets when as many as may be are under way, and between two looks then:
#: who connects and says nothing keeps others out for no longer than they wait for an answer.
_CROWDED_HANDSHAKE_S = 0.5
_CROWDED_TICK_S = 0.05
#: Seconds until connections are accepted again after the system had no room for one.
_ACCEPT_AGAIN_S = 1.0
#: Most bytes of a hello: who may say more has said it.
_HELLO_BYTES = 2**12
#: Bytes a second that a message comes in with at the least.
_SLOWEST = 2**15
_HEARTBEATS_PER_SILENCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server bears: see `ChannelServer`; `intake` bounds what waits to be taken note of."""

    silence_s: float
    handshake_s: float
    max_unauthenticated: int
    max_peers: int
    max_unsent: int
    intake: int


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
        self._intake = Intake(limits.intake, self._resume, self._wake)
        self._attention: deque[Connection] = deque()
        self._stopping = threading.Event()
        self._awake = False  # no lock: `_wake` is called in the middle of anything, see `Receipt`
        self._listening = False
        self._accept_again = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        for end in (self._wake_out, self._wake_in):
            end.settimeout(0.0)
        self._selector.register(self._wake_out, _READ, None)
        let_go_in_forks(self)

    # ------------------------------------------------------------------ any thread

    def stop(self) -> None:
        """Have `run` end, soon."""
        self._stopping.set()
        self._wake()

    def abandon(self) -> None:
        """Let go of all sockets, in a forked copy of the process that runs this."""
        for connection in [*self._unauthenticated, *self.peers.values()]:
            connection.sock.close()
        self.peers.clear()
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
        if not self._awake:
            self._awake = True
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
            may_forget(self)
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
        ticked = dropped = -tick_s
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= ticked + tick_s:
                self._drop_silent_peers(now)
                ticked = now
            wait_s = min(tick_s, _CROWDED_TICK_S) if self._crowded else tick_s
            if now >= dropped + wait_s:
                self._drop_late_strangers(now)
                dropped = now
            next_tick = min(ticked + tick_s, dropped + wait_s)
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
        self._awake = False  # only now: whoever saw it set has sent no byte, but is seen below
        self._intake.go_on()
        while self._attention:
            connection = self._attention.popleft()
            if connection.closed:
                continue
            if connection.doom is not None:
                self._send_goodbye(connection, connection.doom[0].value)
                self._end(connection, *connection.doom)
            else:
                self._watch(connection)

    @property
    def _crowded(self) -> bool:
        return len(self._unauthenticated) >= self._limits.max_unauthenticated

    def _drop_late_strangers(self, now: float) -> None:
        """Drop who has not proved itself in time; listen where there is room."""
        limit = self._limits.handshake_s
        if self._crowded:
            limit = min(limit, _CROWDED_HANDSHAKE_S)
        for connection in list(self._unauthenticated):
            if now - connection.opened < limit:
                break  # the others are younger
            self._end(connection, Reason.SILENT, "the handshake took too long")
        self._listen_if_room(now)

    def _drop_silent_peers(self, now: float) -> None:
        for connection in list(self.peers.values()):
            if connection.stalled_s(now) > self._limits.silence_s:
                detail = f"it took nothing for {self._limits.silence_s:g} s"
                self._end(connection, Reason.NOT_READING, detail)
            elif connection.paused:
                continue
            elif self._is_slow(connection, now):
                detail = "a message took too long to come in"
                self._end(connection, Reason.SLOW, detail)
            elif now - connection.last_heard > self._limits.silence_s:
                # This thread may have been kept from reading: what waits counts as heard.
                self._serve(connection, _READ)
                if now - connection.last_heard > self._limits.silence_s:
                    detail = f"nothing came for {self._limits.silence_s:g} s"
                    self._end(connection, Reason.SILENT, detail)

    def _is_slow(self, connection: Connection, now: float) -> bool:
        """Whether a message dribbles in: it would keep room from others for as long as it likes."""
        since, decoder = connection.message_since, connection.decoder
        if since is None or decoder is None:
            return False
        return now - since > self._limits.silence_s + decoder.announced / _SLOWEST

    def _listen_if_room(self, now: float) -> None:
        room = not self._crowded and now >= self._accept_again
        if room and not self._listening:
            self._selector.register(self._listener, _READ, None)
        elif not room and self._listening:
            self._selector.unregister(self._listener)
        self._listening = room

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._crowded:
                break
            try:
                sock, remote = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:  # no more files, or trouble in the network, which Linux tells
                logger.warning("the channel cannot take more connections for now: %s", error)
                self._accept_again = time.monotonic() + _ACCEPT_AGAIN_S
                break
            sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # gone again: reading tells
                tune(sock)
            connection = Connection(sock, str(remote[0]), self._secret)
            self._unauthenticated[connection] = None
            try:
                self._watch(connection)
            except OSError as error:  # more than the user may watch
                self._end(connection, Reason.FAULT, str(error))
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
            reason = Reason.LOST if isinstance(error, ConnectionError) else Reason.CUT_OFF
            self._end(connection, reason, error.strerror or str(error))
        except Exception as error:
            logger.exception("an error in the channel: one connection is dropped")
            self._end(connection, Reason.FAULT, str(error))
        if not connection.closed:
            self._watch(connection)

    def _read(self, connection: Connection) -> None:
        handshake, decoder = connection.handshake, connection.decoder
        if connection.id and not connection.held and self._intake.full:
            self._intake.wait(connection, 0)
            return
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
            fresh = False
            for frame in decoder.feed(data):
                fresh = True
                self._handle(connection, frame)
                if connection.closed:
                    return
            self._follow(connection, decoder, fresh=fresh)

    def _follow(self, connection: Connection, decoder: FrameDecoder, *, fresh: bool) -> None:
        """Take note of the message that is under way after `_read`."""
        announced = decoder.announced
        if not connection.id:  # has little time, and may say little: it need not wait for room
            if announced > _HELLO_BYTES:
                msg = f"a hello of {announced:,} bytes, the limit is {_HELLO_BYTES:,}"
                raise ChannelProtocolError(msg)
            return
        if not decoder.in_frame:
            connection.message_since = None
        elif fresh or connection.message_since is None:
            connection.message_since = connection.last_heard
        self._intake.settle(connection, announced, fresh=fresh)

    def _resume(self, connection: Connection) -> None:
        """Read again from a connection that had to wait: it was not silent meanwhile."""
        connection.last_heard = time.monotonic()
        if connection.message_since is not None:
            connection.message_since = connection.last_heard
        self._watch(connection)

    def _handle(self, connection: Connection, frame: Frame) -> None:
        if not connection.id:
            self._welcome(connection, frame)
        elif frame.kind is Kind.MESSAGE:
            receipt = self._intake.receipt(frame)
            self._tell(Message(connection.id, frame.header, frame.blobs, receipt))
        elif frame.kind is Kind.GOODBYE:
            self._end(connection, Reason.CLOSED, str(frame.header.get("reason", ""))[:200])
        elif frame.kind is not Kind.HEARTBEAT:
            msg = f"a {frame.kind.name} frame out of turn"
            raise ChannelProtocolError(msg)

    def _welcome(self, connection: Connection, frame: Frame) -> None:
        if frame.kind is not Kind.HELLO or frame.blobs or frame.header_bytes > _HELLO_BYTES:
            msg = f"no hello, but a {frame.kind.name} frame of {frame.header_bytes:,} bytes"
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
        logger.debug("channel: %s from %s: %s", reason.value, connection.remote, detail)
        if connection.id:
            self.peers.pop(connection.id, None)
            self._tell(Disconnected(connection.id, reason, detail))
        self._intake.release(connection)

    def _tell(self, event: Event) -> None:
        try:
            self._deliver(event)
        except Exception:
            logger.exception("the channel's owner failed to take an event")
