"""What a trial starts ends with it, and nothing else does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.processes import is_alive, line_of

from sparktrials.dispatch import offspring as module
from sparktrials.dispatch.offspring import offspring
from sparktrials.dispatch.process_state import this_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's limits and /proc")

#: Seconds after which a wait gives up; never waited for in full.
PATIENCE = 60


def gone(pids):
    """Wait until processes are gone; return those that never are."""
    deadline = time.monotonic() + PATIENCE
    while (left := [p for p in pids if is_alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


@pytest.fixture
def stray():
    """Collect pids of processes to end after the test."""
    pids = []
    yield pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


#: Ways to start a process that sleeps; each prints its pid, or returns it.
WAYS = {
    "child": "child()",
    "no environment": "child(env={})",
    "own session": "child(start_new_session=True)",
    "multiprocessing": "forked()",
    "orphan": "orphan()",
}
HELP = """
    import multiprocessing, os, subprocess, sys, time

    def child(**keywords):
        process = subprocess.Popen(["/bin/sleep", "600"], **keywords)
        process.returncode = 0  # nobody waits for it
        return process.pid

    def forked():
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        process.start()
        return process.pid

    def orphan():
        # In a session of its own, without an environment, its parent gone.
        command = "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!"
        return int(subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE,
        ).stdout)
"""


def helpers():
    names = {}
    exec(textwrap.dedent(HELP), names)
    return names


@pytest.mark.parametrize("way", WAYS)
def test_what_a_trial_started_can_be_ended(stray, way):
    names = helpers()
    with offspring() as started:
        stray.append(eval(WAYS[way], names))
    assert is_alive(stray[0])
    assert started.end() == 1
    assert not gone(stray)


def test_each_trial_ends_its_own(stray):
    names = helpers()
    before = eval(WAYS["child"], names)
    stray.append(before)
    families = []
    for _ in range(2):
        with offspring() as started:
            stray.append(eval(WAYS["orphan"], names))
        families.append(started)
    stray.append(eval(WAYS["child"], names))
    families[1].end()
    assert not gone([stray[2]])
    assert is_alive(before)
    assert is_alive(stray[1])
    assert is_alive(stray[3])


def test_whole_families_end(stray):
    with offspring() as started:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", "sleep 600 & sleep 600 & echo $! ; wait"], stdout=subprocess.PIPE
        )
        stray.append(shell.pid)
        stray.append(int(line_of(shell)))
    assert started.end() == 3
    assert not gone(stray)
    shell.communicate()


def test_a_process_is_marked_for_the_time_of_a_trial_only():
    import resource

    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    with contextlib.suppress(ZeroDivisionError), offspring():
        marked = resource.getrlimit(resource.RLIMIT_RTTIME)
        1 / 0  # noqa: B018
    assert marked != before
    assert resource.getrlimit(resource.RLIMIT_RTTIME) == before


DEATHS = {
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "os._exit": "os._exit(1)",
    "segfault": "ctypes.string_at(0)",
    "killed in C code": (
        "faulthandler.dump_traceback_later(1, exit=True); ctypes.PyDLL(None).sleep(600)"
    ),
}
DYING = """
    import ctypes, faulthandler
    from sparktrials.dispatch.offspring import offspring

    with offspring():
        kept = orphan()
    with offspring():
        print(kept, *{ways}, flush=True)
        {death}
"""


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_takes_what_its_trial_started_along(stray, tmp_path, death):
    script = tmp_path / "worker.py"
    ways = "[" + ", ".join(WAYS.values()) + "]"
    dying = textwrap.dedent(DYING).replace("{death}", DEATHS[death]).replace("{ways}", ways)
    script.write_text(textwrap.dedent(HELP) + dying)
    done = subprocess.run(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE,  # what is not ended holds its stdout
        env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])},
    )
    assert done.returncode != 0
    kept, *pids = map(int, done.stdout.split())
    stray += [kept, *pids]
    assert len(pids) == len(WAYS)
    assert not gone(pids)
    assert is_alive(kept)


def test_a_worker_that_ends_between_trials_leaves_all_alone(stray, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(HELP)
        + textwrap.dedent("""
        from sparktrials.dispatch.offspring import offspring
        with offspring():
            print(orphan(), flush=True)
        with offspring():
            pass
        """)
    )
    done = subprocess.run(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])},
    )
    stray.append(int(done.stdout.split()[0]))
    assert is_alive(stray[0])


def test_a_trial_within_a_trial_is_part_of_it(stray, tmp_path):
    script = tmp_path / "inner.py"
    script.write_text(
        "import subprocess\n"
        "from sparktrials.dispatch.offspring import offspring\n"
        "with offspring() as started:\n"
        "    print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid)\n"
        "print(started.end())\n"
    )
    with offspring() as started:
        inner = subprocess.run(
            [sys.executable, script],
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])},
        )
    pid, ended = map(int, inner.stdout.split())
    stray.append(pid)
    assert ended == 0
    assert is_alive(pid)
    started.end()
    assert not gone([pid])


def test_where_processes_cannot_be_marked_trials_run(monkeypatch, caplog):
    import resource

    def refuse(*args):
        raise ValueError("not allowed to raise maximum limit")

    this_process().guards.clear()
    monkeypatch.setattr(resource, "setrlimit", refuse)
    for _ in range(2):
        with offspring() as started:
            pass
        assert started.end() == 0
    assert caplog.text.count("not ended with it") == 1
    this_process().guards.clear()
