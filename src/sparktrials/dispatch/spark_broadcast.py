"""Broadcast values on Spark classic, in a file on each executor that its workers share.

A small value goes as one of Spark's own broadcasts. Of these, executors keep all pieces in their
heap, beside the file that Python reads: a large value goes as one of the application's files,
which is streamed from the driver to the executor's disk (docs/decisions/0044-broadcast-files.md).
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pyspark import Broadcast, SparkFiles, cloudpickle

from sparktrials.dispatch import framing
from sparktrials.dispatch.process_state import this_process

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Publication

__all__ = ["freed_on", "publish_on"]

#: Bytes from which a value is a file of the application.
LARGE = 1 << 26


def publish_on(context: Any, value: object, large: int = LARGE) -> Publication:  # noqa: ANN401
    """Send a value to where tasks of a SparkContext run.

    Parameters
    ----------
    context
        A running SparkContext.
    value
        What to send.
    large
        Bytes from which it is a file of the application.
    """
    if context._encryption_enabled:  # noqa: SLF001 - then Spark hands out no file of it
        content = io.BytesIO()
        framing.dump(value, content, cloudpickle.dump)
        return _SparksBroadcast(context.broadcast(content.getvalue()))
    folder = Path(tempfile.mkdtemp(prefix="sparktrials-", dir=context._temp_dir))  # noqa: SLF001
    try:
        path = folder / f"sparktrials-data-{uuid.uuid4().hex}"
        with path.open("wb") as file:
            framing.dump(value, file, cloudpickle.dump)
        if path.stat().st_size >= large:
            return _File(context, path)
        framed = _Framed(context, path, context._pickled_broadcast_vars)  # noqa: SLF001
        folder.rmdir()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _SparksBroadcast(framed)


class _Framed(Broadcast[Any]):
    """One whose file, on the driver and on executors, is what `framing` reads."""

    def dump(self, value: Path, f: BinaryIO) -> None:
        """Put a file that `framing` wrote in the place of the driver's file."""
        f.close()
        value.replace(self._path)


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
    """A large value: a file that executors fetch before their next task, whatever it belongs to.

    Spark has no way to take such a file back. It is taken from Spark's list here, so that new
    executors do not fetch it; but tasks of stages that were made while it was listed ask for it,
    and fail without it: an empty one stays in its place. Executors' copies are removed by the next
    study's tasks, see `freed_on`.

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
        self._uri = ""
        self._cached: tuple[str, ...] = ()
        if not self._local:
            context.addFile(str(path))
            end = f"/{path.name}"
            self._uri = next((uri for uri in context.listFiles if uri.endswith(end)), "")
            self._cached = self._names_of_copies()
            Path(SparkFiles.get(path.name)).unlink(missing_ok=True)  # no use for it on the driver

    def _names_of_copies(self) -> tuple[str, ...]:
        """Return how `Utils.fetchFile` calls the copy that executors of a machine share."""
        added = self._listed().get(self._uri)
        if not added.isDefined():
            return ()
        code = self._context._jvm.java.util.Objects.hashCode(self._uri)  # noqa: SLF001
        return tuple(f"{code}{added.get()}_{kind}" for kind in ("cache", "lock"))

    def _listed(self) -> Any:  # noqa: ANN401 - a Scala map
        return self._context._jsc.sc().addedFiles().get("default").get()  # noqa: SLF001

    def unpersist(self) -> None:
        """Do nothing: it stays until it is destroyed."""

    def destroy(self) -> None:
        """Free all of it."""
        if self._local:
            shutil.rmtree(self._path.parent, ignore_errors=True)
            return
        with contextlib.suppress(OSError):
            empty = self._path.with_suffix(".empty")
            empty.touch()
            empty.replace(self._path)
        freed = this_process().freed.setdefault(self._context, [])
        freed.append((self.reference, *self._cached))
        with contextlib.suppress(Exception):  # the context may be gone
            self._listed().remove(self._uri)


def freed_on(context: Any) -> tuple[tuple[str, ...], ...]:  # noqa: ANN401
    """Return the files that were freed since the context began, each by its names on executors.

    The first is that among an application's files, the others those of copies in the local
    directories. Executors may still have them; who runs a task there removes them.
    """
    return tuple(this_process().freed.get(context, ()))
