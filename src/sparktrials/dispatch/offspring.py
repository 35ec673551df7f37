"""The processes that a trial starts: ended when it runs out of time, is cancelled or crashes.

Spark kills the worker process of a cancelled task, and what the objective had started lives on.
Here a trial marks all that it starts (see `guard`). Where the worker itself lives on, it ends them;
where it dies, in whatever way, its guard does: a shell that waits for the end of a pipe, in a
session of its own, and then becomes the Python that looks for the mark. What a trial that came to
its end left running is left alone.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import mmap
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.resources import files

from sparktrials.dispatch.guard import MARK_BYTES, sweep
from sparktrials.dispatch.process_state import this_process

__all__ = ["Offspring", "offspring"]

logger = logging.getLogger("sparktrials.worker")

#: Waits until the worker is gone, then becomes the guard's Python.
_WAIT = 'read -r _; exec "$@"'
#: Marks are above all times that anybody could mean, and below what Python can pass on.
_LEAST_MARK = 1 << 61


class _Marked(Exception):
    """The process has a mark already."""


class _Guard:
    """Marks this process, trial by trial, and has a guard that knows the mark."""

    def __init__(self) -> None:
        import resource  # noqa: PLC0415 - not every system has it

        self._limits = resource
        self._resource = resource.RLIMIT_RTTIME
        self._usual = resource.getrlimit(self._resource)
        if self._usual[0] >= _LEAST_MARK:
            # This process was itself started by a trial, and ends with that.
            msg = "a trial within a trial"
            raise _Marked(msg)
        self._mark = _LEAST_MARK + (secrets.randbits(40) << 20)
        self._set(self._mark)  # may be refused: then nothing has been started yet
        self.end()
        self.pid = os.getpid()
        self._state = _start_guard()

    def begin(self) -> int:
        """Mark what is started from now on; return the mark."""
        self._mark += 1
        self._state[:MARK_BYTES] = self._mark.to_bytes(MARK_BYTES, sys.byteorder)
        self._set(self._mark)
        return self._mark

    def end(self) -> None:
        """Mark no more."""
        self._limits.setrlimit(self._resource, self._usual)

    def forget(self) -> None:
        """Leave what the last mark was given to alone."""
        self._state[:MARK_BYTES] = bytes(MARK_BYTES)

    def _set(self, mark: int) -> None:
        self._limits.setrlimit(self._resource, (mark, self._usual[1]))


def _start_guard() -> mmap.mmap:
    """Start the process that outlives this one; return what it will read the mark of."""
    state = os.memfd_create("sparktrials-trial")
    code = os.memfd_create("sparktrials-guard")  # the file itself may be gone by then
    reading, writing = os.pipe()
    try:
        os.ftruncate(state, mmap.PAGESIZE)
        os.write(code, files("sparktrials.dispatch").joinpath("guard.py").read_bytes())
        python = [sys.executable, "-I", "-S", f"/proc/self/fd/{code}", str(state)]
        process = subprocess.Popen(  # noqa: S603 - this package's own, with this Python
            ["/bin/sh", "-c", _WAIT, "sparktrials-guard", *python],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(state, code),
            cwd="/",
            start_new_session=True,  # Spark ends whole process groups
        )
        process.returncode = 0  # it outlives this process: nobody is to wait for it
        mapped = mmap.mmap(state, mmap.PAGESIZE)
    except BaseException:
        os.close(writing)
        raise
    finally:
        for descriptor in (state, code, reading):
            os.close(descriptor)
    # A forked child has all descriptors: it must not keep the pipe open.
    os.register_at_fork(after_in_child=functools.partial(_close, writing))
    return mapped


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _guard_of(pid: int) -> _Guard | None:
    """Return the guard of this process; None where there can be none."""
    guards = this_process().guards
    if pid not in guards:
        guards.clear()  # those of the process that this one is a forked copy of
        guards[pid] = _new_guard()
    guard: _Guard | None = guards[pid]
    return guard


def _new_guard() -> _Guard | None:
    if sys.platform != "linux":
        return None
    try:
        return _Guard()
    except _Marked:
        return None
    except (OSError, ValueError, AttributeError, ImportError) as error:
        logger.warning(
            "processes that a trial starts are not ended with it on this machine: %s: %s",
            type(error).__name__,
            error,
        )
        return None


class Offspring:
    """What one trial has started."""

    def __init__(self, mark: int | None) -> None:
        self._mark = mark

    def end(self) -> int:
        """Kill it; return how many processes that were."""
        return 0 if self._mark is None else sweep(self._mark)


@contextlib.contextmanager
def offspring() -> Iterator[Offspring]:
    """Mark what the block starts; if this process dies within the block, so does that.

    One block at a time: a mark belongs to the whole process.
    """
    guard = _guard_of(os.getpid())
    if guard is None or threading.current_thread() is not threading.main_thread():
        yield Offspring(None)
        return
    mark = guard.begin()
    try:
        yield Offspring(mark)
    finally:
        guard.end()
        guard.forget()
