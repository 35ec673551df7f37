"""What a driver does with the trials that were in flight when the one before it ended.

They run again, for drivers end for many reasons. But an objective that runs in the driver's process
may be such a reason: it takes the driver's memory, or ends it. If drivers ended again and again
while a trial ran there, and no other trial has finished in between, that trial is run with no other
beside it; and then no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState

__all__ = ["InFlight", "driver_lost", "in_flight"]

#: Drivers that must have ended while a trial ran for it to run alone, and to be given up.
_SUSPECT = 2
_GUILTY = 4


@dataclass(frozen=True, slots=True)
class InFlight:
    """Trials that have not ended, in their order.

    Attributes
    ----------
    again
        To run like any other.
    suspects
        To run with no other beside them.
    given_up
        To fail.
    """

    again: tuple[Trial, ...] = ()
    suspects: tuple[Trial, ...] = ()
    given_up: tuple[Trial, ...] = ()


def in_flight(history: Iterable[Trial], *, in_driver: bool) -> InFlight:
    """Judge the trials that an earlier driver left in flight.

    Parameters
    ----------
    history
        All trials.
    in_driver
        Whether trials run in the driver's process: elsewhere none is suspected.
    """
    progress = max((t.finished or 0.0 for t in history if t.state.terminal), default=0.0)
    again, suspects, given_up = [], [], []
    for trial in history:
        if trial.state.terminal:
            continue
        # Both times are of drivers' clocks; where these disagree a trial is judged a suspect later,
        # or runs alone for nothing.
        running = trial.state is TrialState.RUNNING
        stuck = in_driver and running and (trial.started or 0.0) >= progress
        if not stuck or trial.attempt < _SUSPECT:
            again.append(trial)
        elif trial.attempt < _GUILTY:
            suspects.append(trial)
        else:
            given_up.append(trial)
    return InFlight(tuple(again), tuple(suspects), tuple(given_up))


def driver_lost(trial: Trial) -> Failure:
    """Return what becomes of a trial that is given up."""
    message = (
        f"the driver ended each of the last {trial.attempt} times while this trial ran, and no "
        "other had finished in between: its objective probably ends the driver's process (out of "
        "memory, os._exit, a crash in native code); an evaluation in processes of their own, "
        "Trials(n_jobs=...) or executors, protects the driver"
    )
    return Failure(kind=FailureKind.WORKER_LOST, type="DriverLost", message=message)
