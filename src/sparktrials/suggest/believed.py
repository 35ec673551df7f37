"""What a Gaussian process makes of a history: follows it, and keeps hyperparameters it has found.

Finding hyperparameters takes longer than anything else, so it is done when there are some percent
more finished trials than the last time, from those that are first by id: that depends on the set of
finished trials alone. What is kept is what would be found again.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.study.history import CODE
from sparktrials.study.trial import TrialState
from sparktrials.suggest.embedding import Embedding
from sparktrials.suggest.process import Hyperparameters, Posterior, Prior, Search, fit
from sparktrials.suggest.warping import half_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sparktrials.study.history import History

__all__ = ["Believed"]

#: By state code, see `study.history.CODE`.
_FINISHED = np.array([s in {TrialState.OK, TrialState.FAILED, TrialState.PRUNED} for s in CODE])
_PENDING = np.array([s in {TrialState.NEW, TrialState.RUNNING} for s in CODE])
#: Of more finished trials the best half of this many count, and an even choice of the rest.
MAX_TRIALS = 500
#: Of more, hyperparameters are found from these alone.
MAX_FITTED = 300
#: Of more pending trials, the latest count.
MAX_PENDING = 500
#: By how much the number of trials grows until hyperparameters are found anew: from where the last
#: were, and from scratch.
FINE, COARSE = 1.05, 1.5
FEW = 20
ITERATIONS_ANEW, ITERATIONS_ON = 50, 15
#: More parameters that are active together, or more features, are too many.
MAX_ACTIVE = 60
MAX_FEATURES = 2000


class Believed:
    """Finished and pending trials as a process sees them.

    Attributes
    ----------
    embedding
        Of the space.
    """

    def __init__(self, history: History) -> None:
        self.embedding = Embedding.of(history.codec)
        _warn_if_unsuited(self.embedding)
        self._finished: list[int] = np.flatnonzero(_FINISHED[history.states]).tolist()
        self._found: dict[int, NDArray[np.float64]] = {}  # by the number of trials

    @property
    def n_finished(self) -> int:
        """How many trials have finished, failed ones included."""
        return len(self._finished)

    def note(self, history: History, row: int, before: TrialState | None) -> None:  # noqa: ARG002
        """Take up a trial that finished; forget what was found of trials that it comes before."""
        if not _FINISHED[history.states[row]]:
            return
        place = bisect_left(self._finished, row)
        insort(self._finished, row)
        for size in [size for size in self._found if size > place]:
            del self._found[size]

    def posterior(
        self, history: History
    ) -> tuple[Posterior, NDArray[np.float64], NDArray[np.float64]]:
        """Return the process; its means at all trials, and their coordinates, best first.

        Pending ones are among them: what they are taken for is not to be improved on twice.
        """
        e = self.embedding
        rows = np.array(self._finished, dtype=np.intp)
        theta = self._hyperparameters(history, rows)
        y = half_rank(history.losses[rows])
        if len(rows) > MAX_TRIALS:
            kept = _thinned(y, MAX_TRIALS)
            rows, y = rows[kept], y[kept]
        Z = e.coordinates(history.X[rows])
        pending = np.flatnonzero(_PENDING[history.states])[-MAX_PENDING:]
        posterior = Posterior(Hyperparameters.of(theta), e.features(Z), e.owner, y)
        under_way = e.coordinates(history.X[pending])
        posterior.add(e.features(under_way))
        mean = np.concatenate([posterior.mean(e.features(Z)), posterior.believed])
        Z = np.concatenate([Z, under_way])
        order = np.argsort(mean, kind="stable")
        return posterior, mean[order], Z[order]

    def _hyperparameters(self, history: History, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        fine = _milestone(len(rows), FINE)
        if fine not in self._found:
            coarse = _milestone(fine, COARSE)
            if coarse not in self._found:
                self._found[coarse] = self._fitted(history, rows[:coarse], None)
            if fine not in self._found:
                self._found[fine] = self._fitted(history, rows[:fine], self._found[coarse])
        return self._found[fine]

    def _fitted(
        self,
        history: History,
        rows: NDArray[np.intp],
        start: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """Return hyperparameters for some trials, from others that are near, or anew."""
        e = self.embedding
        y = half_rank(history.losses[rows])
        if len(rows) > MAX_FITTED:
            kept = _thinned(y, MAX_FITTED)
            rows, y = rows[kept], y[kept]
        X = history.X[rows]
        prior = Prior.of(e.nominal, float((~np.isnan(X)).sum(axis=1).mean()))
        search = Search(prior.mean, ITERATIONS_ANEW)
        if start is not None:
            search = Search(start, ITERATIONS_ON)
        return fit(e.features(e.coordinates(X)), e.owner, y, prior, [search])


def _milestone(n: int, growth: float) -> int:
    """Return the largest of the numbers from `FEW` on that grow so and are at most `n`."""
    if n <= FEW:
        return n
    at = FEW
    while True:
        following = max(at + 1, int(at * growth))
        if following > n:
            return at
        at = following


def _thinned(y: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Return which `most` of more trials stand for all: the best half, an even choice of others."""
    order = np.argsort(y, kind="stable")
    half = most // 2
    even = np.rint(np.linspace(half, len(y) - 1, most - half)).astype(np.intp)
    return np.sort(np.concatenate([order[:half], order[even]]))


def _warn_if_unsuited(embedding: Embedding) -> None:
    """Say so, once for a history, if a space is none for a Gaussian process."""
    advice = (
        "there tpe.suggest finds as much, in a fraction of the time that a Gaussian process takes"
    )
    codec = embedding.codec
    # Of parameters with one condition all are active together, and with the unconditional ones.
    always = sum(not condition for condition in codec.conditions)
    most = max((len(g) for g in embedding.groups if g.condition), default=0) + always
    if most > MAX_ACTIVE:
        warnings.warn(
            f"gp.suggest: the space has {most} parameters that are active together, more than "
            f"{MAX_ACTIVE}; {advice}",
            stacklevel=2,
        )
    if len(embedding.owner) > MAX_FEATURES:
        widest = int(np.argmax(np.where(embedding.nominal, embedding.sizes, 0)))
        warnings.warn(
            f"gp.suggest: the choices of the space have {len(embedding.owner)} options in all, "
            f"{embedding.sizes[widest]} of them in {codec.labels[widest]!r}, more than "
            f"{MAX_FEATURES}; {advice}",
            stacklevel=2,
        )
