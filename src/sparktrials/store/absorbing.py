"""Results that wait in files on this machine are handed in; none holds up the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.errors import (
    InvalidTrial,
    StoreCorrupt,
    StoreInUse,
    StoreUnavailable,
    StoreVersionError,
)
from sparktrials.store.spool import (
    content_of,
    files,
    header_of,
    lock,
    record_of,
    record_with,
    same_header,
    write_line,
)
from sparktrials.store.syncing import sync_directory

if TYPE_CHECKING:
    from sparktrials.study.protocols import Store
    from sparktrials.study.trial import Trial

__all__ = ["absorb"]

_log = logging.getLogger("sparktrials.store")
#: What the store says of itself, or of its driver, not of what it is given.
_NOT_OF_A_RECORD = (StoreUnavailable, StoreInUse, StoreCorrupt, StoreVersionError)


def absorb(store: Store, key: str) -> int:
    """Hand in what earlier runs on this machine could not; return how many states that were.

    Files of processes that still write are left alone, and so are those of another space. What the
    store refuses is set aside in a file of its own. The caller drives the experiment.

    Raises
    ------
    StoreError
        If the store takes nothing at all; the files stay.
    """
    return sum(_absorb_file(store, key, path) for path in files(store.url, key, "spool"))


def _absorb_file(store: Store, key: str, path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        _log.warning("%s cannot be read (%s): its results are not handed in", path, error)
        return 0
    with os.fdopen(descriptor, "rb") as file:
        if not lock(descriptor):
            return 0
        *lines, tail = file.read().split(b"\n")
        records = [record_of(line) for line in lines]
        experiment = store.experiment(key)
        expected = header_of(store.url, key, "" if experiment is None else experiment.fingerprint)
        header = records[0] if records else None
        if records and (header is None or not same_header(header, expected)):
            _log.warning(
                "%s has results of experiment %r in %s, but for another search space, or by "
                "another version: they are not handed in; remove it if they are not wanted",
                path,
                key,
                store.url,
            )
            return 0
        damaged = records.count(None)
        n_states = 0
        refused: list[dict[str, Any]] = []
        for record in records[1:]:
            try:
                trials, attachments = content_of(record)
            except (InvalidTrial, StoreVersionError, LookupError, TypeError, ValueError):
                damaged += record is not None
                continue
            n_states += len(trials)
            for trial, reason in _refused(store, key, trials, attachments):
                own = record_with([trial], {trial.id: attachments.get(trial.id, {})})
                refused.append({**own, "reason": f"{type(reason).__name__}: {reason}"})
        if refused:
            n_states -= len(refused)
            _set_aside(path, header or expected, refused, store.url)
        if damaged:
            kept = path.with_suffix(".damaged")
            path.replace(kept)
            _log.warning("%d lines of %s cannot be read: it is kept as %s", damaged, path, kept)
        else:
            path.unlink()
        sync_directory(path.parent)
    _log.warning(
        "%d states of trials that %s would not take were kept in %s, and are handed in%s",
        n_states,
        store.url,
        path,
        ", but for a last one that was cut off" if tail else "",
    )
    return n_states


def _refused(
    store: Store,
    key: str,
    trials: list[Trial],
    attachments: Mapping[int, Mapping[str, bytes]],
) -> Iterator[tuple[Trial, Exception]]:
    """Hand trials in, together or else one by one; return those that the store refuses."""
    try:
        store.append(key, trials, attachments)
    except _NOT_OF_A_RECORD:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are not to blame
        if len(trials) == 1:
            yield trials[0], error
            return
        for trial in trials:
            own = {trial.id: attachments[trial.id]} if trial.id in attachments else {}
            yield from _refused(store, key, [trial], own)


def _set_aside(
    path: Path, header: Mapping[str, Any], refused: list[dict[str, Any]], url: str
) -> None:
    """Write what was refused to a file of its own, on disk before the other one goes."""
    aside = path.with_suffix(".refused")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(aside, flags, 0o600)
    try:
        for record in (header, *refused):
            write_line(descriptor, record)
    finally:
        os.close(descriptor)
    sync_directory(aside.parent)
    _log.error(
        "%s refuses %d results that waited in %s, the first with: %s. They are kept in %s and are "
        "NOT in the history; once the reason is gone, rename it to end in .spool, and they are "
        "tried again",
        url,
        len(refused),
        path,
        refused[0]["reason"],
        aside,
    )
