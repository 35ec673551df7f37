"""Signals that end a run: an interrupt cancels its own trials only, a termination winds it down."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from sparktrials.study.interrupts import OrderlyHandler

__all__ = ["orderly_signals"]


@contextlib.contextmanager
def orderly_signals() -> Iterator[OrderlyHandler]:
    """Have SIGINT and SIGTERM end a run in order, within the block.

    pyspark's own handler of SIGINT cancels all jobs of the application, the user's others among
    them; Python's raises wherever it is, between taking a result and keeping it, too. SIGTERM would
    end the process with trials still running on executors: it raises SystemExit. A handler of the
    user's is left alone; so are both in other threads than the main one, where Python allows none
    to be set, and in a run within a run.
    """
    handler = OrderlyHandler()
    if threading.current_thread() is not threading.main_thread():
        yield handler
        return
    before = {}
    try:
        interrupt = signal.getsignal(signal.SIGINT)
        pysparks = (getattr(interrupt, "__module__", None) or "").partition(".")[0] == "pyspark"
        if pysparks or interrupt is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, handler)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            before[signal.SIGTERM] = signal.signal(signal.SIGTERM, handler)
        yield handler
    finally:
        handler.closing = True
        for number, earlier in before.items():
            signal.signal(number, earlier)
        handler.settle()
