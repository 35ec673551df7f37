"""From an interrupt to the prompt: one deadline for all that ends a run, and no step half done."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["PROMPT_S", "Grace", "OrderlyHandler", "held"]

#: Seconds from an interrupt to the prompt, for all that ends a run together: what takes longer goes
#: on in the background.
PROMPT_S = 1.7
#: Seconds after which one more signal gets through, whatever is going on: something is stuck.
_STUCK_S = 3.0
#: What a shell says of a process that a signal ended.
_SIGNALLED = 128


class Grace:
    """The time that a run which is being ended may still take.

    Parameters
    ----------
    monotonic
        The clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end: float | None = None

    def begin(self) -> None:
        """Start the clock; only the first call does."""
        if self._end is None:
            self._end = self._monotonic() + PROMPT_S

    def left(self, at_most: float) -> float:
        """Return the seconds that are left, up to `at_most`: that where nothing was begun."""
        if self._end is None:
            return at_most
        return max(0.0, min(at_most, self._end - self._monotonic()))


class OrderlyHandler:
    """A handler of SIGINT and SIGTERM that raises where a run can be left, and once.

    The first signal raises KeyboardInterrupt or SystemExit: at once, or at the end of what is
    `held`. Those that follow while the run is on its way out change nothing, but that a SIGTERM
    among them is raised in the end; where it takes too long one more gets through.

    Attributes
    ----------
    closing
        The same as `held`, for ``finally``: between it and an assignment no signal is handled,
        between it and a call one may be.
    """

    def __init__(self) -> None:
        self.closing = False
        self._depth = 0
        self._first: float | None = None
        self._raised = False
        self._noted: BaseException | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        ends = number == signal.SIGTERM
        error = SystemExit(_SIGNALLED + number) if ends else KeyboardInterrupt()
        if self._first is None:
            self._first = now
        if now - self._first > _STUCK_S:
            self._first = now
            raise error
        if self._raised or self._depth or self.closing:
            if ends or not (self._raised or self._noted):
                self._noted = error
            return
        self._raised = True
        raise error

    def hold(self) -> None:
        """Defer signals until as many calls of `release`."""
        self._depth += 1

    def release(self) -> None:
        """Raise what was deferred, if this was the last."""
        self._depth -= 1
        self._raise_noted()

    def closed(self) -> None:
        """Raise what was deferred while `closing`."""
        self.closing = False
        self._raise_noted()

    def _raise_noted(self) -> None:
        if not (self._depth or self.closing or self._raised):
            self.settle()

    def settle(self) -> None:
        """Raise what is still deferred."""
        error, self._noted = self._noted, None
        if error is not None:
            self._raised = True
            raise error


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Defer signals that would end a run to the end of the block, which must be short.

    What is taken out of one place and has not reached the next would be lost by an exception in
    between. Signals are handled in the main thread, so nothing is to do in others.
    """
    handler = None
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            found = signal.getsignal(number)
            if isinstance(found, OrderlyHandler):
                handler = found
    if handler is None:
        yield
        return
    handler.hold()
    try:
        yield
    finally:
        handler.release()
