"""Where the trials of a search run, and a file that they are written to."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparktrials.api.local import cpus
from sparktrials.api.options import positive_seconds
from sparktrials.api.saving import replacing
from sparktrials.api.trials import Trials
from sparktrials.dispatch.processes import ProcessDispatcher
from sparktrials.errors import InvalidArgument
from sparktrials.store.url import kind_of

__all__ = ["TimedTrials", "kept_to", "trials_for", "write_trials"]


class TimedTrials(Trials):
    """Trials one after the other in a process of their own, which can be ended.

    Parameters
    ----------
    trial_timeout
        Seconds for one trial.
    """

    def __init__(self, trial_timeout: float | None) -> None:
        super().__init__()
        self.trial_timeout = trial_timeout
        self.max_retries = 0
        self.catch_by_default = True

    def dispatcher(self, max_queue_len: int) -> ProcessDispatcher:  # noqa: ARG002 - one at a time
        """Return where trials run; ``fmin`` closes it."""
        return ProcessDispatcher(1, cpus())


def trials_for(given: Any, trial_timeout: object) -> Trials:  # noqa: ANN401 - checked here
    """Return the trials of a search.

    Parameters
    ----------
    given
        `Trials` of any kind, the URL of a history, or None.
    trial_timeout
        Seconds for one trial, or None.

    Raises
    ------
    InvalidArgument
        If trials that were given cannot keep a time-out, or a text is no store's URL.
    """
    seconds = positive_seconds("trial_timeout", trial_timeout)
    if given is None:
        return Trials() if seconds is None else TimedTrials(seconds)
    if isinstance(given, str):
        kind_of(given)  # a text that is no URL would be the name of an experiment in memory
        given = Trials(given)
    trials = given
    if not isinstance(trials, Trials):
        msg = f"trials must be Trials, SparkTrials, the URL of a history or None, got {given!r}"
        raise InvalidArgument(msg)
    if seconds is not None:
        in_this_process = type(trials) is Trials and not trials.local.in_processes
        if in_this_process:
            msg = (
                f"trial_timeout={trial_timeout!r} needs trials that can be ended: trials=None, "
                "Trials(n_jobs=2) or SparkTrials()"
            )
            raise InvalidArgument(msg)
    return trials


@contextlib.contextmanager
def kept_to(trials: Trials, trial_timeout: object) -> Iterator[None]:
    """Keep trials to a time-out while they run; their own one stays what it is.

    Parameters
    ----------
    trials
        Of a search, as `trials_for` returns them.
    trial_timeout
        Seconds for one trial, or None: theirs. Where they have one, too, the shorter one holds.
    """
    seconds = positive_seconds("trial_timeout", trial_timeout)
    theirs = trials.trial_timeout
    if seconds is not None:
        own = isinstance(trials, TimedTrials)
        trials.trial_timeout = seconds if own or theirs is None else min(seconds, theirs)
    try:
        yield
    finally:
        trials.trial_timeout = theirs


def write_trials(trials: Trials, file: str | os.PathLike[str]) -> None:
    """Pickle trials to a file, which is never half of one.

    Raises
    ------
    StoreUnavailable
        If it cannot be written.
    """
    with replacing(Path(file), f"fit_increment_dump_filename {os.fspath(file)!r}") as temporary:
        temporary.write_bytes(pickle.dumps(trials))
