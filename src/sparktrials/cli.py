"""The command line ``sparktrials``: a table of its commands, which are in `commands`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sparktrials import __version__
from sparktrials.commands import health, listing, moving, worker
from sparktrials.store.url import is_url, masked

__all__ = ["app", "run"]

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


app.command()(listing.ls)
app.command()(listing.show)
app.command()(listing.best)
app.command()(moving.export)
app.command(name="import")(moving.import_)
app.command()(moving.rm)
app.command()(health.doctor)
app.command()(worker.worker)


def run() -> None:
    """Run the command line; what it says of its arguments does not show secrets."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.Abort:
        sys.exit("sparktrials: stopped; nothing was done")
    except Exception as error:
        # Typer's own, which belong to click or to a copy of it: wrong arguments.
        if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
            raise
        text = str(error.format_message())
        for argument in sys.argv[1:]:
            if is_url(argument):
                text = text.replace(argument, masked(argument))
        typer.echo(f"sparktrials: {text}; see sparktrials --help", err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
