"""TPE with several settings at once, each heard as far as it has foretold results so far.

An *expert* is a way to set up TPE's two densities: which share of the trials are the good ones, and
whether the others keep kernels of their own widths or share one. Its *skill* in a history is how
well the model that it makes of the earlier trials orders the latest ones by their losses. The score
of a point is the mean of the experts' log l/g, weighted by skill: a product of experts, in which
those count that suit the problem, and the errors of single ones cancel out.

All depends on ranks, and on the set of trials, whatever made them and in whatever order they ended.

Shapes: as in `model`.
Sources: sequential (prequential) assessment: Dawid, J. R. Statist. Soc. A 147 (1984), section 2;
weights: the exponentially weighted forecaster, Cesa-Bianchi and Lugosi, Prediction, Learning, and
Games (2006), section 2.1; product of experts: Hinton, Neural Computation 14 (2002), equation 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest import parzen
from sparktrials.suggest.model import (
    GOOD_FLOOR_SHARE,
    UNKNOWN_REACH,
    exploring,
    finest,
    mixture,
    rank_weights,
    thinned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sparktrials.study.history import History
    from sparktrials.suggest.grouping import Group
    from sparktrials.suggest.known import Board

__all__ = ["EXPERTS", "Ensemble", "Expert", "skills", "weights_of"]


class Expert(NamedTuple):
    """Settings of TPE.

    Attributes
    ----------
    share
        Of the trials that are good ones.
    common
        Whether the kernels of the other trials share one bandwidth per coordinate.
    """

    share: float
    common: bool


EXPERTS = tuple(Expert(share, common) for share in (0.08, 0.15, 0.25) for common in (False, True))
#: Good trials of an expert are at most so many, by its share.
MOST_GOOD = 170.0
#: The width that kernels share, of the range, for a single trial.
COMMON_WIDTH = 0.1
#: Skills are measured on the latest quarter of so many of the latest trials, and not of fewer than
#: `LEAST`; `LOOK_BACK` rows of the history are looked through for them.
WINDOW, LEAST, LOOK_BACK = 160, 16, 1000
#: An expert with correlation 1 weighs e to this times as much as one with 0.
SHARPNESS = 4.0

_FINISHED = np.array([s in {TrialState.OK, TrialState.FAILED, TrialState.PRUNED} for s in CODE])


class Densities(NamedTuple):
    """What an expert makes of some trials."""

    good: parzen.Mixture
    others: parzen.Mixture
    reach: NDArray[np.float64]

    def ratio(
        self, S: NDArray[np.float64], C: NDArray[np.intp], per: int | None = None
    ) -> NDArray[np.float64]:
        """Return (m,) logarithms of l/g."""
        ours = parzen.log_density(self.good, S, C, per=per)
        return ours - parzen.log_density(self.others, S, C, np.float32, per=per)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """The model of one group: a `model.Fitted`."""

    good: parzen.Mixture
    reach: NDArray[np.float64]
    parts: tuple[Densities, ...]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, board: Board, history: History) -> Ensemble:
        """Fit all experts to what is known of a group, and weigh them."""
        group, ranking = board.group, board.ranking
        n = len(ranking)
        n_ok = n - ranking.n_failed

        def rows(places: Sequence[int]) -> NDArray[np.float64]:
            return history.X[ranking.at(places)]

        parts = tuple(_densities(group, expert, n, n_ok, rows) for expert in EXPERTS)
        weights = weights_of(skills(group, *_latest(group, history)))
        heard = int(np.argmax(weights))
        return cls(parts[heard].good, parts[heard].reach, parts, weights)

    def score(
        self, S: NDArray[np.float64], C: NDArray[np.intp], per: int | None = None
    ) -> NDArray[np.float64]:
        """Return (m,) the weighted means of log l/g; `per`: see `parzen.log_density`."""
        total = np.zeros(len(S))
        for part, weight in zip(self.parts, self.weights.tolist(), strict=True):
            total += weight * part.ratio(S, C, per)
        return total


def n_good(expert: Expert, n: int) -> int:
    """Return how many of `n` trials are good ones to an expert."""
    return min(math.ceil(expert.share * n), round(expert.share * MOST_GOOD))


def _densities(
    group: Group,
    expert: Expert,
    n: int,
    n_ok: int,
    rows: Callable[[Sequence[int]], NDArray[np.float64]],
) -> Densities:
    """Fit an expert to `n` trials, of which `n_ok` have a loss; `rows` returns them by rank."""
    first = min(n_good(expert, n), n_ok)
    floor = finest(GOOD_FLOOR_SHARE * n)
    good, h = mixture(
        group, rows(range(first)), rank_weights(first), floor, exploring(group, first)
    )
    reach = np.median(h, axis=0) if len(h) else np.full(len(group), UNKNOWN_REACH)
    picks, weights = thinned(first, n)
    if not expert.common:
        others, _ = mixture(group, rows(picks), weights, finest(n - first), 1.0)
        return Densities(good, others, reach)
    X = rows(picks)
    # The rate of Scott's rule: Multivariate Density Estimation (1992), equation 6.41.
    width = COMMON_WIDTH * max(n - first, 1) ** (-1 / (len(group) + 4))
    common = np.full((len(X), len(group)), max(width, finest(n - first)))
    others = parzen.mixture_of(
        group.axes, group.scaled(X), group.codes(X), common, weights=weights, prior_weight=1.0
    )
    return Densities(good, others, reach)


def _latest(group: Group, history: History) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and losses of the latest finished trials in which a group is active, by id."""
    X, losses = history.X[-LOOK_BACK:], history.losses[-LOOK_BACK:]
    there = np.flatnonzero(_FINISHED[history.states[-LOOK_BACK:]] & ~np.isnan(X[:, group.key]))
    there = there[-WINDOW:]
    return X[there], losses[there]


def skills(
    group: Group, X: NDArray[np.float64], losses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return per expert how well earlier trials foretell the order of the latest quarter.

    That is the rank correlation of its score with the losses; 0 where there are too few.

    Shapes: X (n, d), losses (n,), NaN for failed trials, in the order of the trials' ids.
    """
    found = np.zeros(len(EXPERTS))
    cut = len(X) - len(X) // 4
    if len(X) < LEAST:
        return found
    key = np.where(np.isnan(losses), np.inf, losses)
    order = np.argsort(key[:cut], kind="stable")
    n_ok = int(np.isfinite(key[:cut]).sum())

    def rows(places: Sequence[int]) -> NDArray[np.float64]:
        return X[order[np.asarray(places, dtype=np.intp)]]

    S, C = group.scaled(X[cut:]), group.codes(X[cut:])
    wanted = _ranks(-key[cut:])
    for i, expert in enumerate(EXPERTS):
        told = _ranks(_densities(group, expert, cut, n_ok, rows).ratio(S, C))
        scale = math.sqrt(float(wanted @ wanted) * float(told @ told))
        found[i] = float(wanted @ told) / scale if scale > 0 else 0.0
    return found


def weights_of(skill: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the experts' weights, summing to 1."""
    weights = np.exp(SHARPNESS * (skill - skill.max()))
    normal: NDArray[np.float64] = weights / weights.sum()
    return normal


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) ranks less their mean; equal values share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts + 1) / 2)[place]
    return ranks - (len(values) - 1) / 2
