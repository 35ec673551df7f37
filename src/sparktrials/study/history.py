"""What is known about a study, as rows of trials and as columns for numerics.

Rows are in the order of trial ids whatever order results arrive in, so everything computed from a
history depends on the set of trials only.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from sparktrials.errors import InvalidTrial
from sparktrials.space.codec import Codec
from sparktrials.study.trial import TERMINAL, Trial, TrialState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sparktrials.space import Space

__all__ = ["CODE", "Follower", "History"]

#: Codes of the states in `History.states`.
CODE = {state: code for code, state in enumerate(TrialState)}
_FIRST_CAPACITY = 64
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Follower(Protocol):
    """What an algorithm keeps of a history, so that a new result costs it little.

    It must come to the same whatever the order in which it was told.
    """

    def note(self, history: History, row: int, before: TrialState | None) -> None:
        """Take up the trial in `row`, which was in the state `before`; None: it is new."""


_F = TypeVar("_F", bound=Follower)


class History:
    """Trials by id, with columns kept incrementally: putting one trial is O(d).

    Attributes
    ----------
    space, codec
        What the points mean.

    Notes
    -----
    Shapes: ``n = len(history)``, ``d = len(codec)``. `X` (n, d) latent, NaN where inactive;
    `active` (n, d); `losses` (n,), NaN unless OK; `states` (n,), see `CODE`; `ids` (n,),
    increasing. The arrays are read-only views: don't keep them.
    """

    def __init__(self, space: Space, trials: Iterable[Trial] = ()) -> None:
        self.space = space
        self.codec = Codec.of(space)
        self._trials: list[Trial] = []
        self._row: dict[int, int] = {}
        self._counts = dict.fromkeys(TrialState, 0)
        self._best: Trial | None = None
        self._next = 0
        self._followers: dict[Callable[[History], Any], Follower] = {}
        self._allocate(_FIRST_CAPACITY)
        for trial in sorted(trials, key=lambda t: t.id):
            self.put(trial)

    def _allocate(self, capacity: int) -> None:
        n, d = len(self._trials), len(self.codec)
        for name, shape, fill, kind in (
            ("_X", (capacity, d), np.nan, np.float64),
            ("_losses", (capacity,), np.nan, np.float64),
            ("_states", (capacity,), 0, np.int8),
            ("_ids", (capacity,), 0, np.int64),
        ):
            new = np.full(shape, fill, dtype=kind)
            if n:
                new[:n] = getattr(self, name)[:n]
            setattr(self, name, new)
        self._capacity = capacity

    _X: NDArray[np.float64]
    _losses: NDArray[np.float64]
    _states: NDArray[np.int8]
    _ids: NDArray[np.int64]

    def put(self, trial: Trial) -> None:
        """Add a trial, or replace the one of the same id by a later state of it.

        A trial that is refused leaves the history as it was.

        Raises
        ------
        InvalidTrial
            If the stored trial is terminal or has another point, a new id is not larger than all
            before, or an OK trial has no finite loss.
        """
        state, loss = trial.state, trial.loss
        ok = state is TrialState.OK
        if ok and (loss is None or not math.isfinite(loss)):
            msg = f"trial {trial.id} is ok, so its loss must be a finite number, got {loss!r}"
            raise InvalidTrial(msg)
        row = self._row.get(trial.id)
        before = None
        if row is None:
            row = self._new_row(trial)
        else:
            old = self._trials[row]
            before = old.state
            if before in TERMINAL:
                msg = f"trial {trial.id} is {before.value} already and cannot change"
                raise InvalidTrial(msg)
            if trial.point is not old.point and trial.point != old.point:
                msg = (
                    f"trial {trial.id} was suggested as {old.point!r}, and cannot become "
                    f"{trial.point!r}"
                )
                raise InvalidTrial(msg)
            self._counts[before] -= 1
            self._trials[row] = trial
        self._counts[state] += 1
        self._states[row] = CODE[state]
        if ok and loss is not None:
            self._losses[row] = loss
            best = self._best
            if best is None or best.loss is None or (loss, trial.id) < (best.loss, best.id):
                self._best = trial
        for follower in self._followers.values():
            follower.note(self, row, before)

    def attach(self, trial_id: int, names: Sequence[str]) -> None:
        """Say which attachments a trial has: that changes with none of the columns."""
        row = self._row[trial_id]
        old = self._trials[row]
        new = self._trials[row] = replace(old, attachments=tuple(names))
        if self._best is old:
            self._best = new

    def follow(self, kind: Callable[[History], _F]) -> _F:
        """Return the follower of a kind: made of what is there when it is first asked for."""
        follower: Any = self._followers.get(kind)
        if follower is None:
            follower = self._followers[kind] = kind(self)
        found: _F = follower
        return found

    def _new_row(self, trial: Trial) -> int:
        row = len(self._trials)
        if row and trial.id <= self._ids[row - 1]:
            msg = f"trial ids must grow, got {trial.id} after {self._ids[row - 1]}"
            raise InvalidTrial(msg)
        if row == self._capacity:
            self._allocate(2 * self._capacity)
        self._X[row] = np.nan  # a point that was refused half-way may have left traces
        self.codec.encode_into(self._X[row], trial.point)
        self._trials.append(trial)
        self._row[trial.id] = row
        self._ids[row] = trial.id
        self._next = max(self._next, trial.id + 1)
        return row

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    def __getitem__(self, trial_id: int) -> Trial:
        return self._trials[self._row[trial_id]]

    def get(self, trial_id: int) -> Trial | None:
        """Return the trial of an id, or None."""
        row = self._row.get(trial_id)
        return None if row is None else self._trials[row]

    def __contains__(self, trial_id: object) -> bool:
        return trial_id in self._row

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials by id: a view to read."""
        return self._trials

    def count(self, *states: TrialState) -> int:
        """Return how many trials are in any of `states`."""
        return sum(self._counts[state] for state in states)

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest loss, the earliest of equals."""
        return self._best

    @property
    def next_id(self) -> int:
        """The id that the next new trial gets."""
        return self._next

    def reserve(self, n: int) -> range:
        """Return the next `n` ids, which no other new trial gets."""
        ids = range(self._next, self._next + n)
        self._next += n
        return ids

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - the name of the array in the papers
        """(n, d) latent coordinates, NaN where inactive."""
        return self._rows_of(self._X)

    @property
    def active(self) -> NDArray[np.bool_]:
        """(n, d) which coordinates are active."""
        return ~np.isnan(self.X)

    @property
    def losses(self) -> NDArray[np.float64]:
        """(n,) losses, NaN for trials that are not OK."""
        return self._rows_of(self._losses)

    @property
    def states(self) -> NDArray[np.int8]:
        """(n,) state codes, see `CODE`."""
        return self._rows_of(self._states)

    @property
    def ids(self) -> NDArray[np.int64]:
        """(n,) trial ids, increasing."""
        return self._rows_of(self._ids)

    def _rows_of(self, column: NDArray[_Scalar]) -> NDArray[_Scalar]:
        view = column[: len(self._trials)]
        view.flags.writeable = False
        return view
