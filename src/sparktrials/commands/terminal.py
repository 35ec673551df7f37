"""What the commands have in common: stores opened, experiments chosen, tables, errors."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from sparktrials.api.constants import options_of
from sparktrials.api.keeping import DEFAULT_KEY
from sparktrials.api.table import values_by_options
from sparktrials.errors import InvalidArgument, SparkTrialsError
from sparktrials.store import open_store
from sparktrials.store.durable import DurableStore
from sparktrials.store.records import encode_trial
from sparktrials.study.values import decode_json, encode_json, is_plain, tagged

if TYPE_CHECKING:
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = [
    "AsJson",
    "ExpKey",
    "StoreUrl",
    "chosen",
    "complaining",
    "experiment_of",
    "for_people",
    "opened",
    "print_json",
    "print_table",
    "trial_fields",
    "when",
]

StoreUrl = Annotated[
    str, typer.Argument(metavar="URL", help="Where the history is, such as sqlite:///runs.db.")
]
ExpKey = Annotated[str | None, typer.Option(help="Name of the experiment.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON.")]
#: Characters of a cell, but for the last of a row.
_WIDEST = 60


@contextmanager
def complaining(command: str) -> Iterator[None]:
    """Show the package's errors as one message, without a traceback; exit code 1."""
    try:
        yield
    except SparkTrialsError as error:
        typer.echo(f"sparktrials {command}: {error}", err=True)
        sys.exit(1)


@contextmanager
def opened(url: str, *, to_write: bool = False) -> Iterator[DurableStore]:
    """Open a store for the length of a block: to read it, unless told otherwise."""
    store = open_store(url, read_only=not to_write)
    if not isinstance(store, DurableStore):
        msg = "memory: has no history beyond a program's own: name a file or a server"
        raise InvalidArgument(msg)
    with store:
        yield store


def experiment_of(store: DurableStore, exp_key: str | None) -> Experiment:
    """Return the experiment that is meant: the one named, the only one, or ``default``.

    Raises
    ------
    InvalidArgument
        If there is no such one, or it is not clear which.
    """
    experiments = {e.key: e for e in store.experiments()}
    if exp_key is None:
        exp_key = next(iter(experiments)) if len(experiments) == 1 else DEFAULT_KEY
    if exp_key not in experiments:
        there = ", ".join(map(repr, experiments)) or "none"
        msg = f"{store.url} has no experiment {exp_key!r}; name one with --exp-key: {there}"
        raise InvalidArgument(msg)
    return experiments[exp_key]


def chosen(store: DurableStore, exp_key: str | None) -> list[Experiment]:
    """Return the experiment that is named, or all."""
    return store.experiments() if exp_key is None else [experiment_of(store, exp_key)]


def trial_fields(trial: Trial, experiment: Experiment) -> dict[str, Any]:
    """Return a trial for programs: its record, and the values that the objective received."""
    fields: dict[str, Any] = decode_json(encode_trial(trial))
    values = values_by_options(options_of(experiment))(trial)
    fields["params"] = {k: tagged(v) if is_plain(v) else repr(v) for k, v in values.items()}
    return fields


def when(seconds: float | None) -> str:
    """Return a time for people: UTC, to the second."""
    if seconds is None:
        return ""
    return dt.datetime.fromtimestamp(seconds, tz=dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def print_json(value: object) -> None:
    """Print one JSON value."""
    typer.echo(encode_json(value))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns, numbers to the right; what would move the cursor is shown as an escape.

    Only the last column is as wide as it needs.
    """
    cells = [[*map(_short, row[:-1]), _shown(row[-1])] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    numeric = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    for row in (list(header), *cells):
        line = "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        typer.echo(line.rstrip())


def for_people(value: object) -> str:
    """Return a value as text: not all digits of a number, an array in one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return " ".join(text.split()) if isinstance(value, np.ndarray) else text


def _short(value: object) -> str:
    text = _shown(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _shown(value: object) -> str:
    text = "" if value is None else for_people(value)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True
