"""TPE with several settings at once, each heard as far as it has foretold results so far.

An *expert* is a way to set up TPE's two densities: which share of the trials are the good ones, and
whether the others keep kernels of their own widths or share one. Its *skill* in a history is how
well the model that it makes of the earlier trials orders the latest ones by their losses. The score
of a point is the mean of the experts' log l/g, weighted by skill: a product of experts, in which
those count that suit the problem, and the errors of single ones cancel out.

All depends on ranks, and on the set of trials, whatever made them and in whatever order they ended.

Shapes: as in `model`.
Sources: sequential (prequential) assessment: Dawid, J. R. Statist. Soc. A 147 (1984);
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
    exploring,
    finest,
    good_floor,
    mixture,
    rank_weights,
    reach_of,
    seen,
    thinned,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from sparktrials.study.history import History
    from sparktrials.suggest.grouping import Group
    from sparktrials.suggest.known import Board
    from sparktrials.suggest.model import Seen

    Rows: TypeAlias = Callable[[NDArray[np.intp]], Seen]  # ``S`` and ``C``

__all__ = ["SHARES", "Ensemble", "Pair", "skills", "weights_of"]


#: Shares of the trials that are good ones; each makes two experts: in the first the other trials'
#: kernels have widths of their own, in the second they share one.
SHARES = (0.08, 0.15, 0.25)
#: Good trials are at most so many times the share.
MOST_GOOD = 170.0
#: The width that kernels share, of the range, for a single trial.
COMMON_WIDTH = 0.1
#: Skills are measured on the latest quarter of so many of the latest trials, and not of fewer than
#: `LEAST`; `LOOK_BACK` rows of the history are looked through for them.
WINDOW, LEAST, LOOK_BACK = 160, 16, 1000
#: An expert with correlation 1 weighs e to this times as much as one with 0.
SHARPNESS = 4.0

_FINISHED = np.array([s in {TrialState.OK, TrialState.FAILED, TrialState.PRUNED} for s in CODE])


class Pair(NamedTuple):
    """Two experts: densities of the same good trials, and two of the same others."""

    good: parzen.Mixture
    others: tuple[parzen.Mixture, parzen.Mixture]
    reach: NDArray[np.float64]

    @classmethod
    def of(cls, group: Group, share: float, n: int, n_ok: int, rows: Rows) -> Pair:
        """Fit to `n` trials, of which `n_ok` have a loss; `rows` returns them by rank."""
        first = min(math.ceil(share * n), round(share * MOST_GOOD), n_ok)
        weight, floors = exploring(group, first), good_floor(group, n)
        good, h = mixture(group, rows(np.arange(first)), rank_weights(first), floors, weight)
        picks, weights = thinned(first, n)
        (S, C), floor = rows(picks), finest(n - first)
        own, _ = mixture(group, (S, C), weights, floor, 1.0)
        # The rate of Scott's rule: Multivariate Density Estimation (1992), equation 6.42.
        width = COMMON_WIDTH * max(n - first, 1) ** (-1 / (len(group) + 4))
        shared = parzen.mixture_of(
            group.axes,
            S,
            C,
            np.full((len(group), len(S)), max(width, floor)).T,
            weights=weights,
            prior_weight=1.0,
        )
        return cls(good, (own, shared), reach_of(h))

    def ratios(self, points: parzen.Points, per: int | None = None) -> NDArray[np.float64]:
        """Return (2, m) logarithms of l/g; `per`: see `parzen.log_density`."""
        ours = parzen.log_density(self.good, points, per=per)
        return ours - np.stack(
            [parzen.log_density(g, points, np.float32, per=per) for g in self.others]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """The model of one group: a `model.Fitted`.

    Attributes
    ----------
    good, reach
        Those of the share whose experts weigh most.
    pairs, weights
        All experts, (pairs,) and (pairs, 2).
    """

    good: parzen.Mixture
    reach: NDArray[np.float64]
    pairs: tuple[Pair, ...]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, board: Board, history: History) -> Ensemble:
        """Fit all experts to what is known of a group, and weigh them."""
        group, ranking = board.group, board.ranking
        n = len(ranking)

        def rows(places: NDArray[np.intp]) -> Seen:
            return seen(group, history.X[ranking.at(places)])

        pairs = tuple(Pair.of(group, share, n, n - ranking.n_failed, rows) for share in SHARES)
        weights = weights_of(skills(group, *_latest(group, history)))
        heard = pairs[int(np.argmax(weights.sum(axis=1)))]
        return cls(heard.good, heard.reach, pairs, weights)

    def score(
        self, S: NDArray[np.float64], C: NDArray[np.intp], per: int | None = None
    ) -> NDArray[np.float64]:
        """Return (m,) the weighted means of log l/g; `per`: see `parzen.log_density`."""
        points, total = parzen.Points.of(self.good.axes, S, C), np.zeros(len(S))
        for pair, weights in zip(self.pairs, self.weights, strict=True):
            total += (weights[:, None] * pair.ratios(points, per)).sum(axis=0)
        return total


def _latest(group: Group, history: History) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and losses of the latest finished trials in which a group is active, by id."""
    X, losses = history.X[-LOOK_BACK:], history.losses[-LOOK_BACK:]
    there = np.flatnonzero(_FINISHED[history.states[-LOOK_BACK:]] & ~np.isnan(X[:, group.key]))
    there = there[-WINDOW:]
    return X[there], losses[there]


def skills(
    group: Group, X: NDArray[np.float64], losses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return per share and width how well earlier trials foretell the order of the latest quarter.

    That is the rank correlation of the expert's score with the losses; 0 where there are too few.

    Shapes: X (n, d), losses (n,), NaN for failed trials, in the order of the trials' ids; result
    (len(SHARES), 2).
    """
    found = np.zeros((len(SHARES), 2))
    if len(X) < LEAST:
        return found
    cut = len(X) - len(X) // 4
    key = np.where(np.isnan(losses), np.inf, losses)
    order = np.argsort(key[:cut], kind="stable")
    n_ok = int(np.isfinite(key[:cut]).sum())

    S, C = seen(group, X)

    def rows(places: NDArray[np.intp]) -> Seen:
        there = order[places]
        return S.T[:, there].T, C.T[:, there].T

    points = parzen.Points.of(group.axes, S[cut:], C[cut:])
    wanted = _ranks(-key[cut:])
    for i, share in enumerate(SHARES):
        for k, ratio in enumerate(Pair.of(group, share, cut, n_ok, rows).ratios(points)):
            told = _ranks(ratio)
            scale = math.sqrt(float(wanted @ wanted) * float(told @ told))
            found[i, k] = float(wanted @ told) / scale if scale > 0 else 0.0
    return found


def weights_of(skill: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the experts' weights, summing to 1."""
    weights = np.exp(SHARPNESS * (skill - skill.max()))
    normal: NDArray[np.float64] = weights / weights.sum()
    return normal


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) ranks less their mean; equal values share theirs."""
    ordered = np.sort(values)
    below, upto = ordered.searchsorted(values), ordered.searchsorted(values, side="right")
    ranks: NDArray[np.float64] = (below + upto - len(values)) / 2
    return ranks
