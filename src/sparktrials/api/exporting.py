"""Histories as files: whole records as JSON lines, which `importing` reads; tables as CSV, Parquet.

A file of records has for each experiment a line with it, a line for each trial, each followed by
the trial's attachments in pieces, and a last line that says how many there were: what was cut off
is noticed.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from sparktrials.errors import StoreCorrupt, StoreUnavailable
from sparktrials.store.contents import PIECE_SIZE
from sparktrials.store.records import encode_experiment, encode_trial
from sparktrials.study.values import encode_json

if TYPE_CHECKING:
    from sparktrials.api.table import Column
    from sparktrials.study.protocols import Experiment, Store

__all__ = ["FORMAT", "write_csv", "write_records"]

#: Version of the files of records.
FORMAT = 1
#: What spreadsheets take for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write_records(store: Store, experiments: Iterable[Experiment], file: IO[str]) -> int:
    """Write experiments whole; return how many trials that were.

    Raises
    ------
    StoreError
        If the store cannot be read, or an attachment is missing or damaged.
    OSError
        If the file cannot be written.
    """
    total = 0
    for experiment in experiments:
        key = experiment.key
        file.write(f'{{"sparktrials":{FORMAT},"experiment":{encode_experiment(experiment)}}}\n')
        trials, _ = store.read(key)
        n_attachments = 0
        for trial in trials:
            file.write(f'{{"trial":{encode_trial(trial)}}}\n')
            for name in trial.attachments:
                for line in _attachment(store, key, trial.id, name):
                    file.write(line)
                n_attachments += 1
        file.write(_line(end=key, trials=len(trials), attachments=n_attachments))
        total += len(trials)
    return total


def _attachment(store: Store, key: str, trial_id: int, name: str) -> Iterator[str]:
    """Return the lines of an attachment: size and checksum, then its pieces.

    One that is larger than a piece is read twice, rather than held in memory.
    """
    first = b""
    digest, size = hashlib.sha256(), 0
    try:
        stream = store.open_attachment(key, trial_id, name)
    except KeyError:
        msg = (
            f"the attachment {name!r} of trial {trial_id} of {key!r} in {store.url} is missing: "
            "restore a copy; sparktrials doctor says what else is"
        )
        raise StoreCorrupt(msg) from None
    with stream:
        while piece := stream.read(PIECE_SIZE):
            first = first or piece
            digest.update(piece)
            size += len(piece)
    yield _line(attachment=name, size=size, sha256=digest.hexdigest())
    if size <= PIECE_SIZE:
        if first:
            yield _piece(first)
        return
    again = hashlib.sha256()
    with store.open_attachment(key, trial_id, name) as stream:
        while piece := stream.read(PIECE_SIZE):
            again.update(piece)
            yield _piece(piece)
    if again.digest() != digest.digest():
        msg = (
            f"the attachment {name!r} of trial {trial_id} of {key!r} in {store.url} was replaced "
            "while it was exported: export again"
        )
        raise StoreUnavailable(msg)


def _piece(content: bytes) -> str:
    return _line(piece=base64.b64encode(content).decode())


def _line(**fields: object) -> str:
    return encode_json(fields) + "\n"


def write_csv(columns: Sequence[Column], file: IO[str]) -> None:
    """Write a table with a header; missing is empty, times are UTC in ISO 8601.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_guarded(column.name) for column in columns])
    for row in zip(*(column.cells for column in columns), strict=True):
        writer.writerow([*map(_cell, row)])


def _cell(value: Any) -> Any:  # noqa: ANN401 - whatever a column has
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return _guarded(value) if type(value) is str else value


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
