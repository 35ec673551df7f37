"""What a lease's task makes of a batch of trials: one after the other, and nobody waits for one."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sparktrials.dispatch.messages import encode_outcomes, encode_returned
from sparktrials.errors import ChannelClosed, InvalidArgument

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.client import Client
    from sparktrials.study.trial import Outcome

__all__ = ["Outbox", "TooLarge"]

#: Seconds that an outcome may wait for others to go with.
_TELL_S = 0.05
#: Seconds after which no further trial of a batch is started: batches are made to take less than
#: half of it (`spark_leases`).
_TIME_BOX_S = 0.5

_Spec: TypeAlias = Sequence[Any]


class TooLarge(Exception):
    """An outcome is larger than a message may be: Spark itself brings it back."""


class Outbox:
    """Evaluates batches, and sends outcomes together, none of them long after it is there.

    While a trial of a batch runs, a thread sends the outcomes of those before it, and when the
    batch has had its time, gives back those behind it: other slots run them.

    Parameters
    ----------
    client
        The connection to the driver.
    tell_s
        Seconds that an outcome may wait for others to go with.
    time_box_s
        Seconds after which no further trial of a batch is started; the first always is.
    """

    def __init__(
        self, client: Client, *, tell_s: float = _TELL_S, time_box_s: float = _TIME_BOX_S
    ) -> None:
        self._client = client
        self._tell_s = tell_s
        self._time_box_s = time_box_s
        self._changed = threading.Condition()  # guards all below, and the order of messages
        self._left: deque[_Spec] = deque()  # not started
        self._box_ends = math.inf
        self._unknown: list[Outcome] = []
        self._untold: list[Outcome] = []
        self._told = 0.0
        self._error: Exception | None = None
        self._evaluating = False
        self._over = False
        self._thread: threading.Thread | None = None

    @property
    def unknown(self) -> list[Outcome]:
        """Outcomes that the driver may not have got."""
        with self._changed:
            return list(self._unknown)

    def evaluate(self, batch: Sequence[_Spec], run: Callable[[_Spec], Outcome]) -> None:
        """Evaluate trials; to send others means that the driver has got all outcomes before.

        Raises
        ------
        ChannelClosed
            If the connection has ended: what was not started then never is.
        TooLarge
        """
        with self._changed:
            self._unknown.clear()
            self._left.extend(batch)
            self._told = time.monotonic()
            self._box_ends = self._told + self._time_box_s
            self._evaluating = len(batch) > 1  # else there is nothing to do beside it
            if self._evaluating:
                self._watch()
        try:
            first = True
            while (spec := self._next(first=first)) is not None:
                outcome = run(spec)
                first = False
                with self._changed:
                    self._unknown.append(outcome)
                    self._untold.append(outcome)
                    if not self._left or time.monotonic() - self._told > self._tell_s:
                        self._tell()
        finally:
            with self._changed:
                self._evaluating = False

    def close(self) -> None:
        """End the thread; what has not gone out is in `unknown`."""
        with self._changed:
            self._over = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    # ------------------------------------------------------------------ with the lock held

    def _next(self, *, first: bool) -> _Spec | None:
        with self._changed:
            if self._error is not None:
                raise self._error
            if not first:
                self._give_back()
            return self._left.popleft() if self._left else None

    def _tell(self) -> None:
        """Send the outcomes that wait."""
        outcomes, self._untold = self._untold, []
        self._told = time.monotonic()
        if outcomes:
            _send(self._client, outcomes)

    def _give_back(self) -> None:
        """Send back what has not been started, if the batch has had its time."""
        if self._left and time.monotonic() >= self._box_ends:
            back = [(trial_id, attempt) for trial_id, attempt, *_ in self._left]
            self._left.clear()
            self._tell()  # first, so that the driver sees who still runs
            self._client.send(encode_returned(back))

    def _watch(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._beside, name="sparktrials-outbox", daemon=True
            )
            self._thread.start()
        else:
            self._changed.notify()

    # ------------------------------------------------------------------ in the thread

    def _beside(self) -> None:
        """Look now and then, while a batch is evaluated, what should go out."""
        with self._changed:
            while not self._over and self._error is None:
                self._changed.wait(self._tell_s if self._evaluating else None)
                if not self._evaluating:
                    continue
                try:
                    if time.monotonic() - self._told >= self._tell_s:
                        self._tell()
                    self._give_back()
                except (ChannelClosed, TooLarge) as error:
                    self._error = error  # raised when the trial that runs has ended


def _send(client: Client, outcomes: Sequence[Outcome]) -> None:
    """Send outcomes: together, or one by one where they are too large for that."""
    try:
        client.send(*encode_outcomes(outcomes))
    except InvalidArgument:
        if len(outcomes) == 1:
            raise TooLarge from None
        for outcome in outcomes:
            _send(client, (outcome,))
