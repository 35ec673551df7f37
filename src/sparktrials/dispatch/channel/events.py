"""What the driver hears from the channel: who came, what they said, why they went."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

__all__ = ["Connected", "Disconnected", "Event", "Message", "Reason"]


class Reason(str, Enum):
    """Why a connection ended; equal to its text."""

    CLOSED = "closed"  #: the peer said goodbye
    LOST = "lost"  #: it went without a word, or reset: its process died
    CUT_OFF = "cut off"  #: the network says that it cannot be reached
    SILENT = "silent"  #: nothing came from it for ``silence_s``
    SLOW = "slow"  #: it did not come to the end of a message
    NOT_READING = "not reading"  #: it did not take what was sent to it
    PROTOCOL = "protocol"  #: it sent what no client of this run sends
    DROPPED = "dropped"  #: `ChannelServer.drop` was called
    FAULT = "fault"  #: an error of the server's own; it is in the log


@dataclass(frozen=True, slots=True)
class Connected:
    """A task has connected and proved that it knows the secret.

    Attributes
    ----------
    peer
        Names the connection: no other one of this server ever has the same number.
    hello
        What the task said of itself.
    """

    peer: int
    hello: dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message from a peer; one peer's come in the order in which it sent them.

    Attributes
    ----------
    receipt
        Lets the server take in more when the message is dropped: what waits here is bounded. So
        keep what a message says, not the message.
    """

    peer: int
    header: dict[Any, Any]
    blobs: tuple[bytes, ...] = ()
    receipt: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A peer's last event: comes exactly once, after all its messages.

    Attributes
    ----------
    detail
        What the operating system or the protocol said, for messages to people.
    """

    peer: int
    reason: Reason
    detail: str = ""


Event: TypeAlias = Connected | Message | Disconnected
