"""While points are made, linear algebra has one thread; before and after, what it had."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.suggest import blas, sobol
from sparktrials.suggest.algorithm import Algorithm

threadpoolctl = pytest.importorskip("threadpoolctl")
#: Seconds after which a thread or process counts as hung.
PATIENCE = 120


@pytest.fixture
def two_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


def said(script, *options):
    """Return what a Python prints where BLAS has two threads."""
    command = [sys.executable, *options, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def threads():
    return {
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    }


@pytest.mark.usefixtures("two_threads")
def test_algorithms_have_one_thread():
    seen = []

    def propose(space, history, n, context, settings):
        seen.append(threads())
        return []

    space = compile_space({"x": hp.uniform("x", 0, 1)})
    before = threads()
    algorithm = Algorithm("probe", propose, sobol.Settings).configured()
    algorithm.suggest(space, History(space), 1, SuggestContext(seed=0, ids=[0]))
    assert seen == [{1}]
    assert threads() == before


def test_one_after_the_other_in_several_threads_puts_back_what_was():
    script = """
        import threading, numpy, threadpoolctl
        from sparktrials.suggest.blas import one_thread

        def threads():
            return [x["num_threads"] for x in threadpoolctl.threadpool_info()]

        def maker():
            with one_thread(), one_thread():
                seen.append(threads())

        print(threads())
        seen = []
        others = [threading.Thread(target=maker) for _ in range(3)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        with one_thread():
            print(threads(), seen)
        print(threads())
    """
    assert said(script) == "[2]\n[1] [[1], [1], [1]]\n[2]\n"


@pytest.mark.usefixtures("two_threads")
def test_an_error_puts_back_what_was():
    before = threads()
    with pytest.raises(ZeroDivisionError), blas.one_thread():
        1 / 0  # noqa: B018
    assert threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_meanwhile_waits_for_nobody_and_puts_back_what_was():
    """Who made points when it was forked, and holds the lock, is not there."""
    script = """
        import os, threading, numpy, scipy.linalg, threadpoolctl
        from sparktrials.suggest.blas import one_thread

        def threads():
            return {x["num_threads"] for x in threadpoolctl.threadpool_info()}

        def maker():
            with one_thread():
                begun.set()
                go.wait()

        begun, go = threading.Event(), threading.Event()
        other = threading.Thread(target=maker)
        before = threads()
        other.start()
        begun.wait()
        pid = os.fork()
        if pid == 0:
            pid = os.fork()  # and once more, before anybody makes points here
            if pid == 0:
                with one_thread():
                    meanwhile = threads()
                print(meanwhile, threads() == before, flush=True)
            else:
                os.waitpid(pid, 0)
            os._exit(0)
        os.waitpid(pid, 0)
        go.set()
        other.join()
        print(threads() == before)
    """
    assert said(script, "-W", "ignore::DeprecationWarning") == "{1} True\nTrue\n"


def test_a_library_that_is_loaded_later_is_limited_too():
    script = """
        import sys
        import numpy
        from sparktrials.suggest.blas import one_thread
        with one_thread():
            pass
        assert "scipy.linalg" not in sys.modules
        import scipy.linalg
        import threadpoolctl
        with one_thread():
            found = [x["num_threads"] for x in threadpoolctl.threadpool_info()]
        print(len(found), set(found))
    """
    assert said(script).split(maxsplit=1)[1] == "{1}\n"


def test_without_threadpoolctl_nothing_is_limited(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(blas, "_LIMIT", blas._Limit())
    before = threads()
    with blas.one_thread():
        assert threads() == before
