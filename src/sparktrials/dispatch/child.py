"""A process that evaluates trials for this one, one after the other, and may die of any of them.

`Child` is the parent's side: give it a trial, wait for its events, kill it. The process is a new
Python, not a fork: a program needs no ``if __name__ == "__main__"``, and threads of this process
(of BLAS, of a JVM's gateway) are not copied in the middle of something. `main` is what runs there.

It ends when the parent does, in whatever way, and what a trial had started ends with it (see
`offspring`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sparktrials
from sparktrials.dispatch.pipe import Pipe
from sparktrials.dispatch.task_environment import THREAD_VARIABLES
from sparktrials.dispatch.worker import TIMEOUT_GRACE_S, Complaint, specs
from sparktrials.errors import ChannelClosed, WorkerProcessError
from sparktrials.study.protocols import Crashed, Event, Finished, Lost, Reported, Returned

if TYPE_CHECKING:
    from sparktrials.dispatch.child_study import ChildStudy
    from sparktrials.study.trial import Trial

__all__ = ["Child"]

#: Seconds in which a process that has let go of its pipe is gone by itself.
_EXIT_S = 0.5
#: Seconds that a child has over what it needs to end a trial that takes too long by itself.
_LATE_S = 1.0
_START = (
    "import sys; sys.path[0] = sys.argv.pop(1); "
    "from sparktrials.dispatch.child_main import main; main()"
)


class Child:
    """A process that evaluates trials of one study. Made, it is being started.

    All methods but `runs` and `asks` are to be called in one thread, which has to live as long as
    the child: Linux ends the child with it.

    Parameters
    ----------
    study
        What it evaluates.
    threads
        How many threads libraries use there (BLAS, OpenMP, numexpr), where no variable of the
        user's says otherwise; None leaves it to them.
    """

    def __init__(self, study: ChildStudy, threads: int | None = None) -> None:
        self._timeout_s = study.trial_timeout_s
        self._trials: deque[Trial] = deque()
        self._host = socket.gethostname()
        self._ready = False
        self._since = 0.0  # when the first of its trials began
        self._asks = False
        self._complained = False
        self._died = ""
        self._unheard: set[int] = set()  # trials that it was given when it was gone
        ours, theirs = socket.socketpair()
        self._pipe = Pipe(ours)
        package = str(Path(sparktrials.__file__).parents[1])
        inherited = (theirs.fileno(), study.fileno())
        command = [sys.executable, "-c", _START, package, *map(str, inherited), str(os.getpid())]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this package's own, with this Python
                command,
                stdin=subprocess.DEVNULL,
                env=_environment(threads),
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C is this process's business
            )
        except OSError as error:
            self._pipe.close()
            msg = f"no worker process starts with sys.executable={sys.executable!r}: {error}"
            raise WorkerProcessError(msg) from error
        finally:
            theirs.close()
        self._watch = _watch(self._process.pid)

    def __repr__(self) -> str:
        state = self._died or f"with {len(self._trials)} trials"
        return f"<Child {self._process.pid} {state}>"

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it may be given trials."""
        return not self._died

    @property
    def ready(self) -> bool:
        """Whether it has loaded the objective: a trial that it is given is started at once."""
        return self._ready

    @property
    def complained(self) -> bool:
        """Whether it has said that it cannot load the objective."""
        return self._complained

    @property
    def trials(self) -> tuple[Trial, ...]:
        """What it was given and has not brought back; the first is running."""
        return tuple(self._trials)

    @property
    def asks(self) -> bool:
        """Whether the running trial has asked whether it should stop."""
        return self._asks and bool(self._trials)

    def runs(self, ids: Collection[int]) -> bool:
        """Whether the running trial is one of these."""
        try:
            return self._trials[0].id in ids
        except IndexError:
            return False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when there is something to `take`."""
        if self._died:
            return ()
        return (self._pipe.fileno(), *(() if self._watch is None else (self._watch,)))

    @property
    def deadline(self) -> float | None:
        """Monotonic time at which `take` is to be called, though nothing became readable."""
        if self._timeout_s is None or not self._ready or not self._trials:
            return None
        return self._since + self._timeout_s + TIMEOUT_GRACE_S + _LATE_S

    # ------------------------------------------------------------------ what it is told

    def give(self, trial: Trial) -> None:
        """Have it evaluate a trial, when it is done with those that it has."""
        if not self._trials:
            self._begin()
        self._trials.append(trial)
        try:
            self._pipe.send({"kind": "trials", "trials": specs((trial,))})
        except ChannelClosed:  # `take` finds out
            self._unheard.add(trial.id)

    def stop(self) -> bool:
        """Tell the running trial that it should end by itself; whether it has asked for that."""
        if self._trials:
            with contextlib.suppress(ChannelClosed):
                self._pipe.send({"kind": "stop", "ids": [self._trials[0].id]})
        return self.asks

    # ------------------------------------------------------------------ what it says

    def wait(self, timeout: float | None) -> list[Event]:
        """Wait until it says something or dies, up to `timeout` seconds; return what there is."""
        until = _earliest(None if timeout is None else time.monotonic() + timeout, self.deadline)
        poll = select.poll()
        for descriptor in self.descriptors:
            poll.register(descriptor, select.POLLIN)
        if not self._died:
            poll.poll(None if until is None else max(0.0, until - time.monotonic()) * 1000)
        return self.take()

    def take(self) -> list[Event]:
        """Return what it has said since, without waiting.

        Returns
        -------
        list
            `Finished` and `Reported` as they came. Of a child that died `Lost` for the trial that
            it was running, `Returned` for those that it had not begun; `Crashed` if it never
            began any, because it could not be started or could not load the objective.
        """
        if self._died:
            return []
        events: list[Event] = []
        gone = self._process.poll() is not None  # asked first: what it said before is there then
        try:
            while (message := self._pipe.receive(0)) is not None:
                events += self._heard(message[0])
        except ChannelClosed:
            gone = True
        if not gone and (deadline := self.deadline) is not None and time.monotonic() >= deadline:
            self._process.kill()
            gone = True
        return events + self._bury() if gone else events

    def _heard(self, message: Mapping[str, Any]) -> list[Event]:
        kind = message["kind"]
        if kind == "outcome":
            self._trials.popleft()
            self._begin()
            return [Finished(message["outcome"])]
        if kind == "report":
            reports = tuple(map(tuple, message["reports"]))
            return [Reported(message["id"], message["attempt"], reports, tuple(message["lines"]))]
        if kind == "ready":
            self._ready = True
            self._begin()
        elif kind == "asks":
            self._asks = True
        elif kind == "complaint":
            self._complained = True
            return [Crashed(_cannot_load(message["complaint"]))]
        return []

    def _begin(self) -> None:
        """Take note that the next of its trials runs from now on."""
        self._since = time.monotonic()
        self._asks = False

    # ------------------------------------------------------------------ its end

    def kill(self) -> list[Event]:
        """Kill it; return what it had said, and what becomes of its trials: see `take`."""
        if self._died:
            return []
        self._process.kill()
        self._process.wait()
        return self.take()

    def dismiss(self) -> None:
        """Tell it to exit when it has nothing to do any more; `close` waits for that."""
        self._pipe.finish()

    def close(self, wait_s: float = 0.0) -> None:
        """Free everything; kills it unless it exits within `wait_s`. May be called again."""
        if self._died:
            return
        if not self._trials and wait_s > 0:
            self.dismiss()
            self._exits(wait_s)
        self._process.kill()
        self._bury()

    def _exits(self, seconds: float) -> bool:
        """Wait for its end."""
        if self._watch is not None:
            poll = select.poll()
            poll.register(self._watch, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _bury(self) -> list[Event]:
        """Free what is left of it; return what becomes of its trials."""
        if not self._exits(_EXIT_S):
            self._process.kill()
        code = self._process.wait()
        self._pipe.close()
        if self._watch is not None:
            os.close(self._watch)
        self._died = died = _cause(code)
        events: list[Event] = []
        if not self._ready:
            if not self._complained:
                msg = f"worker process {self.pid} could not begin a trial: it {died}"
                events.append(Crashed(WorkerProcessError(msg)))
        elif self._trials and self._trials[0].id not in self._unheard:
            events.append(self._lost(self._trials.popleft(), died))
        events += [Returned(t.id, t.attempt) for t in self._trials]
        self._trials.clear()
        return events

    def _lost(self, trial: Trial, died: str) -> Lost:
        timeout = self._timeout_s
        timed_out = timeout is not None and time.monotonic() - self._since >= timeout
        reason = f"its worker process {died}"
        if timed_out:
            reason = f"the trial took longer than trial_timeout={timeout:g} s"
        return Lost(trial.id, trial.attempt, reason, host=self._host, timed_out=timed_out)


def _environment(threads: int | None) -> dict[str, str]:
    environment = dict(os.environ)
    if threads is not None:
        # Where the user set the first only, the others fall back on it.
        limit = environment.get(THREAD_VARIABLES[0]) or str(threads)
        for name in THREAD_VARIABLES:
            environment[name] = environment.get(name) or limit
    return environment


def _watch(pid: int) -> int | None:
    """Return a descriptor that is readable when a process has ended; None where there is none.

    The pipe's end says that, too, unless a process that C code has forked keeps it open.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _earliest(*times: float | None) -> float | None:
    return min((t for t in times if t is not None), default=None)


def _cause(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended by itself with exit code {code} (os._exit, or native code that exits)"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed by SIGKILL: by the kernel, out of memory, or by somebody"
    if name in {"SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL"}:
        return f"crashed with {name} in native code: its stack is in this process's stderr"
    return f"was ended by {name}"


def _cannot_load(found: Complaint) -> WorkerProcessError:
    return WorkerProcessError(
        f"a worker process of Python {found.python} on {found.host} cannot load the objective: "
        f"{found.type}: {found.message}\n{found.traceback}"
    )
