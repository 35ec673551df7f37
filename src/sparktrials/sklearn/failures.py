"""Why trials failed, in few words: the commonest causes first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sparktrials.errors import NoPipelineFound
from sparktrials.study.trial import Failure, Trial, TrialState

__all__ = ["Cause", "causes_of", "nothing_found"]

#: Causes that an error shows, and characters of each message.
_SHOWN = 3
_LONGEST = 300
#: Addresses of objects, and numbers with sign, fraction and exponent.
_NUMBERS = re.compile(
    r"0x[0-9a-fA-F]+|(?:(?<!\w)[-+])?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?<!\w)[-+]?(?:nan|inf)\b"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """One way in which trials failed.

    Attributes
    ----------
    type
        The exception's type.
    message
        Of the first of them.
    trials
        Their ids.
    traceback
        Of the first of them.
    """

    type: str
    message: str
    trials: tuple[int, ...]
    traceback: str


def causes_of(trials: Iterable[Trial]) -> list[Cause]:
    """Return why trials failed, the commonest cause first.

    Messages that differ in numbers and addresses only are one cause.
    """
    found: dict[tuple[str, str], list[tuple[int, Failure]]] = {}
    for trial in trials:
        if trial.failure is not None:
            words = _NUMBERS.sub("#", trial.failure.message)[:_LONGEST]
            key = (trial.failure.type, words)
            found.setdefault(key, []).append((trial.id, trial.failure))
    causes = [
        Cause(
            type=kind,
            message=of[0][1].message,
            trials=tuple(i for i, _ in of),
            traceback=of[0][1].traceback,
        )
        for (kind, _), of in found.items()
    ]
    return sorted(causes, key=lambda cause: (-len(cause.trials), cause.trials))


def nothing_found(trials: Iterable[Trial]) -> NoPipelineFound:
    """Return the error that says that no trial has a loss, and why."""
    rows = list(trials)
    ended = sum(t.state.terminal and t.state is not TrialState.CANCELLED for t in rows)
    causes = causes_of(rows)
    if not causes:
        return NoPipelineFound(f"no pipeline was found: {ended} trials have ended")
    lines = [f"All trials failed or timed out: {ended} of {ended}, for these reasons:"]
    for cause in causes[:_SHOWN]:
        message = cause.message[:_LONGEST]
        lines += ["", f"{len(cause.trials)} x {cause.type}: {message}"]
        if cause.traceback.strip():
            lines += [f"the first was trial {cause.trials[0]}:", cause.traceback.rstrip()]
    if len(causes) > _SHOWN:
        lines += ["", f"and {len(causes) - _SHOWN} other reasons"]
    return NoPipelineFound("\n".join(lines))
