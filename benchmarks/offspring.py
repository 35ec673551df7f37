"""What ends the processes of a trial whose worker was killed, and what it costs. Linux.

Each way of finding them looks for five kinds of process that one worker started before it was
killed by SIGKILL: a child, one with an empty environment, one in a session of its own, one that
multiprocessing forked, and one in a session of its own whose parent is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from sparktrials.dispatch.offspring import offspring
from sparktrials.dispatch.task_environment import trial_environment

KINDS = ("child", "no environment", "own session", "forked", "orphan")
_MARK = (1 << 61) + 12345
_PDEATHSIG = 1


def start(kind: str) -> int:
    """Start a process that sleeps, return its pid."""
    if kind == "forked":
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        process.start()
        return process.pid or 0
    if kind == "orphan":
        shell = "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!"
        found = subprocess.run(["/bin/sh", "-c", shell], stdout=subprocess.PIPE, check=True)
        return int(found.stdout)
    own = {"env": {}} if kind == "no environment" else {}
    sleep = ["/bin/sleep", "600"]
    return subprocess.Popen(sleep, start_new_session=kind == "own session", **own).pid


def worker(prepare: Callable[[], None]) -> tuple[int, list[int]]:
    """Let a process start one of each kind and be killed; return its pid and theirs."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        prepare()
        text = " ".join(str(start(kind)) for kind in KINDS) + "\n"
        os.write(writing, text.encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading) as file:
        os.waitpid(pid, 0)
        return pid, [int(word) for word in file.readline().split()]


def processes() -> Iterator[int]:
    """All processes that this user may look at."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def stat(pid: int) -> list[str]:
    """The fields of a process after its name: state, parent, group, session, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def by(matches: Callable[[int, int], bool]) -> Callable[[int], set[int]]:
    """A search through all processes for those that match, given a pid and the worker's."""

    def search(worker_pid: int) -> set[int]:
        found = set()
        for pid in processes():
            with contextlib.suppress(OSError):
                if matches(pid, worker_pid):
                    found.add(pid)
        return found

    return search


def dying_with_parent() -> None:
    """Have each child that Python forks ask for a signal at its parent's end."""
    libc = ctypes.CDLL(None)
    os.register_at_fork(after_in_child=lambda: libc.prctl(_PDEATHSIG, signal.SIGKILL))


def is_dead(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return stat(pid)[0] in "ZX"
    except OSError:
        return True


WAYS: dict[str, tuple[Callable[[], None], Callable[[int, int], bool]]] = {
    "parents, from /proc": (lambda: None, lambda pid, w: int(stat(pid)[1]) == w),
    "process group": (lambda: None, lambda pid, w: int(stat(pid)[2]) == w),
    "variable in the environment": (
        lambda: os.environ.update(MARK="12345"),
        lambda pid, _: b"MARK=12345" in Path(f"/proc/{pid}/environ").read_bytes(),
    ),
    "limit of a resource": (
        lambda: resource.setrlimit(resource.RLIMIT_RTTIME, (_MARK, resource.RLIM_INFINITY)),
        lambda pid, _: resource.prlimit(pid, resource.RLIMIT_RTTIME)[0] == _MARK,
    ),
}


def timed(block: Callable[[], contextlib.AbstractContextManager[object]]) -> float:
    """Return the microseconds that a block around nothing takes: the median of 20 times 500."""
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(500):
            with block():
                pass
        times.append((time.perf_counter() - begin) * 2000)
    return median(times)


def row(name: str, found: list[bool], took_ms: float) -> None:
    """Print what one way found."""
    print(f"| {name} |", " | ".join("yes" if x else "no" for x in found), f"| {took_ms:.1f} |")


def end(pids: list[int]) -> None:
    """Kill processes."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Print the table and the costs."""
    print("| found after the worker's death by |", " | ".join(KINDS), "| ms |")
    for name, (prepare, matches) in WAYS.items():
        pid, started = worker(prepare)
        begin = time.perf_counter()
        found = by(matches)(pid)
        row(name, [p in found for p in started], (time.perf_counter() - begin) * 1000)
        end(started)
    _, started = worker(dying_with_parent)
    time.sleep(0.5)
    row("PR_SET_PDEATHSIG after fork", [is_dead(p) for p in started], 0.0)
    end(started)

    begin = time.perf_counter()
    with offspring():
        pass
    first = (time.perf_counter() - begin) * 1000
    print(f"first trial of a worker, which starts its guard: {first:.1f} ms")
    print(f"each further trial: {timed(offspring):.1f} us")
    print(f"environment and directory put back: {timed(trial_environment):.1f} us")
    with offspring() as family:
        for _ in range(5):
            subprocess.Popen(["/bin/sleep", "600"]).returncode = 0
    begin = time.perf_counter()
    family.end()
    took = (time.perf_counter() - begin) * 1000
    print(f"ending five processes among {sum(1 for _ in processes())}: {took:.1f} ms")


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("Linux only")
    main()
