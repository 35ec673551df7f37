"""Ends the processes that a trial has started, wherever they went.

A trial marks its process by the soft limit of a resource that nothing uses: the time that real-time
tasks may take. Linux hands limits on to every child, over fork and exec alike: also where the child
leaves its process group, its session, its parent or its environment behind. So a mark is found
again by asking for one limit of each process.

Run as a script, this file is what a worker's guard becomes when the worker is gone: the standard
library alone is there then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

__all__ = ["MARK_BYTES", "sweep"]

#: How a mark is written down for the guard; 0 stands for none.
MARK_BYTES = 8


def sweep(mark: int) -> int:
    """Kill all processes with a mark but this one; return how many."""
    killed = {os.getpid()}
    while new := [pid for pid in _marked(mark) if pid not in killed]:
        # What was forked since is found in the next round: a process that is being killed forks
        # no more.
        for pid in new:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        killed.update(new)
    return len(killed) - 1


def _marked(mark: int) -> list[int]:
    import resource  # noqa: PLC0415 - not every system has it

    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - this is what a dying trial waits for
        if name.isdigit():
            with contextlib.suppress(OSError):  # somebody else's, or gone by now
                if resource.prlimit(int(name), resource.RLIMIT_RTTIME)[0] == mark:
                    found.append(int(name))
    return found


def _main(state: int) -> None:
    mark = int.from_bytes(os.pread(state, MARK_BYTES, 0), sys.byteorder)
    if mark:
        sweep(mark)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
