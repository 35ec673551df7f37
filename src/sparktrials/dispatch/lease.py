"""What runs in an executor's Python for a lease: trial after trial, as the driver sends them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.messages import encode_outcomes
from sparktrials.errors import ChannelClosed, ChannelUnreachable, InvalidArgument

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.client import Client
    from sparktrials.dispatch.channel.handshake import Address
    from sparktrials.study.trial import Outcome

__all__ = ["pull"]

#: Seconds to reach the driver in.
CONNECT_S = 4.0
#: Seconds without a trial after which a task gives its slot back by itself: the driver ends idle
#: leases sooner, but where it is busy with a callback of the user's, which may need the slot.
_IDLE_S = 2.0
#: Seconds that an outcome may wait for others to go with.
_TELL_S = 0.02


class _TooLarge(Exception):
    """An outcome is larger than a message may be: Spark itself brings it back."""


def pull(
    address: Address, lease: int, host: str, run: Callable[..., Outcome]
) -> tuple[list[Outcome], str | None]:
    """Evaluate what the driver sends until it says that it is enough.

    Parameters
    ----------
    address
        The driver's channel.
    lease
        The lease's number.
    host
        Of this machine.
    run
        Evaluates a trial, given what `worker.specs` says of it; its outcome is ready to travel.

    Returns
    -------
    tuple
        Outcomes that the driver may not have got, and why the driver could not be reached, if so.
    """
    hello = {"lease": lease, "host": host, "pid": os.getpid()}
    try:
        client = connect(address, hello, CONNECT_S)
    except ChannelUnreachable as error:
        return [], str(error)
    unknown: list[Outcome] = []
    try:
        while (message := _next(client)) is not None:
            unknown.clear()  # the driver answers what it has got
            _evaluate(client, message["trials"], run, unknown)
    except (ChannelClosed, _TooLarge):
        return unknown, None
    finally:
        client.close()
    return unknown, None


def _evaluate(
    client: Client,
    specs: Sequence[Sequence[Any]],
    run: Callable[..., Outcome],
    unknown: list[Outcome],
) -> None:
    """Evaluate trials one after the other; outcomes go out together, but none waits for long."""
    untold = 0
    told = time.monotonic()
    for spec in specs:
        unknown.append(run(*spec))
        untold += 1
        now = time.monotonic()
        if now - told > _TELL_S:
            _tell(client, unknown[-untold:])
            untold, told = 0, now
    if untold:
        _tell(client, unknown[-untold:])


def _tell(client: Client, outcomes: Sequence[Outcome]) -> None:
    """Send outcomes: together, or one by one where they are too large for that."""
    try:
        client.send(*encode_outcomes(outcomes))
    except InvalidArgument:
        if len(outcomes) == 1:
            raise _TooLarge from None
        for outcome in outcomes:
            _tell(client, (outcome,))


def _next(client: Client) -> dict[str, Any] | None:
    """Wait for trials; None when the lease is over."""
    while True:
        message = client.receive(_IDLE_S)
        if message is None:
            return None
        header, _ = message
        if header["kind"] == "end":
            return None
        if header["kind"] == "trials":
            return header
