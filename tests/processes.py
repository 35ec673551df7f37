"""Processes of this machine as tests see them, by what Linux says in ``/proc``."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

import pytest

#: Seconds after which a process counts as hung, on a loaded machine.
PATIENCE = 120
_DEAD = "ZX"  # ended, and nobody has waited for it yet
#: For `sh -c`: a process group that dies with whoever holds the other end of its stdin, even if
#: that is killed: `read` returns when it is gone. Who reads is nobody's child: the program has none
#: that it does not know.
DIES_WITH_US = (
    'exec 3<&0; ( (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & ); exec "$@" 3<&- </dev/null'
)


@contextlib.contextmanager
def killed_after(process):
    """Yield a ``Popen``, which is killed in the end: a test that fails does not wait for it."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process, patience=PATIENCE):
    """Return the next line that a ``Popen`` prints; a test that would wait for ever fails.

    Nothing is read ahead, so what comes after the line is still in ``process.stdout``. It is not
    for one that something else has read lines of before.
    """
    deadline, line = time.monotonic() + patience, b""
    handle = process.stdout.fileno()
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        byte = os.read(handle, 1) if ready else b""
        if not byte:
            process.kill()
            why = "ended" if ready else f"printed none for {patience} s"
            pytest.fail(f"no line: process {process.pid} {why}, after {line!r}")
        line += byte
    return line.decode()


def parent_of(pid):
    """Return the parent of a process that runs; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return None if state in _DEAD else int(parent)


def is_alive(pid):
    """Whether a process runs: one that nobody has waited for yet does not."""
    return parent_of(pid) is not None


def command_of(pid):
    """Return the command line of a process, empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def children_of(pid):
    """Return the processes that a process has started, and that run."""
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(root):
    """Return all processes below `root`."""
    parents = _parents()
    found, above = [], {root}
    while above:
        above = {pid for pid, parent in parents.items() if parent in above}
        found += above
    return found


def _parents():
    return {int(p.name): parent_of(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()}
