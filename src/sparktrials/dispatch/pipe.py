"""Messages between this process and a child that it has started, over a pair of sockets.

Both ends run the same user's code on one machine, so messages are pickles.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparktrials.errors import ChannelClosed

__all__ = ["Pipe"]

_SIZE = struct.Struct("<Q")
_RECEIVE_BYTES = 1 << 18
#: Seconds in which the other side takes nothing, after which it counts as gone.
_SEND_S = 60.0


class Pipe:
    """One end of a pair of sockets.

    `send` may be called in any thread, `receive` in one. A forked copy of the process lets go of
    its copy.

    Parameters
    ----------
    end
        A connected stream socket, which now belongs to the pipe.
    """

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0.0)
        self._socket = end
        self._sending = threading.Lock()
        self._received = bytearray()
        self._messages: deque[Any] = deque()
        self._end = ""  # why it ended

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._socket.fileno()

    def send(self, header: Mapping[Any, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a message; waits while the other side does not read.

        Raises
        ------
        ChannelClosed
            If the other side is gone.
        """
        content = pickle.dumps((header, blobs), protocol=5)
        with self._sending:
            self._check()
            with self._whole():
                self._write(memoryview(_SIZE.pack(len(content)) + content))

    def receive(self, timeout: float | None = None) -> tuple[Mapping[Any, Any], Any] | None:
        """Return the next message's header and blobs, or None after `timeout` seconds.

        Raises
        ------
        ChannelClosed
            If the other side is gone; what it had sent is returned first.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._messages:
            self._check()
            if not self._read() and not self._ready(select.POLLIN, deadline):
                return None
        message: tuple[Mapping[Any, Any], Any] = self._messages.popleft()
        return message

    def finish(self) -> None:
        """Say that nothing more is sent from here."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go; may be called again."""
        self._end = self._end or "it was closed here"
        self._socket.close()

    def let_go_in_forks(self) -> None:
        """Have forked copies of this process not keep the other side waiting for the end."""
        os.register_at_fork(after_in_child=self._socket.close)

    # ------------------------------------------------------------------ inside

    def _check(self) -> None:
        if self._end:
            msg = f"the pipe to the other process has ended: {self._end}"
            raise ChannelClosed(msg)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Bytes are being moved: an exception from outside here (a time-out, Ctrl-C) loses some."""
        try:
            yield
        except OSError as error:
            self._end = self._end or error.strerror or str(error)
            self._check()
        except BaseException:
            self._end = self._end or "it was interrupted in the middle of a message"
            raise

    def _write(self, left: memoryview) -> None:
        while left:
            try:
                left = left[self._socket.send(left) :]
            except (BlockingIOError, InterruptedError):
                if not self._ready(select.POLLOUT, time.monotonic() + _SEND_S):
                    msg = "the other process does not read"
                    raise TimeoutError(msg) from None

    def _read(self) -> bool:
        """Take what is here; return whether there was anything."""
        with self._whole():
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                return False
            if not data:
                self._end = "the other process has closed it, or is gone"
                return True
            self._received += data
            self._take_messages()
        return True

    def _take_messages(self) -> None:
        start, whole = 0, memoryview(self._received)
        try:
            while len(whole) - start >= _SIZE.size:
                (size,) = _SIZE.unpack_from(whole, start)
                end = start + _SIZE.size + size
                if end > len(whole):
                    break
                message = pickle.loads(whole[start + _SIZE.size : end])  # noqa: S301 - see above
                self._messages.append(message)
                start = end
        finally:
            whole.release()
        del self._received[:start]

    def _ready(self, event: int, deadline: float | None) -> bool:
        """Wait until the socket can be read or written; False when the time is up."""
        poll = select.poll()
        poll.register(self._socket, event)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(left))
