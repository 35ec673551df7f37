"""The command ``sparktrials``: says what is missing, or hands over to `cli`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> None:
    """Run the command line."""
    try:
        from sparktrials.cli import run  # noqa: PLC0415 - typer is an extra
    except ModuleNotFoundError as error:
        _explain("sparktrials", error)
    run()


def mongo_worker() -> None:
    """Run ``hyperopt-mongo-worker``."""
    try:
        from sparktrials.commands.worker import mongo_worker_app  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        _explain("hyperopt-mongo-worker", error)
    mongo_worker_app()


def _explain(command: str, error: ModuleNotFoundError) -> NoReturn:
    if error.name != "typer":
        raise error
    sys.exit(f"{command}: the command line needs typer: pip install typer")
