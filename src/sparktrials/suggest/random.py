"""Random search: every point is drawn from the prior, by the generator of its own trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest.algorithm import Algorithm

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["suggest"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Random search has none."""


def propose(
    space: Space,  # noqa: ARG001 - the signature of all algorithms
    history: History,
    n: int,
    context: SuggestContext,
    settings: Settings,  # noqa: ARG001
) -> list[Point]:
    """Draw `n` points from the prior; trial `i`'s depends on the seed and `i` alone."""
    codec = history.codec
    U = np.empty((n, len(codec)))
    for row, trial_id in zip(U, context.ids[:n], strict=True):
        context.rng(trial_id).random(out=row)
    return list(codec.decode(codec.from_unit(U)))


suggest = Algorithm("rand", propose, Settings, adaptive=False)
