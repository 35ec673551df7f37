"""The command ``sparktrials``: says what is missing, or hands over to `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from sparktrials.cli import run  # noqa: PLC0415 - typer is an extra
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("sparktrials: the command line needs typer: pip install 'sparktrials[cli]'")
    run()
