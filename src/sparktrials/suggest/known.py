"""What is known to TPE of a history, kept up to date: a new result costs little, however many.

For each group of parameters that are active together, finished trials by rank, pending trials by
id, and how often and how well each branch of its switches was taken. All depends on the set of
trials alone, not on the order in which results came.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest.branches import Records, shares
from sparktrials.suggest.grouping import groups_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.study.history import History
    from sparktrials.suggest.grouping import Group

__all__ = ["Board", "Known", "Ranking"]

#: By state code, see `study.history.CODE`.
_FINISHED = np.array([s in {TrialState.OK, TrialState.FAILED, TrialState.PRUNED} for s in CODE])
_PENDING = np.array([s in {TrialState.NEW, TrialState.RUNNING} for s in CODE])
#: A ranking's arrays grow to twice their size, and at first to this.
_ROOM = 64
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


class Ranking:
    """Rows in the order of their losses, equal ones by number; failed ones, with NaN, are last.

    Adding one takes a binary search, and a move of memory that is fast for millions.
    """

    def __init__(self, rows: NDArray[np.intp], losses: NDArray[np.float64]) -> None:
        keys = np.where(np.isnan(losses), np.inf, losses)
        order = np.lexsort((rows, keys))
        self._n = len(rows)
        self._rows, self._losses = rows[order], keys[order]

    def __len__(self) -> int:
        """Return how many there are."""
        return self._n

    @property
    def n_failed(self) -> int:
        """How many have no loss."""
        return self._n - int(self._losses[: self._n].searchsorted(math.inf))

    def add(self, row: int, loss: float) -> None:
        """Add a row."""
        n = self._n
        if n == len(self._rows):
            room = np.empty(max(n, _ROOM), dtype=np.intp)
            self._rows = np.concatenate([self._rows, room])
            self._losses = np.concatenate([self._losses, room.astype(np.float64)])
        key = math.inf if math.isnan(loss) else loss
        first, last = (int(self._losses[:n].searchsorted(key, side)) for side in _SIDES)
        place = first + int(self._rows[first:last].searchsorted(row))
        for array, value in ((self._rows, row), (self._losses, key)):
            array[place + 1 : n + 1] = array[place:n]
            array[place] = value
        self._n = n + 1

    def at(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the rows at some places, 0 being the best."""
        return self._rows[: self._n][places]


class Board:
    """What is known of one group of parameters, from the trials in which it is active.

    Attributes
    ----------
    group
        Which.
    ranking
        Finished trials.
    pending
        Rows of pending trials, in order: a dict for its fast deletion.
    taken
        Per switch the (K,) numbers of finished and pending trials by branch.
    """

    def __init__(
        self, group: Group, history: History, finished: NDArray[np.intp], pending: NDArray[np.intp]
    ) -> None:
        self.group = group
        losses = history.losses[finished]
        self.ranking = Ranking(finished, losses)
        self.pending: dict[int, None] = dict.fromkeys(pending.tolist())
        self.taken: dict[int, NDArray[np.float64]] = {}
        self._records: dict[int, list[Records]] = {}
        if not group.switches:
            return
        done, under_way = group.codes(history.X[finished]), group.codes(history.X[pending])
        keys = np.where(np.isnan(losses), np.inf, losses)
        for j in group.switches:
            size = len(group.axes.prior[j])
            counts = np.bincount(done[:, j], minlength=size)
            counts += np.bincount(under_way[:, j], minlength=size)
            self.taken[j] = counts.astype(np.float64)
            own = [done[:, j] == code for code in range(size)]
            self._records[j] = [Records(finished[here], keys[here]) for here in own]

    def add_pending(self, history: History, row: int) -> None:
        """Take up a trial that was suggested."""
        self.pending[row] = None
        self._count(history, row, 1)

    def drop_pending(self, history: History, row: int) -> None:
        """Forget a trial that was cancelled."""
        del self.pending[row]
        self._count(history, row, -1)

    def add_finished(self, history: History, row: int) -> None:
        """Take up a trial that finished, and is not among the pending ones any more."""
        loss = float(history.losses[row])
        self.ranking.add(row, loss)
        codes = self._count(history, row, 1)
        key = math.inf if math.isnan(loss) else loss
        for j, records in self._records.items():
            records[codes[j]].add(row, key)

    def _count(self, history: History, row: int, by: int) -> list[int]:
        if not self.taken:
            return []
        codes: list[int] = self.group.codes(history.X[row : row + 1])[0].tolist()
        for j, counts in self.taken.items():
            counts[codes[j]] += by
        return codes

    def owed(self, j: int) -> NDArray[np.float64]:
        """Return (K,) the shares of trials that the branches of a switch are owed."""
        records = self._records[j]
        losses, rows = np.array([r.best for r in records]).T
        order = np.empty(len(rows))
        order[np.lexsort((rows, losses))] = np.arange(len(rows))
        # Branches in which all trials failed are all alike, whatever the number of the trial.
        order[np.isinf(losses)] = len(rows)
        order[np.isinf(rows)] = np.inf
        recent = np.array([float(r.recent) for r in records])
        return shares(order, len(self.ranking), self.group.axes.prior[j], recent)

    def latest(self, limit: int) -> list[int]:
        """Return the rows of up to `limit` pending trials, the latest ones, in order."""
        rows = list(islice(reversed(self.pending), limit))
        rows.reverse()
        return rows


class Known:
    """All groups of a space, and what is known of each: follows a history.

    Attributes
    ----------
    boards
        In the order of `groups_of`.
    n_finished
        How many trials have finished, failed ones included.
    """

    def __init__(self, history: History) -> None:
        states = history.states
        finished = np.flatnonzero(_FINISHED[states])
        pending = np.flatnonzero(_PENDING[states])
        self.n_finished = len(finished)
        self.boards: list[Board] = []
        for group in groups_of(history.codec):
            on = finished, pending
            if group.condition:
                column = history.X[:, group.key]
                on = finished[~np.isnan(column[finished])], pending[~np.isnan(column[pending])]
            self.boards.append(Board(group, history, *on))

    def note(self, history: History, row: int, before: TrialState | None) -> None:
        """Take up a trial's new state."""
        code = history.states[row]
        finished, pending = bool(_FINISHED[code]), bool(_PENDING[code])
        if before is not None and pending:
            return
        self.n_finished += finished
        x = history.X[row]
        for board in self.boards:
            if board.group.condition and np.isnan(x[board.group.key]):
                continue
            if before is not None:
                board.drop_pending(history, row)
            if finished:
                board.add_finished(history, row)
            elif pending:
                board.add_pending(history, row)
