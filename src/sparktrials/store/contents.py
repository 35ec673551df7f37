"""Contents of attachments: bytes, or files that are larger than the memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from sparktrials.errors import InvalidArgument, InvalidArgumentType, StoreCorrupt

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12

__all__ = ["PIECE_SIZE", "ContentReader", "checked_content", "measured", "pieces"]

#: Bytes of a piece: no packet limit of a server, and no memory, decides what fits.
PIECE_SIZE = 1 << 20


def checked_content(number: int, name: str, content: object) -> bytes | BinaryIO:
    """Return the content of a trial's attachment, as something that can be read twice.

    Raises
    ------
    InvalidArgumentType
        If it is neither bytes nor a file that was opened to be read as bytes.
    InvalidArgument
        If it is a file whose position cannot be set.
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, io.TextIOBase) or not callable(getattr(content, "read", None)):
        msg = (
            f"attachment {name!r} of trial {number} must be bytes or a file opened with 'rb', "
            f"got {type(content).__name__}"
        )
        raise InvalidArgumentType(msg)
    if not content.seekable():  # type: ignore[attr-defined]
        msg = (
            f"attachment {name!r} of trial {number} must be a file that can be read twice, not a "
            "pipe or a socket"
        )
        raise InvalidArgument(msg)
    return content  # type: ignore[return-value]


def pieces(content: bytes | BinaryIO) -> Iterator[bytes]:
    """Return a content piece by piece, from its beginning."""
    if isinstance(content, bytes):
        for start in range(0, len(content), PIECE_SIZE):
            yield content[start : start + PIECE_SIZE]
        return
    content.seek(0)
    while piece := content.read(PIECE_SIZE):
        yield piece


def measured(content: bytes | BinaryIO) -> tuple[bytes, int]:
    """Return the SHA-256 and the size of a content."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(content):
        digest.update(piece)
        size += len(piece)
    return digest.digest(), size


class ContentReader(io.RawIOBase):
    """A content as a file to read from, front to back, whose checksum is looked at in the end.

    Parameters
    ----------
    fetch
        Returns a piece by its number, None after the last one.
    sha256
        Of the whole.
    damaged
        What to raise if that differs.
    """

    def __init__(
        self, fetch: Callable[[int], bytes | None], sha256: bytes, damaged: StoreCorrupt
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._sha256 = sha256
        self._damaged = damaged
        self._digest = hashlib.sha256()
        self._number = 0
        self._piece = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read into a buffer; return how many bytes, 0 at the end.

        Raises
        ------
        StoreCorrupt
            At the end, if the checksum differs.
        """
        view = memoryview(buffer).cast("B")
        while not self._piece and not self._ended:
            piece = self._fetch(self._number)
            self._number += 1
            if piece is None:
                self._ended = True
                if self._digest.digest() != self._sha256:
                    raise self._damaged
            else:
                self._digest.update(piece)
                self._piece = memoryview(piece)
        n = min(len(view), len(self._piece))
        view[:n] = self._piece[:n]
        self._piece = self._piece[n:]
        return n
