"""Quasi-random search: a scrambled Sobol sequence, which covers a space more evenly than chance.

Trial ``i``'s point is point ``i`` of one sequence, scrambled by the study's seed: any run of ids is
spread evenly, whichever trials are asked for together.

Source: Owen, Scrambling Sobol' and Niederreiter-Xing points, Journal of Complexity 14, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats.qmc import Sobol

from sparktrials.suggest.algorithm import Algorithm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["suggest", "unit_points"]

#: Second part of the key of the generator that scrambles: trials' own have a key of one part.
_STREAM = 0x716D63
#: After so many points another sequence begins: the way to a late point is walked.
_LENGTH = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """Quasi-random search has none."""


def unit_points(context: SuggestContext, ids: Sequence[int], d: int) -> NDArray[np.float64]:
    """Return (n, d) points of the unit cube for trials; each depends on the seed and its id alone.

    Columns beyond those that have a Sobol sequence (21,201) are drawn at random.
    """
    s = min(d, Sobol.MAXDIM)
    U = np.empty((len(ids), d))
    done = 0
    while done < len(ids):
        sequence, first = divmod(ids[done], _LENGTH)
        run = 1
        while done + run < len(ids) and ids[done + run] == ids[done] + run:
            run += 1
        run = min(run, _LENGTH - first)
        U[done : done + run, :s] = _part(context.seed, sequence, s, first, run)
        done += run
    for row, trial_id in zip(U[:, s:], ids, strict=True):
        if len(row):
            context.rng(trial_id).random(out=row)
    return U


def _part(seed: int, sequence: int, s: int, first: int, n: int) -> NDArray[np.float64]:
    """Return (n, s) points of a sequence."""
    key = (sequence, _STREAM)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    engine = Sobol(s, scramble=True, seed=rng)
    if first:
        engine.fast_forward(first)
    # Sobol warns of a first draw that is no power of two.
    points: NDArray[np.float64] = engine.random(n if first else 1 << (n - 1).bit_length())
    return points[:n]


def propose(
    space: Space,  # noqa: ARG001 - the signature of all algorithms
    history: History,
    n: int,
    context: SuggestContext,
    settings: Settings,  # noqa: ARG001
) -> list[Point]:
    """Return `n` points of the sequence, by the inverse of the prior."""
    codec = history.codec
    return list(codec.decode(codec.from_unit(unit_points(context, context.ids[:n], len(codec)))))


suggest = Algorithm("sobol", propose, Settings, adaptive=False)
