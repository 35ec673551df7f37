"""Tree-structured Parzen estimator: joint densities per group of parameters, branches as a bandit.

For each group of parameters that are active together, trials are split by the rank of their loss;
``l`` is the Parzen mixture of the good ones, ``g`` that of the others. Candidates are drawn from
``l``, and the one with the largest ``l/g`` is taken, less a mild repulsion from what is pending.
Which branches are taken is decided first, see `branches`. What was measured is recorded in
docs/decisions/0003-tpe.md.

Shapes: ``X`` (n, d) latent rows, NaN where inactive; ``S``, ``C`` as in `parzen`.
Sources: Bergstra et al., NeurIPS 2011; Watanabe, arXiv:2304.11127.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.errors import InvalidArgument
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.known import Known
from sparktrials.suggest.model import Model
from sparktrials.suggest.proposal import N_FRESH, Proposal
from sparktrials.suggest.tried import Tried, continuous_always

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sparktrials.space import Point, Space
    from sparktrials.space.codec import Codec
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext
    from sparktrials.suggest.grouping import Group

__all__ = ["Settings", "good_share", "startup_rows", "suggest"]

#: Default share of good trials, and their largest number.
GOOD_SHARE = 0.15
MAX_GOOD = 25
#: With p trials at once the share is multiplied by p to this power, where all is continuous.
GREED = -0.3


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyperopt's keywords.

    Attributes
    ----------
    n_startup_jobs
        So many trials must have finished before results steer the points; until then they are those
        of random search.
    n_EI_candidates
        Draws from the good trials' density, of which the most promising is taken.
    gamma
        A number: the ``ceil(gamma * sqrt(n))`` best trials, 25 at most, are the good ones, as in
        Hyperopt. None: the ``ceil(0.15 n)`` best, 25 at most; fewer of continuous parameters when
        many trials run at once, as results come back seldom.
    prior_weight
        Weight of the prior in the densities, relative to that of a trial; among the good trials
        it counts for more where few parameters are active together.
    verbose
        Accepted for Hyperopt's sake, without effect.

    Raises
    ------
    InvalidArgument
        If a value makes no sense.
    """

    n_startup_jobs: int = 10
    n_EI_candidates: int = 64  # noqa: N815 - Hyperopt's name
    gamma: float | None = None
    prior_weight: float = 1.0
    verbose: bool = True

    def __post_init__(self) -> None:
        """Check."""
        for name, least in (("n_startup_jobs", 0), ("n_EI_candidates", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                msg = f"tpe.suggest: {name} must be an integer >= {least}, got {value!r}"
                raise InvalidArgument(msg)
        for name, optional in (("gamma", True), ("prior_weight", False)):
            value = getattr(self, name)
            if value is None and optional:
                continue
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                msg = f"tpe.suggest: {name} must be a finite number > 0, got {value!r}"
                raise InvalidArgument(msg)

    def n_good(self, n: int, share: float = GOOD_SHARE) -> int:
        """Return how many of `n` trials are good ones; `share` of them where users don't say."""
        if self.gamma is None:
            return min(math.ceil(share * n), MAX_GOOD)
        return min(math.ceil(self.gamma * math.sqrt(n)), MAX_GOOD)


def propose(
    space: Space,  # noqa: ARG001 - the signature of all algorithms
    history: History,
    n: int,
    context: SuggestContext,
    settings: Settings,
) -> list[Point]:
    """Return `n` points: random ones until enough trials have finished, then modelled ones.

    Point k of a batch is the one that would be returned if the points before it were pending.
    """
    codec = history.codec
    known = history.follow(Known)
    ids = context.ids[:n]
    tried = None if continuous_always(codec) else Tried.of(history)
    if known.n_finished < settings.n_startup_jobs:
        rows = startup_rows(codec, [context.rng(i) for i in ids], tried)
    else:
        rows = Proposal(
            history,
            known,
            tried,
            rng=context.rng,
            n_candidates=settings.n_EI_candidates,
            fit=lambda board: Model.of(
                board.group,
                history.X,
                board.ranking,
                good=lambda n: settings.n_good(n, good_share(board.group, context.parallelism)),
                prior_weight=settings.prior_weight,
            ),
        ).rows(ids)
    return list(codec.decode(rows))


def good_share(group: Group, parallelism: int) -> float:
    """Return the share of good trials, of those in which a group is active.

    Points that are made together learn nothing from each other: of few rounds more has to be made.
    On grids, where no point is tried twice, and among options that is no gain; see
    docs/decisions/0045-fewer-good-ones.md.
    """
    return GOOD_SHARE if len(group.coded) else GOOD_SHARE * float(max(parallelism, 1)) ** GREED


def startup_rows(
    codec: Codec, generators: Sequence[np.random.Generator], tried: Tried | None
) -> NDArray[np.float64]:
    """Return the rows of random search, except that tried points are drawn again."""
    rows = np.empty((len(generators), len(codec)))
    for row, rng in zip(rows, generators, strict=True):
        rng.random(out=row)
    rows = codec.from_unit(rows)
    rows[~codec.active(rows)] = np.nan
    if tried is not None:
        for i, (rng, key) in enumerate(zip(generators, tried.keys(rows), strict=True)):
            if tried.left <= 0 or not tried.had(key):
                tried.add(key)
                continue
            rows[i] = tried.fresh(rows[i], rng, N_FRESH)
            if tried.has(rows[i]):
                rows[i] = tried.variant(rows[i], rng)
            tried.add(*tried.keys(rows[i : i + 1]))
    return rows


suggest = Algorithm("tpe", propose, Settings)
