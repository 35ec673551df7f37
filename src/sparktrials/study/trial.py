"""A trial, its states and failures: frozen values that every other part passes on.

::

    NEW → RUNNING → OK | FAILED | CANCELLED | PRUNED        terminal once
             └────→ RUNNING   (attempt + 1, while retries are left)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparktrials.space import Point
    from sparktrials.study.reports import Report

__all__ = ["TERMINAL", "Failure", "FailureKind", "Outcome", "Trial", "TrialState"]


class TrialState(str, Enum):
    """Where a trial is on its way."""

    NEW = "new"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"

    @property
    def terminal(self) -> bool:
        """Whether nothing can change the trial any more."""
        return self in TERMINAL


#: States that a trial never leaves.
TERMINAL = frozenset({TrialState.OK, TrialState.FAILED, TrialState.CANCELLED, TrialState.PRUNED})


class FailureKind(str, Enum):
    """Why a trial failed.

    A `REPORTED` failure came back as a result (``STATUS_FAIL``, a loss that is NaN, infinite or
    unusable): Hyperopt calls such a trial done. The others ended it from without.
    """

    REPORTED = "reported"
    RAISED = "raised"
    WORKER_LOST = "worker_lost"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong in a trial.

    Attributes
    ----------
    kind
        Who noticed.
    type
        The exception's class name, or ``WorkerLost``, ``TrialTimeout``, ``StatusFail``,
        ``NonFiniteLoss``.
    message
        Its text.
    traceback
        The objective's frames as text, empty where there are none.
    """

    kind: FailureKind
    type: str
    message: str
    traceback: str = ""

    @property
    def is_error(self) -> bool:
        """Whether something went wrong, rather than the objective saying that the point is bad."""
        return self.kind is not FailureKind.REPORTED or self.type not in {
            "StatusFail",
            "NonFiniteLoss",
        }

    def __str__(self) -> str:
        """Return type and message in one line."""
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluation of the objective, from suggestion to result.

    Attributes
    ----------
    id
        0, 1, 2, … without gaps within an experiment.
    state
        See `TrialState`.
    point
        ``label -> raw draw`` of the active labels.
    loss
        Finite when the state is OK, else None.
    result
        What the objective returned, as a dict; plain values, and whatever else stayed in memory.
    failure
        Set when the state is FAILED.
    attempt
        How often it was submitted, also where it came back unstarted.
    host
        Where the last attempt ran.
    created, started, finished
        Seconds since the epoch by the driver's clock, None where it has not happened; `started`
        is when the last attempt was submitted.
    duration_s
        Seconds inside the objective by the executor's monotonic clock.
    seed
        A 32-bit seed of the trial's own, derived from the study's.
    given
        The point came from ``points_to_evaluate``, not from an algorithm.
    attachments
        Names of the attachments that the store holds for it.
    reports, log
        What the last attempt said while it ran: ``(step, value)`` and text; bounded, see
        ``study.reports``.
    """

    id: int
    state: TrialState
    point: Point
    loss: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    attempt: int = 0
    host: str | None = None
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    duration_s: float | None = None
    seed: int | None = None
    given: bool = False
    attachments: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt at a trial came to; plain data, from wherever it ran.

    Attributes
    ----------
    trial_id, attempt
        The key: a second outcome for it changes nothing.
    state
        OK or FAILED.
    loss, result, failure
        As in `Trial`.
    attachments
        ``name -> bytes`` that the objective returned beside the loss.
    objects
        ``key -> pickle`` of returned values that are not plain data.
    dropped
        ``key -> reason`` of returned values that could not be brought back.
    host, duration_s
        Where, and how long.
    reports, log
        All that it said while it ran.
    """

    trial_id: int
    attempt: int
    state: TrialState
    loss: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    objects: Mapping[str, bytes] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    duration_s: float | None = None
    reports: tuple[Report, ...] = ()
    log: str = ""
