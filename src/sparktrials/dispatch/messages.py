"""What driver and executors say to each other over the channel: outcomes as plain data.

A message is a header of plain values and binary blobs. Nothing here is ever unpickled; values that
a user's objective returned beside the loss and that are no plain data travel as the opaque pickles
that they are in an `Outcome`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from sparktrials.study.protocols import Reported
from sparktrials.study.reports import LOG_LIMIT, REPORTS_LIMIT, Report, joined_log
from sparktrials.study.trial import Failure, FailureKind, Outcome, TrialState
from sparktrials.study.values import dumps, loads

__all__ = [
    "decode_outcomes",
    "decode_report",
    "decode_returned",
    "encode_outcomes",
    "encode_report",
    "encode_returned",
]


def encode_outcomes(outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], list[bytes]]:
    """Return outcomes as a message; their results hold plain values only."""
    blobs: list[bytes] = []
    for outcome in outcomes:
        if not _is_small(outcome):
            blobs.append(dumps(dict(outcome.result)).encode())
        blobs += outcome.attachments.values()
        blobs += outcome.objects.values()
    return {"kind": "outcomes", "outcomes": [_document(outcome) for outcome in outcomes]}, blobs


def _is_small(outcome: Outcome) -> bool:
    """Whether the result goes into the header: it has loss and status, as most have."""
    return outcome.result.keys() <= {"loss", "status"}


def _document(outcome: Outcome) -> dict[str, Any]:
    failure = outcome.failure
    return {
        "id": outcome.trial_id,
        "attempt": outcome.attempt,
        "state": outcome.state.value,
        "loss": outcome.loss,
        "result": dict(outcome.result) if _is_small(outcome) else None,
        "failure": None
        if failure is None
        else [failure.kind.value, failure.type, failure.message, failure.traceback],
        "host": outcome.host,
        "duration_s": outcome.duration_s,
        "dropped": dict(outcome.dropped),
        "attachments": list(outcome.attachments),
        "objects": list(outcome.objects),
        "reports": [list(report) for report in outcome.reports],
        "log": outcome.log,
    }


def decode_outcomes(header: Mapping[str, Any], blobs: Sequence[bytes]) -> list[Outcome]:
    """Return the outcomes that a message says.

    Raises
    ------
    ValueError
        If the message is not one that `encode_outcomes` makes.
    """
    try:
        left = list(blobs)
        outcomes = [_outcome(document, left) for document in header["outcomes"]]
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        msg = f"not an outcome: {type(error).__name__}: {error}"
        raise ValueError(msg) from error
    if left:
        msg = f"{len(left)} blobs belong to no outcome"
        raise ValueError(msg)
    return outcomes


def _outcome(document: Mapping[str, Any], blobs: list[bytes]) -> Outcome:
    """Return one outcome; takes its blobs from the front of `blobs`."""
    result = document["result"]
    if result is None:
        result = loads(blobs.pop(0).decode())
    attachments = {str(name): blobs.pop(0) for name in document["attachments"]}
    objects = {str(name): blobs.pop(0) for name in document["objects"]}
    failure, loss, host = document["failure"], document["loss"], document["host"]
    seconds = document["duration_s"]
    outcome = Outcome(
        trial_id=_whole(document["id"]),
        attempt=_whole(document["attempt"]),
        state=TrialState(_text(document["state"])),
        loss=None if loss is None else _number(loss),
        result=_by_name(result),
        failure=None
        if failure is None
        else Failure(
            kind=FailureKind(_text(failure[0])),
            type=str(failure[1]),
            message=str(failure[2]),
            traceback=str(failure[3]),
        ),
        host=None if host is None else str(host),
        duration_s=None if seconds is None else _number(seconds),
        dropped={str(k): str(v) for k, v in dict(document["dropped"]).items()},
        attachments=attachments,
        objects=objects,
        reports=_reports(document["reports"]),
        log=joined_log("", (str(document["log"]),)),
    )
    _check(outcome)
    return outcome


def _check(outcome: Outcome) -> None:
    """Refuse an outcome that no trial can have."""
    ok = outcome.state is TrialState.OK
    if (
        not outcome.state.terminal
        or (ok and (outcome.loss is None or not math.isfinite(outcome.loss)))
        or (outcome.state is TrialState.FAILED and outcome.failure is None)
    ):
        msg = f"no outcome of a trial: {outcome.state.value} with loss {outcome.loss}"
        raise ValueError(msg)


def encode_report(
    trial_id: int, attempt: int, reports: Sequence[Report], lines: Sequence[str]
) -> dict[str, Any]:
    """Return what a running trial says as a message."""
    return {
        "kind": "report",
        "id": trial_id,
        "attempt": attempt,
        "reports": [list(report) for report in reports],
        "lines": list(lines),
    }


def decode_report(header: Mapping[str, Any]) -> Reported:
    """Return what a running trial says.

    Raises
    ------
    ValueError
        If the message is not one that `encode_report` makes.
    """
    try:
        lines = [str(line)[:LOG_LIMIT] for line in header["lines"][:REPORTS_LIMIT]]
        return Reported(
            _whole(header["id"]),
            _whole(header["attempt"]),
            _reports(header["reports"]),
            tuple(lines),
        )
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        msg = f"not a report: {type(error).__name__}: {error}"
        raise ValueError(msg) from error


def encode_returned(attempts: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return as a message that attempts, by trial id and number, were never started."""
    return {"kind": "returned", "attempts": [list(attempt) for attempt in attempts]}


def decode_returned(header: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the trial ids and numbers of attempts that were never started.

    Raises
    ------
    ValueError
        If the message is not one that `encode_returned` makes.
    """
    try:
        return [(_whole(trial_id), _whole(attempt)) for trial_id, attempt in header["attempts"]]
    except (LookupError, TypeError) as error:
        msg = f"not attempts: {type(error).__name__}: {error}"
        raise ValueError(msg) from error


def _reports(pairs: Sequence[Any]) -> tuple[Report, ...]:
    return tuple((_whole(step), _number(value)) for step, value in pairs[:REPORTS_LIMIT])


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        msg = f"not a number of a trial: {reprlib.repr(value)}"
        raise ValueError(msg)
    return value


def _number(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        msg = f"not a number: {reprlib.repr(value)}"
        raise ValueError(msg)
    return float(value)


def _text(value: object) -> str:
    # An enumeration compares what cannot be hashed with each member: arrays have no one answer.
    if type(value) is not str:
        msg = f"not a name: {reprlib.repr(value)}"
        raise ValueError(msg)
    return value


def _by_name(values: object) -> dict[str, Any]:
    if type(values) is not dict or not all(type(key) is str for key in values):
        msg = f"not values by name: {reprlib.repr(values)}"
        raise ValueError(msg)
    return values
