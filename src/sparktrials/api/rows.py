"""Trials in memory: by id, and as a history once it is known which space they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparktrials.errors import InvalidPoint, InvalidTrial
from sparktrials.study.history import History
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.trial import Trial

__all__ = ["Rows"]


class Rows:
    """The trials of an experiment.

    Attributes
    ----------
    history
        Those that fit the present space, over it; None as long as there is no space.

    Notes
    -----
    A trial that ended over another space stays as it is, apart: the history has of it what fits, or
    nothing if a parameter is missing.
    """

    def __init__(self, trials: Iterable[Trial] = (), next_id: int = 0) -> None:
        self.history: History | None = None
        self._loose = {t.id: t for t in trials}
        self._apart: dict[int, Trial] = {}
        self._next_id = next_id

    def __len__(self) -> int:
        return len(self.present())

    def present(self) -> Sequence[Trial]:
        """Return the trials by id."""
        if self.history is None:
            return [self._loose[i] for i in sorted(self._loose)]
        if not self._apart:
            return self.history.trials
        rows = {t.id: t for t in self.history} | self._apart
        return [rows[i] for i in sorted(rows)]

    def get(self, trial_id: int) -> Trial | None:
        """Return the trial of an id, or None."""
        if self.history is None:
            return self._loose.get(trial_id)
        return self._apart.get(trial_id) or self.history.get(trial_id)

    def best(self) -> Trial | None:
        """Return the trial with the lowest loss, None if none has one or that is not known."""
        return None if self.history is None or self._apart else self.history.best

    def counted_apart(self) -> int:
        """Return how many trials count, and are not in the history."""
        history = self.history
        return sum(
            (history is None or t.id not in history) and t.state is not TrialState.CANCELLED
            for t in self._apart.values()
        )

    def take(self, trials: Sequence[Trial]) -> None:
        """Put trials, new or changed, among these.

        Raises
        ------
        InvalidPoint
            If one that is still to be evaluated does not fit the space.
        """
        history = self.history
        if history is None:
            self._loose.update((t.id, t) for t in trials)
            return
        fitting = [(t, _fitted(t, history.space, strict=False)) for t in trials]
        try:
            for trial, fitted in sorted(fitting, key=lambda pair: pair[0].id):
                if fitted is not None:
                    history.put(fitted)
                self._set_apart(trial, fitted)
        except InvalidTrial:  # not the next one, or one that had ended: no change of that kind
            rows = {t.id: t for t in self.present()} | {t.id: t for t in trials}
            self.over(history.space, rows.values())

    def attach(self, trial_id: int, names: Sequence[str]) -> None:
        """Say which attachments a trial has, ended or not."""
        for rows in (self._loose, self._apart):
            if trial_id in rows:
                rows[trial_id] = replace(rows[trial_id], attachments=tuple(names))
        if self.history is not None and trial_id in self.history:
            self.history.attach(trial_id, names)

    def over(self, space: Space, trials: Iterable[Trial], *, strict: bool = False) -> History:
        """Make these trials the rows, as a history over `space`, and return that.

        Parameters
        ----------
        strict
            Whether trials that a search over some space suggested may be of another one.

        Raises
        ------
        InvalidPoint
            If one that is still to be evaluated does not fit the space.
        """
        fitting = [(t, _fitted(t, space, strict=strict)) for t in trials]
        history = History(space, [fitted for _, fitted in fitting if fitted is not None])
        self._apart = {}
        for trial, fitted in fitting:
            self._set_apart(trial, fitted)
        last = max(self._apart, default=-1)
        history.reserve(max(0, max(self._next_id, last + 1) - history.next_id))
        self.history, self._loose = history, {}
        return history

    def is_over(self, space: Space) -> bool:
        """Whether the history is over this space: the same parameters in the same columns."""
        own = None if self.history is None else self.history.space
        return own is not None and (own is space or own.parameters == space.parameters)

    def renewed(self, space: Space) -> History:
        """Return the history, over another space of the same parameters: constants may differ."""
        if self.history is None:
            return self.over(space, ())
        self.history.space = space
        return self.history

    def _set_apart(self, trial: Trial, fitted: Trial | None) -> None:
        if trial.state.terminal and (fitted is None or fitted.point != trial.point):
            self._apart[trial.id] = trial
        else:
            self._apart.pop(trial.id, None)

    def reserve(self, n: int) -> range:
        """Return `n` new ids, which no other trial gets."""
        if self.history is not None:
            ids = self.history.reserve(n)
        else:
            first = max(self._next_id, max(self._loose, default=-1) + 1)
            ids = range(first, first + n)
        self._next_id = ids.stop
        return ids

    @property
    def next_id(self) -> int:
        """The id that the next new trial gets."""
        if self.history is not None:
            return self.history.next_id
        return max(self._next_id, max(self._loose, default=-1) + 1)


def _fitted(trial: Trial, space: Space, *, strict: bool) -> Trial | None:
    """Return a trial with the raw draws that `space` has for its point; None if it has none.

    What a search over this very space suggested fits as it is.
    """
    if not (strict or trial.given):
        return trial
    known = {label: value for label, value in trial.point.items() if label in space.index}
    try:
        point = space.checked(known, name=f"trial {trial.id}")
    except InvalidPoint:
        if trial.state.terminal:
            return None
        raise
    same = [(k, type(v)) for k, v in point.items()] == [
        (k, type(v)) for k, v in trial.point.items()
    ]
    return trial if same and point == trial.point else replace(trial, point=point)
