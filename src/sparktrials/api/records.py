"""Files of records, as `exporting` writes them, read: nothing in them is trusted."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from sparktrials.api.exporting import FORMAT
from sparktrials.errors import InvalidTrial, StoreError, StoreUnavailable, StoreVersionError
from sparktrials.store.contents import PIECE_SIZE
from sparktrials.store.records import decode_experiment, decode_trial
from sparktrials.study.values import decode_json, encode_json

if TYPE_CHECKING:
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["Record", "is_record_file", "read_records"]

_START = b'{"sparktrials":'
#: Characters of a line: no trial comes near it, and a file without any line ends does not fill the
#: memory.
_LONGEST_LINE = 1 << 28


@dataclass(slots=True)
class Record:
    """A trial with its attachments, or, without a trial, the beginning of an experiment.

    Attributes
    ----------
    attachments
        Bytes, or files without a name on this machine for what is larger than a piece.
    size
        Bytes of all attachments.
    """

    experiment: Experiment
    trial: Trial | None = None
    attachments: dict[str, bytes | BinaryIO] = field(default_factory=dict)
    size: int = 0

    def close(self) -> None:
        """Remove the files; idempotent."""
        for content in self.attachments.values():
            if not isinstance(content, bytes):
                content.close()


def is_record_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like one of records.

    Raises
    ------
    StoreUnavailable
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_START)) == _START
    except OSError as error:
        msg = f"{os.fspath(path)} cannot be read: {error}"
        raise StoreUnavailable(msg) from error


def read_records(path: str | os.PathLike[str], *, contents: bool = True) -> Iterator[Record]:
    """Return the records of a file in their order; attachments are checked.

    The caller closes the records.

    Parameters
    ----------
    path
        The file.
    contents
        Whether records have their attachments: they are checked anyway.

    Raises
    ------
    StoreError
        If a line cannot be read, or the file has been cut; the message names the line.
    StoreUnavailable
        If there is no room for a large attachment.
    StoreVersionError
        If a newer version wrote it.
    """
    number = 0
    reader = _Reader(contents=contents)
    try:
        with Path(path).open(encoding="utf-8") as file:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                yield from reader.take(decode_json(_whole(line, file)))
            number += 1
            reader.finish()
    except OSError as error:
        msg = f"{os.fspath(path)} cannot be read: {error}"
        raise StoreUnavailable(msg) from error
    except StoreVersionError as error:
        msg = f"{os.fspath(path)}, line {number}: {error}"
        raise StoreVersionError(msg) from error
    except (InvalidTrial, ValueError, TypeError, LookupError, AttributeError) as error:
        msg = (
            f"{os.fspath(path)} is no whole export of sparktrials, see line {number}: {error}; "
            "export it again"
        )
        raise StoreError(msg) from error
    finally:
        reader.close()


def _whole(line: str, file: IO[str]) -> str:
    if line.endswith("\n"):
        return line[:-1]
    if len(line) == _LONGEST_LINE and file.read(1):
        msg = f"a line of more than {_LONGEST_LINE:,} characters"
        raise ValueError(msg)
    return line


class _Reader:
    """What is between two lines."""

    def __init__(self, *, contents: bool) -> None:
        self._contents = contents
        self._experiment: Experiment | None = None
        self._keys: set[str] = set()
        self._trial: Record | None = None
        self._last_id = -1
        self._missing: dict[str, None] = {}
        self._name = ""
        self._left = 0
        self._digest = ""
        self._found = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._n_trials = self._n_attachments = 0

    def close(self) -> None:
        """Remove what was not taken; idempotent."""
        if self._trial is not None:
            self._trial.close()

    def take(self, fields: Any) -> Iterator[Record]:  # noqa: ANN401 - any JSON
        """Take a line; return the records that are whole with it."""
        if "piece" in fields:
            self._take_piece(base64.b64decode(fields["piece"], validate=True))
        elif "attachment" in fields:
            self._begin_attachment(fields)
        else:
            yield from self._done()
            if "trial" in fields:
                self._take_trial(decode_trial(encode_json(fields["trial"])))
            elif "end" in fields:
                self._end(fields)
            else:
                yield self._begin(fields)

    def _begin(self, fields: Any) -> Record:  # noqa: ANN401
        self._check(self._experiment is None, "an experiment begins within another one")
        version = fields["sparktrials"]
        if type(version) is int and version > FORMAT:
            msg = f"an export of version {version}; this sparktrials reads versions up to {FORMAT}"
            raise StoreVersionError(msg)
        self._check(version == FORMAT, f"an unknown version: {version!r}")
        self._experiment = decode_experiment(encode_json(fields["experiment"]))
        key = self._experiment.key
        self._check(key not in self._keys, f"the experiment {key!r} is there twice")
        self._keys.add(key)
        self._last_id = -1
        self._n_trials = self._n_attachments = 0
        return Record(self._experiment)

    def _take_trial(self, trial: Trial) -> None:
        if self._experiment is None:
            msg = "a trial of no experiment"
            raise ValueError(msg)
        self._check(trial.id > self._last_id, f"trial {trial.id} comes after trial {self._last_id}")
        self._last_id = trial.id
        self._trial = Record(self._experiment, trial)
        self._missing = dict.fromkeys(trial.attachments)
        self._n_trials += 1

    def _begin_attachment(self, fields: Any) -> None:  # noqa: ANN401
        self._check(not self._left, f"the attachment {self._name!r} is not whole")
        name, size, digest = fields["attachment"], fields["size"], fields["sha256"]
        self._check(
            self._trial is not None and name in self._missing and type(size) is int and size >= 0,
            "an attachment of no trial",
        )
        assert self._trial is not None  # noqa: S101 - for the type checker
        self._name, self._left, self._digest = name, size, digest
        self._found, self._pieces = hashlib.sha256(), []
        if self._contents:
            self._trial.size += size
            if size > PIECE_SIZE:
                self._trial.attachments[name] = tempfile.TemporaryFile()  # noqa: SIM115 - the record's
        self._n_attachments += 1
        self._close_attachment()

    def _take_piece(self, piece: bytes) -> None:
        self._check(0 < len(piece) <= self._left, "a piece of no attachment")
        self._left -= len(piece)
        self._found.update(piece)
        if self._contents and self._trial is not None:
            file = self._trial.attachments.get(self._name)
            if file is None:
                self._pieces.append(piece)
            elif not isinstance(file, bytes):
                self._write(file, piece)
        self._close_attachment()

    def _write(self, file: BinaryIO, piece: bytes) -> None:
        try:
            file.write(piece)
            if not self._left:
                file.flush()
        except OSError as error:
            msg = (
                f"the attachment {self._name!r} needs room in {tempfile.gettempdir()} ({error}): "
                "name another directory in TMPDIR"
            )
            raise StoreUnavailable(msg) from error

    def _close_attachment(self) -> None:
        if self._left:
            return
        same = self._found.hexdigest() == self._digest
        self._check(same, f"the attachment {self._name!r} is damaged")
        if self._contents and self._trial is not None:
            self._trial.attachments.setdefault(self._name, b"".join(self._pieces))
        del self._missing[self._name]
        self._pieces = []

    def _done(self) -> Iterator[Record]:
        self._check(not self._left, f"the attachment {self._name!r} is not whole")
        self._check(not self._missing, f"attachments are missing: {', '.join(self._missing)}")
        record, self._trial = self._trial, None
        if record is not None:
            yield record

    def _end(self, fields: Any) -> None:  # noqa: ANN401
        found = (fields["end"], fields["trials"], fields["attachments"])
        key = None if self._experiment is None else self._experiment.key
        self._check(found == (key, self._n_trials, self._n_attachments), "records are missing")
        self._experiment = None

    def finish(self) -> None:
        """Take note that there is no other line."""
        self._check(self._experiment is None, "its end is missing")

    @staticmethod
    def _check(condition: bool, text: str) -> None:  # noqa: FBT001 - a condition
        if not condition:
            raise ValueError(text)
