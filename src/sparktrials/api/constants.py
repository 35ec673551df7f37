"""The options of choices that an experiment keeps, for those who read it without the program.

A space's fingerprint does not cover them: they are those of the last run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sparktrials.study.values import dumps, is_plain, loads

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.protocols import Experiment

__all__ = ["described", "options_of"]

#: Characters of one option, and of all of a choice; beyond that its indices have to do.
_LONGEST, _MOST = 200, 4000


def described(space: Space) -> list[dict[str, str]]:
    """Return a space's description, with the options of its choices where they are plain."""
    rows = space.describe()
    for row in rows:
        options = [o if _short(o) else i for i, o in enumerate(space.options(row["label"]))]
        # Options may be arrays, which have no one answer to ==.
        indices = all(type(o) is int and o == i for i, o in enumerate(options))
        if not indices and len(text := dumps(options)) <= _MOST:
            row["options"] = text
    return rows


def _short(option: object) -> bool:
    return is_plain(option) and len(dumps(option)) <= _LONGEST


def options_of(experiment: Experiment | None) -> dict[str, Sequence[object]]:
    """Return ``label -> options`` of the choices whose options are kept.

    What is not a plain constant there, such as a part of the space, has its index in its place.
    """
    rows: Sequence[Mapping[str, str]] = () if experiment is None else experiment.space
    found: dict[str, Sequence[object]] = {}
    for row in rows:
        if "options" in row and isinstance(options := _loaded(row["options"]), list):
            found[row["label"]] = options
    return found


def _loaded(text: str) -> object:
    try:
        return loads(text)
    except ValueError:  # nothing that a store holds is trusted
        return None
