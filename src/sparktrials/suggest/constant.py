"""What there is to suggest for a space without parameters: the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Constant"]


class Constant:
    """The suggester of a space in which everything is fixed."""

    adaptive = False

    def suggest(
        self,
        space: Space,  # noqa: ARG002 - the protocol
        history: History,  # noqa: ARG002
        n: int,
        context: SuggestContext,  # noqa: ARG002
    ) -> list[Point]:
        """Return `n` empty points."""
        return [{} for _ in range(n)]
