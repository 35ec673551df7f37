"""Objectives that fork while the trial's locks are taken: the child must not wait for ever."""

from __future__ import annotations

import os
import time
import warnings

import pytest
from tests.processes import PATIENCE

from sparktrials.dispatch.current import CurrentTrial
from sparktrials.dispatch.lease import Line

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Client:
    """Takes messages."""

    def __init__(self) -> None:
        self.sent = []

    def send(self, header, blobs=()):
        self.sent.append(header)

    def receive(self, timeout=None):
        return None


def in_a_fork(do) -> int:
    """Return the exit code of a fork that does something, 0 if it did; kill it when it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads is the point
        pid = os.fork()
    if pid == 0:
        try:
            do()
        except BaseException:
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + PATIENCE
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, 9)
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(found[1])


def test_a_fork_reports_and_logs_while_locks_are_taken() -> None:
    client = Client()
    line = Line(client)
    trial = CurrentTrial(id=3, attempt=1, listener=line)

    def child():
        trial.report(1, 0.5)
        trial.log("here")
        assert not trial.should_stop()
        assert trial.reports == ((1, 0.5),)
        line.tell(3, 1, (), ("x",))
        assert not line.stopping(3)
        assert client.sent == []

    with line._sending, line._hearing, trial._lock:
        code = in_a_fork(child)
    assert code == 0
    trial.report(2, 0.25)
    assert len(client.sent) == 1
