"""A running task's side: one blocking connection to the driver.

numpy and the standard library only. Nothing happens at import: Spark's daemon imports and forks.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.channel.forks import let_go_in_forks, may_forget
from sparktrials.dispatch.channel.frames import (
    Body,
    Frame,
    FrameDecoder,
    FrameEncoder,
    Kind,
    pack,
)
from sparktrials.dispatch.channel.handshake import REPLY_BYTES, Address, ClientHandshake, Keys
from sparktrials.dispatch.channel.sockets import tune
from sparktrials.errors import ChannelClosed, ChannelProtocolError, ChannelUnreachable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Client", "connect"]

_RECEIVE_BYTES = 2**18
#: Seconds that the driver may take nothing of what is sent before it is given up.
_SEND_S = 60.0
#: Seconds that `Client.close` waits for the driver to have read all.
_LINGER_S = 1.0
_DEFAULT_HEARTBEAT_S = 10.0
#: Seconds between two looks at what the driver has sent while nobody receives.
_OVERHEAR_S = 0.25
#: Bounds for what the driver asks for.
_SHORTEST_HEARTBEAT_S = 0.01
_LONGEST_HEARTBEAT_S = 600.0


def connect(
    address: Address,
    hello: Mapping[Any, Any],
    timeout_s: float = 10.0,
    *,
    heartbeat_s: float | None = None,
    overhear: Callable[[Mapping[Any, Any]], None] | None = None,
) -> Client:
    """Connect to the driver.

    Parameters
    ----------
    address
        `ChannelServer.address`.
    hello
        Plain values that say who this is, in a few words: 4 KiB of JSON at most.
    timeout_s
        Seconds for all of it; looking up a name in a broken DNS may take longer.
    heartbeat_s
        Seconds between signs of life; by default what the driver asks for.
    overhear
        Gets the header of what comes while nobody is in `receive`, soon, in another thread. The
        message is received all the same.

    Raises
    ------
    ChannelUnreachable
        If nobody answers there, not in time, not this run's driver, or it takes no more.
    InvalidArgument, InvalidArgumentType
        If `hello` is not a dict of plain values, or too large.
    """
    body = pack(hello)
    deadline = time.monotonic() + timeout_s
    try:
        sock = socket.create_connection((address.host, address.port), timeout=timeout_s)
    except OSError as error:
        msg = (
            f"the driver's channel at {address} cannot be reached: {error}. If a firewall keeps "
            "executors from the driver, trials run without the channel"
        )
        raise ChannelUnreachable(msg) from error
    try:
        tune(sock)
        client = Client(sock, _shake_hands(sock, address, deadline), str(address), overhear)
        return client._introduce(body, deadline, heartbeat_s)  # noqa: SLF001 - of this module
    except OSError as error:
        sock.close()
        msg = f"the driver's channel at {address} did not answer as it should: {error}"
        raise ChannelUnreachable(msg) from error
    except BaseException:
        sock.close()
        raise


def _shake_hands(sock: socket.socket, address: Address, deadline: float) -> Keys:
    handshake = ClientHandshake(address.secret)
    sock.settimeout(max(0.001, deadline - time.monotonic()))
    sock.sendall(handshake.first)
    reply = b""
    while len(reply) < REPLY_BYTES:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        data = sock.recv(REPLY_BYTES - len(reply))
        if not data:
            msg = "it closed the connection during the handshake"
            raise ChannelProtocolError(msg)
        reply += data
    proof, keys = handshake.answer(reply)
    sock.sendall(proof)
    return keys


class Client:
    """A connection to the driver; made by `connect`.

    `send` and `receive` may be called in any thread of the process that connected. A forked copy
    of the process lets go of the connection, and may not use it.

    Signs of life are sent by a thread of its own, in Python: not while C code keeps Python's lock
    (the GIL). The driver takes that for silence after its ``silence_s``.
    """

    def __init__(
        self,
        sock: socket.socket,
        keys: Keys,
        where: str,
        overhear: Callable[[Mapping[Any, Any]], None] | None = None,
    ) -> None:
        self._sock = sock
        self._overhear = overhear
        self._where = where
        self._pid = os.getpid()
        self._encoder = FrameEncoder(keys.to_server)
        self._decoder = FrameDecoder(keys.to_client)
        self._inbox: deque[Frame] = deque()
        self._send_lock = threading.Lock()
        self._receive_lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._end = ""  # why it ended, as far as is known
        self._stop_beating = threading.Event()
        self._closed = False
        self._welcomed = False
        self._heart: threading.Thread | None = None
        sock.settimeout(0.0)

    def _introduce(self, hello: Body, deadline: float, heartbeat_s: float | None) -> Client:
        """Say hello, wait for the welcome."""
        self._transmit(Kind.HELLO, hello, deadline)
        frame = self._next_frame(deadline)
        if frame is None:
            msg = "it did not answer in time"
            raise ChannelProtocolError(msg)
        if heartbeat_s is None:
            asked = frame.header.get("heartbeat_s")
            heartbeat_s = asked if type(asked) is float and asked > 0 else _DEFAULT_HEARTBEAT_S
            heartbeat_s = min(max(heartbeat_s, _SHORTEST_HEARTBEAT_S), _LONGEST_HEARTBEAT_S)
        let_go_in_forks(self)
        self._heart = threading.Thread(
            target=self._beat, args=(heartbeat_s,), name="sparktrials-heartbeat", daemon=True
        )
        self._heart.start()
        return self

    def send(self, header: Mapping[Any, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a message; waits while the network is slower.

        Raises
        ------
        ChannelClosed
            If the connection has ended. What was sent shortly before may not have arrived.
        InvalidArgument, InvalidArgumentType
            As `frames.pack` does; the connection stands.
        """
        body = pack(header, blobs)
        self._check()
        self._transmit(Kind.MESSAGE, body)

    def receive(
        self, timeout: float | None = None
    ) -> tuple[dict[Any, Any], tuple[bytes, ...]] | None:
        """Return the next message's header and blobs, or None after `timeout` seconds.

        Parameters
        ----------
        timeout
            Seconds; 0 takes only what is here, None waits for ever.

        Raises
        ------
        ChannelClosed
            If the connection has ended; what came before is returned first.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._check()
        frame = self._next_frame(deadline)
        return None if frame is None else (frame.header, frame.blobs)

    @property
    def closed(self) -> bool:
        """Whether the connection is known to have ended."""
        return bool(self._end) or self._closed or os.getpid() != self._pid

    def close(self) -> None:
        """Say goodbye and let go; may be called again. Waits a second at most."""
        if os.getpid() != self._pid:
            self._sock.close()
            return
        if self._closed:
            return
        self._closed = True
        self._stop_beating.set()
        with contextlib.suppress(OSError):
            if not self._end:
                # The driver closes when it has read all: to close before would cut off what is
                # still on its way, if the driver has sent anything meanwhile.
                self._say_goodbye(time.monotonic() + _LINGER_S)
        if self._heart is not None and self._heart is not threading.current_thread():
            self._heart.join(_LINGER_S)
        may_forget(self)
        with contextlib.suppress(OSError):  # wakes who waits in `receive`, in another thread
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def abandon(self) -> None:
        """Let go of the socket, in a forked copy of the process that connected."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._where}{', closed' if self.closed else ''}>"

    # ------------------------------------------------------------------ inside

    def _check(self) -> None:
        if os.getpid() != self._pid:
            msg = (
                f"the channel to {self._where} belongs to process {self._pid}: a forked copy of it "
                "cannot use the connection"
            )
            raise ChannelClosed(msg)
        if self._closed:
            why = "it was closed here"
            raise self._has_ended(why)

    def _has_ended(self, why: str) -> ChannelClosed:
        return ChannelClosed(f"the channel to {self._where} has ended: {why}")

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Bytes are being moved: an exception from outside here (a time-out, Ctrl-C) loses some."""
        try:
            yield
        except OSError:
            raise
        except BaseException:
            self._end = self._end or "it was interrupted in the middle of a message"
            raise

    def _beat(self, heartbeat_s: float) -> None:
        step = heartbeat_s if self._overhear is None else min(heartbeat_s, _OVERHEAR_S)
        due = time.monotonic() + heartbeat_s
        while not self._stop_beating.wait(step):
            self._listen()
            if time.monotonic() < due - step / 2:
                continue
            due = time.monotonic() + heartbeat_s
            # A message that is just being sent is a sign of life itself.
            if self._send_lock.acquire(blocking=False):
                try:
                    self._write(Kind.HEARTBEAT, Body(), None)
                except ChannelClosed:
                    return
                finally:
                    self._send_lock.release()

    def _listen(self) -> None:
        """Show `overhear` what has come, unless it is being received."""
        if self._overhear is None or not self._receive_lock.acquire(blocking=False):
            return
        seen = len(self._inbox)
        try:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                while not self._end and not self._stop_beating.is_set():
                    self._pull()
        except (OSError, ChannelProtocolError) as error:
            self._end = self._end or str(error)  # `receive` says so, after what came before
        finally:
            new = list(self._inbox)[seen:]
            self._receive_lock.release()
        for frame in new:
            self._overhear(frame.header)

    def _transmit(self, kind: Kind, body: Body, deadline: float | None = None) -> None:
        with self._send_lock:
            self._write(kind, body, deadline)

    def _write(self, kind: Kind, body: Body, deadline: float | None) -> None:
        """Send a frame, after what an interrupted call has left.

        With `deadline` None, `_SEND_S` count from the last byte taken.
        """
        if self._end:
            raise self._has_ended(self._end)
        pieces = self._encoder.seal(kind, body)
        with self._whole():
            self._unsent.extend(map(memoryview, pieces))
            self._encoder.advance()
        try:
            while self._unsent:
                try:
                    with self._whole():
                        self._push()
                except (BlockingIOError, InterruptedError):
                    until = time.monotonic() + _SEND_S if deadline is None else deadline
                    if not self._ready(select.POLLOUT, until):
                        self._end = "the driver does not read"
                        raise self._has_ended(self._end) from None
        except ChannelClosed:
            raise
        except OSError as error:
            # What the driver sent before is still to be read: `receive` finds the end by itself.
            raise self._has_ended(error.strerror or str(error)) from error

    def _push(self) -> None:
        first = self._unsent[0]
        sent = self._sock.send(first)
        if sent < len(first):
            self._unsent[0] = first[sent:]
        else:
            self._unsent.popleft()

    def _next_frame(self, deadline: float | None) -> Frame | None:
        with self._receive_lock:
            while not self._inbox:
                if self._end:
                    raise self._has_ended(self._end)
                try:
                    with self._whole():
                        self._pull()
                except (BlockingIOError, InterruptedError):
                    if not self._ready(select.POLLIN, deadline):
                        return None
                except OSError as error:
                    self._end = error.strerror or str(error)
            return self._inbox.popleft()

    def _pull(self) -> None:
        data = self._sock.recv(_RECEIVE_BYTES)
        if not data:
            self._end = self._end or "the driver has closed it, or is gone"
        for frame in self._decoder.feed(data):
            if frame.kind is Kind.GOODBYE:
                self._end = str(frame.header.get("reason", "the driver has closed it"))[:200]
                return
            if frame.kind is not (Kind.MESSAGE if self._welcomed else Kind.WELCOME):
                msg = f"a {frame.kind.name} frame out of turn"
                raise ChannelProtocolError(msg)
            self._welcomed = True
            self._inbox.append(frame)

    def _ready(self, event: int, deadline: float | None) -> bool:
        """Wait until the socket can be read or written; False when the time is up."""
        poll = select.poll()
        try:
            poll.register(self._sock, event)
        except ValueError:
            why = "it was closed here"
            raise self._has_ended(why) from None
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(left))

    def _say_goodbye(self, deadline: float) -> None:
        if not self._send_lock.acquire(timeout=_LINGER_S):
            return  # another thread is sending, and the driver does not read
        try:
            self._write(Kind.GOODBYE, Body(), deadline)
        finally:
            self._send_lock.release()
        self._sock.shutdown(socket.SHUT_WR)
        while (
            time.monotonic() < deadline
            and self._ready(select.POLLIN, deadline)
            and self._sock.recv(_RECEIVE_BYTES)
        ):
            pass
