"""``Trials``: a history with its store, as Hyperopt's users hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparktrials.api.adoption import checked_document, renumbered, trial_of
from sparktrials.api.attachments import attachment_name
from sparktrials.api.drafting import drafts, drafts_from
from sparktrials.api.driving import DrivenTrials
from sparktrials.api.local import LocalJobs
from sparktrials.api.shelf import DocumentList
from sparktrials.api.spelling import suggests_keywords
from sparktrials.api.view import trial_id_of
from sparktrials.errors import InvalidTrial
from sparktrials.tracking.observer import checked_tracking

if TYPE_CHECKING:
    from sparktrials.study.protocols import Dispatcher, Store

__all__ = ["Trials", "trials_from_docs"]


class Trials(DrivenTrials):
    """The history of an experiment; evaluates trials on this machine.

    One after the other in this process, unless `n_jobs` says otherwise.

    Documents (``trials.trials``) are dicts in Hyperopt's layout, the same objects at each read. A
    program may make its own, and set ``state`` and ``result`` of those it is given.

    Parameters
    ----------
    store
        A URL such as ``sqlite:///runs.db``, a store object, or None to keep it in memory. Text
        without a scheme is taken for `exp_key`, which comes first in Hyperopt.
    exp_key
        The experiment's name within the store, ``"default"`` if None.
    refresh
        Whether to read what the store has at once.
    n_jobs
        How many trials run at once; -1: as many as this process may use cpus. More than one run in
        processes of their own, which survive a crash of the objective (docs/how-to/
        local-parallelism.md). An objective that raises then ends its trial alone.
    threads
        Whether they run in threads of this process instead: for objectives that wait, for Spark
        jobs of their own say (docs/how-to/objectives-on-spark.md).
    trial_timeout
        Seconds for one trial; one that takes longer is ended and counts as failed. Needs processes.
    max_retries
        How often a trial whose process died is run again.
    tracking
        ``"mlflow"`` logs each ``fmin`` as a run of MLflow, with a run beneath it for each trial.

    Raises
    ------
    StoreError
        If the store cannot be opened.
    InvalidArgument
        If the URL, the key, `n_jobs`, `trial_timeout`, `max_retries` or `tracking` makes no sense.
    """

    #: Whether an objective may raise without ending the run, unless ``fmin`` is told.
    catch_by_default = False
    #: What trials on a cluster are made with, and trials in this process don't need.
    timeout: float | None = None
    loss_threshold: float | None = None
    trial_timeout: float | None = None
    max_retries: int = 0
    #: How trials run on this machine, for those that do.
    local = LocalJobs(n=1, threads=False)
    #: Whether an active run of MLflow's is logged to without being asked for.
    tracks_active_run = False
    tracking: object = None
    #: Why the last ``fmin`` ended early, or None.
    fmin_cancelled_reason: str | None = None
    #: Ids of the documents that were inserted and not refreshed since: ``max_evals`` leaves them
    #: out, which is how Hyperopt's ``generate_trials_to_calculate`` comes on top.
    _unrefreshed: set[int]

    @suggests_keywords
    def __init__(
        self,
        store: str | Store | None = None,
        exp_key: str | None = None,
        refresh: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
        *,
        n_jobs: int = 1,
        threads: bool = False,
        trial_timeout: float | None = None,
        max_retries: int = 2,
        tracking: str | bool | None = None,
    ) -> None:
        self._unrefreshed = set()
        local = LocalJobs.checked(
            n_jobs=n_jobs, threads=threads, trial_timeout=trial_timeout, max_retries=max_retries
        )
        self.local = local
        if local.in_processes:
            self.catch_by_default = True
            self.trial_timeout, self.max_retries = local.trial_timeout, local.max_retries
        self.tracking = checked_tracking(tracking)
        super().__init__(store, exp_key, refresh)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up a pickle: one of ours, or of Hyperopt's ``Trials``."""
        if "_store" in state:
            super().__setstate__(state)
            return
        if "_dynamic_trials" not in state:
            msg = f"not the pickle of trials: it has {', '.join(map(str, state)) or 'nothing'}"
            raise InvalidTrial(msg)
        Trials.__init__(self, None, state.get("_exp_key"))
        self._insert_trial_docs(state["_dynamic_trials"])
        self._added.update(state.get("attachments") or {})
        self.refresh()

    # ------------------------------------------------------------------ documents

    def refresh(self) -> None:
        """Read what the store has that is not here yet, and what was changed in documents."""
        super().refresh()
        self._unrefreshed = set()

    @property
    def _dynamic_trials(self) -> DocumentList:
        """All documents, those of errors and cancelled trials too."""
        documents = self._documents(self._rows())
        return DocumentList(documents, self._insert_trial_docs, self._replace)

    @_dynamic_trials.setter
    def _dynamic_trials(self, documents: Iterable[dict[str, Any]]) -> None:
        self._replace(documents)

    def _replace(self, documents: Iterable[dict[str, Any]]) -> None:
        new = list(documents)
        if self._store.durable and len(self._kept):
            msg = (
                f"the trials of {self._store.url} are not replaced by assignment: use "
                "trials_from_docs(documents), or delete_all() and insert_trial_docs(documents)"
            )
            raise InvalidTrial(msg)
        added = self._added
        self.delete_all()
        self._added = added
        self._insert_trial_docs(new)

    @property
    def _ids(self) -> set[int]:
        """Ids of all trials."""
        return {t.id for t in self._rows()}

    def assert_valid_trial(self, trial: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a trial document if it is one of these trials.

        Raises
        ------
        InvalidTrial
            Naming what is wrong with it.
        """
        return checked_document(trial, self._exp_key)

    def insert_trial_doc(self, doc: dict[str, Any]) -> int:
        """Insert a document, see `insert_trial_docs`; return its id."""
        return self.insert_trial_docs([doc])[0]

    def insert_trial_docs(self, docs: Iterable[dict[str, Any]]) -> list[int]:
        """Insert trial documents; new ones are evaluated by the next ``fmin``.

        A document whose id is taken gets the next free one, in a copy.

        Returns
        -------
        list of int
            Their ids.

        Raises
        ------
        InvalidTrial
            If one is malformed; then none is inserted.
        InvalidPoint
            If one does not fit the space.
        """
        return self._insert_trial_docs([checked_document(doc, self._exp_key) for doc in docs])

    def _insert_trial_docs(self, docs: Iterable[dict[str, Any]]) -> list[int]:
        """Insert trial documents of whatever ``exp_key``."""
        self._rows()
        taken: set[int] = set()
        documents: list[dict[str, Any]] = []
        trials = []
        for doc in docs:
            own = doc
            if doc["tid"] in taken or self._kept.get(doc["tid"]) is not None:
                # Merging two histories is done this way, and Hyperopt keeps both.
                own = renumbered(doc, max(self._kept.next_id, max(taken, default=-1) + 1))
            trial = trial_of(own)
            taken.add(trial.id)
            documents.append(own)
            trials.append(trial)
        if trials:
            self._put(trials)
            for document, trial in zip(documents, trials, strict=True):
                self._shelf.hold(document, self._kept.get(trial.id) or trial)
            self._unrefreshed |= {t.id for t in trials}
        return [trial.id for trial in trials]

    def new_trial_ids(self, n: int) -> list[int]:
        """Return `n` ids that no other trial gets."""
        return self.reserve(n)

    def new_trial_docs(
        self,
        tids: Sequence[int],
        specs: Sequence[Any],
        results: Sequence[Mapping[str, Any]],
        miscs: Sequence[dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Return documents of new trials, to be completed and inserted.

        Raises
        ------
        InvalidArgument
            If the arguments differ in length.
        """
        return drafts(tids, specs, results, miscs, self._exp_key)

    def source_trial_docs(
        self,
        tids: Sequence[int],
        specs: Sequence[Any],
        results: Sequence[Mapping[str, Any]],
        miscs: Sequence[dict[str, Any]],
        sources: Sequence[Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        """Return documents of trials that other trials, `sources`, gave rise to.

        Raises
        ------
        InvalidArgument
            If the arguments differ in length.
        InvalidTrial
            If a misc names another tid or source.
        """
        return drafts_from(tids, specs, results, miscs, sources)

    def aname(self, trial: Mapping[str, Any], name: str) -> str:
        """Return the name of a trial's attachment among ``trials.attachments``."""
        return attachment_name(trial_id_of(trial), name)

    def view(self, exp_key: str | None = None, refresh: bool = True) -> Trials:  # noqa: FBT001, FBT002
        """Return the trials of another experiment of the same store, or these once more."""
        if exp_key is not None and exp_key != self._exp_key:
            return Trials(self._store, exp_key, refresh)
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__)  # the same trials, documents and attachments
        return same

    # ------------------------------------------------------------------ running

    def take_documents(
        self, documents: Iterable[dict[str, Any]], refreshed: Iterable[int] | None = None
    ) -> None:
        """Insert documents of another history, `refreshed` being those that it knows of."""
        inserted = self._insert_trial_docs(documents)
        self.refresh()
        if refreshed is not None:
            self._unrefreshed = set(inserted) - set(refreshed)

    def share_attachments(self, added: MutableMapping[str, Any]) -> None:
        """Keep what is attached by hand in a mapping of somebody else's."""
        self._added = added

    def adopt(self, source: Trials) -> None:
        """Take over the trials of another history, attachments included; this one is empty."""
        attachments: dict[int, dict[str, bytes]] = {}
        for trial in source.history:
            names = source.trial_attachments(trial.id)
            attachments[trial.id] = {n: c for n in names if isinstance(c := names[n], bytes)}
        # Their points were not drawn by a run over the space that this history will be bound to.
        trials = [replace(t, given=True) for t in source.history]
        self._put(trials, attachments, source.experiment())
        for document in source._shelf.by_hand():
            own = self._kept.get(document["tid"])
            if own is not None:
                self._shelf.hold({**document, "exp_key": self._exp_key}, own)
        self._added.update(source._added)

    def documents_of(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the documents of the trials of `ids` that there are."""
        return self._documents([t for t in map(self._kept.get, ids) if t is not None])

    def unrefreshed(self) -> int:
        """Return how many of the trials that were inserted are not refreshed yet."""
        return len(self._unrefreshed)

    def expect(self, document: dict[str, Any]) -> None:
        """Keep an algorithm's own document for the trial that is made of it."""
        self._shelf.expect(document)

    def ended(self) -> None:
        """Take note that a run is over: for subclasses."""

    def dispatcher(self, max_queue_len: int) -> Dispatcher:
        """Return where trials run; ``fmin`` closes it."""
        return self.local.dispatcher(max_queue_len)

    def fmin(  # noqa: PLR0917 - Hyperopt's signature
        self,
        fn: Callable[..., Any],
        space: Any,  # noqa: ANN401 - any tree
        algo: Any = None,  # noqa: ANN401 - an algorithm
        max_evals: int | None = None,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        max_queue_len: int = 1,
        rstate: Any = None,  # noqa: ANN401 - a seed
        verbose: bool = False,  # noqa: FBT001, FBT002 - Hyperopt's signature
        pass_expr_memo_ctrl: bool | None = None,  # noqa: FBT001
        catch_eval_exceptions: bool = False,  # noqa: FBT001, FBT002
        return_argmin: bool = True,  # noqa: FBT001, FBT002
        show_progressbar: Any = True,  # noqa: ANN401, FBT002
        early_stop_fn: Callable[..., Any] | None = None,
        trials_save_file: str = "",
        **others: Any,  # noqa: ANN401 - what fmin has beside them
    ) -> Any:  # noqa: ANN401
        """Call ``fmin`` with these trials; Hyperopt's own ``fmin`` calls this.

        ``catch_eval_exceptions=False`` is what Hyperopt passes unless it is told otherwise: it
        stands for the default of these trials.
        """
        from sparktrials.api.run import fmin  # noqa: PLC0415 - it makes Trials

        others["allow_trials_fmin"] = False  # else a subclass that calls this would be called again
        return fmin(
            fn,
            space,
            algo=algo,
            max_evals=max_evals,
            timeout=timeout,
            loss_threshold=loss_threshold,
            trials=self,
            rstate=rstate,
            pass_expr_memo_ctrl=pass_expr_memo_ctrl,
            catch_eval_exceptions=catch_eval_exceptions or None,
            verbose=verbose,
            return_argmin=return_argmin,
            max_queue_len=max_queue_len,
            show_progressbar=show_progressbar,
            early_stop_fn=early_stop_fn,
            trials_save_file=trials_save_file,
            **others,
        )


def trials_from_docs(
    docs: Iterable[dict[str, Any]],
    validate: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    **kwargs: Any,  # noqa: ANN401 - those of Trials
) -> Trials:
    """Return `Trials` of a list of trial documents.

    Raises
    ------
    InvalidTrial
        If `validate` and a document is malformed.
    """
    trials = Trials(**kwargs)
    if validate:
        trials.insert_trial_docs(docs)
    else:
        trials._insert_trial_docs(docs)  # noqa: SLF001 - this module's
    trials.refresh()
    return trials
