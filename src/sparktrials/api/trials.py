"""``Trials``: a history with its store, as Hyperopt's users hold it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sparktrials.api.view import TrialsView, trial_id_of
from sparktrials.dispatch.inline import InlineDispatcher
from sparktrials.errors import InvalidArgument, InvalidArgumentType, SpaceMismatch, StoreError
from sparktrials.store import open_store
from sparktrials.study.history import History
from sparktrials.study.protocols import Dispatcher, Experiment, Store

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.loop import Change
    from sparktrials.study.trial import Trial

__all__ = ["DEFAULT_KEY", "Trials"]

#: Name of the experiment that is given none.
DEFAULT_KEY = "default"


class Trials(TrialsView):
    """The history of an experiment; evaluates trials one after the other in this process.

    Parameters
    ----------
    store
        A URL such as ``sqlite:///runs.db``, a store object, or None to keep it in memory. Text
        without a scheme is taken for `exp_key`, which comes first in Hyperopt.
    exp_key
        The experiment's name within the store, ``"default"`` if None.
    refresh
        Whether to read what the store has at once.

    Raises
    ------
    StoreError
        If the store cannot be opened.
    InvalidArgument
        If the URL or the key makes no sense.
    """

    #: Whether an objective may raise without ending the run, unless ``fmin`` is told.
    catch_by_default = False
    #: What trials on a cluster are made with, and trials in this process don't need.
    timeout: float | None = None
    loss_threshold: float | None = None
    trial_timeout: float | None = None
    max_retries: int = 0
    #: Why the last ``fmin`` ended early, or None.
    fmin_cancelled_reason: str | None = None

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
        self._is_running = False
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
        """Return what a pickle keeps: the store, and the trials as they are in memory."""
        state = self.__dict__.copy()
        state["_read"] = {t.id: t for t in self._rows()}
        state["_history"] = None
        state["_is_running"] = False
        return state

    # ------------------------------------------------------------------ reading

    def _rows(self) -> Sequence[Trial]:
        if self._history is not None:
            return self._history.trials
        return [self._read[i] for i in sorted(self._read)]

    def _labels(self) -> list[str]:
        if self._history is not None:
            return list(self._history.codec.labels)
        experiment = self._store.experiment(self._key)
        return [] if experiment is None else [row["label"] for row in experiment.space]

    def _space(self) -> Space | None:
        return None if self._history is None else self._history.space

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
        if self._is_running or self._store.experiment(self._key) is None:
            return
        news, self._position = self._store.read(self._key, self._position)
        known = {t.id: t for t in self._rows()}
        # What a result holds beside plain data is in memory only.
        known.update({t.id: t for t in news if not _ended(known.get(t.id))})
        if self._history is not None:
            self._history = History(self._history.space, known.values())
        else:
            self._read = known

    def trial_attachments(self, trial: Any) -> Mapping[str, bytes]:  # noqa: ANN401 - document or id
        """Return the attachments of a trial, given its document or id: ``name -> bytes``."""
        trial_id = trial_id_of(trial)
        names = next((t.attachments for t in self._rows() if t.id == trial_id), ())
        return MappingProxyType(
            {name: self._store.attachment(self._key, trial_id, name) for name in names}
        )

    def _best(self) -> Trial:
        if self._history is not None and self._history.best is not None:
            return self._history.best
        return super()._best()

    def delete_all(self) -> None:
        """Remove the experiment from the store, with all its trials."""
        if self._store.experiment(self._key) is not None:
            self._store.delete(self._key)
        self._history, self._read, self._position = None, {}, 0
        self.attachments.clear()

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
            seed=secrets.randbits(63) if seed is None else seed,
        )
        found = self._created(wanted)
        self._store.acquire(self._key)
        self._is_running = True
        try:
            in_memory = {t.id: t for t in self._rows()}
            trials, self._position = self._store.read(self._key)
            # What a result holds beside plain data is in memory only. A run that an error ended
            # between the two may have left less in memory than in the store.
            rows = [in_memory[t.id] if _ended(in_memory.get(t.id)) else t for t in trials]
            self._history = History(space, rows)
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

    def dispatcher(self, max_queue_len: int) -> Dispatcher:
        """Return where trials run; ``fmin`` closes it."""
        return InlineDispatcher(max_queue_len)

    def fmin(
        self,
        fn: Callable[..., Any],
        space: object,
        algo: object = None,
        max_evals: int | None = None,
        **kwargs: Any,  # noqa: ANN401 - as fmin's
    ) -> Any:  # noqa: ANN401
        """Call ``fmin`` with these trials."""
        from sparktrials.api.run import fmin  # noqa: PLC0415 - it makes Trials

        kwargs.pop("allow_trials_fmin", None)
        return fmin(fn, space, algo=algo, max_evals=max_evals, trials=self, **kwargs)


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
