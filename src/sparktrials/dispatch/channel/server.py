"""The driver's side: one thread that holds the connections of all running tasks."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.channel.events import Event, Reason
from sparktrials.dispatch.channel.frames import BLOBS_LIMIT, Kind, pack
from sparktrials.dispatch.channel.handshake import SECRET_BYTES, Address
from sparktrials.dispatch.channel.listener import listen, strangers_and_peers
from sparktrials.dispatch.channel.reactor import Limits, Reactor
from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ChannelServer"]

logger = logging.getLogger("sparktrials.channel")

_WILDCARDS = {"", "0.0.0.0", "::", "*"}  # noqa: S104 - to refuse them
#: Seconds that `close` waits for an owner's `deliver` that is just being called.
_JOIN_S = 5.0


class ChannelServer:
    """Listens for running tasks, from its construction until `close`.

    Parameters
    ----------
    host
        Where to bind: an address or name of this machine, as Spark is told to
        (``spark.driver.bindAddress``).
    deliver
        Called with each `Event`, in the server's thread: it must not block, nor raise;
        ``queue.SimpleQueue().put`` is what it is made for.
    advertised
        What tasks connect to (``spark.driver.host``); `host` by default.
    port
        0 for any free one.
    port_tries
        How many ports from there on may be tried where the first is taken.
    silence_s
        Seconds without a sign of life after which a peer is dropped. Clients send one six times as
        often, but not while C code keeps Python's lock, so be generous: a process that dies, or a
        host that is cut off, is noticed without it.
    handshake_s
        Seconds that a client gets to prove itself and say hello.
    max_unauthenticated
        Most connections that have not yet done so; an eighth of this process's limit of open files
        at most.
    max_peers
        Most that have; by default what three quarters of this process's limit of open files leave,
        and at most 16,384.
    max_unsent
        Bytes that wait for one peer that does not read, before it is dropped. One message may be
        larger.
    max_intake
        Bytes of messages that come in, or have been delivered and are not yet let go of, of all
        peers together: beyond it, no more is read. One message may be larger.

    Raises
    ------
    InvalidArgument
        If a limit is not positive, or a wildcard is to be bound and nobody said what to connect to.
    ChannelError
        If it cannot listen there.
    """

    def __init__(
        self,
        host: str,
        *,
        deliver: Callable[[Event], None],
        advertised: str | None = None,
        port: int = 0,
        port_tries: int = 1,
        silence_s: float = 60.0,
        handshake_s: float = 5.0,
        max_unauthenticated: int = 256,
        max_peers: int | None = None,
        max_unsent: int = 8 * 2**20,
        max_intake: int = 4 * BLOBS_LIMIT,
    ) -> None:
        host = host.strip().strip("[]")
        if host in _WILDCARDS and not advertised:
            msg = (
                f"host={host!r} listens on every network: name the address that executors reach "
                "the driver at, or pass it as advertised"
            )
            raise InvalidArgument(msg)
        positive = {
            "silence_s": silence_s,
            "handshake_s": handshake_s,
            "max_unauthenticated": max_unauthenticated,
            "max_peers": max_peers,
            "max_unsent": max_unsent,
            "max_intake": max_intake,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                msg = f"{name} must be positive, got {value!r}"
                raise InvalidArgument(msg)
        listener = listen(host, port, port_tries)
        self._address = Address(
            (advertised or host).strip().strip("[]"),
            listener.getsockname()[1],
            secrets.token_bytes(SECRET_BYTES),
        )
        strangers, peers = strangers_and_peers(max_unauthenticated, max_peers)
        limits = Limits(
            silence_s=silence_s,
            handshake_s=handshake_s,
            max_unauthenticated=strangers,
            max_peers=peers,
            max_unsent=max_unsent,
            intake=max_intake,
        )
        self._max_peers = peers
        self._pid = os.getpid()
        self._reactor = Reactor(listener, self._address.secret, deliver, limits)
        self._thread = threading.Thread(
            target=self._reactor.run, name="sparktrials-channel", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> Address:
        """What a task needs to connect."""
        return self._address

    @property
    def max_peers(self) -> int:
        """How many peers there can be."""
        return self._max_peers

    @property
    def n_peers(self) -> int:
        """How many peers are connected."""
        return len(self._reactor.peers)

    def last_heard(self, peer: int) -> float | None:
        """Return when something last came from a peer, by `time.monotonic`; None if it is gone."""
        connection = self._reactor.peers.get(peer)
        return None if connection is None else connection.last_heard

    def send(self, peer: int, header: Mapping[Any, Any], blobs: Sequence[bytes] = ()) -> bool:
        """Send a message to a peer, from any thread, without waiting.

        Returns
        -------
        bool
            Whether it is on its way: False if the peer is not there (any more), or is dropped for
            not reading. True does not mean that it arrives.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            As `frames.pack` does.
        """
        body = pack(header, blobs)
        connection = self._reactor.peers.get(peer)  # none, in a forked copy
        if connection is None:
            return False
        return self._reactor.send(connection, Kind.MESSAGE, body)

    def drop(self, peer: int) -> None:
        """Disconnect a peer, soon and without waiting; nothing happens if it is gone."""
        connection = self._reactor.peers.get(peer)
        if connection is not None:
            self._reactor.doom(connection, Reason.DROPPED, "")

    def close(self) -> None:
        """Say goodbye to all peers and stop listening. No event is delivered after it returns.

        May be called again, and in any thread: in `deliver`, too. A forked copy of this process
        only lets go of its copies of the sockets.
        """
        if os.getpid() != self._pid:
            self._reactor.abandon()
            return
        self._reactor.stop()
        if threading.current_thread() is self._thread:
            return
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            logger.warning("the channel's owner is still handling an event: not waiting for it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ChannelServer {self._address}, {len(self._reactor.peers)} peers>"
