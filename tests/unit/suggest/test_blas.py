"""While points are made, linear algebra has one thread; before and after, what it had."""

from __future__ import annotations

import sys

import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.suggest import blas, sobol
from sparktrials.suggest.algorithm import Algorithm

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture
def two_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


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


def test_without_threadpoolctl_nothing_is_limited(monkeypatch):
    blas._libraries.cache_clear()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    before = threads()
    with blas.one_thread():
        assert threads() == before
    blas._libraries.cache_clear()
