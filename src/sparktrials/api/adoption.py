"""Documents that users made by hand, or that Hyperopt wrote, as trials."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from sparktrials.api.documents import (
    JOB_STATE_CANCEL,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
)
from sparktrials.errors import InvalidTrial
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState

__all__ = ["TRIAL_KEYS", "TRIAL_MISC_KEYS", "checked_document", "renumbered", "trial_of"]

TRIAL_KEYS = (
    "tid",
    "spec",
    "result",
    "misc",
    "state",
    "owner",
    "book_time",
    "refresh_time",
    "exp_key",
)
TRIAL_MISC_KEYS = ("tid", "cmd", "idxs", "vals")

_STATES = {
    JOB_STATE_NEW: TrialState.NEW,
    JOB_STATE_RUNNING: TrialState.RUNNING,
    JOB_STATE_DONE: TrialState.OK,
    JOB_STATE_ERROR: TrialState.FAILED,
    JOB_STATE_CANCEL: TrialState.CANCELLED,
}


def checked_document(document: Any, exp_key: str | None) -> dict[str, Any]:  # noqa: ANN401 - checked
    """Return a trial document if it is one.

    Raises
    ------
    InvalidTrial
        Naming what is wrong with it.
    """
    if not (hasattr(document, "keys") and hasattr(document, "values")):
        msg = f"a trial must be a dict, got {type(document).__name__}"
        raise InvalidTrial(msg, document)
    missing = [key for key in TRIAL_KEYS if key not in document]
    if missing:
        msg = f"the trial document lacks the key {missing[0]!r}; it needs {', '.join(TRIAL_KEYS)}"
        raise InvalidTrial(msg, missing[0])
    misc = document["misc"]
    missing = [key for key in TRIAL_MISC_KEYS if key not in misc]
    if missing:
        msg = (
            f"the trial's misc lacks the key {missing[0]!r}; it needs {', '.join(TRIAL_MISC_KEYS)}"
        )
        raise InvalidTrial(msg, missing[0])
    tid = document["tid"]
    if tid != misc["tid"]:
        msg = f"the trial's tid is {tid!r}, but its misc says {misc['tid']!r}"
        raise InvalidTrial(msg, document)
    if document["exp_key"] != exp_key:
        msg = f"the trial's exp_key is {document['exp_key']!r}, but these trials' is {exp_key!r}"
        raise InvalidTrial(msg, (document["exp_key"], exp_key))
    return document  # type: ignore[no-any-return]  # a dict, or as good as one


def trial_of(document: Mapping[str, Any], before: Trial | None = None) -> Trial:
    """Return the trial that a document describes.

    Parameters
    ----------
    document
        In Hyperopt's layout.
    before
        The trial as it was known until now: what documents don't carry is taken from it.

    Raises
    ------
    InvalidTrial
        If an entry makes no sense.
    """
    tid, job_state = document["tid"], document["state"]
    if isinstance(tid, bool) or not isinstance(tid, (Integral, np.integer)) or tid < 0:
        msg = f"a trial's tid must be a whole number from 0, got {tid!r}"
        raise InvalidTrial(msg)
    if job_state not in _STATES:
        msg = f"trial {tid}: state must be one of {sorted(_STATES)}, got {job_state!r}"
        raise InvalidTrial(msg)
    state = _STATES[job_state]
    result = document["result"]
    if not isinstance(result, Mapping):
        msg = f"trial {tid}: result must be a dict, got {result!r}"
        raise InvalidTrial(msg)
    base = before or Trial(id=int(tid), state=TrialState.NEW, point={}, given=True)
    trial = replace(
        base,
        state=state,
        point=_point_of(int(tid), document["misc"]["vals"]),
        host=base.host if document.get("owner") is None else _owner(document["owner"]),
        started=_seconds(document.get("book_time")),
    )
    if state is TrialState.OK:
        trial = _with_result(trial, dict(result))
    elif state is TrialState.FAILED:
        trial = replace(trial, failure=_error_of(document["misc"]))
    if trial.state.terminal:
        trial = replace(trial, finished=_seconds(document.get("refresh_time")))
    return trial


def renumbered(document: Mapping[str, Any], tid: int) -> dict[str, Any]:
    """Return a copy of a document with another id."""
    misc = dict(document["misc"])
    misc["tid"] = tid
    misc["idxs"] = {label: [tid] if ids else [] for label, ids in misc["idxs"].items()}
    return {**document, "tid": tid, "misc": misc}


def _point_of(tid: int, vals: Any) -> dict[str, int | float]:  # noqa: ANN401 - the user's
    point: dict[str, int | float] = {}
    if not isinstance(vals, Mapping):
        msg = f"trial {tid}: misc.vals must be a dict of label: [value], got {vals!r}"
        raise InvalidTrial(msg)
    for label, values in vals.items():
        if not isinstance(values, (Sequence, np.ndarray)) or len(values) > 1:
            msg = f"trial {tid}: misc.vals[{label!r}] must be a list of one value or none, got "
            raise InvalidTrial(msg + repr(values))
        if len(values) == 0:
            continue
        value = values[0]
        if isinstance(value, (Integral, np.integer, np.bool_)):
            point[label] = int(value)
            continue
        try:
            point[label] = float(value)
        except (TypeError, ValueError):
            msg = f"trial {tid}: misc.vals[{label!r}] must hold a number, got {value!r}"
            raise InvalidTrial(msg) from None
    return point


def _with_result(trial: Trial, result: dict[str, Any]) -> Trial:
    """Return a trial that is done, judged by its result."""
    status, loss = result.get("status"), result.get("loss")
    try:
        number = None if loss is None else float(loss)
    except (TypeError, ValueError):
        number = None
    if status == "ok" and number is not None and math.isfinite(number):
        return replace(trial, loss=number, result=result, failure=None)
    if status == "ok":
        name, message = "NonFiniteLoss", f"the loss is {loss!r}: such a trial is never the best"
    else:
        name, message = "StatusFail", f"the status is {status!r}"
    failure = Failure(kind=FailureKind.REPORTED, type=name, message=message)
    return replace(trial, state=TrialState.FAILED, loss=None, result=result, failure=failure)


def _error_of(misc: Mapping[str, Any]) -> Failure:
    error = misc.get("error") or ("Error", "")
    pair = [str(part) for part in error] if isinstance(error, (tuple, list)) else [str(error)]
    # Hyperopt writes str(type(error)).
    name = pair[0].removeprefix("<class '").removesuffix("'>")
    return Failure(
        kind=FailureKind.RAISED,
        type=name or "Error",
        message=pair[1] if len(pair) > 1 else "",
        traceback=str(misc.get("traceback", "")),
    )


def _owner(owner: object) -> str:
    # Hyperopt's MongoDB workers write a list of host and process.
    return ":".join(map(str, owner)) if isinstance(owner, (list, tuple)) else str(owner)


def _seconds(moment: object) -> float | None:
    """Return Hyperopt's naive UTC time as seconds since the epoch."""
    if not isinstance(moment, dt.datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp()
