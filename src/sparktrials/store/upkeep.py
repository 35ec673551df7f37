"""The condition of an SQLite file, and making it small again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrials.store.checkup import Finding
from sparktrials.store.faults import SALVAGE

if TYPE_CHECKING:
    from sparktrials.store.session import Session

__all__ = ["compacted", "condition"]

#: Of the pages of a file, the part that may be unused before somebody should know.
_SLACK = 0.25
_FEW_PAGES = 250


def condition(session: Session) -> Iterator[Finding]:
    """Look at the file."""

    def work(db: sqlite3.Connection) -> tuple[list[str], int, int, int, str, int]:
        broken = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
        numbers = [
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in (
                "page_count",
                "page_size",
                "freelist_count",
                "journal_mode",
                "user_version",
            )
        ]
        return broken, *numbers

    broken, pages, size, free, journal, version = session.read(work)
    log = session.path.with_name(session.path.name + "-wal")
    yield Finding(
        f"version {version} of the tables, {pages * size:,} bytes, {free * size:,} of them "
        f"unused, journal {journal}, log of {_size(log):,} bytes"
    )
    if broken != ["ok"]:
        yield Finding(f"SQLite finds the file damaged: {'; '.join(broken)}", SALVAGE)
    if pages > _FEW_PAGES and free > _SLACK * pages:
        yield Finding(
            f"{free / pages:.0%} of the file is unused",
            "make it small again: sparktrials doctor --compact",
            repair="compact",
        )


def compacted(session: Session) -> tuple[int, int]:
    """Write the file anew, without what is unused; return sizes before and after, with the log.

    Raises
    ------
    StoreError
        If others use it, or there is no room for a second one.
    """
    log = session.path.with_name(session.path.name + "-wal")
    before = _size(session.path) + _size(log)
    session.alone(lambda db: db.execute("VACUUM"))
    session.alone(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    return before, _size(session.path) + _size(log)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
