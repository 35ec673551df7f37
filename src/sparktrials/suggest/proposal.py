"""The modelled points of one call of TPE, made together, group by group of parameters.

Point k is the one that would come if the points before it were pending, bit by bit: what it depends
on of these is counted in order. All else, drawing and scoring candidates, is done for many points
at once. Only where everything is tried in the branches that a point took, so that it must take
others, the points after it have to wait for it.

Shapes: latent rows (k, d), NaN where inactive; ``m`` candidates for each point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.suggest import parzen
from sparktrials.suggest.branches import next_branch
from sparktrials.suggest.crowding import Crowd
from sparktrials.suggest.grouping import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sparktrials.study.history import History
    from sparktrials.suggest.known import Board, Known
    from sparktrials.suggest.model import Fitted
    from sparktrials.suggest.tried import Tried

__all__ = ["N_FRESH", "Proposal"]

#: Points that are made together.
_CHUNK = 64
#: Prior draws that are looked through for an untried point, when all candidates were tried.
N_FRESH = 256
#: Branches that are given up, one after the other, before a point is repeated.
MAX_RETRIES = 64


@dataclass(slots=True)
class _Batch:
    """Points in the making.

    Attributes
    ----------
    rows
        Filled in group by group.
    generators
        One for each.
    tried
        Keys of those that are whole.
    """

    rows: NDArray[np.float64]
    generators: list[np.random.Generator]
    tried: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One group of parameters of some points of a batch.

    Attributes
    ----------
    g
        The group's number.
    points : (k,)
        The points' numbers in the batch.
    rows : (k, d)
        What there is of them.
    taken : (k, ·)
        The codes of the group's switches.
    whole : (k,)
        Whether the group is the point's last one, and it could be one that was tried.
    """

    g: int
    points: NDArray[np.intp]
    rows: NDArray[np.float64]
    taken: NDArray[np.intp]
    whole: NDArray[np.bool_]


class Proposal:
    """Makes the points of one call.

    Parameters
    ----------
    history, known
        What they depend on.
    tried
        What is not to be suggested again, where repeats are possible.
    rng
        Returns the generator of a trial.
    n_candidates
        How many are looked at for each point.
    fit
        Makes the model of a group of what its board knows.
    """

    def __init__(
        self,
        history: History,
        known: Known,
        tried: Tried | None,
        *,
        rng: Callable[[int], np.random.Generator],
        n_candidates: int,
        fit: Callable[[Board], Fitted],
    ) -> None:
        self._codec = history.codec
        self._X = history.X
        self._boards = known.boards
        self._groups = [board.group for board in known.boards]
        self._tried = tried
        self._rng = rng
        self._m = n_candidates
        self._fit = fit
        self._models: dict[int, Fitted] = {}
        self._crowds: dict[int, Crowd] = {}

    def rows(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return the latent rows of the points of some trials."""
        done: list[NDArray[np.float64]] = []
        at, size = 0, _CHUNK
        while at < len(ids):
            ahead = ids[at : at + self._together(size)]
            rows = self._several(ahead)
            stuck = len(rows) < len(ahead)
            if len(rows):
                self._join(done, rows)
            if stuck:
                self._join(done, self._one(ids[at + len(rows)]))
            size = max(1, size // 4) if stuck else min(2 * size, _CHUNK)
            at += len(rows) + stuck
        return np.concatenate(done)

    def _together(self, size: int) -> int:
        """Return how many points to make at once: one where the last untried ones may go."""
        left = np.inf if self._tried is None else self._tried.left
        return 1 if 0 < left <= size else size

    def _join(self, done: list[NDArray[np.float64]], rows: NDArray[np.float64]) -> None:
        """Count points as pending."""
        done.append(rows)
        for g, crowd in self._crowds.items():
            group = self._groups[g]
            here = rows[holds(group.condition, rows)]
            if len(here):
                crowd.join(group, here)
        if self._tried is not None:
            for key in self._tried.keys(rows):
                self._tried.add(key)

    # ------------------------------------------------------------------ whole points

    def _several(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return points up to the first of which all that it could be was tried."""
        batch = _Batch(np.full((len(ids), len(self._codec)), np.nan), [self._rng(i) for i in ids])
        sure = len(ids)
        for g, group in enumerate(self._groups):
            points = np.flatnonzero(holds(group.condition, batch.rows[:sure]))
            if len(points):
                stuck = self._fill(g, batch, points, {})
                sure = sure if stuck is None else stuck
        return batch.rows[:sure]

    def _one(self, trial_id: int) -> NDArray[np.float64]:
        """Return a point, (1, d); it gives up branches of which everything was tried."""
        tried = self._tried
        batch = _Batch(np.full((1, len(self._codec)), np.nan), [self._rng(trial_id)])
        row, rng = batch.rows[0], batch.generators[0]
        barred: dict[int, set[int]] = {}
        for _ in range(MAX_RETRIES):
            row[:] = np.nan
            batch.tried.clear()
            for g, group in enumerate(self._groups):
                if holds(group.condition, batch.rows)[0]:
                    self._fill(g, batch, np.zeros(1, dtype=np.intp), barred)
            if tried is None or not tried.has(row):
                break
            row[:] = tried.variant(row, rng)
            if not tried.has(row):
                break
            if not self._bar(row, barred):
                row[:] = tried.fresh(row, rng, N_FRESH)
                break
        return batch.rows

    def _bar(self, row: NDArray[np.float64], barred: dict[int, set[int]]) -> bool:
        """Bar the deepest branch taken, and those above that have none left; False if none is."""
        for group in reversed(self._groups):
            for j in group.switches:
                column = int(group.coded[j])
                if np.isnan(row[column]):
                    continue
                closed = barred.setdefault(column, set())
                closed.add(int(group.codes(row[None])[0, j]))
                if len(closed) < np.count_nonzero(group.axes.prior[j]):
                    return True
        return False

    # ------------------------------------------------------------------ one group

    def _fill(
        self, g: int, batch: _Batch, points: NDArray[np.intp], barred: dict[int, set[int]]
    ) -> int | None:
        """Choose the group's coordinates of the points numbered `points`.

        Returns the first of them that is whole, and tried: what follows is not to be relied on.
        """
        group = self._groups[g]
        if g not in self._crowds:
            self._crowds[g] = Crowd.of(self._boards[g], self._X)
        rows = batch.rows[points]
        taken = self._branches(g, len(points), barred)
        codes = np.zeros((len(points), len(group.coded)), dtype=np.intp)
        codes[:, list(group.switches)] = taken
        group.fill(rows, np.zeros((len(points), len(group.smooth))), codes)
        part = _Part(g, points, rows, taken, self._whole(g, rows))
        if len(group.switches) == len(group):
            stuck = self._first_tried(batch, part)
        else:
            stuck = self._choose(batch, part)
        batch.rows[points] = rows
        return stuck

    def _branches(self, g: int, n: int, barred: dict[int, set[int]]) -> NDArray[np.intp]:
        """Return (n, ·) the codes of the group's switches, of one point after the other."""
        group, crowd = self._groups[g], self._crowds[g]
        taken = np.empty((n, len(group.switches)), dtype=np.intp)
        for column, j in enumerate(group.switches):
            counts, owed = crowd.taken[j].copy(), crowd.owed[j]
            closed = barred.get(int(group.coded[j]))
            if closed:
                owed = owed.copy()
                owed[list(closed)] = 0
            for i in range(n):
                taken[i, column] = branch = next_branch(owed, counts)
                counts[branch] += 1
        return taken

    def _whole(self, g: int, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points have no parameters but of groups up to `g`, their branches taken."""
        whole = np.full(len(rows), self._tried is not None)
        if self._tried is not None:
            for group in self._groups[g + 1 :]:
                whole &= ~holds(group.condition, rows)
        return whole

    def _first_tried(self, batch: _Batch, part: _Part) -> int | None:
        """Return the first whole point that was tried; count those before it as tried."""
        if self._tried is None or not part.whole.any():
            return None
        keys = self._tried.keys(part.rows)
        for k in np.flatnonzero(part.whole).tolist():
            if not self._settled(batch, keys[k]):
                return int(part.points[k])
        return None

    def _settled(self, batch: _Batch, key: int) -> bool:
        """Count a point as tried; return False if it was."""
        if not self._untried(batch, [key])[0]:
            return False
        batch.tried.add(key)
        return True

    def _untried(self, batch: _Batch, keys: Sequence[int]) -> NDArray[np.bool_]:
        """Return which keys are of points that were not tried, all if nothing untried is left."""
        if self._tried is None or self._tried.left <= 0:
            return np.ones(len(keys), dtype=bool)
        had, here = self._tried.had, batch.tried
        return np.array([key not in here and not had(key) for key in keys], dtype=bool)

    def _model(self, g: int) -> Fitted:
        if g not in self._models:
            self._models[g] = self._fit(self._boards[g])
        return self._models[g]

    def _choose(self, batch: _Batch, part: _Part) -> int | None:
        """Take the best of `m` candidates for each point, in order; see `_fill`."""
        group, model, m = self._groups[part.g], self._model(part.g), self._m
        S, C = self._candidates(batch, part)
        score = model.score(S, C, per=m)
        keys: list[int] = []
        if self._tried is not None and part.whole.any():
            every = np.repeat(part.rows, m, axis=0)
            group.fill(every, S, C)
            keys = self._tried.keys(every)
        n, stuck = len(part.points), None
        chosen_S, chosen_C = np.zeros((n, S.shape[1])), np.zeros((n, C.shape[1]), dtype=np.intp)
        near = self._crowds[part.g].near(group, model.reach, (S, C), n)
        for k in range(n):
            own = slice(k * m, (k + 1) * m)
            scored = score[own] if near is None else near.scored(score[own], own)
            if part.whole[k]:
                fresh = self._untried(batch, keys[own])
                if not fresh.any():
                    s, c, key = self._elsewhere(batch, part, k)
                    chosen_S[k], chosen_C[k] = s[0], c[0]
                    if not self._settled(batch, key):
                        stuck = k
                        break
                    if near is not None:
                        near.join(s, c)
                    continue
                scored = np.where(fresh, scored, -np.inf)
            best = k * m + int(scored.argmax())
            chosen_S[k], chosen_C[k] = S[best], C[best]
            if part.whole[k] and not self._settled(batch, keys[best]):
                stuck = k
                break
            if near is not None:
                near.take(best)
        group.fill(part.rows, chosen_S, chosen_C)
        return None if stuck is None else int(part.points[stuck])

    def _candidates(
        self, batch: _Batch, part: _Part
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return ``S`` and ``C`` of `m` draws from the good trials' density for each point."""
        group, good, m = self._groups[part.g], self._model(part.g).good, self._m
        width = 1 + len(group)
        U = np.empty((len(part.points) * m, width))
        for k, i in enumerate(part.points.tolist()):
            batch.generators[i].random(out=U[k * m : (k + 1) * m])
        component = np.empty((len(part.points), m), dtype=np.intp)
        alike: dict[tuple[int, ...], list[int]] = {}  # points by the branches that they took
        for k, codes in enumerate(map(tuple, part.taken.tolist())):
            alike.setdefault(codes, []).append(k)
        for codes, points in alike.items():
            weights = parzen.component_weights(good, dict(zip(group.switches, codes, strict=True)))
            ladder = np.cumsum(weights)
            u = U[:, 0].reshape(component.shape)[points] * ladder[-1]
            found = ladder.searchsorted(u, side="right")
            component[points] = np.minimum(found, len(weights) - 1)
        S, C = parzen.sample(good, U[:, 1:], component.ravel())
        C[:, list(group.switches)] = np.repeat(part.taken, m, axis=0)
        return group.settle(S), C

    def _elsewhere(
        self, batch: _Batch, part: _Part, k: int
    ) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
        """Return ``S``, ``C`` and key of the best prior draw for a point, untried if there is."""
        group = self._groups[part.g]
        U = batch.generators[int(part.points[k])].random((N_FRESH, len(group)))
        S, C = group.axes.draws(U)
        S = group.settle(S)
        C[:, list(group.switches)] = part.taken[k]
        rows = np.tile(part.rows[k], (len(S), 1))
        group.fill(rows, S, C)
        keys = [] if self._tried is None else self._tried.keys(rows)
        score = self._model(part.g).score(S, C)
        best = int(np.where(self._untried(batch, keys), score, -np.inf).argmax())
        return S[best : best + 1], C[best : best + 1], keys[best] if keys else 0
