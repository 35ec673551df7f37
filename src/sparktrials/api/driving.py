"""A history while a run drives it: over which space, and by whom."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sparktrials.api.constants import described
from sparktrials.api.keeping import KeptTrials, new_seed
from sparktrials.api.mismatch import difference
from sparktrials.api.rows import Rows
from sparktrials.callers import users_level
from sparktrials.errors import SpaceMismatch, StoreError
from sparktrials.store import absorb
from sparktrials.study.protocols import Experiment

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.history import History

__all__ = ["DrivenTrials"]


class DrivenTrials(KeptTrials):
    """The trials of one experiment of a store, which a run over a space can drive."""

    def history_over(self, space: Space) -> History:
        """Return these trials as a history over `space`, the one of the present run if there is.

        Raises
        ------
        InvalidPoint
            If a trial that is still to be evaluated does not fit the space.
        """
        rows = self._edited_rows()
        history = self._kept.history
        if history is not None and history.space.fingerprint == space.fingerprint:
            return history
        kept = Rows() if self._is_running else self._kept
        return kept.over(space, rows, strict=True)

    def counted_apart(self) -> int:
        """Return how many trials count that are of another space than the present one."""
        return self._kept.counted_apart()

    @contextlib.contextmanager
    def running(self, space: Space, seed: int | None) -> Iterator[tuple[History, int]]:
        """Be the experiment's driver: yield its history over `space`, and its seed.

        Raises
        ------
        SpaceMismatch
            If the experiment has another space; both are shown.
        StoreInUse
            If another driver has it.
        """
        wanted = Experiment(
            key=self._key,
            fingerprint=space.fingerprint,
            space=described(space),
            seed=new_seed() if seed is None else seed,
        )
        rows = self._edited_rows()
        same = self._kept.is_over(space)
        if not same:
            Rows().over(space, rows, strict=True)  # refused before anything is bound
        found = self._created(wanted)
        self._store.acquire(self._key)
        self._is_running = True
        try:
            if found.space != wanted.space:  # the same, but for the options of choices
                self._store.bind(replace(wanted, seed=found.seed), replace=True)
            if self._store.durable:
                absorb(self._store, self._key)
            since = self._position if same else 0
            trials, self._position = self._store.read(self._key, since)
            # A run that an error ended may have left less in memory than in the store.
            news = self._changed(trials)
            if same:
                self._kept.take(news)
                history = self._kept.renewed(space)
            else:
                all_rows = {t.id: t for t in rows} | {t.id: t for t in news}
                strict = not self._store.durable
                history = self._kept.over(space, all_rows.values(), strict=strict)
            self._tell_apart()
            yield history, found.seed if seed is None else seed
        except BaseException:
            # Whatever ended the run is what its user is to see.
            with contextlib.suppress(StoreError):
                self._store.release(self._key)
            raise
        else:
            self._store.release(self._key)
        finally:
            self._is_running = False

    def _created(self, wanted: Experiment) -> Experiment:
        """Return the experiment as the store has it; one without any trial binds no space."""
        found = self._store.create(wanted)
        if not found.fingerprint:
            found = self._store.bind(wanted)
        if found.fingerprint == wanted.fingerprint:
            return found
        if not self._store.durable:
            return self._store.bind(wanted, replace=True)
        if not self._store.read(self._key)[0]:
            self._store.delete(self._key)
            found = self._store.create(wanted)
            self._kept, self._position = Rows(), 0
        if found.fingerprint != wanted.fingerprint:
            raise SpaceMismatch(difference(found, wanted, self._store.url))
        return found

    def _tell_apart(self) -> None:
        apart = self._kept.counted_apart()
        if apart:
            warnings.warn(
                f"{apart} of {len(self._kept)} trials do not fit the search space as it is now: "
                "they count for max_evals, and inform nothing",
                stacklevel=users_level(),
            )
