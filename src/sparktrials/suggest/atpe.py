"""Adaptive TPE: which settings of TPE are followed depends on how they fared in this history.

Hyperopt's ATPE asks models that were trained offline which settings suit a history; here the
history is asked itself: see `experts`. All else, conditional spaces, batches, pending and failed
trials, is TPE's. What was measured is recorded in docs/decisions/0034-atpe.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

from sparktrials.errors import InvalidArgument
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.experts import Ensemble
from sparktrials.suggest.known import Known
from sparktrials.suggest.proposal import Proposal
from sparktrials.suggest.tpe import startup_rows
from sparktrials.suggest.tried import Tried, continuous_always

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Settings", "suggest"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is not adapted.

    Attributes
    ----------
    n_startup_jobs
        So many trials must have finished before results steer the points; until then they are those
        of random search.
    n_EI_candidates
        Draws from the good trials' density, of which the most promising is taken.

    Raises
    ------
    InvalidArgument
        If a value makes no sense.
    """

    n_startup_jobs: int = 10
    n_EI_candidates: int = 64  # noqa: N815 - Hyperopt's name

    def __post_init__(self) -> None:
        """Check."""
        for name, least in (("n_startup_jobs", 0), ("n_EI_candidates", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                msg = f"atpe.suggest: {name} must be an integer >= {least}, got {value!r}"
                raise InvalidArgument(msg)


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
            fit=lambda board: Ensemble.of(board, history),
        ).rows(ids)
    return list(codec.decode(rows))


suggest = Algorithm("atpe", propose, Settings)
