"""A history and its store: what is kept of trials, in memory and beyond."""

from __future__ import annotations

import contextlib
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparktrials.api.adoption import trial_of
from sparktrials.api.attachments import TrialAttachments
from sparktrials.api.shelf import Shelf
from sparktrials.api.view import TrialsView, trial_id_of
from sparktrials.errors import (
    InvalidArgument,
    InvalidArgumentType,
    InvalidTrial,
    SpaceMismatch,
    StoreError,
)
from sparktrials.store import open_store
from sparktrials.study.history import History
from sparktrials.study.protocols import Experiment, Store
from sparktrials.study.values import split

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.loop import Change
    from sparktrials.study.trial import Trial

__all__ = ["DEFAULT_KEY", "KeptTrials"]

#: Name of the experiment that is given none.
DEFAULT_KEY = "default"


class KeptTrials(TrialsView):
    """The trials of one experiment of a store.

    Parameters
    ----------
    store, exp_key, refresh
        As in `Trials`.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        exp_key: str | None = None,
        refresh: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    ) -> None:
        if isinstance(store, str) and ":" not in store:
            if "/" in store or store.endswith((".db", ".sqlite", ".sqlite3")):
                msg = f"store must be a URL; for a file write 'sqlite:///{store}', got {store!r}"
                raise InvalidArgument(msg)
            if exp_key is not None:
                msg = (
                    f"store must be a URL such as 'sqlite:///{store}.db', got {store!r} beside "
                    f"exp_key={exp_key!r}"
                )
                raise InvalidArgument(msg)
            store, exp_key = None, store
        if exp_key is not None and (not isinstance(exp_key, str) or not exp_key):
            msg = f"exp_key must be a non-empty string, got {exp_key!r}"
            raise InvalidArgumentType(msg)
        self._key = exp_key or DEFAULT_KEY
        self._named = exp_key is not None
        self._store: Store = open_store("memory:" if store is None else store)
        self._history: History | None = None
        self._read: dict[int, Trial] = {}
        self._position = 0
        self._next_id = 0
        self._is_running = False
        self._shelf = Shelf()
        self.attachments: dict[str, Any] = {}
        if refresh:
            self.refresh()

    def __repr__(self) -> str:
        """Return where it is and how many trials it has."""
        return (
            f"<{type(self).__name__} {self._key!r} in {self._store.url} with "
            f"{len(self._rows())} trials>"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle keeps: the store, the trials in memory, documents made by hand."""
        state = self.__dict__.copy()
        state["_read"] = {t.id: t for t in self._rows()}
        state["_shelf"] = self._shelf.by_hand()
        state["_history"] = None
        state["_is_running"] = False
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up a pickle."""
        documents = state.pop("_shelf", ())
        self.__dict__.update(state)
        self._shelf = Shelf()
        for document in documents:
            if document["tid"] in self._read:
                self._shelf.hold(document, self._read[document["tid"]])

    # ------------------------------------------------------------------ reading

    def _rows(self) -> Sequence[Trial]:
        if len(self._shelf) and not self._is_running:
            self._absorb()
        return self._present()

    def _present(self) -> Sequence[Trial]:
        """Return the trials by id, documents that were changed not taken into account."""
        if self._history is not None:
            return self._history.trials
        return [self._read[i] for i in sorted(self._read)]

    def _labels(self) -> list[str]:
        if self._history is not None:
            return sorted(self._history.codec.labels)
        experiment = self._store.experiment(self._key)
        if experiment is not None and experiment.fingerprint:
            return sorted(row["label"] for row in experiment.space)
        # Of a space that is not known yet, the labels are those that documents have.
        labels = dict.fromkeys(k for d in self._shelf.by_hand() for k in d["misc"]["vals"])
        labels |= dict.fromkeys(label for t in self._read.values() for label in t.point)
        return sorted(labels)

    def _space(self) -> Space | None:
        return None if self._history is None else self._history.space

    def _documents(self, trials: Iterable[Trial]) -> list[dict[str, Any]]:
        labels, key = self._labels(), self._exp_key
        return [self._shelf.document(t, labels, key) for t in trials]

    @property
    def _exp_key(self) -> str | None:
        return self._key if self._named else None

    @property
    def exp_key(self) -> str:
        """The experiment's name within the store."""
        return self._key

    @property
    def store(self) -> Store:
        """Where the history is kept."""
        return self._store

    @property
    def history(self) -> list[Trial]:
        """All trials as values, by id."""
        return list(self._rows())

    def refresh(self) -> None:
        """Read what the store has that is not here yet; nothing while a run goes on."""
        if self._is_running:
            return
        self._rows()  # what users changed in documents comes first
        if self._store.experiment(self._key) is None:
            return
        news, self._position = self._store.read(self._key, self._position)
        known = self._known()
        # What a result holds beside plain data is in memory only.
        self._take([t for t in news if not _ended(known(t.id))])

    def _known(self) -> Callable[[int], Trial | None]:
        history = self._history
        if history is None:
            return self._read.get
        return history.get

    def _take(self, trials: Sequence[Trial]) -> None:
        """Put trials, new or changed, among those in memory."""
        if self._history is None:
            self._read.update((t.id, t) for t in trials)
            return
        history = self._history
        try:
            for trial in sorted(trials, key=lambda t: t.id):
                history.put(self._fitted(trial, history.space))
        except InvalidTrial:  # not the next one, or one that had ended: no change of that kind
            rows = {t.id: t for t in history}
            rows.update((t.id, self._fitted(t, history.space)) for t in trials)
            self._history = self._new_history(history.space, rows.values())

    def trial_attachments(self, trial: Any) -> TrialAttachments:  # noqa: ANN401 - document or id
        """Return the attachments of a trial, given its document or id: ``name -> content``."""
        trial_id = trial_id_of(trial)
        known = self._known()(trial_id)
        stored = () if known is None else known.attachments
        return TrialAttachments(trial_id, self.attachments, stored, self._store, self._key)

    def _best(self) -> Trial:
        if self._history is not None and self._history.best is not None:
            return self._history.best
        return super()._best()

    def delete_all(self) -> None:
        """Remove the experiment from the store, with all its trials."""
        if self._store.experiment(self._key) is not None:
            self._store.delete(self._key)
        self._history, self._read, self._position, self._next_id = None, {}, 0, 0
        self._shelf.clear()
        self.attachments = {}

    # ------------------------------------------------------------------ changing

    def _absorb(self) -> None:
        """Take up what users changed in documents."""
        known = self._known()
        changed = []
        for document, shown in self._shelf.changed():
            before = known(shown.id)
            # One that has moved on since it was read shows the past.
            if before is shown:
                changed.append((document, trial_of(document, before)))
        if not changed:
            return
        if self._store.durable and any(_ended(known(t.id)) for _, t in changed):
            warnings.warn(
                f"documents of ended trials were changed: that counts in this program, "
                f"{self._store.url} keeps what was recorded",
                stacklevel=3,
            )
        self._put([trial for _, trial in changed])
        for document, trial in changed:
            self._shelf.hold(document, known(trial.id) or trial)

    def _put(
        self,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes]] | None = None,
        experiment: Experiment | None = None,
    ) -> None:
        """Record trials outside of a run, of an `experiment` that is known or not."""
        if self._store.experiment(self._key) is None:
            # Which space it is will be known when it is searched, at the latest.
            if experiment is None:
                experiment = Experiment(key=self._key, fingerprint="", space=(), seed=_seed())
            self._store.create(replace(experiment, key=self._key))
        stored = list(trials)
        if self._store.durable:
            stored = [self._plain(t) for t in trials]
        self._store.append(self._key, stored, attachments)
        self._take(trials)
        if not self._is_running:
            self._position = max(self._position, self._store.read(self._key, self._position)[1])

    def _plain(self, trial: Trial) -> Trial:
        """Return a trial with those values of its result that a durable store keeps."""
        plain, objects = split(trial.result)
        if objects:
            warnings.warn(
                f"trial {trial.id}: {', '.join(map(repr, objects))} of its result are not plain "
                f"data, and not kept in {self._store.url}",
                stacklevel=4,
            )
        return replace(trial, result=plain)

    def experiment(self) -> Experiment | None:
        """Return what the store says of the experiment, if it is there."""
        return self._store.experiment(self._key)

    def reserve(self, n: int) -> list[int]:
        """Return `n` new trial ids."""
        if self._history is not None:
            ids = self._history.reserve(n)
        else:
            first = max(self._next_id, max(self._read, default=-1) + 1)
            ids = range(first, first + n)
        self._next_id = ids.stop
        return list(ids)

    def _new_history(self, space: Space, trials: Iterable[Trial]) -> History:
        history = History(space, trials)
        history.reserve(max(0, self._next_id - history.next_id))
        return history

    def history_over(self, space: Space) -> History:
        """Return these trials as a history over `space`, the one of the present run if there is.

        Raises
        ------
        InvalidPoint
            If a trial does not fit the space.
        """
        rows = self._rows()
        history = self._history
        if history is None or history.space.fingerprint != space.fingerprint:
            history = self._new_history(space, [self._fitted(t, space) for t in rows])
            if not self._is_running:
                self._history, self._read = history, {}
        return history

    @staticmethod
    def _fitted(trial: Trial, space: Space) -> Trial:
        """Return a trial that users gave with the raw draws that `space` has for its point."""
        if not trial.given:
            return trial
        point = space.checked(trial.point, name=f"trial {trial.id}")
        same = [(k, type(v)) for k, v in point.items()] == [
            (k, type(v)) for k, v in trial.point.items()
        ]
        return trial if same and point == trial.point else replace(trial, point=point)

    # ------------------------------------------------------------------ running

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
            space=space.describe(),
            seed=_seed() if seed is None else seed,
        )
        for trial in self._rows():
            self._fitted(trial, space)  # what does not fit is refused before anything is bound
        found = self._created(wanted)
        self._store.acquire(self._key)
        self._is_running = True
        try:
            in_memory = {t.id: t for t in self._present()}
            trials, self._position = self._store.read(self._key)
            # What a result holds beside plain data is in memory only. A run that an error ended
            # between the two may have left less in memory than in the store.
            rows = [in_memory[t.id] if _ended(in_memory.get(t.id)) else t for t in trials]
            self._history = self._new_history(space, [self._fitted(t, space) for t in rows])
            self._read = {}
            yield self._history, found.seed if seed is None else seed
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
        if not self._store.read(self._key)[0]:
            self._store.delete(self._key)
            found = self._store.create(wanted)
            self._history, self._position = None, 0
        if found.fingerprint != wanted.fingerprint:
            raise SpaceMismatch(_difference(found, wanted, self._store.url))
        return found

    def settle(self, changes: Sequence[Change]) -> None:
        """Record changes outside of a run's loop."""
        if changes and self._history is not None:
            self._store.append(self._key, [change.trial for change in changes])
            for change in changes:
                self._history.put(change.trial)


def _seed() -> int:
    return secrets.randbits(63)


def _ended(trial: Trial | None) -> bool:
    return trial is not None and trial.state.terminal


def _difference(found: Experiment, wanted: Experiment, url: str) -> str:
    """Say how two spaces differ."""

    def table(experiment: Experiment) -> dict[str, str]:
        return {
            row["label"]: row["distribution"]
            + (f" if {row['condition']}" if row["condition"] else "")
            for row in experiment.space
        }

    stored, given = table(found), table(wanted)
    lines = [
        f"  {label!r}: stored {stored.get(label, 'nothing')}; given {given.get(label, 'nothing')}"
        for label in sorted({*stored, *given})
        if stored.get(label) != given.get(label)
    ]

    def whole(rows: dict[str, str]) -> str:
        return "; ".join(f"{label}: {text}" for label, text in rows.items())

    return (
        f"the experiment {found.key!r} in {url} has another search space than the one given:\n"
        + "\n".join(lines or ["  (the same text, other numbers)"])
        + f"\nstored space: {whole(stored)}\ngiven space: {whole(given)}\n"
        "Use another exp_key, give the stored space, or remove the experiment with "
        "trials.delete_all()"
    )
