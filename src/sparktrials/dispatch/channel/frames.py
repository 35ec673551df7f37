"""A message as bytes that nobody without the connection's key can make, change, repeat or reorder.

A frame is a *head* of fixed size (kind, number of blobs, bytes of header and of blobs) with its
tag, and, unless both sizes are 0, a *body* (the blobs' sizes, the header as JSON, the blobs) with
its tag. A tag is the first 16 bytes of an HMAC-SHA256 over the frame's number, which is not sent,
and the bytes before it. The head has a tag of its own so that a size is believed, and room made for
it, only when it is authentic. No I/O here.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from sparktrials.errors import ChannelProtocolError, InvalidArgument, InvalidArgumentType
from sparktrials.study.values import TRIAL_LIMIT, dumps, loads

__all__ = [
    "BLOBS_LIMIT",
    "HEADER_LIMIT",
    "MAX_BLOBS",
    "Body",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "Kind",
    "pack",
]

#: Longest header, in bytes of JSON.
HEADER_LIMIT = 2**20
#: Most bytes in a message's blobs together: what a trial may bring back, and its wrapping.
BLOBS_LIMIT = TRIAL_LIMIT + 2**20
MAX_BLOBS = 4096

_HEAD: Final = struct.Struct("!BHII")
_TAG_BYTES = 16
HEAD_BYTES = _HEAD.size + _TAG_BYTES
_SEQUENCE: Final = struct.Struct("!cQ")
_SIZE_BYTES = 4
_JOIN_BELOW = 2**16  # bytes: blobs smaller than this are copied into one piece, to be sent as one


class Kind(IntEnum):
    """What a frame is for."""

    HELLO = 1
    WELCOME = 2
    MESSAGE = 3
    HEARTBEAT = 4
    GOODBYE = 5


@dataclass(frozen=True, slots=True)
class Frame:
    """What came."""

    kind: Kind
    header: dict[Any, Any]
    blobs: tuple[bytes, ...] = ()
    header_bytes: int = 0  # of JSON


@dataclass(frozen=True, slots=True)
class Body:
    """A message made ready for a `FrameEncoder`: checked, and its header written as JSON."""

    header: bytes = b""
    blobs: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes, nearly."""
        return len(self.header) + sum(map(len, self.blobs))


def pack(header: Mapping[Any, Any], blobs: Sequence[bytes] = ()) -> Body:
    """Check a message and write its header as JSON.

    Parameters
    ----------
    header
        A dict of plain values (`sparktrials.study.values`), at most `HEADER_LIMIT` bytes of JSON.
    blobs
        At most `MAX_BLOBS`, with at most `BLOBS_LIMIT` bytes together.

    Raises
    ------
    InvalidArgumentType
        If the header holds something that is not plain, or a blob is not bytes.
    InvalidArgument
        If there is too much.
    """
    if type(header) is not dict:
        msg = f"header must be a dict, got {type(header).__name__}"
        raise InvalidArgumentType(msg)
    try:
        text = dumps(header).encode() if header else b""
    except (TypeError, RecursionError, ValueError) as error:
        msg = f"header must hold plain values only: {error}; send other things as blobs"
        raise InvalidArgumentType(msg) from error
    if len(text) > HEADER_LIMIT:
        msg = (
            f"header takes {len(text):,} bytes of JSON, the limit is {HEADER_LIMIT:,}: "
            "send large things as blobs"
        )
        raise InvalidArgument(msg)
    if len(blobs) > MAX_BLOBS:
        msg = f"{len(blobs):,} blobs, the limit is {MAX_BLOBS:,}"
        raise InvalidArgument(msg)
    for blob in blobs:
        if type(blob) is not bytes:
            msg = f"blobs must be bytes, got {type(blob).__name__}"
            raise InvalidArgumentType(msg)
    total = sum(map(len, blobs))
    if total > BLOBS_LIMIT:
        msg = f"the blobs take {total:,} bytes, the limit is {BLOBS_LIMIT:,}"
        raise InvalidArgument(msg)
    return Body(text, tuple(blobs))


class _Tagger:
    """The tags of one direction, in order."""

    __slots__ = ("_fresh", "_number")

    def __init__(self, key: bytes) -> None:
        self._fresh = hmac.new(key, digestmod=hashlib.sha256)
        self._number = 0

    def head(self, head: bytes) -> bytes:
        tag = self._fresh.copy()
        tag.update(_SEQUENCE.pack(b"h", self._number) + head)
        return tag.digest()[:_TAG_BYTES]

    def body(self, parts: Sequence[bytes | memoryview]) -> bytes:
        tag = self._fresh.copy()
        tag.update(_SEQUENCE.pack(b"b", self._number))
        for part in parts:
            tag.update(part)
        return tag.digest()[:_TAG_BYTES]

    def advance(self) -> None:
        self._number += 1


class FrameEncoder:
    """Turns messages into the frames of one direction of one connection. Not thread-safe."""

    __slots__ = ("_tagger",)

    def __init__(self, key: bytes) -> None:
        self._tagger = _Tagger(key)

    def encode(self, kind: Kind, body: Body = Body()) -> list[bytes]:
        """Return a frame in pieces, all of which have to be sent, before those of the next."""
        pieces = self.seal(kind, body)
        self.advance()
        return pieces

    def advance(self) -> None:
        """Count the frame that `seal` made: it will be sent."""
        self._tagger.advance()

    def seal(self, kind: Kind, body: Body) -> list[bytes]:
        """Return the next frame in pieces; it stays the next one until `advance`."""
        header, blobs = body.header, body.blobs
        sizes = [len(blob) for blob in blobs]
        head = _HEAD.pack(kind, len(blobs), len(header), sum(sizes))
        start = head + self._tagger.head(head)
        if not header and not blobs:
            return [start]
        front = struct.pack(f"!{len(sizes)}I", *sizes) + header
        tag = self._tagger.body((head, front, *blobs))
        if sum(sizes) < _JOIN_BELOW:
            return [b"".join((start, front, *blobs, tag))]
        return [start + front, *blobs, tag]


@dataclass(frozen=True, slots=True)
class _Head:
    kind: Kind
    n_blobs: int
    n_header: int
    n_blob_bytes: int

    @property
    def n_front(self) -> int:
        return _SIZE_BYTES * self.n_blobs + self.n_header

    @property
    def n_body(self) -> int:
        if not self.n_header and not self.n_blobs:
            return 0
        return self.n_front + self.n_blob_bytes + _TAG_BYTES


class FrameDecoder:
    """Turns the bytes of one direction of one connection into frames. Not thread-safe.

    It holds at most one frame's bytes and what was fed beyond them, and makes room for a frame only
    as its bytes come in.
    """

    __slots__ = ("_buffer", "_head", "_raw_head", "_refused", "_tagger")

    def __init__(self, key: bytes) -> None:
        self._tagger = _Tagger(key)
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._raw_head = b""
        self._refused = ""

    @property
    def announced(self) -> int:
        """Bytes of the body that is under way, authentic; 0 between frames."""
        return self._head.n_body if self._head is not None else 0

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes in, in pieces of any size; yield the frames that are complete.

        Raises
        ------
        ChannelProtocolError
            At the first frame that is not authentic or breaks a limit, after all good ones before
            it; and at every later call.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        if self._refused:
            raise ChannelProtocolError(self._refused)
        try:
            while (frame := self._next()) is not None:
                yield frame
        except ChannelProtocolError as error:
            self._refused = str(error)
            self._buffer.clear()
            self._head = None
            raise

    def _next(self) -> Frame | None:
        head = self._head
        if head is None:
            if len(self._buffer) < HEAD_BYTES:
                return None
            head = self._head = self._take_head()
        if len(self._buffer) < head.n_body:
            return None
        frame = self._take_body(head) if head.n_body else Frame(head.kind, {})
        self._head = None
        self._tagger.advance()
        return frame

    def _take_head(self) -> _Head:
        raw = bytes(self._buffer[: _HEAD.size])
        tag = bytes(self._buffer[_HEAD.size : HEAD_BYTES])
        if not hmac.compare_digest(tag, self._tagger.head(raw)):
            msg = "a frame's head is not authentic"
            raise ChannelProtocolError(msg)
        kind, n_blobs, n_header, n_blob_bytes = _HEAD.unpack(raw)
        if n_header > HEADER_LIMIT or n_blobs > MAX_BLOBS or n_blob_bytes > BLOBS_LIMIT:
            msg = (
                f"a message of {n_header:,} header bytes and {n_blobs:,} blobs with "
                f"{n_blob_bytes:,} bytes; the limits are {HEADER_LIMIT:,}, {MAX_BLOBS:,} and "
                f"{BLOBS_LIMIT:,}"
            )
            raise ChannelProtocolError(msg)
        try:
            known = Kind(kind)
        except ValueError:
            msg = f"an unknown kind of frame: {kind}"
            raise ChannelProtocolError(msg) from None
        if n_blob_bytes and not n_blobs:
            msg = "bytes of no blob"
            raise ChannelProtocolError(msg)
        self._raw_head = raw
        del self._buffer[:HEAD_BYTES]
        return _Head(known, n_blobs, n_header, n_blob_bytes)

    def _take_body(self, head: _Head) -> Frame:
        end = head.n_body - _TAG_BYTES
        tag = bytes(self._buffer[end : head.n_body])
        with memoryview(self._buffer) as view, view[:end] as content:
            if not hmac.compare_digest(tag, self._tagger.body((self._raw_head, content))):
                msg = "a frame's body is not authentic"
                raise ChannelProtocolError(msg)
            sizes = struct.unpack_from(f"!{head.n_blobs}I", content)
            if sum(sizes) != head.n_blob_bytes:
                msg = "sizes of blobs that do not add up"
                raise ChannelProtocolError(msg)
            header = bytes(content[_SIZE_BYTES * head.n_blobs : head.n_front])
            blobs = []
            start = head.n_front
            for size in sizes:
                blobs.append(bytes(content[start : start + size]))
                start += size
        del self._buffer[: head.n_body]
        return Frame(head.kind, _read_header(header), tuple(blobs), len(header))


def _read_header(text: bytes) -> dict[Any, Any]:
    if not text:
        return {}
    try:
        header = loads(text.decode())
    except ValueError as error:
        msg = f"a header that is not JSON of plain values: {error}"
        raise ChannelProtocolError(msg) from error
    if type(header) is not dict:
        msg = f"a header that is a {type(header).__name__}, not a dict"
        raise ChannelProtocolError(msg)
    return header
