"""What a task has of its machine, and what its trials see of that: environment variables, threads.

Spark says which cpus and GPUs a task has, but leaves it to the task to keep to them. So a task's
trials see their GPUs only, and libraries with thread pools of their own keep to its cpus. Each
trial finds environment and working directory as the first one did.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparktrials.dispatch.process_state import VISIBLE_GPUS, this_process

__all__ = [
    "THREAD_VARIABLES",
    "is_bound_elsewhere",
    "resources_of",
    "task_environment",
    "trial_environment",
]

#: What tells libraries how many threads to use. Each but the first falls back on it.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: threadpoolctl's names of libraries, and the variable that each obeys before the first.
_LIBRARIES = {
    "openmp": "OMP_NUM_THREADS",
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
}
#: Part of the name of the library that every use of an NVIDIA GPU loads.
_DRIVER = "libcuda.so"


def resources_of(context: Any) -> dict[str, Any]:  # noqa: ANN401 - a pyspark.TaskContext, or None
    """Return what Spark says that a task has, empty where there is no task.

    Returns
    -------
    dict
        ``"cpus"``: a number; for each other resource, such as ``"gpu"``, a tuple of its addresses.
    """
    if context is None:
        return {}
    found = {name: tuple(held.addresses) for name, held in context.resources().items()}
    return {"cpus": int(context.cpus()), **found}


def is_bound_elsewhere(resources: Mapping[str, Any]) -> bool:
    """Whether this process uses other GPUs than these, for good: CUDA chooses them once."""
    bound = this_process().gpus
    visible = _visible(resources)
    return visible is not None and bound is not None and bound != visible and _has_driver()


@contextlib.contextmanager
def task_environment(resources: Mapping[str, Any], *, limit_threads: bool) -> Iterator[None]:
    """Let this process see what its task has: the block loads and runs the objective.

    Parameters
    ----------
    resources
        As `resources_of` returns them.
    limit_threads
        Whether thread pools keep to the task's cpus, but where a variable of the user's, or
        Spark's own ``OMP_NUM_THREADS``, says otherwise.
    """
    with trial_environment():
        state = this_process()  # made before the first task changes anything
        visible = _visible(resources)
        if visible is not None:
            os.environ[VISIBLE_GPUS] = visible
            state.gpus = visible
        if limit_threads and "cpus" in resources:
            _limit_threads(resources["cpus"])
        else:
            _limit_loaded(None)
        yield


@contextlib.contextmanager
def trial_environment() -> Iterator[None]:
    """Put environment variables and working directory back at the end of the block."""
    # A copy by the public way decodes all of it, and again to compare: 70 us a trial, this is 1.
    held: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    before = held.copy()
    directory = _directory()
    try:
        yield
    finally:
        if held != before:
            _put_back(before)
        if directory is not None and directory != _directory():
            with contextlib.suppress(OSError):  # it may be gone
                os.chdir(directory)


def _put_back(before: Mapping[Any, Any]) -> None:
    now = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    wanted = {os.environ.decodevalue(n): os.environ.decodevalue(v) for n, v in before.items()}
    for name in [os.environ.decodevalue(n) for n in now.keys() - before.keys()]:
        del os.environ[name]
    os.environ.update(wanted)


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - called twice for each trial
    except OSError:  # removed
        return None


# --------------------------------------------------------------------------- GPUs


def _visible(resources: Mapping[str, Any]) -> str | None:
    """Return the GPUs of a task as CUDA wants them, None for a task that has none.

    Where the executor sees some of the machine's GPUs only, addresses count from the first of
    these, as for Spark's own TorchDistributor.
    """
    addresses = resources.get("gpu")
    if not addresses:
        return None
    seen = this_process().gpus_at_first
    if seen and all(a.isdecimal() and int(a) < len(seen) for a in addresses):
        return ",".join(seen[int(a)] for a in addresses)
    return ",".join(addresses)


def _has_driver() -> bool:
    try:
        return _DRIVER in Path("/proc/self/maps").read_text()
    except OSError:  # not Linux: it might have
        return True


# --------------------------------------------------------------------------- threads


def _limit_threads(cpus: int) -> None:
    """Set what is not set; limit what is loaded already and reads no variable any more."""
    theirs = {name for name in THREAD_VARIABLES if os.environ.get(name)}
    # Spark sets the first to the task's cpus, unless the user did.
    limit = os.environ.get(THREAD_VARIABLES[0], "")
    threads = int(limit) if limit.isdecimal() and int(limit) > 0 else cpus
    for name in THREAD_VARIABLES:
        if name not in theirs:
            os.environ[name] = str(threads)
    _limit_loaded(threads, frozenset(theirs - {THREAD_VARIABLES[0]}))


def _limit_loaded(threads: int | None, theirs: frozenset[str] = frozenset()) -> None:
    """Have libraries that this process has loaded use so many threads, or as many as they like.

    Done when that changes: what is loaded later reads the variables. A library never gets more
    threads than it would take by itself.
    """
    limits = this_process().threads
    before = limits.now
    if before == (threads, theirs) or (before is None and threads is None):
        return
    try:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - where there is one
    except ImportError:
        return
    limits.now = (threads, theirs)
    for library in ThreadpoolController().lib_controllers:
        if _LIBRARIES.get(library.internal_api) in theirs:
            continue
        has = library.num_threads or 0
        if not has:  # it does not say
            continue
        own = limits.own.setdefault(library.filepath, has if before is None else None)
        most = allowed_cpus() if own is None else own
        wanted = most if threads is None else min(most, threads)
        if has != wanted:
            library.set_num_threads(wanted)


def allowed_cpus() -> int:
    """Return how many cpus this process may use: what a library takes by itself."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
