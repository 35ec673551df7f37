"""What every store asks of its callers, checked before it changes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.store.contents import checked_content

if TYPE_CHECKING:
    from sparktrials.study.trial import Trial

__all__ = ["attached", "checked_key", "checked_name", "named"]


def checked_key(key: str) -> str:
    """Return an experiment's key.

    Raises
    ------
    InvalidArgument
        If it is empty or cannot be written as UTF-8.
    InvalidArgumentType
        If it is no text.
    """
    if not _text("an experiment's key", key):
        msg = "an experiment's key must not be empty"
        raise InvalidArgument(msg)
    return key


def _text(what: str, text: object) -> str:
    if not isinstance(text, str):
        msg = f"{what} must be text, got {text!r}"
        raise InvalidArgumentType(msg)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = f"{what} must be valid text, got {text!r}"
        raise InvalidArgument(msg) from None
    return text


def checked_name(number: int, name: str) -> str:
    """Return the name of a trial's attachment.

    Raises
    ------
    InvalidArgument, InvalidArgumentType
        If it is no text that UTF-8 can hold.
    """
    return _text(f"an attachment's name (trial {number})", name)


def attached(
    trials: Sequence[Trial], attachments: Mapping[int, Mapping[str, bytes | BinaryIO]] | None
) -> dict[int, dict[str, bytes | BinaryIO]]:
    """Return a copy of attachments by trial id and name.

    Raises
    ------
    InvalidArgument
        If they belong to a trial that is not among `trials`, a name is not valid, or a file cannot
        be read twice.
    InvalidArgumentType
        If a name is no text, or a content neither bytes nor a file of them.
    """
    if not attachments:
        return {}
    strangers = attachments.keys() - {trial.id for trial in trials}
    if strangers:
        msg = f"attachments must belong to the trials written with them, got {sorted(strangers)}"
        raise InvalidArgument(msg)
    return {
        int(number): {
            checked_name(number, name): checked_content(number, name, content)
            for name, content in contents.items()
        }
        for number, contents in attachments.items()
    }


def named(trial: Trial, contents: Mapping[int, Mapping[str, object]]) -> Trial:
    """Return the trial with the names of its attachments among its own."""
    missing = [name for name in contents.get(trial.id, ()) if name not in trial.attachments]
    return replace(trial, attachments=(*trial.attachments, *missing)) if missing else trial
