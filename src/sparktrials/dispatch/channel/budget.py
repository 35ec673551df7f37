"""How much of what peers send may be in memory: messages under way, and those not yet let go of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.connection import Connection
    from sparktrials.dispatch.channel.frames import Frame

__all__ = ["Intake", "Receipt"]

#: Messages below this take no room before they are complete: a connection has at most one.
_SMALL = 2**14
#: What a message costs beside its bytes, and a byte of JSON once it is made of Python objects.
_OVERHEAD = 1024
_PER_JSON_BYTE = 16


class Receipt:
    """Held by a message: when the last one who has the message drops it, its room is free again."""

    __slots__ = ("_give_back", "_n")

    def __init__(self, n: int, give_back: Callable[[int], None]) -> None:
        self._n = n
        self._give_back = give_back

    def __del__(self) -> None:
        self._give_back(self._n)


class Intake:
    """Bounds what all connections together bring in; those that must wait go on in their turn.

    A message that begins takes room for all of it, and keeps it until its receiver has let it go. A
    connection that finds no room is not read from, so that TCP slows its peer down. One message is
    always let in, whatever its size. All but `give_back` is for the server's thread.

    Parameters
    ----------
    limit
        Bytes.
    resume
        Called with a connection that may be read from again.
    wake
        Called in any thread when connections wait and room has been given back: call `go_on`.
    """

    def __init__(
        self, limit: int, resume: Callable[[Connection], None], wake: Callable[[], None]
    ) -> None:
        self._limit = limit
        self._resume = resume
        self._wake = wake
        self._used = 0
        # No lock: a receipt may be collected at any point, where a lock would be held already.
        self._returned: deque[int] = deque()
        self._waiting: deque[Connection] = deque()

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        while self._returned:
            self._used -= self._returned.popleft()
        return self._used

    @property
    def full(self) -> bool:
        """Whether nothing more is to be read of a connection that has no room yet."""
        return self.used > self._limit

    def give_back(self, n: int) -> None:
        """Free room: in any thread, and in the middle of anything."""
        self._returned.append(n)
        if self._waiting:
            self._wake()

    def receipt(self, frame: Frame) -> Receipt:
        """Take room for a message that is complete."""
        n = _OVERHEAD + _PER_JSON_BYTE * frame.header_bytes + sum(map(len, frame.blobs))
        self._used += n
        return Receipt(n, self.give_back)

    def settle(self, connection: Connection, announced: int, *, fresh: bool) -> None:
        """Take room for the message that has begun, in place of the one before it, or wait for it.

        Parameters
        ----------
        connection
            What was read from.
        announced
            Bytes of the message that is under way.
        fresh
            Whether another one has ended meanwhile.
        """
        wanted = announced if announced >= _SMALL else 0
        if connection.held and connection.held == wanted and not fresh:
            return
        before, connection.held = connection.held, 0
        self._used -= before
        if self._fits(wanted):
            connection.held = wanted
            self._used += wanted
        else:
            self.wait(connection, wanted)
        if before:
            self.go_on()

    def wait(self, connection: Connection, wanted: int) -> None:
        """Have a connection wait until there is room for `wanted` bytes."""
        connection.paused = True
        connection.wanted = wanted
        self._waiting.append(connection)
        self.go_on()  # what was given back before it stood here woke nobody

    def release(self, connection: Connection) -> None:
        """Free the room of a connection that has ended."""
        freed, connection.held = connection.held, 0
        self._used -= freed
        if freed:
            self.go_on()

    def go_on(self) -> None:
        """Let those go on that there is room for, first come first served."""
        while self._waiting:
            connection = self._waiting[0]
            if not connection.closed:
                if not self._fits(connection.wanted):
                    return
                connection.held = connection.wanted
                self._used += connection.held
                connection.paused = False
            self._waiting.popleft()
            if not connection.closed:
                self._resume(connection)

    def _fits(self, n: int) -> bool:
        used = self.used
        return not used or used + n <= self._limit
