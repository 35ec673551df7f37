"""One word for those who don't want to choose: the algorithm that suits space, budget and slots.

A Gaussian process finds more with few trials, and takes longer for each point the more trials there
are and the more are asked for at once; TPE takes a millisecond, however many. What was measured is
recorded in docs/decisions/0031-auto.md. The rule:

- up to `GP_TRIALS` finished trials, `GP_PARALLEL` trials at once and `GP_ACTIVE` parameters that
  are active together, ``gp.suggest``;
- with several at once, who get there soon, one or the other by lot from there on, until
  `GP_PER_SLOT` more have finished for each trial at once but the first;
- otherwise ``tpe.suggest``.

It depends on the set of trials and the call alone, so points are as reproducible as theirs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
#: How much longer it takes part for each further trial at once, and its share of the calls then:
#: docs/decisions/0046-later-for-many.md.
GP_PER_SLOT = 10
GP_SHARE = 0.5
#: Trials at once, and points asked for at once, up to which it keeps up.
GP_PARALLEL = 64
#: Parameters active together, and options of all choices, up to which it knows enough of each.
GP_ACTIVE = 20
GP_OPTIONS = 200
#: Second part of the key of the generator that draws lots. The algorithms' own have a key of one
#: part, so neither repeats the numbers of the other.
_STREAM = 0x6175746F


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
    steered = at_once <= GP_PARALLEL and suits_gp(history.codec)
    if steered and finished >= GP_TRIALS:
        steered = finished < GP_TRIALS + GP_PER_SLOT * (at_once - 1) and drawn(context)
    algorithm = gp.suggest if steered else tpe.suggest
    return algorithm.configured().suggest(space, history, n, context)


def drawn(context: SuggestContext) -> bool:
    """Return whether the lot of a call falls on the Gaussian process."""
    key = (context.ids[0], _STREAM)
    rng = np.random.default_rng(np.random.SeedSequence(context.seed, spawn_key=key))
    return bool(rng.random() < GP_SHARE)


@functools.lru_cache(maxsize=32)
def suits_gp(codec: Codec) -> bool:
    """Return whether a space is one for a Gaussian process."""
    groups = groups_of(codec)
    always = sum(len(g) for g in groups if not g.condition)
    beneath = max((len(g) for g in groups if g.condition), default=0)
    options = sum(len(p) for p in codec.probabilities)
    return always + beneath <= GP_ACTIVE and options <= GP_OPTIONS


suggest = Algorithm("auto", propose, Settings)
