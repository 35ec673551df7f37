"""Several observers of a run as one, and the one that writes what happens to the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.study.history import History
    from sparktrials.study.runner import Observer
    from sparktrials.study.trial import Trial

__all__ = ["Observers", "TransitionLog"]

logger = logging.getLogger("sparktrials.study")


class Observers:
    """Tells several observers, in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def changed(self, trials: Sequence[Trial]) -> None:
        """Tell them of trials' new states."""
        for observer in self._observers:
            observer.changed(trials)

    def update(self, history: History, running: int) -> None:
        """Tell them of the present state."""
        for observer in self._observers:
            observer.update(history, running)

    def note(self, text: str) -> None:
        """Tell them a message."""
        for observer in self._observers:
            observer.note(text)


class TransitionLog:
    """Logs each trial's start and end, with what a formatter needs as fields of the record.

    The fields are ``experiment``, ``trial_id``, ``attempt``, ``state``, ``loss``, ``host``,
    ``duration_s``, ``error`` and ``traceback``; None where there is none.

    Parameters
    ----------
    experiment
        Its name.
    """

    def __init__(self, experiment: str) -> None:
        self._experiment = experiment

    def changed(self, trials: Sequence[Trial]) -> None:
        """Log starts at DEBUG and ends at INFO."""
        if not logger.isEnabledFor(logging.INFO):
            return
        for trial in trials:
            if trial.state is TrialState.RUNNING and (trial.reports or trial.log):
                continue  # it is running already, and has said something
            level = logging.INFO if trial.state.terminal else logging.DEBUG
            if logger.isEnabledFor(level):
                logger.log(level, "%s", sentence(trial), extra=self._fields(trial))

    def update(self, history: History, running: int) -> None:
        """Do nothing: the state is the bar's."""

    def note(self, text: str) -> None:
        """Do nothing: messages are logged by the bar."""

    def _fields(self, trial: Trial) -> dict[str, object]:
        failure = trial.failure
        return {
            "experiment": self._experiment,
            "trial_id": trial.id,
            "attempt": trial.attempt,
            "state": trial.state.value,
            "loss": trial.loss,
            "host": trial.host,
            "duration_s": trial.duration_s,
            "error": None if failure is None else str(failure),
            "traceback": None if failure is None else failure.traceback or None,
        }


def sentence(trial: Trial) -> str:
    """Return what happened to a trial in one line."""
    again = f", attempt {trial.attempt}" if trial.attempt > 1 else ""
    if trial.state is TrialState.RUNNING:
        return f"trial {trial.id} submitted{again}"
    text = f"trial {trial.id} {trial.state.value}{again}"
    if trial.host:
        text += f" on {trial.host}"
    if trial.duration_s is not None:
        text += f" in {trial.duration_s:.3g} s"
    if trial.loss is not None:
        text += f": loss {trial.loss:.6g}"
    elif trial.failure is not None:
        text += f": {trial.failure}"
    return text
