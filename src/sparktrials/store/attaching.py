"""What stores that outlive the process do with attachments."""

from __future__ import annotations

import hashlib
import io
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from sparktrials.errors import StoreCorrupt, StoreError
from sparktrials.store.contents import ContentReader, checked_content, measured
from sparktrials.store.requests import checked_key, checked_name
from sparktrials.store.rows import Attached, trial_from, trial_row

if TYPE_CHECKING:
    from sparktrials.store.rows import Change, TrialRow

__all__ = ["Attaching"]


class Attaching(ABC):
    """The calls of a store that are about attachments, made of what a kind of store can do."""

    #: What to do about damage, for people.
    _salvage = "restore a copy"

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, for people: no secrets."""

    @abstractmethod
    def _writable(self, key: str) -> str:
        """Return a valid key, where this store may write."""

    @abstractmethod
    def _content(self, key: str, trial: int, name: str) -> tuple[object, object] | None:
        """Return the SHA-256 and the content of an attachment, or None."""

    @abstractmethod
    def _stream(
        self, key: str, trial: int, name: str
    ) -> tuple[object, Callable[[int], bytes | None]] | None:
        """Return the SHA-256 of an attachment and what returns its pieces, or None."""

    @abstractmethod
    def _attach(
        self, key: str, file: Attached, change: Callable[[Change], TrialRow | None]
    ) -> None:
        """Write an attachment, and what `change` makes of the trial's row, unless None.

        `change` may raise; nothing is written then. Not if somebody drives the experiment, but for
        this store.
        """

    def attach(self, key: str, trial_id: int, name: str, content: bytes | BinaryIO) -> None:
        """Attach a content to a trial that is there, ended or not; one of that name is replaced.

        A file, opened with ``"rb"``, is read piece by piece from its beginning, twice.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            If the name is no text, or the content neither bytes nor such a file.
        StoreError
            If there is no such experiment or trial.
        StoreInUse
            If another driver has the experiment.
        """
        number, own_name = operator.index(trial_id), checked_name(trial_id, name)
        given = checked_content(number, own_name, content)
        sha256, size = measured(given)
        where = f"{key!r} in {self.url}"

        def change(found: Change) -> TrialRow | None:
            trial = trial_from(found.trial, found.crc, found.document, where, self._salvage)
            if own_name in trial.attachments:
                return None
            return trial_row(replace(trial, attachments=(*trial.attachments, own_name)))

        self._attach(self._writable(key), Attached(number, own_name, sha256, size, given), change)

    def attachment(self, key: str, trial_id: int, name: str) -> bytes:
        """Return one attachment; KeyError if there is none.

        Raises
        ------
        StoreError
            If there is no such experiment.
        StoreCorrupt
            If its checksum differs.
        """
        number = operator.index(trial_id)
        found = self._content(checked_key(key), number, name)
        if found is None:
            raise KeyError(_missing(key, number, name))
        digest, content = found
        if type(content) is not bytes or hashlib.sha256(content).digest() != digest:
            raise self._damaged(key, number, name)
        return content

    def open_attachment(self, key: str, trial_id: int, name: str) -> BinaryIO:
        """Return one attachment as a file to read from; KeyError if there is none.

        It is read piece by piece. Its checksum is compared when its end is read.

        Raises
        ------
        StoreError
            If there is no such experiment.
        StoreCorrupt
            When its end is read: if its checksum differs, or somebody has replaced it meanwhile.
        """
        number = operator.index(trial_id)
        found = self._stream(checked_key(key), number, name)
        if found is None:
            raise KeyError(_missing(key, number, name))
        digest, fetch = found
        damaged = self._damaged(key, number, name)
        if type(digest) is not bytes:
            raise damaged
        return io.BufferedReader(ContentReader(fetch, digest, damaged), 1 << 16)

    def _damaged(self, key: str, number: int, name: str) -> StoreCorrupt:
        return StoreCorrupt(
            f"the attachment {name!r} of trial {number} of {key!r} in {self.url} is damaged: "
            f"{self._salvage}"
        )

    def _no_trial(self, key: str, number: int) -> StoreError:
        return StoreError(f"experiment {key!r} in {self.url} has no trial {number}")


def _missing(key: str, number: int, name: str) -> str:
    return f"trial {number} of experiment {key!r} has no attachment {name!r}"
