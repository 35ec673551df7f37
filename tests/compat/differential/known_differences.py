"""Where sparktrials differs from Hyperopt, on purpose, and why: docs/compat.md shows this table.

``python -m tests.compat.differential.known_differences docs/compat.md`` writes it there. The
entries stand in ``known_differences.json``.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.compat.differential.compare import Difference


HEAD = "| id | difference | why |\n|---|---|---|\n"


@dataclass(frozen=True)
class Known:
    """A difference: where it shows (patterns of places in differential/), what, and why.

    `theirs` and `ours` are regular expressions that the answers must match, so that one entry does
    not hide another difference at the same place.
    """

    id: str
    what: str
    reason: str
    where: tuple[str, ...]
    theirs: str = ""
    ours: str = ""

    def _shows(self, pattern: str, difference: Difference) -> bool:
        return (
            fnmatchcase(difference.where, pattern)
            and re.search(self.theirs, difference.theirs) is not None
            and re.search(self.ours, difference.ours) is not None
        )

    def explains(self, difference: Difference) -> bool:
        return any(self._shows(pattern, difference) for pattern in self.where)

    def idle(self, differences: Iterable[Difference]) -> list[str]:
        """The places where there is no such difference."""
        found = list(differences)
        return [p for p in self.where if not any(self._shows(p, d) for d in found)]


KNOWN = tuple(
    Known(**{**entry, "where": tuple(entry["where"])})
    for entry in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
)


def rows(known: Iterable[Known] = KNOWN) -> list[str]:
    """Return the rows of the table in Markdown."""
    return [f"| `{one.id}` | {one.what} | {one.reason} |" for one in known]


def written(page: str) -> str:
    """Return the page with the rows of its table, the one that starts with `HEAD`, replaced."""
    before, head, after = page.partition(HEAD)
    assert head, f"no table that starts with {HEAD!r}"
    rest = re.sub(r"\A(\|[^\n]*\n)*", "", after)
    return before + head + "".join(row + "\n" for row in rows()) + rest


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
