"""A history and its store: what is kept of trials, in memory and beyond."""

from __future__ import annotations

import contextlib
import secrets
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparktrials.api.adoption import trial_of
from sparktrials.api.attachments import AllAttachments, TrialAttachments
from sparktrials.api.rows import Rows
from sparktrials.api.shelf import Shelf
from sparktrials.api.tabular import TabularView
from sparktrials.api.view import trial_id_of
from sparktrials.errors import (
    InvalidArgument,
    InvalidArgumentType,
    StoreInUse,
)
from sparktrials.store import is_url, masked, open_store
from sparktrials.study.protocols import Experiment, Store
from sparktrials.study.values import split

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.loop import Change
    from sparktrials.study.trial import Trial

    #: Attachments by trial id.
    _Files = Mapping[int, Mapping[str, bytes]] | None

__all__ = ["DEFAULT_KEY", "KeptTrials", "new_seed"]

#: Name of the experiment that is given none.
DEFAULT_KEY = "default"


class KeptTrials(TabularView):
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
        if isinstance(store, str) and not is_url(store):
            if "/" in store or store.endswith((".db", ".sqlite", ".sqlite3")):
                shown = masked(store)
                msg = f"store must be a URL; for a file write 'sqlite:///{shown}', got {shown!r}"
                raise InvalidArgument(msg)
            if exp_key is not None:
                msg = (
                    f"store must be a URL such as 'sqlite:///{masked(store)}.db', got "
                    f"{masked(store)!r} beside "
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
        self._kept = Rows()
        self._position = 0
        self._is_running = False
        self._shelf = Shelf()
        self._added: MutableMapping[str, Any] = {}
        if refresh:
            self.refresh()

    def __repr__(self) -> str:
        """Return where it is and how many trials it has."""
        return (
            f"<{type(self).__name__} {self._key!r} in {self._where} with "
            f"{len(self._rows())} trials>"
        )

    @property
    def _where(self) -> str:
        return self._store.url.rstrip(":")

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle keeps: the store, the trials in memory, documents made by hand."""
        if not self._is_running:
            self._absorb(self._shelf.moved() + self._shelf.edited(thoroughly=True))
        state = self.__dict__.copy()
        state["_kept"] = list(self._kept.present())
        state["_shelf"] = self._shelf.own(self._labels(), self._exp_key)
        state["_next_id"] = self._kept.next_id
        state["_is_running"] = False
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up a pickle."""
        documents, next_id = state.pop("_shelf", ()), state.pop("_next_id", 0)
        self.__dict__.update(state)
        self._kept = Rows(state["_kept"], next_id)
        self._shelf = Shelf()
        for document in documents:
            trial = self._kept.get(document["tid"])
            if trial is None:
                self._shelf.expect(document)
            else:
                self._shelf.hold(document, trial)

    # ------------------------------------------------------------------ reading

    def _rows(self) -> Sequence[Trial]:
        if not self._is_running:
            self._absorb(self._shelf.moved())
        return self._kept.present()

    def _edited_rows(self) -> Sequence[Trial]:
        """Return the trials by id, results that users changed included."""
        if not self._is_running:
            self._absorb(self._shelf.moved() + self._shelf.edited())
        return self._kept.present()

    def _labels(self) -> list[str]:
        if self._kept.history is not None:
            return sorted(self._kept.history.codec.labels)
        experiment = self._store.experiment(self._key)
        if experiment is not None and experiment.fingerprint:
            return sorted(row["label"] for row in experiment.space)
        # Of a space that is not known yet, the labels are those that documents have.
        labels = dict.fromkeys(k for d in self._shelf.by_hand() for k in d["misc"]["vals"])
        labels |= dict.fromkeys(label for t in self._kept.present() for label in t.point)
        return sorted(labels)

    def _space(self) -> Space | None:
        return None if self._kept.history is None else self._kept.history.space

    def _documents(self, trials: Iterable[Trial]) -> list[dict[str, Any]]:
        return self._shelf.documents(trials, self._labels, self._exp_key)

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
        return list(self._edited_rows())

    def refresh(self) -> None:
        """Read what the store has that is not here yet; nothing while a run goes on."""
        if self._is_running:
            return
        self._edited_rows()  # what users changed in documents comes first
        if self._store.experiment(self._key) is None:
            return
        news, self._position = self._store.read(self._key, self._position)
        self._kept.take(self._changed(news))

    def _changed(self, news: Iterable[Trial]) -> list[Trial]:
        """Return what the store has of trials that had not ended here.

        Of those that had: what a result holds beside plain data is in memory only; attachments may
        have come since.
        """
        changed = []
        for trial in news:
            known = self._kept.get(trial.id)
            if not _ended(known):
                changed.append(trial)
            elif known is not None and known.attachments != trial.attachments:
                self._kept.attach(trial.id, trial.attachments)
        return changed

    def trial_attachments(self, trial: Any) -> TrialAttachments:  # noqa: ANN401 - document or id
        """Return the attachments of a trial, given its document or id: ``name -> content``."""
        trial_id = trial_id_of(trial)

        def stored() -> Collection[str]:
            known = self._kept.get(trial_id)
            return () if known is None else known.attachments

        def noted(names: Sequence[str]) -> None:
            self._edited_rows()  # what users changed in documents comes first
            self._kept.attach(trial_id, names)

        return TrialAttachments(trial_id, self._added, stored, self._store, self._key, noted)

    @property
    def attachments(self) -> AllAttachments:
        """Attachments of all trials, ``"ATTACH::<tid>::<name>" -> content``, and others."""
        return AllAttachments(
            self._added,
            self._store.url if self._store.durable else None,
            lambda: ((t.id, t.attachments) for t in self._kept.present()),
            lambda trial_id, name: self._store.attachment(self._key, trial_id, name),
        )

    @attachments.setter
    def attachments(self, attachments: Mapping[str, Any]) -> None:
        self._added = dict(attachments)

    def _best(self) -> Trial:
        self._edited_rows()
        return self._kept.best() or super()._best()

    def compact(self) -> tuple[int, int]:
        """Let the store give back the room of what is no more; return sizes before and after.

        Bytes, or entries where a server does not tell bytes. It is done for the whole store, all
        its experiments, and only by this call: deleting does not.

        Raises
        ------
        StoreError
            If the store was opened to be read, others use the file, or there is no room for a
            second one.
        """
        return self._store.compact()

    def delete_all(self) -> None:
        """Remove the experiment from the store, with all its trials."""
        if self._store.experiment(self._key) is not None:
            self._store.delete(self._key)
        self._kept, self._position = Rows(), 0
        self._shelf.clear()
        self._added = {}

    # ------------------------------------------------------------------ changing

    def _absorb(self, documents: Sequence[tuple[dict[str, Any], Trial]]) -> None:
        """Take up what users changed in documents."""
        known = self._kept.get
        # One that has moved on since it was read shows the past.
        changed = [(d, trial_of(d, t)) for d, t in documents if known(t.id) is t]
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
            self._shelf.hold(document, self._kept.get(trial.id) or trial)

    def _put(
        self,
        trials: Sequence[Trial],
        attachments: _Files = None,
        experiment: Experiment | None = None,
    ) -> None:
        """Record trials outside of a run, of an `experiment` that is known or not."""
        if self._store.experiment(self._key) is None:
            # Which space it is will be known when it is searched, at the latest.
            if experiment is None:
                experiment = Experiment(key=self._key, fingerprint="", space=(), seed=new_seed())
            self._store.create(replace(experiment, key=self._key))
        stored = list(trials)
        if self._store.durable:
            stored = [self._plain(t) for t in trials]
        with self._driving():
            if self._store.durable and not self._is_running:
                self._check_ours(trials)
            self._store.append(self._key, stored, attachments)
            self._kept.take(trials)
            if not self._is_running:
                read = self._store.read(self._key, self._position)
                self._position = max(self._position, read[1])

    @contextlib.contextmanager
    def _driving(self) -> Iterator[None]:
        """Be the experiment's driver for a moment: nobody else writes meanwhile."""
        if self._is_running or not self._store.durable:
            yield
            return
        self._store.acquire(self._key)
        try:
            yield
        finally:
            self._store.release(self._key)

    def _check_ours(self, trials: Sequence[Trial]) -> None:
        """Refuse to write what another program has written since this one has read.

        Raises
        ------
        StoreInUse
            If there is such a trial.
        """
        news, _ = self._store.read(self._key, self._position)
        theirs = {t.id: t for t in news}
        for trial in trials:
            found = theirs.get(trial.id)
            if found is not None and found != self._kept.get(trial.id):
                msg = (
                    f"trial {trial.id} of experiment {self._key!r} in {self._store.url} was "
                    "written by another program since this one has read it: one program at a time "
                    "asks and tells by documents; call refresh(), and take new ids"
                )
                raise StoreInUse(msg)

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
        return list(self._kept.reserve(n))

    def settle(self, changes: Sequence[Change], attachments: _Files = None) -> None:
        """Record changes outside of a run's loop, as the experiment's driver."""
        if changes:
            self._put([change.trial for change in changes], attachments)


def new_seed() -> int:
    """Return the seed of a study that is given none."""
    return secrets.randbits(63)


def _ended(trial: Trial | None) -> bool:
    return trial is not None and trial.state.terminal
