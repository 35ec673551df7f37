"""Trials and experiments as JSON documents, and back.

A document says all there is to know, so that any store can keep it: its own schema version first,
fields at their default left out. Decoding trusts nothing: a document that `encode_trial` could not
have written is refused, and none makes anything but plain values.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparktrials.errors import InvalidTrial, StoreVersionError
from sparktrials.study.protocols import Experiment
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.study.values import TAG, decode_json, encode_json, is_plain, tagged, untagged

__all__ = ["VERSION", "decode_experiment", "decode_trial", "encode_experiment", "encode_trial"]

#: Version of the documents.
VERSION = 1

_STATES: Mapping[str, TrialState] = {state.value: state for state in TrialState}
_KINDS: Mapping[str, FailureKind] = {kind.value: kind for kind in FailureKind}
_NUMBERS = frozenset({int, float})
_TEXT = frozenset({str})
_WHOLE = frozenset({int})
_LARGEST_ID = 2**63 - 1  # what databases number rows with
_OF_A_PARAMETER = ("label", "distribution", "condition")
_TIMES = ("created", "started", "finished")
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799  # the years 1 to 9999, since 1970

#: Field -> the types that it may have in JSON; those after `point` may be absent.
_FIELDS: Mapping[str, frozenset[type]] = {
    "v": _WHOLE,
    "id": _WHOLE,
    "state": _TEXT,
    "point": frozenset({dict}),
    "loss": _NUMBERS,
    "result": frozenset({dict}),
    "failure": frozenset({list}),
    "attempt": _WHOLE,
    "host": _TEXT,
    "created": _NUMBERS,
    "started": _NUMBERS,
    "finished": _NUMBERS,
    "duration_s": _NUMBERS,
    "seed": _WHOLE,
    "given": frozenset({bool}),
    "attachments": frozenset({list}),
    "reports": frozenset({list}),
    "log": _TEXT,
}


# --------------------------------------------------------------------------- trials


def encode_trial(trial: Trial) -> str:
    """Return a trial's document.

    Raises
    ------
    InvalidTrial
        If its result holds something that is not plain, or another field does not fit JSON.
    """
    try:
        return encode_json(_document(trial))
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        msg = f"trial {trial.id!r} cannot be stored: {_culprit(trial) or error}"
        raise InvalidTrial(msg) from error


def _document(trial: Trial) -> dict[str, Any]:
    number = trial.id
    if type(number) is not int or not 0 <= number <= _LARGEST_ID:
        number = _whole("id", number)
    point = trial.point
    document: dict[str, Any] = {
        "v": VERSION,
        "id": number,
        "state": trial.state.value,
        "point": point
        if type(point) is dict and set(map(type, point.values())) <= _NUMBERS
        else {label: _number(label, value) for label, value in point.items()},
    }
    if not set(map(type, point)) <= _TEXT:  # JSON would turn other keys into text
        msg = f"its point has a label that is not text: {reprlib.repr(dict(point))}"
        raise TypeError(msg)
    if trial.attempt:
        document["attempt"] = _whole("attempt", trial.attempt)
    if trial.loss is not None:
        document["loss"] = _number("loss", trial.loss)
    if trial.result:
        document["result"] = tagged(dict(trial.result))
    failure = trial.failure
    if failure is not None:
        kind = failure.kind.value
        document["failure"] = [kind, failure.type, failure.message, failure.traceback]
    if trial.host is not None:
        document["host"] = trial.host
    if trial.created is not None:
        document["created"] = _time("created", trial.created)
    if trial.started is not None:
        document["started"] = _time("started", trial.started)
    if trial.finished is not None:
        document["finished"] = _time("finished", trial.finished)
    if trial.duration_s is not None:
        document["duration_s"] = _number("duration_s", trial.duration_s)
    if trial.seed is not None:
        document["seed"] = _whole("seed", trial.seed)
    if trial.given:
        document["given"] = True
    if trial.attachments:
        document["attachments"] = list(trial.attachments)
    if trial.reports:
        document["reports"] = tagged([list(report) for report in trial.reports])
    if trial.log:
        document["log"] = trial.log
    return document


def _number(name: str, value: object) -> int | float:
    """Return a finite number as a Python one: numpy's have no JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) not in _NUMBERS or not math.isfinite(value):  # type: ignore[arg-type]
        msg = f"its {name} must be a finite number, got {reprlib.repr(value)}"
        raise TypeError(msg)
    return value  # type: ignore[return-value]


def _time(name: str, value: object) -> int | float:
    """Return seconds since 1970 that a calendar has: of the years 1 to 9999."""
    seconds = _number(name, value)
    if not _FIRST_S <= seconds < _LAST_S:
        msg = f"its {name} must be a time of the years 1 to 9999, got {reprlib.repr(value)}"
        raise ValueError(msg)
    return seconds


def _whole(name: str, value: object) -> int:
    if isinstance(value, np.integer):
        value = value.item()
    if type(value) is not int or not 0 <= value <= _LARGEST_ID:
        msg = f"its {name} must be a whole number from 0, got {reprlib.repr(value)}"
        raise TypeError(msg)
    return value


def _culprit(trial: Trial) -> str:
    """Name the entries of the result that are not plain."""
    result: object = trial.result
    if not isinstance(result, Mapping):
        return f"its result must be a mapping, got {type(result).__name__}"
    wrong = [
        f"result[{key!r}] is of type {type(value).__name__}"
        for key, value in result.items()
        if not (is_plain(key) and is_plain(value))
    ]
    return f"not plain data: {', '.join(wrong)}" if wrong else ""


def decode_trial(text: str) -> Trial:
    """Return the trial of a document.

    Raises
    ------
    InvalidTrial
        If `encode_trial` could not have written it.
    StoreVersionError
        If a newer version of sparktrials wrote it.
    """
    try:
        return _trial(_loaded(text), tags=TAG in text)
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        msg = f"not the document of a trial: {error}"
        raise InvalidTrial(msg) from error


def _loaded(text: str) -> dict[str, Any]:
    document = decode_json(text)
    if type(document) is not dict:
        msg = f"an object was expected, got {type(document).__name__}"
        raise TypeError(msg)
    version = document["v"]
    if type(version) is int and version > VERSION:
        msg = (
            f"a document of version {version}; this sparktrials reads versions up to {VERSION}: "
            "upgrade it"
        )
        raise StoreVersionError(msg)
    if version != VERSION or type(version) is not int:
        msg = f"an unknown version: {reprlib.repr(version)}"
        raise ValueError(msg)
    return document


def _trial(fields: dict[str, Any], *, tags: bool) -> Trial:
    for name, value in fields.items():
        if type(value) not in _FIELDS[name]:
            msg = f"{name} has the wrong type: {reprlib.repr(value)}"
            raise TypeError(msg)
    del fields["v"]
    point = fields["point"]
    if not set(map(type, point.values())) <= _NUMBERS:
        msg = f"point must hold numbers, got {reprlib.repr(point)}"
        raise TypeError(msg)
    if not all(map(math.isfinite, point.values())) or not math.isfinite(fields.get("loss", 0)):
        msg = "a number is infinite"
        raise ValueError(msg)
    for name in _TIMES:
        if name in fields and not _FIRST_S <= fields[name] < _LAST_S:
            msg = f"{name} is no time of the years 1 to 9999"
            raise ValueError(msg)
    if fields["id"] < 0 or fields.get("attempt", 0) < 0:
        msg = "id and attempt count from 0"
        raise ValueError(msg)
    fields["state"] = _STATES[fields["state"]]
    if tags and "result" in fields:
        fields["result"] = result = untagged(fields["result"])
        if type(result) is not dict:
            msg = f"result must be an object, got {reprlib.repr(result)}"
            raise TypeError(msg)
    if "failure" in fields:
        fields["failure"] = _failure(fields["failure"])
    if "attachments" in fields:
        fields["attachments"] = tuple(_texts("attachments", fields["attachments"]))
    if "reports" in fields:
        found = untagged(fields["reports"]) if tags else fields["reports"]
        fields["reports"] = tuple(_report(pair) for pair in found)
    return Trial(**fields)  # a field that is missing is a TypeError


def _failure(content: object) -> Failure:
    kind, name, message, traceback = _texts("failure", content)
    return Failure(kind=_KINDS[kind], type=name, message=message, traceback=traceback)


def _report(pair: object) -> tuple[int, float]:
    if type(pair) is not list or [type(value) for value in pair] != [int, float]:
        msg = f"reports must be pairs of step and value, got {reprlib.repr(pair)}"
        raise TypeError(msg)
    step, value = pair
    return step, value


def _texts(name: str, content: object) -> list[str]:
    if type(content) is not list or not set(map(type, content)) <= _TEXT:
        msg = f"{name} must be a list of texts, got {reprlib.repr(content)}"
        raise TypeError(msg)
    return content


# --------------------------------------------------------------------------- experiments


def encode_experiment(experiment: Experiment) -> str:
    """Return an experiment's document.

    Raises
    ------
    InvalidTrial
        If a field does not fit JSON.
    """
    try:
        for row in experiment.space:
            _texts("space", [row[name] for name in _OF_A_PARAMETER])
        return encode_json(
            {
                "v": VERSION,
                "key": experiment.key,
                "fingerprint": experiment.fingerprint,
                "space": [dict(row) for row in experiment.space],
                "seed": int(experiment.seed),
            }
        )
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        msg = f"experiment {experiment.key!r} cannot be stored: {error}"
        raise InvalidTrial(msg) from error


def decode_experiment(text: str) -> Experiment:
    """Return the experiment of a document.

    Raises
    ------
    InvalidTrial
        If `encode_experiment` could not have written it.
    StoreVersionError
        If a newer version of sparktrials wrote it.
    """
    try:
        return _experiment(_loaded(text))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        msg = f"not the document of an experiment: {error}"
        raise InvalidTrial(msg) from error


def _experiment(document: dict[str, Any]) -> Experiment:
    key, fingerprint = _texts("key", [document["key"], document["fingerprint"]])
    seed, space = document["seed"], document["space"]
    if type(seed) is not int or type(space) is not list:
        msg = "seed must be a whole number and space a list"
        raise TypeError(msg)
    for row in space:
        _texts("space", [*(row[name] for name in _OF_A_PARAMETER), *row.values()])
    return Experiment(key=key, fingerprint=fingerprint, space=space, seed=seed)
