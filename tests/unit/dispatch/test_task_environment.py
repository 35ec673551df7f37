"""What a trial sees of its task's machine, and that it leaves no trace in the next one's."""

from __future__ import annotations

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparktrials.dispatch import task_environment as module
from sparktrials.dispatch.process_state import ProcessState
from sparktrials.dispatch.task_environment import (
    THREAD_VARIABLES,
    is_bound_elsewhere,
    resources_of,
    task_environment,
    trial_environment,
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """A process that has run no task yet, without variables of its own."""
    for name in (*THREAD_VARIABLES, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "this_process", functools.lru_cache(maxsize=1)(ProcessState))


# --------------------------------------------------------------------- one trial after the other


def test_a_trial_leaves_no_trace(monkeypatch, tmp_path):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("CHANGED", "before")
    where, before = Path.cwd(), dict(os.environ)
    with trial_environment():
        os.environ["NEW"] = "x"
        os.environ["CHANGED"] = "after"
        del os.environ["KEPT"]
        os.chdir(tmp_path)
    assert dict(os.environ) == before
    assert Path.cwd() == where
    # It is what child processes see, too.
    assert subprocess.check_output("echo $CHANGED $NEW", shell=True).split() == [b"before"]


def test_a_trial_that_raises_leaves_no_trace():
    before = dict(os.environ)

    def trial():
        with trial_environment():
            os.environ.clear()
            raise LookupError

    with pytest.raises(LookupError):
        trial()
    assert dict(os.environ) == before


def test_a_working_directory_that_is_gone(monkeypatch, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    with trial_environment():
        os.chdir(second)
        first.rmdir()
    with trial_environment():
        second.rmdir()
        os.chdir(tmp_path)


# --------------------------------------------------------------------- threads


def threads():
    return {name: os.environ.get(name) for name in THREAD_VARIABLES}


def test_threads_keep_to_the_tasks_cpus():
    with task_environment({"cpus": 3}, limit_threads=True):
        assert threads() == dict.fromkeys(THREAD_VARIABLES, "3")
    assert threads() == dict.fromkeys(THREAD_VARIABLES)


def test_variables_that_are_set_come_first(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with task_environment({"cpus": 3}, limit_threads=True):
        found = threads()
    assert found.pop("OPENBLAS_NUM_THREADS") == "7"
    # OpenMP's variable is the one that all libraries know, and is obeyed by all.
    assert set(found.values()) == {"5"}


@pytest.mark.parametrize("odd", ["", "4,2", "many", "0"])
def test_an_odd_value_is_left_alone_and_no_example(monkeypatch, odd):
    monkeypatch.setenv("OMP_NUM_THREADS", odd)
    with task_environment({"cpus": 3}, limit_threads=True):
        assert os.environ["OMP_NUM_THREADS"] == (odd or "3")
        assert os.environ["MKL_NUM_THREADS"] == "3"


def test_the_limit_can_be_declined():
    with task_environment({"cpus": 3}, limit_threads=False):
        assert threads() == dict.fromkeys(THREAD_VARIABLES)


def test_without_a_task_nothing_is_limited():
    with task_environment({}, limit_threads=True):
        assert threads() == dict.fromkeys(THREAD_VARIABLES)


@dataclass
class Library:
    """As threadpoolctl describes one that is loaded."""

    internal_api: str
    num_threads: int | None

    @property
    def filepath(self):
        return f"lib{self.internal_api}.so"

    def set_num_threads(self, n):
        self.num_threads = n


def test_libraries_that_are_loaded_already_are_limited(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setenv("MKL_NUM_THREADS", "6")
    loaded = [
        Library("openblas", 8), Library("mkl", 6), Library("openmp", 1), Library("blis", None),
    ]  # fmt: skip

    class Controller:
        lib_controllers = loaded

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    with task_environment({"cpus": 2}, limit_threads=True):
        pass
    assert [library.num_threads for library in loaded] == [2, 6, 1, None]


def test_a_later_task_gets_the_threads_of_its_own_cpus(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(module, "allowed_cpus", lambda: 16)
    loaded, asked = [Library("openblas", 8), Library("openmp", 3)], []

    class Controller:
        def __init__(self):
            asked.append(1)

        lib_controllers = loaded

    def task(cpus, *, limit=True):
        with task_environment({"cpus": cpus}, limit_threads=limit):
            return [library.num_threads for library in loaded]

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    assert task(2, limit=False) == [8, 3]
    assert asked == []
    assert task(2) == [2, 2]
    assert task(2) == [2, 2]
    assert len(asked) == 1
    assert task(4) == [4, 3]  # never more than by itself
    loaded.append(Library("blis", 4))  # loaded by that task, as the variables say
    assert task(6) == [6, 3, 6]
    assert task(1) == [1, 1, 1]
    assert task(2, limit=False) == [8, 3, 16]


def test_numpys_own_pool_is_limited():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    import numpy as np

    assert np.eye(2) @ np.eye(2) is not None
    with threadpoolctl.threadpool_limits(4), task_environment({"cpus": 1}, limit_threads=True):
        found = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    assert found <= {1}


# --------------------------------------------------------------------- GPUs


def test_a_task_sees_its_gpus_only():
    with task_environment({"cpus": 1, "gpu": ("2", "5")}, limit_threads=True):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,5"
        with trial_environment():
            os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,5"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_task_without_gpus_leaves_the_variable_alone(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with task_environment({"cpus": 1}, limit_threads=True):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("seen", "addresses", "visible"),
    [
        ("4,7", ("0", "1"), "4,7"),
        ("4,7", ("1",), "7"),
        ("GPU-aa,GPU-bb", ("1",), "GPU-bb"),
        ("4,7", ("7",), "7"),  # addresses that are not counted from what is seen
        ("GPU-aa", ("GPU-aa",), "GPU-aa"),
    ],
)
def test_where_the_executor_sees_some_gpus_addresses_count_among_these(
    monkeypatch, seen, addresses, visible
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    for _ in range(2):  # the second task finds the same as the first
        with task_environment({"cpus": 1, "gpu": addresses}, limit_threads=True):
            assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize("used", [False, True])
def test_a_process_that_uses_a_gpu_takes_no_task_with_another(monkeypatch, used):
    monkeypatch.setattr(module, "_has_driver", lambda: used)
    first, second = {"cpus": 1, "gpu": ("0",)}, {"cpus": 1, "gpu": ("1",)}
    assert not is_bound_elsewhere(first)
    with task_environment(first, limit_threads=True):
        pass
    assert not is_bound_elsewhere(first)
    assert not is_bound_elsewhere({"cpus": 1})
    assert is_bound_elsewhere(second) is used


def test_this_process_has_no_gpu():
    assert not module._has_driver()


# --------------------------------------------------------------------- what Spark says


@dataclass
class Information:
    addresses: list[str]


class Context:
    """As a pyspark.TaskContext."""

    def cpus(self):
        return 2

    def resources(self):
        return {"gpu": Information(["0", "3"]), "fpga": Information(["f1"])}


def test_resources_are_plain():
    assert resources_of(Context()) == {"cpus": 2, "gpu": ("0", "3"), "fpga": ("f1",)}
    assert resources_of(None) == {}
