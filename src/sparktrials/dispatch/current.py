"""The trial that runs here, as its objective sees it: who it is, and what it may say meanwhile."""

from __future__ import annotations

import math
import numbers
import os
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.study.reports import Report, joined_log, joined_reports

if TYPE_CHECKING:
    from contextvars import Token

    from sparktrials.space import Point

__all__ = ["CurrentTrial", "Listener", "current_trial", "entered", "left"]


class Listener(Protocol):
    """Takes what running trials say while they run, where there is somebody to take it."""

    def tell(
        self, trial_id: int, attempt: int, reports: Sequence[Report], lines: Sequence[str]
    ) -> None:
        """Pass something on, soon; never raises, and may drop it: the outcome has it all."""

    def stopping(self, trial_id: int) -> bool:
        """Whether the trial should end by itself."""


class CurrentTrial:
    """What the objective of a running trial may know of it, and say.

    Made for each trial; an objective gets it by ``sparktrials.current_trial()``. Its methods may be
    called in any thread of the objective's process that has the object. A process that the
    objective forks has a copy, which tells nobody.

    Attributes
    ----------
    id
        The trial's number, or None where no trial runs (the objective is called directly).
    attempt
        1 for the first, more where workers were lost.
    seed
        A 32-bit seed of the trial's own: the same for the same study and trial; None outside.
    host
        Name of the machine.
    point
        ``label -> raw draw`` of the active labels.
    resources
        What the task may use: ``{"cpus": 2, "gpu": ("0",)}``; empty where nobody says.
    """

    def __init__(
        self,
        *,
        id: int | None = None,
        attempt: int = 0,
        seed: int | None = None,
        host: str = "",
        point: Point | None = None,
        resources: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.id = id
        self.attempt = attempt
        self.seed = seed
        self.host = host
        self.point: Point = {} if point is None else point
        self.resources: Mapping[str, Any] = {} if resources is None else resources
        self._listener = listener
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._reports: tuple[Report, ...] = ()
        self._recent: list[Report] = []
        self._log = ""

    @property
    def reports(self) -> tuple[Report, ...]:
        """The reports so far: ``(step, value)`` in the order they were made."""
        with self._mine():
            if self._recent:
                self._reports = joined_reports(self._reports, self._recent)
                self._recent = []
            return self._reports

    @property
    def logged(self) -> str:
        """The text that was logged so far."""
        with self._mine():
            return self._log

    def report(self, step: int, value: float) -> None:
        """Tell an intermediate value, such as the loss after an epoch.

        It is in the history while the trial runs where executors can reach the driver, and comes
        with the result elsewhere. Of more than `study.reports.REPORTS_LIMIT` an even part is kept.

        Parameters
        ----------
        step
            Whole number, from 0.
        value
            Any number; NaN and infinities, too.

        Raises
        ------
        InvalidArgumentType, InvalidArgument
            If they are not.
        """
        report = (_step(step), _value(value))
        with self._mine():
            self._recent.append(report)
            if len(self._recent) >= _MANY:
                self._reports = joined_reports(self._reports, self._recent)
                self._recent = []
        if self._listener is not None and self.id is not None:
            self._listener.tell(self.id, self.attempt, (report,), ())

    def log(self, text: object) -> None:
        """Note a line of text: the last ones stay with the trial, as `Trial.log`.

        The driver logs it, too, as a record of ``logging.getLogger("sparktrials.trial")``.
        """
        line = str(text).rstrip("\n")
        with self._mine():
            self._log = joined_log(self._log, (line,))
        if self._listener is not None and self.id is not None:
            self._listener.tell(self.id, self.attempt, (), (line,))

    def should_stop(self) -> bool:
        """Whether the study is ending: a trial that returns now still counts.

        Cheap enough to ask in a loop. Where executors cannot reach the driver it is always False.
        """
        if self._listener is None or self.id is None:
            return False
        return self._listener.stopping(self.id)

    def _mine(self) -> threading.Lock:
        """Return the lock of this process: in a forked copy nobody may be there to release it."""
        if os.getpid() != self._pid:
            self._pid, self._lock, self._listener = os.getpid(), threading.Lock(), None
        return self._lock

    def __repr__(self) -> str:
        if self.id is None:
            return "<CurrentTrial: none runs here>"
        return f"<CurrentTrial {self.id}, attempt {self.attempt}, on {self.host}>"


#: Reports that are gathered before they are joined to those before.
_MANY = 100
_CURRENT: ContextVar[CurrentTrial | None] = ContextVar("sparktrials_current_trial", default=None)


def current_trial() -> CurrentTrial:
    """Return the trial that this code is part of.

    Where none runs, it is one without an id, whose methods work and tell nobody: so that an
    objective can be called directly, in a test or a notebook.

    A thread that an objective starts is not part of the trial: hand it the object.
    """
    return _CURRENT.get() or CurrentTrial()


def entered(trial: CurrentTrial) -> Token[CurrentTrial | None]:
    """Make `trial` the current one of this context until `left`."""
    return _CURRENT.set(trial)


def left(token: Token[CurrentTrial | None]) -> None:
    """Undo `entered`."""
    _CURRENT.reset(token)


def _step(step: object) -> int:
    if isinstance(step, bool) or not isinstance(step, (numbers.Integral, np.integer)):
        msg = f"step must be a whole number, got {step!r}"
        raise InvalidArgumentType(msg)
    number = int(step)
    if not 0 <= number < 2**63:
        msg = f"step must be from 0 to 2**63 - 1, got {number}"
        raise InvalidArgument(msg)
    return number


def _value(value: object) -> float:
    if not isinstance(value, (str, bytes)):
        try:
            found = float(value)  # type: ignore[arg-type]  # whatever has __float__: a tensor, too
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"value must be a number, got {value!r}: {error}"
            raise InvalidArgumentType(msg) from None
        return found if not math.isnan(found) else math.nan
    msg = f"value must be a number, got {value!r}"
    raise InvalidArgumentType(msg)
