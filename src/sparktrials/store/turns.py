"""Threads of a process that take turns with what a store object knows of its leases."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

__all__ = ["Turns", "in_turn"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Turns:
    """A lock that a forked process starts anew: what another thread held is not held there."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()

    def lock(self) -> contextlib.AbstractContextManager[bool]:
        """Return this process's lock."""
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.RLock()
        return self._lock


class _HasTurns(Protocol):
    _turns: Turns


_Self = TypeVar("_Self", bound=_HasTurns)


def in_turn(
    method: Callable[Concatenate[_Self, _P], _T],
) -> Callable[Concatenate[_Self, _P], _T]:
    """Have threads call a method in turn with all others of the object that are so marked."""

    @functools.wraps(method)
    def called(self: _Self, /, *args: _P.args, **keywords: _P.kwargs) -> _T:
        with self._turns.lock():
            return method(self, *args, **keywords)

    return called
