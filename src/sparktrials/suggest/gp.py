"""Gaussian processes: where improvement on the best result is expected to be largest.

Finished trials, their losses warped, are described by a process with a Matérn kernel, each
parameter with a length scale of its own; conditional parameters count where both points have them.
What is pending is taken to come out as expected. What was measured is recorded in
docs/decisions/0030-gaussian-process.md.

Shapes: ``X`` (n, d) latent rows, NaN where inactive; ``Z`` and ``F`` as in `embedding`.
Sources: Jones et al., Journal of Global Optimization 13, 1998; and those of the modules used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sparktrials.errors import InvalidArgument
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.believed import Believed
from sparktrials.suggest.branching import Branching
from sparktrials.suggest.known import Known
from sparktrials.suggest.search import Climber, neighbours, starts
from sparktrials.suggest.sobol import unit_points
from sparktrials.suggest.tried import Tried

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext
    from sparktrials.suggest.process import Posterior

__all__ = ["Settings", "suggest"]

#: The number of the best trials near which points are drawn.
N_BEST = 5
#: Share of the points whose branches are those that are owed a trial; the others' are where
#: improvement is expected. A process that knows one branch well expects little of the others.
OWED = 0.5
#: From so many pending trials on, how points share the room matters, and no longer the last digits
#: of each: less effort is spent on them.
CROWDED = 64
#: Prior draws that are looked through for an untried point.
N_FRESH = 256


class _Effort(NamedTuple):
    """How a point is sought: draws from the prior, and near the best trials; climbs from the best.

    Attributes
    ----------
    draws, near
        How many there are of both.
    starts, iterations
        How many are climbed from, and for how long.
    """

    draws: int
    near: int
    starts: int
    iterations: int


_THOROUGH = _Effort(draws=1024, near=512, starts=4, iterations=40)
_BRISK = _Effort(draws=256, near=128, starts=1, iterations=5)


@dataclass(frozen=True, slots=True)
class Settings:
    """Keywords of ``functools.partial(gp.suggest, ...)``.

    Attributes
    ----------
    n_startup_jobs
        So many trials must have finished before results steer the points; until then they are those
        of a scrambled Sobol sequence.

    Raises
    ------
    InvalidArgument
        If a value makes no sense.
    """

    n_startup_jobs: int = 10

    def __post_init__(self) -> None:
        """Check."""
        value: object = self.n_startup_jobs
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
            msg = f"gp.suggest: n_startup_jobs must be an integer >= 0, got {value!r}"
            raise InvalidArgument(msg)


def propose(
    space: Space,  # noqa: ARG001 - the signature of all algorithms
    history: History,
    n: int,
    context: SuggestContext,
    settings: Settings,
) -> list[Point]:
    """Return `n` points; point k is the one that would come if those before it were pending."""
    believed = history.follow(Believed)
    ids = list(context.ids[:n])
    seeker = _Seeker(history, believed, context, settings)
    rows = np.stack([seeker.next(trial_id) for trial_id in ids])
    return list(history.codec.decode(rows))


class _Seeker:
    """Makes the points of one call, one after the other."""

    def __init__(
        self, history: History, believed: Believed, context: SuggestContext, settings: Settings
    ) -> None:
        self._embedding = believed.embedding
        self._codec = history.codec
        self._context = context
        self._tried = Tried.of(history)
        self._posterior: Posterior | None = None
        if believed.n_finished >= max(settings.n_startup_jobs, 1):
            self._posterior, self._means, self._known = believed.posterior(history)
        self._branching: Branching | None = None
        if believed.embedding.switches.any():
            self._branching = Branching(history.follow(Known), len(history.codec))

    def next(self, trial_id: int) -> NDArray[np.float64]:
        """Return the latent row of the next point, and count it as pending."""
        rng = self._context.rng(trial_id)
        if self._posterior is None:
            row = self._first(trial_id)
        else:
            row = self._sought(self._posterior, rng)
        found = row = self._untried(row, rng)
        # As the history will have it: a batch and a sequence of calls find the same, to the bit.
        row = self._codec.encode(self._codec.decode(row[None]))[0]
        self._tried.add(*self._tried.keys(row[None]))
        if self._branching is not None:
            self._branching.join(row)
        if self._posterior is not None:
            self._believe(self._posterior, row)
        return found

    def _believe(self, posterior: Posterior, row: NDArray[np.float64]) -> None:
        """Take a point for what is expected of it."""
        Z = self._embedding.coordinates(row[None])
        posterior.add(self._embedding.features(Z))
        mean = posterior.believed[-1]
        place = int(np.searchsorted(self._means, mean, side="right"))
        self._means = np.insert(self._means, place, mean)
        self._known = np.insert(self._known, place, Z[0], axis=0)

    def _first(self, trial_id: int) -> NDArray[np.float64]:
        e = self._embedding
        return self._only(e.latent(e.draws(unit_points(self._context, [trial_id], len(e)))))

    def _sought(self, posterior: Posterior, rng: np.random.Generator) -> NDArray[np.float64]:
        e = self._embedding
        effort = _THOROUGH if posterior.size - posterior.n < CROWDED else _BRISK
        branches, around = self._branches(rng)
        Z = e.draws(rng.random((effort.draws, len(e))), branches)
        if len(around):
            best_few = self._known[around[:N_BEST]]
            Z = np.concatenate([Z, neighbours(e, best_few, rng, effort.near)])
        best = float(self._means[around[0] if len(around) else 0])
        climber = Climber(e, posterior, best, effort.iterations)
        values = climber.values(Z)
        found = [climber.climb(Z[i]) for i in starts(e, Z, values, effort.starts)]
        ends = np.array([z for z, _ in found])
        order = np.argsort([-value for _, value in found], kind="stable")
        candidates = np.concatenate([ends[order], Z[np.argsort(-values, kind="stable")]])
        return self._first_untried(candidates)

    def _branches(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64] | None, NDArray[np.intp]]:
        """Return the branches that the point must have, if any, and which trials had them."""
        e = self._embedding
        if self._branching is None or rng.random() >= OWED:
            return None, np.arange(len(self._known))
        branches = self._branching.next()
        wanted = e.draws(np.full((1, len(e)), 0.5), branches)[:, e.switches]
        same = np.nan_to_num(self._known[:, e.switches], nan=-1.0) == np.nan_to_num(wanted, nan=-1)
        return branches, np.flatnonzero(same.all(axis=1))

    def _first_untried(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first latent row that is untried, or the first one."""
        e = self._embedding
        first = e.latent(Z[:1])
        if not self._tried.among(first)[0]:
            return self._only(first)
        X = e.latent(Z)
        untried = np.flatnonzero(~self._tried.among(X))
        return self._only(X[untried[:1]] if len(untried) else first)

    @staticmethod
    def _only(X: NDArray[np.float64]) -> NDArray[np.float64]:
        row: NDArray[np.float64] = X[0]
        return row

    def _untried(self, row: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        tried = self._tried
        if tried.left <= 0 or not tried.has(row):
            return row
        row = tried.fresh(row, rng, N_FRESH)
        return tried.variant(row, rng) if tried.has(row) else row


suggest = Algorithm("gp", propose, Settings)
