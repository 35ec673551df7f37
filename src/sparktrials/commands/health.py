"""``sparktrials doctor``: what is wrong with a store, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from sparktrials.commands.terminal import AsJson, StoreUrl, complaining, opened, print_json
from sparktrials.errors import StoreError
from sparktrials.store.absorbing import absorb
from sparktrials.store.checkup import Finding, examined

__all__ = ["doctor"]


def doctor(
    url: StoreUrl,
    repair: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option("--repair", help="Do what is safe: hand in results that wait in files."),
    ] = False,
    compact: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--compact", help="Give back the room of what is no more.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Look at all of a store; exit code 1 if something is wrong.

    Nothing is written without --repair or --compact.
    """
    with complaining("doctor"):
        try:
            with opened(url) as store:
                found = list(examined(store))
        except StoreError as error:  # it cannot even be opened
            found = [Finding(str(error), "see there")]
        if repair and any(f.repair == "absorb" for f in found):
            _absorb(url, {f.exp_key for f in found if f.repair == "absorb" and f.exp_key})
        if compact:
            with opened(url, to_write=True) as store:
                before, after = store.compact()
            if not as_json:
                typer.echo(f"compacted: {before:,} before, {after:,} now")
        if repair or compact:
            with opened(url) as store:
                found = list(examined(store))
    wrong = [f for f in found if f.wrong]
    if as_json:
        print_json({"healthy": not wrong, "findings": [asdict(f) for f in found]})
    else:
        for finding in found:
            of = "" if finding.exp_key is None else f"{finding.exp_key!r}: "
            typer.echo(f"{'WRONG' if finding.wrong else 'ok':5}  {of}{finding.what}")
            if finding.wrong:
                typer.echo(f"       remedy: {finding.remedy}")
        typer.echo(f"{len(wrong)} things are wrong" if wrong else "nothing is wrong")
    sys.exit(1 if wrong else 0)


def _absorb(url: str, keys: set[str]) -> None:
    with opened(url, to_write=True) as store:
        for key in sorted(keys):
            store.acquire(key)
            try:
                absorb(store, key)
            finally:
                store.release(key)
