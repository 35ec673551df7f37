"""Whose line a warning is about: the user's, however deep in this package it is noticed."""

from __future__ import annotations

import sys

__all__ = ["users_level"]

_PACKAGE = __name__.partition(".")[0]


def users_level() -> int:
    """Return the `stacklevel` with which the caller's ``warnings.warn`` names the user's line."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect reads source files
    level = 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
        level += 1
    return level


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE
