"""Signals that end a run: an interrupt cancels its own trials only, a termination winds it down."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

__all__ = ["orderly_signals"]

#: What a shell says of a process that a signal ended.
_SIGNALLED = 128


@contextlib.contextmanager
def orderly_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM end a run in order, within the block.

    pyspark's own handler of SIGINT cancels all jobs of the application, the user's others among
    them: in its place Python's own raises KeyboardInterrupt. SIGTERM would end the process with
    trials still running on executors: it raises SystemExit. A handler of the user's is left alone;
    so are both in other threads than the main one, where Python allows none to be set.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    try:
        interrupt = signal.getsignal(signal.SIGINT)
        if (getattr(interrupt, "__module__", None) or "").partition(".")[0] == "pyspark":
            before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            before[signal.SIGTERM] = signal.signal(signal.SIGTERM, _terminated)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_SIGNALLED + number)
