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
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

from sparktrials.store.contents import pieces
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
        If the store cannot be read.
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
                content = store.attachment(key, trial.id, name)
                digest = hashlib.sha256(content).hexdigest()
                file.write(_line(attachment=name, size=len(content), sha256=digest))
                for piece in pieces(content):
                    file.write(_line(piece=base64.b64encode(piece).decode()))
                n_attachments += 1
        file.write(_line(end=key, trials=len(trials), attachments=n_attachments))
        total += len(trials)
    return total


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
