"""Trials as Hyperopt's documents, built when they are read.

``adoption`` is the way back. Left of ``api`` nobody knows ``idxs``, ``vals`` and job states.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sparktrials.study.trial import FailureKind, Trial, TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "JOB_STATES",
    "JOB_STATE_CANCEL",
    "JOB_STATE_DONE",
    "JOB_STATE_ERROR",
    "JOB_STATE_NEW",
    "JOB_STATE_RUNNING",
    "document_of",
    "job_state_of",
    "scalar",
]

JOB_STATE_NEW = 0
JOB_STATE_RUNNING = 1
JOB_STATE_DONE = 2
JOB_STATE_ERROR = 3
JOB_STATE_CANCEL = 4
JOB_STATES = (
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_CANCEL,
)


def job_state_of(trial: Trial) -> int:
    """Return Hyperopt's state of a trial: a failure that the objective reported counts as done."""
    if trial.state is TrialState.NEW:
        return JOB_STATE_NEW
    if trial.state is TrialState.RUNNING:
        return JOB_STATE_RUNNING
    if trial.state is TrialState.CANCELLED:
        return JOB_STATE_CANCEL
    failure = trial.failure
    if failure is not None and failure.kind is not FailureKind.REPORTED:
        return JOB_STATE_ERROR
    return JOB_STATE_DONE


def document_of(trial: Trial, labels: Sequence[str], exp_key: str | None) -> dict[str, Any]:
    """Return the document of a trial.

    Parameters
    ----------
    trial
        Any trial.
    labels
        All labels of the space: those inactive in the trial get empty lists.
    exp_key
        What ``exp_key`` says in it.
    """
    state = job_state_of(trial)
    point = trial.point
    if not point.keys() <= set(labels):  # of another space than the present one
        labels = sorted({*labels, *point})
    misc: dict[str, Any] = {
        "tid": trial.id,
        "cmd": ("domain_attachment", "FMinIter_Domain"),
        "workdir": None,
        "idxs": {label: [trial.id] if label in point else [] for label in labels},
        "vals": {label: [_raw(trial, label)] if label in point else [] for label in labels},
    }
    if state == JOB_STATE_ERROR and trial.failure is not None:
        misc["error"] = (f"<class '{trial.failure.type}'>", trial.failure.message)
        misc["traceback"] = trial.failure.traceback
    return {
        "state": state,
        "tid": trial.id,
        "spec": None,
        "result": _result_of(trial, state),
        "misc": misc,
        "exp_key": exp_key,
        "owner": None,
        "version": 0,
        "book_time": _naive_utc(trial.started),
        "refresh_time": _naive_utc(trial.finished or trial.started),
    }


def _raw(trial: Trial, label: str) -> Any:  # noqa: ANN401 - a number
    """Return a raw draw as documents have it: users' own values as plain numbers."""
    value = trial.point[label]
    return value if trial.given else scalar(value)


def scalar(value: float) -> np.float64 | np.int64:
    """Return a raw draw as the numpy scalar that Hyperopt has in its place."""
    return cast("np.int64", np.int64(value)) if isinstance(value, int) else np.float64(value)


def _result_of(trial: Trial, state: int) -> dict[str, Any]:
    if state != JOB_STATE_DONE:
        return {"status": "new"}
    if trial.result:
        return dict(trial.result)
    # An objective that returned no usable result has none to show.
    reason = str(trial.failure) if trial.failure is not None else ""
    return {"status": "fail", "failure": reason}


def _naive_utc(seconds: float | None) -> dt.datetime | None:
    """Return a time as Hyperopt writes it: UTC without a zone, whole milliseconds."""
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(round(seconds, 3), tz=dt.timezone.utc).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
