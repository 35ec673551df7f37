"""The socket that the driver listens on."""

from __future__ import annotations

import errno
import resource
import socket

from sparktrials.errors import ChannelError

__all__ = ["listen", "strangers_and_peers"]

_BACKLOG = 4096
_MOST_PEERS = 16_384


def listen(host: str, port: int, tries: int = 1) -> socket.socket:
    """Return a socket that listens there, and waits for nothing.

    Parameters
    ----------
    host, port
        Where; port 0 is any free one.
    tries
        How many ports in a row may be tried when the first is taken, as Spark does with its own.

    Raises
    ------
    ChannelError
        If it cannot.
    """
    last = port + tries - 1 if port else port
    for candidate in range(port, last + 1):
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and candidate < last:
                continue
            ports = f"port {port}" if port == last else f"ports {port} to {last}"
            msg = f"the channel cannot listen on {host!r}, {ports}: {error}"
            raise ChannelError(msg) from error
    raise AssertionError  # the last one has returned or raised


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(_BACKLOG)
        listener.settimeout(0.0)
    except BaseException:
        listener.close()
        raise
    return listener


def strangers_and_peers(max_unauthenticated: int, max_peers: int | None) -> tuple[int, int]:
    """Return how many connections there may be that leave the process enough open files.

    Parameters
    ----------
    max_unauthenticated
        Most that have not proved themselves; no more than an eighth of the limit of open files.
    max_peers
        Most that have; None for what three quarters of the limit leave.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return max_unauthenticated, max_peers or _MOST_PEERS
    strangers = min(max_unauthenticated, max(8, limit // 8))
    return strangers, max_peers or max(16, min(_MOST_PEERS, limit * 3 // 4 - strangers))
