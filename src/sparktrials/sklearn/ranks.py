"""The folds of one trial, shared by its tasks where it has several: `nodes_per_trial`."""

from __future__ import annotations

import base64
import pickle
import sys
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, TypeVar

__all__ = ["Ranks", "ranks_here"]

T = TypeVar("T")
_NONE = object()


class Ranks:
    """The tasks of a trial, of which this is one.

    Parameters
    ----------
    context
        A ``pyspark.BarrierTaskContext``; None where the trial has one task.

    Attributes
    ----------
    number
        How many there are.
    """

    def __init__(self, context: Any) -> None:  # noqa: ANN401
        self._context = context
        self._rank = 0 if context is None else context.partitionId()
        self.number = 1 if context is None else len(context.getTaskInfos())

    def mine(self, folds: Sequence[T]) -> Sequence[T]:
        """Return the folds that this task does."""
        return folds[self._rank :: self.number]

    def gathered(self, mine: Sequence[T]) -> list[T]:
        """Return what all tasks made of their folds, in the order of the folds."""
        if self._context is None:
            return list(mine)
        text = base64.b64encode(pickle.dumps(list(mine))).decode()
        # Made by the same objective in the other tasks of this trial.
        every = [pickle.loads(base64.b64decode(t)) for t in self._context.allGather(text)]  # noqa: S301
        by_fold = chain.from_iterable(zip_longest(*every, fillvalue=_NONE))
        return [of for of in by_fold if of is not _NONE]


def ranks_here() -> Ranks:
    """Return the tasks of the trial that runs here."""
    module = sys.modules.get("pyspark.taskcontext")  # which an executor's Python has loaded
    context = None if module is None else module.TaskContext.get()
    if module is None or not isinstance(context, module.BarrierTaskContext):
        return Ranks(None)
    return Ranks(context)
