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
from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest import parzen
from sparktrials.suggest.algorithm import Algorithm
from sparktrials.suggest.branches import next_branch, shares, standings
from sparktrials.suggest.grouping import Group, groups_of, holds
from sparktrials.suggest.model import Model, repulsion
from sparktrials.suggest.tried import Tried, continuous_always

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sparktrials.space import Point, Space
    from sparktrials.space.codec import Codec
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Settings", "suggest"]

#: Default share of good trials, and their largest number.
GOOD_SHARE = 0.15
MAX_GOOD = 25
#: Prior draws that are looked through for an untried point, when all candidates were tried.
N_FRESH = 256
#: Branches that are given up, one after the other, before a point is repeated.
MAX_RETRIES = 64

#: By state code, see `study.history.CODE`.
_FINISHED = np.array([s in {TrialState.OK, TrialState.FAILED, TrialState.PRUNED} for s in CODE])
_PENDING = np.array([s in {TrialState.NEW, TrialState.RUNNING} for s in CODE])


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
        Hyperopt. None: the ``ceil(0.15 n)`` best, 25 at most.
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

    def n_good(self, n: int) -> int:
        """Return how many of `n` trials are good ones."""
        if self.gamma is None:
            return min(math.ceil(GOOD_SHARE * n), MAX_GOOD)
        return min(math.ceil(self.gamma * math.sqrt(n)), MAX_GOOD)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What the points depend on: finished trials by id, failed ones with loss NaN, and pending."""

    X: NDArray[np.float64]
    losses: NDArray[np.float64]
    pending: NDArray[np.float64]

    @classmethod
    def of(cls, history: History) -> _Known:
        states = history.states
        finished = _FINISHED[states]
        if finished.all():
            return cls(history.X, history.losses, history.X[:0])
        pending = _PENDING[states]
        return cls(history.X[finished], history.losses[finished], history.X[pending])

    def within(self, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return latent rows and losses of the finished trials in which `group` is active."""
        if not group.condition:
            return self.X, self.losses
        here = ~np.isnan(self.X[:, group.key])
        return self.X[here], self.losses[here]


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
    known = _Known.of(history)
    generators = [context.rng(trial_id) for trial_id in context.ids[:n]]
    tried = Tried(codec, known.X, known.pending) if not continuous_always(codec) else None
    if len(known.losses) < settings.n_startup_jobs:
        rows = _random(codec, generators, tried)
    else:
        rows = _Proposal(codec, known, settings, generators, tried).rows()
    return list(codec.decode(rows))


def _random(
    codec: Codec, generators: Sequence[np.random.Generator], tried: Tried | None
) -> NDArray[np.float64]:
    """Return the rows of random search, except that tried points are drawn again."""
    rows = np.empty((len(generators), len(codec)))
    for row, rng in zip(rows, generators, strict=True):
        rng.random(out=row)
    rows = codec.from_unit(rows)
    rows[~codec.active(rows)] = np.nan
    if tried is not None:
        for i, rng in enumerate(generators):
            if tried.has(rows[i]):
                rows[i] = tried.fresh(rows[i], rng, N_FRESH)
            if tried.has(rows[i]):
                rows[i] = tried.variant(rows[i], rng)
            tried.add(rows[i])
    return rows


class _Proposal:
    """The points of one call, filled in group by group."""

    def __init__(
        self,
        codec: Codec,
        known: _Known,
        settings: Settings,
        generators: Sequence[np.random.Generator],
        tried: Tried | None,
    ) -> None:
        self.codec = codec
        self.known = known
        self.settings = settings
        self.generators = generators
        self.tried = tried
        self.groups = groups_of(codec)
        self._models: dict[int, Model] = {}

    def rows(self) -> NDArray[np.float64]:
        """Return latent rows."""
        done = self.known.pending
        # Where repeats are possible or branches must be chosen, points depend on whole points
        # before them; else all are scored in one go.
        if self.tried is None and len(self.groups) == 1:
            rows = np.full((len(self.generators), len(self.codec)), np.nan)
            self._fill(self.groups[0], rows, range(len(rows)), done, {})
            return rows
        for i in range(len(self.generators)):
            done = np.concatenate([done, self._one(i, done)])
        return done[len(self.known.pending) :]

    def _one(self, i: int, done: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return row `i`, (1, d); gives up branches of which everything was tried."""
        barred: dict[int, set[int]] = {}
        row = np.full((1, len(self.codec)), np.nan)
        for _ in range(MAX_RETRIES):
            row[:] = np.nan
            for group in self.groups:
                if holds(group.condition, row)[0]:
                    self._fill(group, row, [i], done, barred)
            if self.tried is None or not self.tried.has(row[0]):
                break
            row[0] = self.tried.variant(row[0], self.generators[i])
            if not self.tried.has(row[0]):
                break
            if not self._bar(row[0], barred):
                row[0] = self.tried.fresh(row[0], self.generators[i], N_FRESH)
                break
        if self.tried is not None:
            self.tried.add(row[0])
        return row

    def _bar(self, row: NDArray[np.float64], barred: dict[int, set[int]]) -> bool:
        """Bar the deepest branch taken, and those above that have none left; False if none is."""
        for group in reversed(self.groups):
            for j in group.switches:
                column = int(group.coded[j])
                if np.isnan(row[column]):
                    continue
                closed = barred.setdefault(column, set())
                closed.add(int(group.codes(row[None])[0, j]))
                if len(closed) < np.count_nonzero(group.axes.prior[j]):
                    return True
        return False

    def _branches(
        self, group: Group, done: NDArray[np.float64], barred: dict[int, set[int]]
    ) -> dict[int, int]:
        """Return ``coded column -> code`` of the group's switches."""
        if not group.switches:
            return {}
        X, losses = self.known.within(group)
        codes, standing = group.codes(X), standings(losses)
        pending = group.codes(done[~np.isnan(done[:, group.key])])
        taken: dict[int, int] = {}
        for j in group.switches:
            prior = group.axes.prior[j]
            owed = shares(codes[:, j], standing, prior)
            owed[list(barred.get(int(group.coded[j]), ()))] = 0
            counts = np.bincount(codes[:, j], minlength=len(prior))
            counts = counts + np.bincount(pending[:, j], minlength=len(prior))
            taken[j] = next_branch(owed, counts.astype(np.float64))
        return taken

    def _fill(
        self,
        group: Group,
        rows: NDArray[np.float64],
        points: Sequence[int],
        done: NDArray[np.float64],
        barred: dict[int, set[int]],
    ) -> None:
        """Choose the group's coordinates of `rows`, those of the points numbered `points`."""
        taken = self._branches(group, done, barred)
        m = self.settings.n_EI_candidates
        if len(taken) == len(group):  # nothing but switches
            codes = np.array([[taken[j] for j in range(len(group))]], dtype=np.intp)
            group.fill(rows, np.empty((1, 0)), codes)
            return
        if group.key not in self._models:
            X, losses = self.known.within(group)
            self._models[group.key] = Model.of(
                group,
                X,
                losses,
                good=self.settings.n_good,
                prior_weight=self.settings.prior_weight,
            )
        model = self._models[group.key]
        U = np.concatenate([self.generators[i].random((m, 1 + len(group))) for i in points])
        weights = parzen.component_weights(model.good, taken)
        ladder = np.cumsum(weights)
        component = np.searchsorted(ladder, U[:, 0] * ladder[-1], side="right")
        S, C = parzen.sample(model.good, U[:, 1:], np.minimum(component, len(weights) - 1))
        S = group.settle(S)
        C[:, list(taken)] = list(taken.values())
        score = model.score(S, C)
        here = done[~np.isnan(done[:, group.key])]
        crowded = len(here) > 0 or len(points) > 1
        pending = model.positions(group.axes, group.scaled(here), group.codes(here))
        x, codes = model.positions(group.axes, S, C) if crowded else (S, C)
        for k, i in enumerate(points):
            own = slice(k * m, (k + 1) * m)
            if len(here) or k:
                score[own] += repulsion((x[own], codes[own]), pending)
            if self.tried is not None:  # one point at a time
                scored = S[own], C[own], score[own]
                group.fill(rows[k : k + 1], *self._untried(self.tried, group, rows[k], scored, i))
                continue
            at = k * m + int(np.argmax(score[own]))
            best = slice(at, at + 1)
            group.fill(rows[k : k + 1], S[best], C[best])
            if k + 1 < len(points):
                pending = (
                    np.concatenate([pending[0], x[best]]),
                    np.concatenate([pending[1], codes[best]]),
                )

    def _untried(
        self,
        tried: Tried,
        group: Group,
        row: NDArray[np.float64],
        scored: tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]],
        i: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the best candidate that makes no tried point; of none, the best prior draw."""
        S, C, score = scored
        switches = list(group.switches)
        fixed = C[0, switches]
        fresh = _untried_among(tried, group, row, S, C)
        if not fresh.any():
            U = self.generators[i].random((N_FRESH, len(group)))
            S, C = parzen.prior_draws(group.axes, U)
            S = group.settle(S)
            C[:, switches] = fixed
            score = self._models[group.key].score(S, C)
            fresh = _untried_among(tried, group, row, S, C)
        best = int(np.argmax(np.where(fresh, score, -np.inf)))
        return S[best : best + 1], C[best : best + 1]


def _untried_among(
    tried: Tried,
    group: Group,
    row: NDArray[np.float64],
    S: NDArray[np.float64],
    C: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Return (m,) which candidates make `row` a point that was not tried."""
    rows = np.tile(row, (len(S), 1))
    group.fill(rows, S, C)
    return ~tried.among(rows)


suggest = Algorithm("tpe", propose, Settings)
