"""A leased task against a real channel, in a process of its own."""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import subprocess
import sys
import textwrap

import pytest
from tests.processes import PATIENCE, killed_after, line_of

from sparktrials.dispatch.channel.events import Connected
from sparktrials.dispatch.channel.server import ChannelServer

TASK = """
    import pickle, sys, time
    from sparktrials.dispatch.lease import pull

    def run(spec, listener):
        print("running", flush=True)
        while spec == "asks":
            listener.stopping(0)
            time.sleep(0.01)
        time.sleep(3600)

    pull(pickle.loads(bytes.fromhex(sys.argv[1])), 0, "here", run)
"""


@contextlib.contextmanager
def task(server):
    """Start a task; yield its process."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TASK), pickle.dumps(server.address).hex()],
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed_after(process):
        yield process


@pytest.mark.parametrize("trial", ["sleeps", "asks"])
def test_a_task_that_is_cancelled_leaves_at_once_whatever_its_trial_does(trial):
    events = queue.SimpleQueue()
    with ChannelServer("127.0.0.1", deliver=events.put) as server, task(server) as process:
        hello = events.get(timeout=PATIENCE)
        assert isinstance(hello, Connected)
        server.send(hello.peer, {"kind": "trials", "trials": [trial]})
        assert line_of(process) == "running\n"
        server.send(hello.peer, {"kind": "cancel"})
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_task_that_waits_and_is_cancelled_ends():
    events = queue.SimpleQueue()
    with ChannelServer("127.0.0.1", deliver=events.put) as server, task(server) as process:
        hello = events.get(timeout=PATIENCE)
        server.send(hello.peer, {"kind": "cancel"})
        assert process.wait(PATIENCE) in {0, -signal.SIGKILL}  # as soon as it waits; before
