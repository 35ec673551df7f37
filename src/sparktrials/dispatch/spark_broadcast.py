"""Broadcast values on Spark classic, in a file on each executor that its workers share.

A small value goes as one of Spark's own broadcasts. Of these, executors keep all pieces in their
heap, beside the file that Python reads: a large value goes as one of the application's files,
which is streamed from the driver to the executor's disk (docs/decisions/0044-broadcast-files.md).
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pyspark import Broadcast, cloudpickle

from sparktrials.dispatch import framing
from sparktrials.dispatch.process_state import this_process

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Publication

__all__ = ["freed_on", "publish_on"]

#: Bytes from which a value is a file of the application.
LARGE = 1 << 26


def publish_on(context: Any, value: object) -> Publication:  # noqa: ANN401
    """Send a value to where tasks of a SparkContext run.

    Parameters
    ----------
    context
        A running SparkContext.
    value
        What to send.
    """
    if context._encryption_enabled:  # noqa: SLF001 - then Spark hands out no file of it
        content = io.BytesIO()
        framing.dump(value, content, cloudpickle.dump)
        return _SparksBroadcast(context.broadcast(content.getvalue()))
    folder = Path(tempfile.mkdtemp(prefix="sparktrials-", dir=context._temp_dir))  # noqa: SLF001
    path = folder / f"sparktrials-data-{uuid.uuid4().hex}"
    with path.open("wb") as file:
        framing.dump(value, file, cloudpickle.dump)
    if path.stat().st_size >= LARGE:
        return _File(context, path)
    path.unlink()
    folder.rmdir()
    registry = context._pickled_broadcast_vars  # noqa: SLF001
    return _SparksBroadcast(_Framed(context, value, registry))


class _Framed(Broadcast[Any]):
    """One whose file, on the driver and on executors, is what `framing` reads."""

    def dump(self, value: object, f: BinaryIO) -> None:
        """Write the value to the driver's file."""
        with f:
            framing.dump(value, f, cloudpickle.dump)


class _SparksBroadcast:
    """A small value: a task that names `reference` has it attached by Spark."""

    def __init__(self, reference: Broadcast[Any]) -> None:
        self.reference = reference

    def unpersist(self) -> None:
        """Free it on executors."""
        self.reference.unpersist()

    def destroy(self) -> None:
        """Free all of it."""
        with contextlib.suppress(Exception):  # the context may be gone
            self.reference.destroy()


class _File:
    """A large value: a file that executors fetch before their next task.

    Spark has no way to take such a file back: it is taken from Spark's list here, so that new
    executors do not fetch it. Executors' copies are removed by the next study's tasks, see
    `freed_on`.

    Attributes
    ----------
    reference
        The file's name; in local mode, where tasks read the driver's own file, its path.
    """

    def __init__(self, context: Any, path: Path) -> None:  # noqa: ANN401
        self._context = context
        self._path = path
        self._local: bool = context._jsc.sc().isLocal()  # noqa: SLF001
        self.reference = str(path) if self._local else path.name
        if not self._local:
            context.addFile(str(path))
            self._copy().unlink(missing_ok=True)

    def _copy(self) -> Path:
        """Return where Spark puts a copy of it on the driver, for which there is no use."""
        from pyspark import SparkFiles  # noqa: PLC0415 - where used

        return Path(SparkFiles.get(self._path.name))

    def unpersist(self) -> None:
        """Do nothing: it stays until it is destroyed."""

    def destroy(self) -> None:
        """Free all of it."""
        with contextlib.suppress(Exception):  # the context may be gone
            self._withdraw()
        with contextlib.suppress(OSError):
            self._path.unlink()
            self._path.parent.rmdir()

    def _withdraw(self) -> None:
        if self._local:
            return
        this_process().freed.setdefault(self._context, []).append(self.reference)
        listed = self._context._jsc.sc().addedFiles().get("default")  # noqa: SLF001
        for uri in self._context.listFiles:
            if uri.endswith(f"/{self.reference}") and listed.isDefined():
                listed.get().remove(uri)  # executors to come do not fetch it


def freed_on(context: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of the files that were freed since the context began.

    Executors may still have them; who runs a task there removes them.
    """
    return tuple(this_process().freed.get(context, ()))
