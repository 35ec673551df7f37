"""A pickle whose large parts stand beside it in a file, so that processes can share them.

Arrays in a file that is mapped into memory are not copied: all processes of a machine that read it
share the pages, and pages that nobody reads are never loaded. What a process writes to such an
array stays its own.

::

    pickle | padding | buffer | padding | buffer | ... | table | (table's place, number of buffers)
"""

from __future__ import annotations

import mmap
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

__all__ = ["dump", "load", "load_from"]

#: Buffers start at multiples of this: what vector instructions want, and the most that numpy asks.
_ALIGNMENT = 64
#: Bytes that are written at once.
_CHUNK = 1 << 24
_PLACE = struct.Struct("<QQ")
_END = struct.Struct("<QQ8s")
_MAGIC = b"sparkT\x01\n"


def dump(value: object, file: BinaryIO, dumper: Callable[..., None]) -> None:
    """Write a value; its arrays are not copied in memory meanwhile.

    Parameters
    ----------
    value
        What to write.
    file
        Open for writing; only written to.
    dumper
        ``dump`` of pickle or cloudpickle.
    """
    buffers: list[pickle.PickleBuffer] = []
    counted = _Counting(file)
    dumper(value, counted, protocol=5, buffer_callback=buffers.append)
    table = [(0, counted.written)]
    for buffer in buffers:
        counted.write(b"\0" * (-counted.written % _ALIGNMENT))
        with buffer.raw() as view:
            table.append((counted.written, view.nbytes))
            for start in range(0, view.nbytes, _CHUNK):
                counted.write(view[start : start + _CHUNK])
        buffer.release()
    place = counted.written
    for entry in table:
        counted.write(_PLACE.pack(*entry))
    counted.write(_END.pack(place, len(table), _MAGIC))


class _Counting:
    """A file that knows how much was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.written = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever holds bytes
        size = memoryview(data).nbytes
        self._file.write(data)
        self.written += size
        return size


def load(path: str) -> Any:  # noqa: ANN401 - whatever was dumped
    """Read a value from a file, whose arrays stay there until they are looked at."""
    with open(path, "rb") as file:  # noqa: PTH123 - where executors are
        # Private: an array may be written to, which copies the page for this process alone.
        return load_from(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def load_from(content: mmap.mmap | bytearray) -> Any:  # noqa: ANN401
    """Read a value from memory, with which its arrays share it.

    Raises
    ------
    ValueError
        If it is not what `dump` writes.
    """
    view = memoryview(content)
    if len(view) < _END.size:
        msg = "not a whole file of broadcast data"
        raise ValueError(msg)
    place, n, magic = _END.unpack_from(view, len(view) - _END.size)
    if magic != _MAGIC or place + n * _PLACE.size + _END.size != len(view):
        msg = "not a whole file of broadcast data"
        raise ValueError(msg)
    parts = [view[start : start + size] for start, size in _table(view, place, n)]
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 - the user's own, as Spark does


def _table(view: memoryview, place: int, n: int) -> Iterator[tuple[int, int]]:
    for i in range(n):
        yield _PLACE.unpack_from(view, place + i * _PLACE.size)
