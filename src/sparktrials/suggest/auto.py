"""One word for those who don't want to choose: the algorithm that suits space, budget and slots.

A Gaussian process finds more with few trials, and takes longer for each point the more trials there
are and the more are asked for at once; TPE takes a millisecond, however many. What was measured is
recorded in docs/decisions/0031-auto.md. The rule:

- up to `GP_TRIALS` finished trials, `GP_PARALLEL` trials at once and `GP_ACTIVE` parameters that
  are active together, ``gp.suggest``;
- otherwise ``tpe.suggest``.

It depends on the set of trials and the call alone, so points are as reproducible as theirs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.study.trial import TrialState
from sparktrials.suggest import gp, tpe
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.grouping import groups_of

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.space.codec import Codec
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Settings", "suggest"]

#: Finished trials up to which a Gaussian process steers.
GP_TRIALS = 300
#: Trials at once, and points asked for at once, up to which it keeps up.
GP_PARALLEL = 64
#: Parameters active together, and options of all choices, up to which it knows enough of each.
GP_ACTIVE = 20
GP_OPTIONS = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """There are none."""


def propose(
    space: Space, history: History, n: int, context: SuggestContext, settings: Settings
) -> list[Point]:
    """Return `n` points of the algorithm that suits."""
    del settings
    finished = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
    at_once = max(n, context.parallelism, history.count(TrialState.NEW, TrialState.RUNNING))
    steered = finished < GP_TRIALS and at_once <= GP_PARALLEL and suits_gp(history.codec)
    algorithm = gp.suggest if steered else tpe.suggest
    return algorithm.configured().suggest(space, history, n, context)


@functools.lru_cache(maxsize=32)
def suits_gp(codec: Codec) -> bool:
    """Return whether a space is one for a Gaussian process."""
    groups = groups_of(codec)
    always = sum(len(g) for g in groups if not g.condition)
    beneath = max((len(g) for g in groups if g.condition), default=0)
    options = sum(len(p) for p in codec.probabilities)
    return always + beneath <= GP_ACTIVE and options <= GP_OPTIONS


suggest = Algorithm("auto", propose, Settings)
