"""The socket that the driver listens on."""

from __future__ import annotations

import resource
import socket

from sparktrials.errors import ChannelError

__all__ = ["listen", "strangers_and_peers"]

_BACKLOG = 4096
_MOST_PEERS = 16_384


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, and waits for nothing.

    Raises
    ------
    ChannelError
        If it cannot.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM,
                                   flags=socket.AI_PASSIVE)  # fmt: skip
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
    except OSError as error:
        msg = f"the channel cannot listen on {host!r}, port {port}: {error}"
        raise ChannelError(msg) from error
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
