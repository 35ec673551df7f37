"""One thread for linear algebra while points are made.

The matrices are small, and threads of OpenBLAS that wait for each other spin: where trials keep the
cores busy, points of a Gaussian process took 15 to 40 times the CPU. One thread sums in one order,
too: the same seed gives the same points on machines with other numbers of cores.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["one_thread"]


class _Limit:
    """Who makes points in this process now, and what limits BLAS meanwhile.

    BLAS has one setting for the whole process, so there is one of these: `_LIMIT`.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.limiter: Any = None
        self._inherited: Any = None
        self._libraries: Any = None
        self._n_modules = -1

    def begin(self) -> Any:  # noqa: ANN401 - threadpoolctl is none of our dependencies
        """Return what limits the libraries that are loaded, None where nothing can."""
        if self._n_modules != len(sys.modules):  # a library comes with a module that is new
            self._n_modules = len(sys.modules)
            try:
                from threadpoolctl import (  # noqa: PLC0415 - comes with scikit-learn
                    ThreadpoolController,
                )
            except ImportError:
                self._libraries = None
            else:
                self._libraries = ThreadpoolController().select(user_api="blas")
        return None if self._libraries is None else self._libraries.limit(limits=1)

    def put_back(self) -> None:
        """Put back what another thread would have, had it not been lost in a fork."""
        if self._inherited is not None:
            self._inherited.restore_original_limits()
            self._inherited = None

    def forked(self) -> None:
        """Wait no more, in a forked process, for a thread that it does not have.

        BLAS gets its threads back when points are made there: right after a fork is no time to
        have OpenBLAS start some.
        """
        self.lock = threading.RLock()
        self._inherited, self.limiter = self.limiter or self._inherited, None


_LIMIT = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LIMIT.forked)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have BLAS use one thread meanwhile, where threadpoolctl is installed.

    What other threads of this process compute meanwhile has one thread, too; those that make points
    wait for each other, so that what was before is put back. Where another thread sets a limit of
    its own in between, as some models of scikit-learn do while they fit, it may put back what it
    found: threadpoolctl knows no other way.
    """
    with _LIMIT.lock:
        outer, limiter = _LIMIT.limiter, _LIMIT.begin()
        if limiter is None:
            yield
            return
        _LIMIT.limiter = outer or limiter
        try:
            with limiter:
                yield
        finally:
            _LIMIT.limiter = outer
            _LIMIT.put_back()
