"""What a Python process keeps from one task to the next: the one place in `dispatch` that does.

Spark runs many tasks, of several studies, in one Python worker. What is loaded, opened or set for
good in it belongs to none of them.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparktrials.study.protocols import Builder

__all__ = ["VISIBLE_GPUS", "ProcessState", "ThreadLimits", "this_process"]

#: The variable that says which GPUs a process sees.
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


def _gpus_at_first() -> tuple[str, ...]:
    return tuple(name for name in os.environ.get(VISIBLE_GPUS, "").split(",") if name)


@dataclass(slots=True)
class ThreadLimits:
    """How many threads the libraries that are loaded have been told to use.

    Attributes
    ----------
    now
        The limit that holds, and the variables of the user's that go before it; None while there
        has been none.
    own
        For each library, by its file, how many it would use by itself; None for one that was
        loaded under a limit, so that this is not known.
    """

    now: tuple[int | None, frozenset[str]] | None = None
    own: dict[str, int | None] = field(default_factory=dict)


@dataclass(slots=True)
class ProcessState:
    """What belongs to a process.

    Attributes
    ----------
    studies
        Objective and space of the studies that were loaded last, by digest.
    values, sources
        Handles of broadcast values, so that studies share them, and where the values come from.
    freed
        On a driver: files of broadcast values that executors may have and nobody needs, by
        SparkContext.
    removed
        In a worker: which of these were looked for.
    gpus_at_first
        The GPUs that the process could see before any task of ours ran in it.
    gpus
        What the last task saw, if any had GPUs.
    threads
        What was done to libraries with thread pools.
    guards
        Who ends the processes that trials start, by process id: a forked copy has its own.
    holders
        Sockets that forked copies let go of, from the first one on.
    """

    studies: dict[str, tuple[Callable[..., Any], Builder]] = field(default_factory=dict)
    values: weakref.WeakValueDictionary[str, Any] = field(
        default_factory=weakref.WeakValueDictionary
    )
    sources: dict[str, Callable[[], Any]] = field(default_factory=dict)
    freed: weakref.WeakKeyDictionary[Any, list[tuple[str, ...]]] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    removed: set[str] = field(default_factory=set)
    gpus_at_first: tuple[str, ...] = field(default_factory=_gpus_at_first)
    gpus: str | None = None
    threads: ThreadLimits = field(default_factory=ThreadLimits)
    guards: dict[int, Any] = field(default_factory=dict)
    holders: weakref.WeakSet[Any] | None = None


@functools.lru_cache(maxsize=1)
def this_process() -> ProcessState:
    """Return this process's state."""
    return ProcessState()
