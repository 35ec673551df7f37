"""What a running trial says of itself, kept small: intermediate values and lines of text.

Pure functions; the executor and the driver bound what they keep in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["LOG_LIMIT", "REPORTS_LIMIT", "Report", "joined_log", "joined_reports"]

#: A step and the value at it.
Report: TypeAlias = tuple[int, float]

#: Most reports that a trial keeps: beyond it every second one is dropped, so that the curve keeps
#: its shape, its first and its last value.
REPORTS_LIMIT = 1000
#: Most characters of text that a trial keeps: the last ones.
LOG_LIMIT = 32_768
_CUT = "[...]\n"


def joined_reports(old: Sequence[Report], new: Sequence[Report]) -> tuple[Report, ...]:
    """Return reports, bounded by `REPORTS_LIMIT`."""
    together = [*old, *new]
    while len(together) > REPORTS_LIMIT:
        del together[1:-1:2]
    return tuple(together)


def joined_log(old: str, lines: Sequence[str]) -> str:
    """Return text with lines added, bounded by `LOG_LIMIT`: the earliest are cut off."""
    text = "\n".join([old, *lines] if old else lines)
    if len(text) <= LOG_LIMIT:
        return text
    tail = text[len(_CUT) - LOG_LIMIT :]
    _, newline, whole = tail.partition("\n")
    return _CUT + (whole if newline and whole else tail)
