"""Hyperopt's own collections in MongoDB, to be read: ``jobs``, and its attachments in GridFS."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import gridfs
from bson.binary import Binary
from bson.int64 import Int64
from bson.objectid import ObjectId

from sparktrials.errors import StoreCorrupt, StoreUnavailable
from sparktrials.store.contents import PIECE_SIZE
from sparktrials.store.mongo.client import Client, Document, parsed

if TYPE_CHECKING:
    from pymongo.database import Database
    from typing_extensions import Self

__all__ = ["Jobs"]

_JOBS = "jobs"


class Jobs:
    """The trials that Hyperopt's ``MongoTrials`` left; nothing is written.

    Parameters
    ----------
    url
        ``mongo://host:port/database/jobs``.
    timeout_s
        How long to try again while the server is away.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self._client = Client(parsed(url), timeout_s)

    @property
    def url(self) -> str:
        """Where it is, without user, password and options."""
        return self._client.url

    def keys(self) -> list[str | None]:
        """Return the ``exp_key`` of all that have trials; None is one, too."""
        found = {d.get("exp_key") for d in self._client.find(_JOBS, {}, {"exp_key": 1})}
        if not all(key is None or isinstance(key, str) for key in found):
            msg = f"{self.url} has an exp_key in {_JOBS} that is no text: it is not of Hyperopt"
            raise StoreCorrupt(msg)
        return sorted(found, key=lambda key: (key is not None, key))

    def documents(self, exp_key: str | None) -> list[Document]:
        """Return the trials of one, by tid, as plain values."""
        found = self._client.find(_JOBS, {"exp_key": {"$in": [exp_key]}})
        documents = [plain(document) for document in found]
        if not all(type(d.get("tid")) is int and _has_parts(d) for d in documents):
            msg = f"{self.url} has documents in {_JOBS} that are not of Hyperopt"
            raise StoreCorrupt(msg)
        return sorted(documents, key=lambda d: d["tid"])

    def names(self, document: Document) -> list[str]:
        """Return the names of a trial's attachments."""
        return [str(name) for name, _ in document.get("_attachments") or ()]

    def attachments(self, document: Document) -> dict[str, bytes | BinaryIO]:
        """Return a trial's attachments by name; those larger than a piece as files, to be closed.

        Raises
        ------
        StoreError
            If one is not there, or there is no room for it in the directory of temporary files.
        """
        found = document.get("_attachments") or ()
        return {str(name): self._content(str(number)) for name, number in found}

    def _content(self, number: str) -> bytes | BinaryIO:
        def work(db: Database[Document]) -> bytes | BinaryIO:
            stored = gridfs.GridFS(db).get(ObjectId(number))
            if stored.length <= PIECE_SIZE:
                small: bytes = stored.read()
                return small
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            try:
                shutil.copyfileobj(stored, file, PIECE_SIZE)
            except BaseException:
                file.close()
                raise
            return file

        try:
            return self._client.call(work)
        except OSError as error:
            msg = (
                f"an attachment of {self.url} needs room in {tempfile.gettempdir()} ({error}): "
                "name another directory in TMPDIR"
            )
            raise StoreUnavailable(msg) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _has_parts(document: Document) -> bool:
    misc, result = document.get("misc"), document.get("result")
    return (
        isinstance(misc, dict)
        and isinstance(misc.get("vals"), dict)
        and isinstance(misc.get("idxs"), dict)
        and isinstance(result, dict)
        and "state" in document
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever BSON has
    """Return a value of BSON with what Python has in the place of its own types."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, Binary):
        return bytes(value)
    return str(value) if isinstance(value, ObjectId) else value
