"""What a failed Spark job means for its trials, read off the error's text: Spark has no codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["JobFailure", "Verdict", "judge", "judge_connect"]


class Verdict(Enum):
    """Who is to blame."""

    WORKER_LOST = "the worker that ran the task is gone"
    CANCELLED = "somebody cancelled the job"
    ENVIRONMENT = "the executor's Python cannot run tasks"
    REFUSED = "Spark does not run such jobs here"
    STOPPED = "the SparkContext, or the Connect session, is gone"


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A verdict with the reason in one line, and host and stage where Spark names them.

    Attributes
    ----------
    executor_lost
        Whether the whole executor is gone: no trial's time-out does that, and Spark may take long
        to notice.
    """

    verdict: Verdict
    reason: str
    host: str | None = None
    stage: int | None = None
    executor_lost: bool = False


_ENVIRONMENT = (
    re.compile(r"\[?PYTHON_VERSION_MISMATCH\]?[^\n]*"),
    re.compile(r"Python in worker has different version[^\n]*"),
    re.compile(r"Cannot run program \"[^\"]*\"[^\n]*"),
    re.compile(
        r"ModuleNotFoundError: No module named '(?:pyspark|numpy|py4j|pyarrow|pandas)[^\n]*"
    ),
)
_REFUSED = re.compile(r"[^\n]*ResourceProfiles? (?:are|is) only supported[^\n]*")
_STOPPED = re.compile(
    r"SparkContext was shut down|SparkContext has been shutdown|stopped SparkContext"
    r"|Cannot call methods on a stopped"
)
#: What the client of a JVM says that is gone. In the text of a task that failed it says nothing:
#: one that cannot fetch a block from a preempted executor is refused a connection, too.
_UNANSWERED = re.compile(
    r"Answer from Java side is empty|Connection refused|Py4JNetworkError"
    r"|Error while obtaining a new communication channel"
    r"|'NoneType' object has no attribute 'sc'"
)
_ANSWERED = re.compile(r"Py4JJavaError|Job aborted due to stage failure|[Tt]ask \d\S* in stage")
#: What the client of a server says that is gone, or has forgotten the session.
_SESSION_ENDED = re.compile(
    r"SESSION_(?:NOT_FOUND|CLOSED|CHANGED)|NO_ACTIVE_SESSION|RETRIES_EXCEEDED"
    r"|server side session identifier|StatusCode\.UNAVAILABLE|Cannot invoke RPC on closed channel"
)
_CANCELLED = re.compile(
    r"SPARK_JOB_CANCELLED|cancelled part of cancelled job|cancelled as part of|OPERATION_CANCELED"
)
_HOST = re.compile(r"\(TID \d+\) \((\S+) executor (\S+)\)")
_STAGE = re.compile(r"[Tt]ask \d+(?:\.\d+)? in stage (\d+)\.")
_EXECUTOR_LOST = "the executor was lost"
_CAUSES = (
    (  # the first that matches counts
        re.compile(r"Python worker exited unexpectedly|Python worker process terminated"),
        (
            "the Python worker process ended while the trial ran: os._exit, a crash in native "
            "code, or the kernel's out-of-memory killer"
        ),
    ),
    (
        re.compile(r"ExecutorLostFailure[^\n]*?Reason: ([^\n]*)"),
        _EXECUTOR_LOST,
    ),
    (re.compile(r"OutOfMemoryError[^\n]*"), "the executor ran out of memory"),
    (
        re.compile(r"OPERATION_ABANDONED|OPERATION_NOT_FOUND"),
        "the Spark Connect server gave the query up, for this client was away",
    ),
    (
        re.compile(r"(?:bigger than|exceed\w*) spark\.driver\.maxResultSize[^\n]*"),
        "the result was larger than spark.driver.maxResultSize",
    ),
)


def judge(error: BaseException) -> JobFailure:
    """Return what an exception from a Spark job means."""
    return _judge(f"{type(error).__name__}: {_text(error)}")


def judge_connect(error: BaseException) -> JobFailure:
    """Return what an exception from a query means, or from any other request to a server."""
    text = f"{type(error).__name__}: {_text(error)}"
    status = getattr(error, "getGrpcStatusCode", lambda: None)()
    if _SESSION_ENDED.search(text) or getattr(status, "name", "") == "UNAVAILABLE":
        return JobFailure(Verdict.STOPPED, _first_line(text))
    return _judge(text)


def _judge(text: str) -> JobFailure:
    found = _HOST.search(text)
    host = found.group(1) if found else None
    task = _STAGE.search(text)
    stage = int(task.group(1)) if task else None
    for pattern in _ENVIRONMENT:
        match = pattern.search(text)
        if match:
            return JobFailure(Verdict.ENVIRONMENT, match.group(0).strip(), host)
    refused = _REFUSED.search(text)
    if refused:
        return JobFailure(Verdict.REFUSED, refused.group(0).strip(), host)
    stopped = _STOPPED.search(text) or (_UNANSWERED.search(text) and not _ANSWERED.search(text))
    if stopped:  # Spark says that it cancels jobs then, too
        return JobFailure(Verdict.STOPPED, _first_line(text), host)
    if _CANCELLED.search(text):
        return JobFailure(Verdict.CANCELLED, "the Spark job was cancelled", host)
    for pattern, reason in _CAUSES:
        match = pattern.search(text)
        if match:
            detail = match.group(1) if match.groups() else ""
            return JobFailure(
                Verdict.WORKER_LOST,
                f"{reason} ({detail.strip()})" if detail else reason,
                host,
                stage,
                executor_lost=reason is _EXECUTOR_LOST,
            )
    return JobFailure(
        Verdict.WORKER_LOST, f"the Spark job failed: {_first_line(text)}", host, stage
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unreadable:  # noqa: BLE001 - py4j asks the JVM, which may be gone
        return f"{type(unreadable).__name__}: {unreadable}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:600]
