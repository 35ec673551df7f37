"""What runs in an executor's Python for a lease: trial after trial, as the driver sends them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.messages import encode_report
from sparktrials.dispatch.outbox import Outbox, TooLarge
from sparktrials.errors import ChannelClosed, ChannelUnreachable, InvalidArgument

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.handshake import Address
    from sparktrials.dispatch.current import Listener
    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Outcome

__all__ = ["TASK_IDLE_S", "pull"]

#: Seconds to reach the driver in.
CONNECT_S = 4.0
#: Seconds without a trial after which a task gives its slot back by itself: the driver ends idle
#: leases sooner, but where it is busy with a callback of the user's, which may need the slot.
TASK_IDLE_S = 2.0
#: Least seconds between two messages about what a running trial says.
_REPORT_S = 0.2


def pull(
    address: Address,
    lease: int,
    host: str,
    run: Callable[[Sequence[Any], Listener], Outcome],
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
        Evaluates a trial, given what `worker.specs` says of it and whom it may talk to; its outcome
        is ready to travel.

    Returns
    -------
    tuple
        Outcomes that the driver may not have got, and why the driver could not be reached, if so.
    """
    hello = {"lease": lease, "host": host, "pid": os.getpid()}
    try:
        client = connect(address, hello, CONNECT_S, overhear=_leave_if_cancelled)
    except ChannelUnreachable as error:
        return [], str(error)
    line, outbox = Line(client), Outbox(client)
    try:
        with contextlib.suppress(ChannelClosed, TooLarge):
            while (batch := line.trials()) is not None:
                outbox.evaluate(batch, lambda spec: run(spec, line))
                line.silence()
    finally:
        line.silence()
        outbox.close()
        client.close()
    return outbox.unknown, None


def _leave_if_cancelled(header: Mapping[Any, Any]) -> None:
    """End this process where the driver has cancelled its job.

    Spark would leave the trial two seconds and more, look after two more, and kill the process
    then: the slot is free as much sooner.
    """
    if header.get("kind") == "cancel":
        os.kill(os.getpid(), signal.SIGKILL)


class Connection(Protocol):
    """Takes messages to the driver and brings its own: a channel's `Client`, or a `Pipe`."""

    def send(self, header: Mapping[Any, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a message."""

    def receive(self, timeout: float | None = None) -> tuple[Mapping[Any, Any], Any] | None:
        """Return the next message's header and blobs, or None after `timeout` seconds."""


class Line:
    """The connection as trials that run see it: a `Listener`.

    What they say goes out at once, and then at most every `_REPORT_S`. A message that the driver
    sends meanwhile is heard when a trial asks whether to stop, or when the next trials are awaited.

    Parameters
    ----------
    client
        The connection.
    idle_s
        Seconds that `trials` waits, None for ever.
    """

    def __init__(self, client: Connection, idle_s: float | None = TASK_IDLE_S) -> None:
        self._client = client
        self._idle_s = idle_s
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._said: dict[tuple[int, int], tuple[list[Report], list[str]]] = {}
        self._last = float("-inf")
        self._timer: threading.Timer | None = None
        self._hearing = threading.Lock()
        self._heard: deque[Mapping[str, Any]] = deque()
        self._stop: set[int] = set()
        self._asked = False

    # ------------------------------------------------------------------ from trials to the driver

    def tell(
        self, trial_id: int, attempt: int, reports: Sequence[Report], lines: Sequence[str]
    ) -> None:
        """Pass on what a trial says, soon."""
        if os.getpid() != self._pid:
            return  # a forked copy: the connection is not its own, and a lock may be taken for ever
        with self._sending:
            values, texts = self._said.setdefault((trial_id, attempt), ([], []))
            values.extend(reports)
            texts.extend(lines)
            wait = self._last + _REPORT_S - time.monotonic()
            if wait <= 0:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._later)
                self._timer.daemon = True
                self._timer.start()

    def silence(self) -> None:
        """Drop what has not gone out: the outcome has it all."""
        with self._sending:
            self._said.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _later(self) -> None:
        with self._sending:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        said, self._said = self._said, {}
        # Too much, or nobody there: it comes with the outcome.
        with contextlib.suppress(ChannelClosed, InvalidArgument):
            for (trial_id, attempt), (reports, lines) in said.items():
                self._client.send(encode_report(trial_id, attempt, reports, lines))
        self._last = time.monotonic()

    # ------------------------------------------------------------------ from the driver to trials

    def stopping(self, trial_id: int) -> bool:
        """Whether the driver has said that a trial should end."""
        if os.getpid() != self._pid:
            return False
        if not self._asked:
            self._asked = True
            with contextlib.suppress(ChannelClosed):
                self._client.send({"kind": "asks"})  # so that the driver gives it time to end
        with self._hearing:
            with contextlib.suppress(ChannelClosed):
                while (message := self._client.receive(0)) is not None:
                    self._take(message[0])
            return trial_id in self._stop

    def _take(self, header: Mapping[str, Any]) -> None:
        _leave_if_cancelled(header)
        if header.get("kind") == "stop":
            self._stop.update(header["ids"])
        else:
            self._heard.append(header)

    def trials(self) -> Sequence[Sequence[Any]] | None:
        """Wait for the next trials; None when the lease is over."""
        while True:
            if self._heard:
                header = self._heard.popleft()
            else:
                message = self._client.receive(self._idle_s)
                if message is None:
                    return None
                header = message[0]
            if header["kind"] in {"end", "cancel"}:
                return None
            if header["kind"] == "trials":
                self._stop.clear()
                self._asked = False
                found: Sequence[Sequence[Any]] = header["trials"]
                return found
