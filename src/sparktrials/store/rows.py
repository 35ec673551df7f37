"""Rows of tables and entries of documents: what they hold, and that nothing read is trusted."""

from __future__ import annotations

import operator
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sparktrials.errors import InvalidTrial, StoreCorrupt
from sparktrials.store.records import decode_experiment, decode_trial, encode_trial

if TYPE_CHECKING:
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["Attached", "Change", "File", "TrialRow", "experiment_from", "trial_from", "trial_row"]


class TrialRow(NamedTuple):
    """A trial as it is written; attempt and state repeat what the document says, for guards."""

    trial: int
    attempt: int
    state: str
    crc: int
    document: str


class File(NamedTuple):
    """An attachment as it is written, of one attempt at a trial."""

    trial: int
    attempt: int
    name: str
    sha256: bytes
    size: int
    content: bytes | BinaryIO


class Attached(NamedTuple):
    """An attachment that is added to a trial that is there."""

    trial: int
    name: str
    sha256: bytes
    size: int
    content: bytes | BinaryIO


class Change(NamedTuple):
    """A trial's last state as it is read: id, position, checksum and document."""

    trial: object
    position: object
    crc: object
    document: object


def trial_row(trial: Trial) -> TrialRow:
    """Return the row of a trial.

    Raises
    ------
    InvalidTrial
        If it holds something that JSON cannot carry.
    """
    document = encode_trial(trial)
    number, attempt = operator.index(trial.id), operator.index(trial.attempt)
    return TrialRow(number, attempt, trial.state.value, zlib.crc32(document.encode()), document)


def trial_from(number: object, crc: object, text: object, where: str, salvage: str) -> Trial:
    """Return the trial of a row; `where` it was found, and what helps, is for people.

    Raises
    ------
    StoreCorrupt
        If it is damaged.
    StoreVersionError
        If a newer version of sparktrials wrote it.
    """
    reason: object = "its checksum differs"
    # Bytes where damaged text need not be UTF-8.
    data = text.encode(errors="surrogatepass") if type(text) is str else text
    if type(data) is bytes and zlib.crc32(data) == crc:
        try:
            trial = decode_trial(text if type(text) is str else data.decode())
        except (InvalidTrial, UnicodeDecodeError) as error:
            reason = error
        else:
            if trial.id == number:
                return trial
            reason = f"it says that it is trial {trial.id}"
    msg = f"trial {number!r} of {where} is damaged ({reason}): {salvage}"
    raise StoreCorrupt(msg)


def experiment_from(text: object, url: str, salvage: str) -> Experiment:
    """Return the experiment of a row.

    Raises
    ------
    StoreCorrupt, StoreVersionError
        As for `trial_from`.
    """
    try:
        return decode_experiment(str(text))
    except InvalidTrial as error:
        msg = f"an experiment in {url} is damaged ({error}): {salvage}"
        raise StoreCorrupt(msg) from error
