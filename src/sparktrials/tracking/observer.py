"""The driver's side of tracking: decides whether a study is logged, and passes on its news.

Nothing here waits for a server, but for a while at the end.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparktrials.errors import InvalidArgument
from sparktrials.study.trial import TrialState
from sparktrials.tracking.backlog import Backlog, Unwritten
from sparktrials.tracking.mlflow import (
    END,
    STUDY,
    News,
    Writer,
    active_run,
    is_refusal,
    tracking_uri,
)

if TYPE_CHECKING:
    from sparktrials.study.history import History
    from sparktrials.study.interrupts import Grace
    from sparktrials.study.trial import Trial

__all__ = ["MlflowObserver", "checked_tracking", "tracked"]

logger = logging.getLogger("sparktrials.tracking")

#: Seconds that ``fmin`` waits at its end for what is not written yet: in all, without any progress
#: (a new database takes its time for the first run), and after an interrupt.
FLUSH_S = 60.0
STALLED_S = 20.0
INTERRUPTED_S = 0.5
#: Trials written at the same time, where the server is another process.
_THREADS = 4


def checked_tracking(value: object) -> object:
    """Return the setting that `Trials` were given, if it makes sense.

    Raises
    ------
    InvalidArgument
        If it does not, or MLflow is not installed.
    """
    if value is None or value is False:
        return value
    if value != "mlflow":
        msg = f"tracking must be 'mlflow', None or False, got {value!r}"
        raise InvalidArgument(msg)
    if importlib.util.find_spec("mlflow") is None:
        msg = "tracking='mlflow' needs MLflow: pip install mlflow"
        raise InvalidArgument(msg)
    return value


@contextlib.contextmanager
def tracked(
    tracking: object,
    *,
    automatic: bool,
    history: History,
    key: str,
    durable: bool,
    grace: Grace,
) -> Iterator[tuple[MlflowObserver, ...]]:
    """Yield the observer that logs a run of a study, if it is to be logged.

    Parameters
    ----------
    tracking
        ``"mlflow"``, False, or None.
    automatic
        Whether None means that an active run of MLflow's is logged to.
    history, key, durable
        The study: earlier trials of one in a durable store are logged, too, unless they are.
    grace
        What the end of an interrupted run may take.
    """
    active = None
    imported = sys.modules.get("mlflow") is not None
    if tracking == "mlflow" or (tracking is None and automatic and imported):
        active = active_run()
    if active is None and tracking != "mlflow":
        yield ()
        return
    observer = MlflowObserver(history, key, active, resumed=durable and len(history) > 0)
    try:
        yield (observer,)
    except BaseException as error:
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        wait_s = grace.left(INTERRUPTED_S) if interrupted else None
        observer.close("KILLED" if interrupted else "FAILED", interrupted_s=wait_s)
        raise
    else:
        observer.close("FINISHED")


class MlflowObserver:
    """Passes on to the background what is to be logged.

    Parameters
    ----------
    history
        Of the study.
    key
        The experiment's name.
    active
        Id of the run that is open already; None makes one.
    resumed
        Whether trials that are in the history may have been logged by an earlier program.
    """

    def __init__(self, history: History, key: str, active: str | None, *, resumed: bool) -> None:
        uri = tracking_uri()
        self._history = history
        self._used = False
        self._best: Trial | None = None
        self._writer = Writer(history, key, uri, active, resumed=resumed)
        remote = uri.startswith(("http:", "https:", "databricks"))
        self._backlog = Backlog(
            self._writer.write, is_refusal, self._warn, threads=_THREADS if remote else 1
        )
        if resumed:
            self.changed([trial for trial in history if trial.state.terminal])

    def changed(self, trials: Sequence[Trial]) -> None:
        """Log trials' new states."""
        self._used = True
        for trial in trials:
            self._backlog.put(trial.id, trial)

    def update(self, history: History, running: int) -> None:  # noqa: ARG002 - the protocol
        """Log what the best loss is now."""
        if history.best is not self._best:
            self._best = history.best
            self._backlog.put(STUDY, self._news())

    def note(self, text: str) -> None:
        """Do nothing: messages are for people."""

    def close(self, status: str, *, interrupted_s: float | None = None) -> None:
        """Wait a while for what is not written yet, and say what could not be.

        After an interrupt so many seconds: the rest goes on in the background.
        """
        interrupted = interrupted_s is not None
        if self._used:
            self._backlog.put(END, (status, self._news()))
        left = self._backlog.close(
            within_s=FLUSH_S if interrupted_s is None else interrupted_s,
            stalled_s=STALLED_S,
            later_s=FLUSH_S if interrupted else 0.0,
        )
        if left:
            self._say(left, interrupted=interrupted)

    def _news(self) -> News:
        counts = {state: self._history.count(state) for state in TrialState}
        return News(self._history.best, counts, time.time())

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "MLflow at %s: %s. Trials are not disturbed; what can be logged later will be.",
            self._writer.uri, _in_short(error),
        )  # fmt: skip

    def _say(self, left: Unwritten, *, interrupted: bool) -> None:
        trials = sum(isinstance(key, int) for key in left.keys)
        what = f"{trials} of {len(self._history)} trials" if trials else "the end of the study"
        if interrupted:
            logger.warning("%s not yet logged to MLflow: that goes on in the background", what)
            return
        reason = f"no answer for {STALLED_S:g} s" if left.error is None else _in_short(left.error)
        logger.warning("%s could not be logged to MLflow: %s", what, reason)


def _in_short(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first[:300]}"
