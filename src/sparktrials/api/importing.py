"""Histories that others wrote, made durable: exports, pickles, Hyperopt's MongoDB collections."""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from sparktrials.api.adoption import renumbered, trial_of
from sparktrials.api.keeping import DEFAULT_KEY
from sparktrials.api.records import Record, is_record_file, read_records
from sparktrials.api.saving import load_trials
from sparktrials.api.trials import Trials
from sparktrials.errors import InvalidArgument, StoreError
from sparktrials.store import open_store
from sparktrials.store.records import encode_trial
from sparktrials.store.url import is_url, masked
from sparktrials.study.protocols import Experiment
from sparktrials.study.trial import TrialState
from sparktrials.study.values import split

if TYPE_CHECKING:
    from sparktrials.study.protocols import Store
    from sparktrials.study.trial import Trial

__all__ = ["Imported", "import_trials"]

#: Trials, and bytes of attachments, in one transaction.
_MANY, _LARGE = 1000, 16 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What the import of an experiment came to.

    Attributes
    ----------
    exp_key, url
        Where the trials are now.
    total, with_loss
        How many there are, and how many of them have a loss.
    warnings
        What could not be taken along.
    """

    exp_key: str
    url: str
    total: int
    with_loss: int
    warnings: tuple[str, ...] = ()


def import_trials(
    source: str | os.PathLike[str],
    store: str | Store,
    exp_key: str | None = None,
    *,
    trust_pickle: bool = False,
) -> list[Imported]:
    """Put trials from elsewhere into a store.

    Parameters
    ----------
    source
        A file of records that ``sparktrials export`` wrote; a pickle of ``Trials``, Hyperopt's or
        ours; or ``mongo://host:port/db/jobs``, the collection of Hyperopt's ``MongoTrials``.
    store
        A URL or a store.
    exp_key
        Name of the experiment; None: the one that the trials have, or ``default``. Of a collection
        it chooses the experiment, too.
    trust_pickle
        Whether `source` may be a pickle: loading one runs whatever its maker put into it.

    Returns
    -------
    list of Imported
        One for each experiment.

    Raises
    ------
    InvalidArgument
        If it is a pickle, and that is not trusted.
    StoreError
        If the source does not load, the store cannot be written, or the experiment has other
        trials. Records are looked through before the first one is written; an import that was
        interrupted is completed by the same call.
    """
    if isinstance(source, str) and is_url(source):
        if not source.lower().startswith("mongo"):
            msg = (
                f"from {masked(source)} nothing is imported: export that store to a file of "
                "records, and import that; a URL is for Hyperopt's mongo://host:port/db/jobs"
            )
            raise InvalidArgument(msg)
        return _from_collection(source, open_store(store), exp_key)
    if is_record_file(source):
        return _from_records(source, store, exp_key)
    if not trust_pickle:
        msg = (
            f"{os.fspath(source)} is no export of sparktrials. If it is a pickle: loading it runs "
            "whatever its maker put into it; allow that with trust_pickle=True (--trust-pickle) if "
            "you know where it comes from"
        )
        raise InvalidArgument(msg)
    return [_from_pickle(source, store, exp_key)]


def _from_pickle(path: str | os.PathLike[str], store: str | Store, exp_key: str | None) -> Imported:
    source = load_trials(path)
    wanted = exp_key or (source._exp_key or DEFAULT_KEY)  # noqa: SLF001 - a view of them
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        target = Trials(store, wanted)
        if target.history:
            raise _taken(wanted, target.store.url, len(target.history))
        if source.history:
            target.adopt(source)
    return Imported(
        exp_key=wanted,
        url=target.store.url,
        total=len(target.history),
        with_loss=sum(t.state is TrialState.OK for t in target.history),
        warnings=tuple(str(w.message) for w in told),
    )


def _taken(key: str, url: str, n: int) -> StoreError:
    return StoreError(
        f"experiment {key!r} in {url} has {n} trials already: choose another exp_key (--exp-key)"
    )


# --------------------------------------------------------------------------- records


def _from_records(
    path: str | os.PathLike[str], where: str | Store, exp_key: str | None
) -> list[Imported]:
    every = (r.experiment for r in read_records(path, contents=False) if r.trial is None)
    experiments = {experiment.key: experiment for experiment in every}
    if exp_key is not None and len(experiments) > 1:
        msg = (
            f"exp_key={exp_key!r} names one experiment, {os.fspath(path)} has "
            f"{len(experiments)}: {', '.join(map(repr, experiments))}"
        )
        raise InvalidArgument(msg)
    store = open_store(where)  # made only for a file that is whole
    names = {key: exp_key or key for key in experiments}
    present = {key for key, name in names.items() if store.experiment(name) is not None}
    if present:
        for key, records in _by_experiment(read_records(path, contents=False)):
            if key in present:
                _check_free(store, names[key], (r.trial for r in records if r.trial is not None))
    return [
        _put(store, replace(experiments[key], key=names[key]), records)
        for key, records in _by_experiment(read_records(path))
    ]


def _by_experiment(records: Iterable[Record]) -> Iterator[tuple[str, Iterator[Record]]]:
    """Return the records of each experiment: a file has them one after the other."""
    return itertools.groupby(records, key=lambda record: record.experiment.key)


def _check_free(store: Store, key: str, trials: Iterable[Trial]) -> None:
    """Refuse an experiment that has other trials than these."""
    if store.experiment(key) is None:
        return
    present = {t.id: encode_trial(t) for t in store.read(key)[0]}
    same = sum(present.get(t.id) == encode_trial(t) for t in trials)
    if same < len(present):
        raise _taken(key, store.url, len(present))


def _put(
    store: Store, experiment: Experiment, records: Iterable[Record], told: tuple[str, ...] = ()
) -> Imported:
    """Write an experiment's records, some at a time; those that are there change nothing."""
    key = experiment.key
    if store.create(experiment) != experiment:
        store.bind(experiment, replace=True)
    total = with_loss = 0
    store.acquire(key)
    try:
        for batch in _batches(records):
            with contextlib.ExitStack() as stack:
                attachments: dict[int, Mapping[str, bytes | BinaryIO]] = {}
                trials = []
                for record in batch:
                    stack.callback(record.close)
                    if record.trial is not None:
                        trials.append(record.trial)
                        if record.attachments:
                            attachments[record.trial.id] = record.attachments
                store.append(key, trials, attachments)
            total += len(trials)
            with_loss += sum(t.state is TrialState.OK for t in trials)
    finally:
        store.release(key)
    return Imported(key, store.url, total, with_loss, told)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += record.size
        if len(batch) >= _MANY or size >= _LARGE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# --------------------------------------------------------------------------- Hyperopt's MongoDB


def _from_collection(url: str, store: Store, exp_key: str | None) -> list[Imported]:
    from sparktrials.store.mongo.hyperopt import Jobs  # noqa: PLC0415 - an extra

    with Jobs(url) as jobs:
        keys = [exp_key] if exp_key is not None else jobs.keys()
        if not keys:
            msg = f"{jobs.url} has no trials of Hyperopt's in the collection jobs"
            raise StoreError(msg)
        read = {key: jobs.documents(key) for key in keys}
        if exp_key is not None and not read[exp_key]:
            there = ", ".join(map(repr, jobs.keys())) or "none"
            msg = f"{jobs.url} has no trials with exp_key {exp_key!r}; there are {there}"
            raise StoreError(msg)
        found = []
        for key, documents in read.items():
            name = key or DEFAULT_KEY
            told: list[str] = []
            trials = [
                _trial_of(document, number, jobs.names(document), told)
                for number, document in enumerate(documents)
            ]
            _check_free(store, name, trials)
            if any(d["tid"] != i for i, d in enumerate(documents)):
                told.insert(0, "tids were counted over all experiments: ids are 0, 1, 2, ... now")
            # Which space it is will be known when it is searched.
            experiment = store.experiment(name) or _unbound(name)
            rows = zip(trials, documents, strict=True)
            records = (_record(experiment, t, jobs.attachments(d)) for t, d in rows)
            found.append(_put(store, experiment, records, tuple(told)))
    return found


def _unbound(key: str) -> Experiment:
    seed = int.from_bytes(os.urandom(7), "big")
    return Experiment(key=key, fingerprint="", space=(), seed=seed)


def _trial_of(
    document: dict[str, Any], number: int, attachments: Sequence[str], told: list[str]
) -> Trial:
    tid = document["tid"]
    trial = trial_of(document if tid == number else renumbered(document, number))
    plain, objects = split(trial.result)
    if objects:
        told.append(f"trial {number}: {', '.join(objects)} of its result are not plain data")
    names = tuple(dict.fromkeys([*trial.attachments, *attachments]))
    return replace(trial, result=plain, attachments=names)


def _record(experiment: Experiment, trial: Trial, contents: dict[str, bytes | BinaryIO]) -> Record:
    size = sum(len(content) for content in contents.values() if isinstance(content, bytes))
    return Record(experiment, trial, contents, size)
