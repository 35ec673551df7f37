"""One word for those who don't want to choose: the algorithm that suits space, budget and slots.

A Gaussian process finds more with few trials, and takes longer for each point the more trials there
are and the more are asked for at once; TPE takes a millisecond, however many. What was measured is
recorded in docs/decisions/0031-auto.md. The rule:

- up to `GP_TRIALS` finished trials, `GP_PARALLEL` trials at once and `GP_ACTIVE` parameters that
  are active together, ``gp.suggest``; but where there are no branches, each `TURNS`-th from `ALONE`
  finished trials on is ``atpe.suggest``'s, which finds more where there are many optima;
- with several at once, who get there soon, one or the other by lot from there on, until
  `GP_PER_SLOT` more have finished for each trial at once but the first;
- otherwise ``tpe.suggest``.

It depends on the set of trials and the call alone, so points are as reproducible as theirs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.study.history import History
from sparktrials.study.trial import TrialState
from sparktrials.suggest import atpe, gp, tpe
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.grouping import groups_of
from sparktrials.suggest.mix import expect

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.space.codec import Codec
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Settings", "suggest"]

#: Finished trials up to which a Gaussian process steers.
GP_TRIALS = 300
#: Meanwhile each fourth point is another's: docs/decisions/0047-by-turns.md.
TURNS = 4
ALONE = 20
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
    if not steered:
        return tpe.suggest.configured().suggest(space, history, n, context)
    if not ALONE <= finished < GP_TRIALS or has_branches(history.codec):
        return gp.suggest.configured().suggest(space, history, n, context)
    return by_turns(space, history, n, context)


def by_turns(space: Space, history: History, n: int, context: SuggestContext) -> list[Point]:
    """Return a Gaussian process's points, but for those of the trials that are adaptive TPE's.

    These know of the others as pending ones.
    """
    ids = context.ids[:n]
    others = [i for i in ids if i % TURNS == TURNS - 1]
    found: dict[int, Point] = {}
    for algorithm, own in (
        (gp.suggest, [i for i in ids if i not in others]),
        (atpe.suggest, others),
    ):
        if not own:
            continue
        if found:  # the caller's history is not to be added to
            history = History(space, history.trials)
            expect(history, found.values())
        left = None if context.budget is None else context.budget - len(found)
        inner = replace(context, ids=own, budget=left)
        points = algorithm.configured().suggest(space, history, len(own), inner)
        found |= zip(own, points, strict=False)  # fewer where no more are left
    return [found[i] for i in ids if i in found]


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


@functools.lru_cache(maxsize=32)
def has_branches(codec: Codec) -> bool:
    """Return whether some parameters are not always active: a process gives branches their own."""
    return any(group.condition for group in groups_of(codec))


suggest = Algorithm("auto", propose, Settings)
