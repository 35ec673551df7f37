"""One trial, from point to outcome: calls the objective and judges what it returned."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.dispatch.current import CurrentTrial, entered, left
from sparktrials.errors import InvalidLoss, InvalidResultStatus, MissingLoss
from sparktrials.study.trial import Failure, FailureKind, Outcome, TrialState

if TYPE_CHECKING:
    from sparktrials.dispatch.current import Listener
    from sparktrials.space import Point
    from sparktrials.study.protocols import Builder

__all__ = [
    "STATUS_FAIL",
    "STATUS_NEW",
    "STATUS_OK",
    "STATUS_RUNNING",
    "STATUS_STRINGS",
    "STATUS_SUSPENDED",
    "TrialTimeout",
    "evaluate",
    "failure_of",
    "judged",
]

STATUS_NEW = "new"
STATUS_RUNNING = "running"
STATUS_SUSPENDED = "suspended"
STATUS_OK = "ok"
STATUS_FAIL = "fail"
STATUS_STRINGS = (STATUS_NEW, STATUS_RUNNING, STATUS_SUSPENDED, STATUS_OK, STATUS_FAIL)

#: Longest message and traceback that a failure keeps, in characters.
MESSAGE_LIMIT = 4_000
TRACEBACK_LIMIT = 20_000


class TrialTimeout(BaseException):
    """The trial's time is up; not an ``Exception``, so that objectives don't swallow it."""


def evaluate(
    objective: Callable[..., Any],
    space: Builder,
    point: Point,
    *,
    trial_id: int,
    attempt: int,
    host: str,
    seed: int | None = None,
    resources: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    let_through: tuple[type[BaseException], ...] = (),
) -> tuple[Outcome, BaseException | None]:
    """Run one trial.

    Parameters
    ----------
    objective, space, point
        ``objective(space.build(point))`` is called.
    trial_id, attempt, host
        Kept in the outcome; with `seed` and `resources` what ``current_trial()`` says.
    listener
        Takes what the trial reports while it runs.
    let_through
        Exceptions that are the process's business, not the trial's.

    Returns
    -------
    tuple
        The outcome, whose result may hold values that are not plain, and the exception that ended
        the trial, if any.
    """
    start = time.perf_counter()
    exception: BaseException | None = None
    failure: Failure | None = None
    result: dict[str, Any] = {}
    loss: float | None = None
    attachments: dict[str, bytes] = {}
    dropped: dict[str, str] = {}
    current = CurrentTrial(
        id=trial_id,
        attempt=attempt,
        seed=seed,
        host=host,
        point=point,
        resources=resources,
        listener=listener,
    )
    token = entered(current)
    try:
        returned = objective(space.build(point))
        duration = time.perf_counter() - start
        loss, result, failure = _judge(returned)
        if "attachments" in result:
            _take_attachments(result.pop("attachments"), attachments, dropped)
    except let_through:
        raise
    except BaseException as error:  # noqa: BLE001 - a trial's failure is a value, whatever it is
        duration = time.perf_counter() - start
        exception, failure = error, failure_of(error)
    finally:
        left(token)
    outcome = Outcome(
        trial_id=trial_id,
        attempt=attempt,
        state=TrialState.OK if failure is None else TrialState.FAILED,
        loss=loss if failure is None else None,
        result=result,
        failure=failure,
        attachments=attachments,
        dropped=dropped,
        host=host,
        duration_s=duration,
        reports=current.reports,
        log=current.logged,
    )
    return outcome, exception


def failure_of(error: BaseException) -> Failure:
    """Describe an exception that the objective raised."""
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - an exception's own __str__ may raise anything
        message = "<its message could not be read>"
    try:
        frames = error.__traceback__
        # The first frame is `evaluate` itself.
        frames = frames.tb_next if frames is not None and frames.tb_next is not None else frames
        text = "".join(traceback.format_exception(type(error), error, frames, limit=-50))
    except BaseException:  # noqa: BLE001
        text = "<its traceback could not be formatted>"
    if len(text) > TRACEBACK_LIMIT:
        text = text[: TRACEBACK_LIMIT // 2] + "\n[...]\n" + text[-TRACEBACK_LIMIT // 2 :]
    if isinstance(error, (InvalidLoss, InvalidResultStatus)):
        return Failure(
            kind=FailureKind.REPORTED, type=type(error).__name__, message=message[:MESSAGE_LIMIT]
        )
    kind = FailureKind.TIMEOUT if isinstance(error, TrialTimeout) else FailureKind.RAISED
    return Failure(
        kind=kind,
        type=type(error).__name__,
        message=message[:MESSAGE_LIMIT],
        traceback=text,
    )


def judged(returned: object) -> dict[str, Any]:
    """Return what an objective returned as a result: a dict with its status, and its loss if ok.

    Raises
    ------
    InvalidLoss, InvalidResultStatus
        If it returned neither a number nor a dict with a valid status and a loss.
    """
    return _judge(returned)[1]


def _judge(returned: object) -> tuple[float | None, dict[str, Any], Failure | None]:
    """Return loss, result and the failure that the objective reported, if it did.

    Raises
    ------
    InvalidLoss, InvalidResultStatus
        If it returned neither a number nor a dict with a valid status and a loss.
    """
    if isinstance(returned, (list, tuple)) and returned:
        with contextlib.suppress(TypeError, ValueError):
            returned = dict(returned)  # pairs, which Hyperopt takes, too
    if not isinstance(returned, Mapping):
        loss = _loss(returned)
        result: dict[str, Any] = {"loss": loss, "status": STATUS_OK}
        return _finite(loss, result)
    result = dict(returned)
    status = result.get("status")
    if not isinstance(status, str) or status not in STATUS_STRINGS:
        msg = (
            f"the objective returned status {status!r}; it must be one of "
            f"{', '.join(map(repr, STATUS_STRINGS))}: return a number, or "
            "{'loss': ..., 'status': STATUS_OK}"
        )
        raise InvalidResultStatus(msg, result)
    # A str subclass, such as a member of an enumeration, is kept as the plain text that it equals.
    status = result["status"] = STATUS_STRINGS[STATUS_STRINGS.index(status)]
    if status == STATUS_OK:
        if "loss" not in result:
            keys = ", ".join(sorted(map(str, result)))
            msg = f"the objective returned status 'ok' without a loss, only {keys}"
            raise InvalidLoss(msg, result)
        result["loss"] = loss = _loss(_numeral(result["loss"]))
        return _finite(loss, result)
    if "loss" in result:
        try:
            result["loss"] = _loss(result["loss"])
        except InvalidLoss:
            del result["loss"]
    message = f"the objective returned status {status!r}"
    reason = result.get("failure", result.get("error", result.get("message")))
    if isinstance(reason, str):
        message = f"{message}: {reason[:MESSAGE_LIMIT]}"
    return None, result, Failure(kind=FailureKind.REPORTED, type="StatusFail", message=message)


def _finite(
    loss: float, result: dict[str, Any]
) -> tuple[float | None, dict[str, Any], Failure | None]:
    if math.isfinite(loss):
        return loss, result, None
    result["status"] = STATUS_FAIL
    return (
        None,
        result,
        Failure(
            kind=FailureKind.REPORTED,
            type="NonFiniteLoss",
            message=f"the loss is {loss!r}: such a trial is never the best",
        ),
    )


def _loss(value: object) -> float:
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    numeric = (float, int, np.floating, np.integer, np.bool_)
    if isinstance(value, numeric) or (
        # a Decimal, a Fraction, a tensor of one number: not an array, nor a node
        hasattr(kind, "__float__") and not isinstance(value, (np.ndarray, np.generic))
    ):
        try:
            return float(value)  # type: ignore[arg-type]  # whatever has __float__
        except (OverflowError, ValueError, TypeError) as error:
            msg = f"the loss must be a number, got {_short(value)}: {error}"
            raise InvalidLoss(msg) from None
    msg = (
        "the objective must return a number or a dict with 'loss' and 'status', got a loss of "
        f"type {kind.__name__}: {_short(value)}"
    )
    raise MissingLoss(msg)


def _numeral(value: object) -> object:
    """Return text that says a number as the number: Hyperopt takes it from a dict."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - somebody else's __repr__
        return "<not printable>"
    return text if len(text) <= 200 else text[:197] + "..."  # noqa: PLR2004 - a line or two


def _take_attachments(
    given: object, attachments: dict[str, bytes], dropped: dict[str, str]
) -> None:
    if not isinstance(given, Mapping):
        dropped["attachments"] = f"must be a dict of name: bytes, got {type(given).__name__}"
        return
    for name, content in given.items():
        if not _is_text(name):
            dropped[f"attachments[{name!r}]"] = "the name must be text"
        elif isinstance(content, str):
            attachments[str(name)] = content.encode(errors="surrogateescape")
        elif isinstance(content, (bytes, bytearray, memoryview)):
            attachments[str(name)] = bytes(content)
        else:
            kind = type(content).__name__
            dropped[f"attachments[{name!r}]"] = f"must be bytes or str, got {kind}"


def _is_text(name: object) -> bool:
    """Whether a name can be written down: lone surrogates cannot."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True
