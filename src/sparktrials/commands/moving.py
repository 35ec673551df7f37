"""``sparktrials export``, ``import`` and ``rm``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from sparktrials.api.constants import options_of
from sparktrials.api.exporting import write_csv, write_records
from sparktrials.api.frames import write_parquet
from sparktrials.api.importing import import_trials
from sparktrials.api.saving import replacing
from sparktrials.api.table import columns_of, values_by_options
from sparktrials.commands.terminal import (
    ExpKey,
    StoreUrl,
    chosen,
    complaining,
    experiment_of,
    opened,
)
from sparktrials.errors import InvalidArgument
from sparktrials.store.url import masked

if TYPE_CHECKING:
    from sparktrials.api.table import Column
    from sparktrials.store.durable import DurableStore

__all__ = ["Format", "export", "import_", "rm"]


class Format(str, Enum):
    """What an export is written as."""

    RECORDS = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    url: StoreUrl,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; default: to the terminal.")
    ] = None,
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="Default: by the file's name, else jsonl."),
    ] = None,
    exp_key: ExpKey = None,
    force: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,  # noqa: FBT002
) -> None:
    """Write trials to a file.

    jsonl: whole records with attachments, of all experiments or one, for sparktrials import.
    csv, parquet: the table that trials.to_pandas() has, of one experiment.
    """
    with complaining("export"), opened(url) as store:
        wanted = kind or _kind_of(output)
        if wanted is Format.PARQUET and output is None:
            msg = "Parquet is no text: name a file with --output"
            raise InvalidArgument(msg)
        if output is not None and output.exists() and not force:
            msg = f"{output} is there already: name another file, or replace it with --force"
            raise InvalidArgument(msg)
        if wanted is Format.RECORDS:
            experiments = chosen(store, exp_key)
            with _writing(output) as file:
                n = write_records(store, experiments, file)
        else:
            columns = _columns(store, exp_key)
            n = len(columns[0].cells)
            if wanted is Format.CSV:
                with _writing(output) as file:
                    write_csv(columns, file)
            elif output is not None:
                with replacing(output, str(output)) as path:
                    write_parquet(columns, str(path))
    if output is not None:
        typer.echo(f"{n} trials are in {output}")


def _kind_of(output: Path | None) -> Format:
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    return next((kind for kind in Format if kind.value == suffix), Format.RECORDS)


def _columns(store: DurableStore, exp_key: str | None) -> list[Column]:
    experiment = experiment_of(store, exp_key)
    trials, _ = store.read(experiment.key)
    labels = [row["label"] for row in experiment.space]
    return columns_of(trials, labels, values_by_options(options_of(experiment)))


@contextlib.contextmanager
def _writing(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
        return
    with (
        replacing(output, str(output)) as path,
        path.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file
        file.flush()
        os.fsync(file.fileno())


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file that sparktrials export wrote (jsonl), a pickle of Hyperopt's or "
            "sparktrials' Trials, or Hyperopt's mongo://host:port/db/jobs.",
        ),
    ],
    store_url: Annotated[
        str, typer.Argument(metavar="URL", help="Where to, such as sqlite:///runs.db.")
    ],
    exp_key: Annotated[
        str | None, typer.Option(help="Name of the experiment there; default: its own.")
    ] = None,
    trust_pickle: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--trust-pickle",
            help="Let SOURCE be a pickle: loading one runs whatever its maker put into it.",
        ),
    ] = False,
) -> None:
    """Put trials from elsewhere into a store, as experiments of their own."""
    with complaining("import"):
        found = import_trials(source, store_url, exp_key, trust_pickle=trust_pickle)
    for one in found:
        typer.echo(
            f"{one.total} trials of {masked(source)} ({one.with_loss} with a loss) are experiment "
            f"{one.exp_key!r} in {one.url}"
        )
        for warning in one.warnings:
            typer.echo(f"note: {warning}", err=True)
        typer.echo(
            "To go on: fmin(..., max_evals=N, "
            f"trials=Trials({masked(store_url)!r}, {one.exp_key!r}))"
        )


def rm(
    url: StoreUrl,
    exp_key: ExpKey = None,
    everything: Annotated[bool, typer.Option("--all", help="All experiments.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Remove an experiment, with all its trials and attachments, for good."""
    with complaining("rm"):
        if everything == (exp_key is not None):
            msg = "say which: --exp-key NAME, or --all"
            raise InvalidArgument(msg)
        with opened(url) as reader:  # a name that is wrong makes no file
            experiments = chosen(reader, exp_key)
            sizes = {e.key: reader.count(e.key) for e in experiments}
        if not sizes:
            typer.echo("there is nothing to remove")
            return
        if not yes:
            what = ", ".join(f"{key!r} with {n} trials" for key, n in sizes.items())
            typer.confirm(f"Remove {what} from {masked(url)} for good?", abort=True)
        with opened(url, to_write=True) as store:
            for key in sizes:
                store.delete(key)
        typer.echo(f"removed: {', '.join(map(repr, sizes))}")
