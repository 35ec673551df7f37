"""Forked copies of a process let go of its sockets.

Else a helper that an objective or a notebook forks would keep connections alive, and a port taken,
after the process they belong to has died.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from sparktrials.dispatch.process_state import this_process

__all__ = ["let_go_in_forks", "may_forget"]


class _Holder(Protocol):
    def abandon(self) -> None:
        """Close this process's copies of the sockets, without a word to anybody."""


def let_go_in_forks(holder: _Holder) -> None:
    """Have `holder.abandon` called in each forked copy of this process."""
    _holders().add(holder)


def may_forget(holder: _Holder) -> None:
    """Take that back."""
    _holders().discard(holder)


def _holders() -> weakref.WeakSet[_Holder]:
    state = this_process()
    if state.holders is None:
        holders: weakref.WeakSet[_Holder] = weakref.WeakSet()
        state.holders = holders

        def let_go() -> None:
            for holder in list(holders):
                holder.abandon()
            holders.clear()

        os.register_at_fork(after_in_child=let_go)  # once: it cannot be taken back
    return state.holders
