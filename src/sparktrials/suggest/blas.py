"""One thread for linear algebra while points are made.

The matrices are small, and threads of OpenBLAS that wait for each other spin: where trials keep the
cores busy, points of a Gaussian process took 15 to 40 times the CPU. One thread sums in one order,
too: the same seed gives the same points on machines with other numbers of cores.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["one_thread"]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have BLAS use one thread meanwhile, where threadpoolctl is installed.

    What other threads of this process compute has one thread, too; those that make points wait for
    each other, so that what was before is put back.
    """
    loaded = "scipy.linalg" in sys.modules
    _libraries(loaded=loaded)  # of several that come first at once, each gets one of its own
    libraries, lock = _libraries(loaded=loaded)
    if libraries is None:
        yield
        return
    with lock, libraries.limit(limits=1):
        yield


@functools.lru_cache(maxsize=2)
def _libraries(*, loaded: bool) -> tuple[Any, threading.RLock]:
    """Return what limits the libraries that are loaded, SciPy's own only with its `linalg`."""
    del loaded
    try:
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - comes with scikit-learn
    except ImportError:
        return None, threading.RLock()
    return ThreadpoolController().select(user_api="blas"), threading.RLock()
