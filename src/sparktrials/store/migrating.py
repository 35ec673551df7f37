"""From older versions of tables and collections to the present one, step by step.

A kind of store has for each older version the step that leads to the next one; `tests` keep a store
of each version that was released. Newer versions are refused, whoever opens them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from sparktrials.errors import StoreCorrupt, StoreVersionError

__all__ = ["steps_from"]

_S = TypeVar("_S")


def steps_from(
    version: object, present: int, steps: Mapping[int, _S], where: str, *, may_write: bool = True
) -> list[_S]:
    """Return the steps that lead from a version to the present one.

    Parameters
    ----------
    version
        What was found.
    present
        What this program writes.
    steps
        Version -> what makes the next one of it.
    where
        For people.
    may_write
        Whether steps could be taken.

    Raises
    ------
    StoreVersionError
        If it is a newer one, or an older one that must not be changed.
    StoreCorrupt
        If there never was such a version.
    """
    if type(version) is int and version > present:
        msg = (
            f"{where} has version {version} of the tables; this sparktrials knows versions up to "
            f"{present}: upgrade it, or name another store"
        )
        raise StoreVersionError(msg)
    if type(version) is not int or version < 1:
        msg = f"{where} has tables of version {version}, which there never was: restore a copy"
        raise StoreCorrupt(msg)
    if version < present and not may_write:
        msg = (
            f"{where} has version {version} of the tables, this sparktrials reads version "
            f"{present}: open it once to write, which brings it up to date"
        )
        raise StoreVersionError(msg)
    return [steps[number] for number in range(version, present)]
