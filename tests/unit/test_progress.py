"""The bar, on a terminal of its own and as numbers."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import pytest
from tests.processes import PATIENCE, killed_after

from sparktrials import Trials, fmin, hp, progress, rand
from sparktrials.progress import AboveBars, BarObserver
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState


class Bar:
    postfix = None
    n = 0

    def update(self, n):
        self.n += n


def history():
    failure = Failure(kind=FailureKind.RAISED, type="E", message="")
    return History(
        compile_space(hp.uniform("x", 0, 1)),
        [
            Trial(id=0, state=TrialState.OK, point={"x": 0.5}, loss=0.5),
            Trial(id=1, state=TrialState.FAILED, point={"x": 0.1}, failure=failure),
            Trial(id=2, state=TrialState.RUNNING, point={"x": 0.1}),
        ],
    )


def test_best_running_slots_failed():
    bar = Bar()
    observer = BarObserver(bar, 0, verbose=True, slots=lambda: 8)
    observer.update(history(), 3)
    assert bar.n == 2
    observer.update(history(), 3)
    assert bar.postfix == "best loss: 0.5, running: 3/8, failed: 1"
    observer.update(history(), 20)
    assert "running: 8/8" in bar.postfix


@pytest.mark.parametrize(("total", "shown"), [(None, 8), (20, 8), (8, 6)])
def test_slots_that_get_the_next_trial_at_once_are_in_use(total, shown):
    bar = Bar()
    BarObserver(bar, 0, verbose=True, total=total, slots=lambda: 8).update(history(), 6)
    assert f"running: {shown}/8" in bar.postfix


def test_what_runs_is_shown_before_the_first_trial_ends():
    drawn = []

    class Drawn(Bar):
        def refresh(self):
            drawn.append(self.postfix)

    observer = BarObserver(Drawn(), 2, verbose=True, slots=lambda: 8)  # a study that goes on
    for running in (2, 8, 8):
        observer.update(history(), running)
    texts = [f"best loss: 0.5, running: {n}/8, failed: 1" for n in (2, 8)]
    assert drawn == texts
    observer = BarObserver(Drawn(), 0, verbose=True, slots=lambda: 8)
    observer.update(history(), 8)  # it has moved: from now on it draws itself
    observer.update(history(), 7)
    assert drawn == texts


def test_slots_are_not_asked_for_when_nothing_runs():
    bar = Bar()
    BarObserver(bar, 0, verbose=True, slots=lambda: 1 / 0).update(history(), 0)
    assert bar.postfix == "best loss: 0.5, failed: 1"


def test_lines_wait_for_their_end_or_a_flush(capsys):
    stream = AboveBars(sys.stdout)
    stream.write("one")
    assert not capsys.readouterr().out
    stream.write(" two\nthr")
    assert capsys.readouterr().out == "one two\n"
    stream.flush()
    stream.write("ee\n")
    assert capsys.readouterr().out == "three\n"
    stream.write("left")
    stream.finish()
    assert capsys.readouterr().out == "left\n"
    assert stream.encoding == sys.stdout.encoding


SCRIPT = """
import sys
from tqdm import tqdm
from sparktrials import fmin, hp, rand

def objective(x):
    print("trial at", round(x, 2))
    for _ in tqdm(range(3), desc="inner", leave=False):
        pass
    return x

fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=3, rstate=0)
print("stdout is", type(sys.stdout).__name__)
"""


def terminal_output(script):
    """Return what a script writes to a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    chunks, deadline = [], time.monotonic() + PATIENCE
    with killed_after(process):
        try:
            while True:
                left = max(0.0, deadline - time.monotonic())
                assert select.select([master], [], [], left)[0], f"no end of {b''.join(chunks)!r}"
                try:
                    chunk = os.read(master, 65536)
                except OSError:  # Linux: the other end is closed
                    break
                if not chunk:
                    break
                chunks.append(chunk)
        finally:
            os.close(master)
        assert process.wait(PATIENCE) == 0
    return b"".join(chunks).decode()


def test_what_is_printed_has_lines_of_its_own():
    text = terminal_output(SCRIPT)
    printed = re.findall(r"[^\r\n]*trial at [\d.]+[^\r\n]*", text)
    assert len(printed) == 3
    for line in printed:
        assert re.fullmatch(r"(\x1b\[A)*trial at [\d.]+", line), repr(line)
    assert "inner" in text
    assert "stdout is TextIOWrapper" in text
    assert re.search(r"100%.*3/3.*best loss: 0\.67", text)


def test_a_pipe_is_left_alone(capsys):
    streams = []
    fmin(
        lambda x: streams.append(sys.stdout) or x,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=1,
        trials=Trials(),
    )
    assert not isinstance(streams[0], AboveBars)


@pytest.mark.parametrize(
    ("config", "widgets", "expected"),
    [
        ({"IPKernelApp": {}}, True, "tqdm.auto"),
        ({"IPKernelApp": {}}, False, "tqdm.std"),
        ({}, True, "tqdm.std"),
    ],
)
def test_a_notebook_gets_its_own_bar(monkeypatch, config, widgets, expected):
    shell = SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(
        progress.importlib.util, "find_spec", lambda name: object() if widgets else None
    )
    auto = SimpleNamespace(tqdm=type("tqdm", (), {"__module__": "tqdm.auto"}))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    assert progress._bar_class().__module__ == expected


def test_no_ipython_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not progress.in_notebook()
