"""The command line: ``sparktrials import FILE STORE_URL``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sparktrials import __version__
from sparktrials.api.importing import import_trials
from sparktrials.errors import SparkTrialsError

__all__ = ["app"]

app = typer.Typer(
    name="sparktrials",
    help="Histories of hyperparameter optimization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's call
    if wanted:
        typer.echo(f"sparktrials {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Histories of hyperparameter optimization."""


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A pickle of Hyperopt's or sparktrials' Trials.")],
    store_url: Annotated[str, typer.Argument(help="Where to, such as sqlite:///runs.db.")],
    exp_key: Annotated[
        str | None, typer.Option(help="Name of the experiment there; default: the file's own.")
    ] = None,
) -> None:
    """Put the trials of a pickle into a store, as an experiment of their own.

    Loading a pickle runs whatever its maker put into it: only name a file that you trust.
    """
    try:
        found = import_trials(file, store_url, exp_key)
    except SparkTrialsError as error:
        typer.echo(f"sparktrials import: {error}", err=True)
        sys.exit(1)
    typer.echo(
        f"{found.total} trials of {file} ({found.with_loss} with a loss) are experiment "
        f"{found.exp_key!r} in {found.url}"
    )
    for warning in found.warnings:
        typer.echo(f"note: {warning}", err=True)
    typer.echo(f"To go on: fmin(..., max_evals=N, trials=Trials({store_url!r}, {found.exp_key!r}))")
