"""What runs in a child process: trial after trial, until the parent has no more or is gone."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from sparktrials.dispatch.broadcasting import provide
from sparktrials.dispatch.child_study import read_study
from sparktrials.dispatch.lease import Line
from sparktrials.dispatch.pipe import Pipe
from sparktrials.dispatch.worker import complaint_of, load_study, run_trial
from sparktrials.errors import ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Evaluate trials; the command line says by which descriptors, and who the parent is."""
    end, file, parent = (int(text) for text in sys.argv[1:4])
    _die_with(parent)
    _speak_at_once()
    pipe = Pipe(socket.socket(fileno=end))
    pipe.let_go_in_forks()
    threading.Thread(target=_watch, args=(end,), name="sparktrials-parent", daemon=True).start()
    content = read_study(file)
    os.close(file)
    sys.path[:] = content["path"]
    sys.argv[:] = content["argv"]
    with contextlib.suppress(ChannelClosed):  # the parent has no more trials, or is gone
        _work(pipe, content)
    pipe.close()


def _work(pipe: Pipe, content: Mapping[str, Any]) -> None:
    host = socket.gethostname()
    provide(content["data"])
    try:
        study = load_study("", lambda: content["payload"])
    except BaseException as error:  # noqa: BLE001 - whatever unpickling somebody's code raises
        pipe.send({"kind": "complaint", "complaint": complaint_of(error, host)})
        return
    pipe.send({"kind": "ready"})
    line = Line(pipe, idle_s=None)
    while (found := line.trials()) is not None:
        for spec in found:
            outcome = run_trial(
                study,
                spec,
                host=host,
                timeout_s=content["timeout_s"],
                listener=line,
                picklers=("cloudpickle",),
            )
            line.silence()
            pipe.send({"kind": "outcome", "outcome": outcome})


def _speak_at_once() -> None:
    """Have what trials print appear when they do, and the stack of a crash as well."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    with contextlib.suppress(ValueError, OSError, AttributeError):  # no stderr there
        faulthandler.enable()


def _die_with(parent: int) -> None:
    """Have Linux end this process when the parent dies, also in C code that keeps the GIL."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _watch(end: int) -> None:
    """End this process when the parent has let go of its end: the body of a thread."""
    poll = select.poll()
    poll.register(end, 0)
    poll.poll()
    os._exit(1)
