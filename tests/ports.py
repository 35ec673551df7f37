"""Ports of this machine for servers that tests start later."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

#: From where to where Linux takes the ports of connections.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(n):
    """Return ports that nobody has.

    They are none that the system gives to connections: such a port may be taken by one when the
    server that is meant to have it has started, seconds later.
    """
    with contextlib.ExitStack() as stack:
        found = []
        for port in _candidates():
            bound = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # taken
                bound.bind(("127.0.0.1", port))
                found.append(bound.getsockname()[1])
            if len(found) == n:
                return found
    msg = f"there are no {n} free ports on 127.0.0.1"
    raise RuntimeError(msg)


def free_port():
    """Return a port that nobody has."""
    return free_ports(1)[0]


def _candidates():
    """Yield ports to try: chosen at random, for several test processes may ask; 0 (any) at last."""
    try:
        low, high = map(int, _RANGE.read_text().split())
    except OSError:
        low, high = 0, 65535
    others = [*range(10_000, low), *range(max(high + 1, 10_000), 65_536)]
    yield from random.SystemRandom().sample(others, min(len(others), 100))
    for _ in range(100):
        yield 0
