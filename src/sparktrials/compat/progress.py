"""``hyperopt.progress``: callbacks for ``fmin(show_progressbar=...)``.

A callback is a context manager that takes `initial` and `total` and yields an object with
``update(n)`` and ``postfix``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sparktrials.compat.std_out_err_redirect_tqdm import std_out_err_redirect_tqdm
from sparktrials.progress import default_bar, no_bar

__all__ = ["default_callback", "no_progress_callback", "tqdm_progress_callback"]


@contextlib.contextmanager
def tqdm_progress_callback(initial: int, total: int | None) -> Iterator[Any]:
    """Yield a tqdm bar on standard error; what is printed meanwhile appears above it.

    Parameters
    ----------
    initial
        Trials that are done already.
    total
        Trials in all, or None if there is no end.
    """
    # The bar first: it is to have the stream itself.
    with default_bar(initial=initial, total=total) as bar, std_out_err_redirect_tqdm():
        yield bar


@contextlib.contextmanager
def no_progress_callback(initial: int, total: int | None) -> Iterator[Any]:
    """Yield an object that shows nothing.

    Parameters
    ----------
    initial, total
        As `tqdm_progress_callback` takes them.
    """
    with no_bar(initial=initial, total=total) as bar:
        yield bar


#: What ``show_progressbar=True`` stands for.
default_callback = tqdm_progress_callback
