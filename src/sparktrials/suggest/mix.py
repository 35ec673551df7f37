"""Mixing: each trial's point comes from one of several algorithms, drawn by given probabilities.

``functools.partial(mix.suggest, p_suggest=[(0.1, rand.suggest), (0.9, tpe.suggest)])``
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparktrials.errors import InvalidArgument, InvalidArgumentType, InvalidProbabilities
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext, Suggester
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest.algorithm import Algorithm, Configured, suggester_of

if TYPE_CHECKING:
    from sparktrials.space import Point, Space

__all__ = ["Settings", "expect", "suggest"]

#: Second part of the key of the generator that chooses a trial's algorithm. The algorithms' own
#: have a key of one part, so neither repeats the numbers of the other.
_STREAM = 0x6D6978


class Member(NamedTuple):
    """An algorithm and its share of the trials."""

    probability: float
    suggester: Suggester


@dataclass(frozen=True, eq=False)
class Settings:
    """Hyperopt's keyword.

    Attributes
    ----------
    p_suggest
        Pairs ``(probability, algorithm)``; an algorithm is whatever ``fmin`` takes as ``algo`` and
        is of this package, settings included.

    Raises
    ------
    InvalidArgument
        If it is not a list of pairs, or a setting of a member is wrong.
    InvalidArgumentType
        If a member is not an algorithm.
    InvalidProbabilities
        If a probability is not a number from 0 to 1, or they do not sum to 1.
    """

    p_suggest: Sequence[tuple[float, Any]] = ()

    def __post_init__(self) -> None:
        """Check."""
        self.members  # noqa: B018 - raises what is wrong

    @functools.cached_property
    def members(self) -> tuple[Member, ...]:
        """The algorithms with their settings; the members of a mix in the mix are its own."""
        members: list[Member] = []
        for probability, algo in _pairs(self.p_suggest):
            try:
                suggester = suggester_of(algo)
            except InvalidArgumentType as error:
                msg = f"mix.suggest: p_suggest has a member that is no algorithm: {error}"
                raise InvalidArgumentType(msg) from None
            inner = suggester.settings if isinstance(suggester, Configured) else None
            if isinstance(inner, Settings):
                # Two draws from one stream would not be independent: make it one draw.
                members += [Member(probability * p, s) for p, s in inner.members]
            else:
                members.append(Member(probability, suggester))
        return tuple(members)

    def member(self, context: SuggestContext, trial_id: int) -> int:
        """Return the number of the member that makes a trial's point."""
        key = (trial_id, _STREAM)
        rng = np.random.default_rng(np.random.SeedSequence(context.seed, spawn_key=key))
        ladder = np.cumsum([m.probability for m in self.members])
        place = int(np.searchsorted(ladder, rng.random() * ladder[-1], side="right"))
        return min(place, len(ladder) - 1)


def _pairs(p_suggest: object) -> list[tuple[float, Any]]:
    """Return checked pairs."""
    shape = "mix.suggest: p_suggest must be a list of pairs (probability, algorithm)"
    if isinstance(p_suggest, (str, bytes)) or not isinstance(p_suggest, Sequence):
        msg = f"{shape}, got {p_suggest!r}"
        raise InvalidArgument(msg)
    if not p_suggest:
        msg = f"{shape} with at least one, such as [(0.1, rand.suggest), (0.9, tpe.suggest)]"
        raise InvalidArgument(msg)
    pairs: list[tuple[float, Any]] = []
    for pair in p_suggest:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004 - a pair
            msg = f"{shape}, got the member {pair!r}"
            raise InvalidArgument(msg)
        p, algo = pair
        number = isinstance(p, Real) and not isinstance(p, (bool, np.bool_))
        if not number or not 0 <= p <= 1:
            msg = f"mix.suggest: a probability in p_suggest must be a number from 0 to 1, got {p!r}"
            raise InvalidProbabilities(msg)
        pairs.append((float(p), algo))
    total = math.fsum(p for p, _ in pairs)
    if not math.isclose(total, 1.0, rel_tol=1e-5):
        terms = " + ".join(f"{p:g}" for p, _ in pairs)
        msg = f"mix.suggest: the probabilities in p_suggest must sum to 1, got {terms} = {total:g}"
        raise InvalidProbabilities(msg)
    return pairs


def propose(
    space: Space, history: History, n: int, context: SuggestContext, settings: Settings
) -> list[Point]:
    """Return `n` points in the order of their trials; fewer if a member says that there are none.

    Which member makes trial `i`'s depends on the seed and `i` alone. Each knows the points before
    its own, those of this call included, as pending ones.
    """
    ids = context.ids[:n]
    runs = [
        (number, list(group))
        for number, group in itertools.groupby(ids, lambda i: settings.member(context, i))
    ]
    if len(runs) > 1:
        history = History(space, history.trials)  # the caller's is not to be added to
    points: list[Point] = []
    for number, run in runs:
        inner = SuggestContext(
            seed=context.seed,
            ids=run,
            parallelism=context.parallelism,
            budget=None if context.budget is None else context.budget - len(points),
        )
        suggester = settings.members[number].suggester
        found = suggester.suggest(space, history, len(run), inner)
        points += found
        if len(found) < len(run):
            break
        if len(points) < len(ids):
            expect(history, found)
    return points


def expect(history: History, points: Iterable[Point]) -> None:
    """Add points of a call to a history of its own, for those after them to know as pending."""
    for point in points:
        history.put(Trial(id=history.next_id, state=TrialState.NEW, point=point))


suggest = Algorithm("mix", propose, Settings)
