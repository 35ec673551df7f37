"""Workers for tests: real processes, which end with the test whatever becomes of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import DIES_WITH_US

ROOT = Path(__file__).parents[1]
_START = "from sparktrials.console import main; main()"


@contextlib.contextmanager
def worker(url, *options, cwd=ROOT, log=None, **environment):
    """Run a worker in a process group of its own; yield the process."""
    with program(["-c", _START, "worker", url, *options], cwd=cwd, log=log, **environment) as found:
        yield found


@contextlib.contextmanager
def program(arguments, *, cwd, log=None, **environment):
    """Run a Python program in a process group of its own; yield the process."""
    paths = [str(ROOT / "src"), *([str(ROOT)] if cwd == ROOT else [])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    with contextlib.ExitStack() as stack:
        file = subprocess.DEVNULL if log is None else stack.enter_context(Path(log).open("a"))
        reading, lifeline = os.pipe()
        stack.callback(os.close, lifeline)
        try:
            process = stack.enter_context(
                subprocess.Popen(
                    ["sh", "-c", DIES_WITH_US, "sh", sys.executable, *map(str, arguments)],
                    cwd=cwd,
                    env=variables,
                    stdin=reading,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            )
        finally:
            os.close(reading)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # its child ends with it


def kill(pid):
    """Kill a process as the kernel does that is out of memory."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
