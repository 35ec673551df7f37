"""``sparktrials.broadcast(value)``: a large value that is sent to each executor once.

What an objective holds is a handle. It pickles as its key; whoever pickles an objective collects
the handles in it, publishes their values where the trials run, and tells workers where each value
is to be had. A worker loads a value when it is first asked for, and keeps it while it runs trials
of studies that refer to it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import glob
import itertools
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar

from sparktrials.dispatch import framing
from sparktrials.dispatch.process_state import this_process
from sparktrials.errors import BroadcastDestroyed, ObjectiveNotPicklable

__all__ = ["Broadcast", "Publication", "broadcast", "collecting", "provide", "remove"]

T = TypeVar("T")


class Publication(Protocol):
    """A value as one Spark has it; a task that names `reference` gets at it."""

    @property
    def reference(self) -> Any:  # noqa: ANN401 - see `provide`
        """What a task gets the value by."""

    def unpersist(self) -> None:
        """Free it on executors; it is sent again when it is needed."""

    def destroy(self) -> None:
        """Free all of it; never raises."""


_COLLECTED: ContextVar[dict[str, Broadcast[Any]] | None] = ContextVar(
    "sparktrials_broadcasts", default=None
)


def broadcast(value: T) -> Broadcast[T]:
    """Return a handle to a value: objectives read it by ``.value``, wherever they run.

    Spark ships the value once to each executor, not with each trial or study. Arrays (numpy,
    pandas, scipy) in it are shared by all worker processes of an executor. It is freed when the
    handle is, or by ``unpersist()`` and ``destroy()``. With `Trials` the value itself is read.

    Examples
    --------
    >>> from sparktrials import broadcast
    >>> data = broadcast([3.0, 4.0])
    >>> sum(data.value)
    7.0
    """
    return Broadcast(uuid.uuid4().hex, value)


class Broadcast(Generic[T]):
    """A handle to a value that objectives read; made by `broadcast`."""

    def __init__(self, key: str, value: T) -> None:
        self._key = key
        self._value = value
        self._destroyed = False
        self._lock = threading.Lock()
        self._published: weakref.WeakKeyDictionary[Any, Publication] = weakref.WeakKeyDictionary()
        weakref.finalize(self, _destroy_all, self._published).atexit = False

    @property
    def value(self) -> T:
        """The value; not to be changed: who sees a change depends on where it is made.

        Raises
        ------
        BroadcastDestroyed
            After ``destroy()``.
        """
        if self._destroyed:
            msg = "the value of this broadcast was freed by destroy(): make a new one"
            raise BroadcastDestroyed(msg)
        return self._value

    def unpersist(self, blocking: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Spark's
        """Free the value on executors; it is sent again when it is needed."""
        for publication in list(self._published.values()):
            publication.unpersist()

    def destroy(self, blocking: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Spark's
        """Free the value everywhere, here too: it cannot be used any more."""
        if not self._destroyed:
            self._destroyed = True
            del self._value
        _destroy_all(self._published)

    def published(self, place: Any, publish: Callable[[T], Publication]) -> Publication:  # noqa: ANN401
        """Return the value as a Spark has it; publish it there if that was not done yet.

        Parameters
        ----------
        place
            The SparkContext or session.
        publish
            Called with the value.
        """
        with self._lock:
            if place not in self._published:
                self._published[place] = publish(self.value)
            return self._published[place]

    def __reduce__(self) -> tuple[Callable[[str], _Received], tuple[str]]:
        collected = _COLLECTED.get()
        if collected is None:
            msg = (
                "a sparktrials.broadcast is sent to executors with an objective, and cannot be "
                "pickled by itself: pickle its .value"
            )
            raise ObjectiveNotPicklable(msg)
        collected[self._key] = self
        return _received, (self._key,)

    def __copy__(self) -> Broadcast[T]:
        return self

    def __deepcopy__(self, memo: object) -> Broadcast[T]:
        return self

    def __repr__(self) -> str:
        kind = "destroyed" if self._destroyed else type(self._value).__name__
        return f"<sparktrials.broadcast of {kind}>"


def _destroy_all(published: weakref.WeakKeyDictionary[Any, Publication]) -> None:
    for publication in list(published.values()):
        publication.destroy()
    published.clear()


@contextlib.contextmanager
def collecting() -> Iterator[dict[str, Broadcast[Any]]]:
    """Collect the handles that are pickled in the block, by key."""
    collected: dict[str, Broadcast[Any]] = {}
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)


# --------------------------------------------------------------------------- where trials run


class _Received:
    """What a handle is in a worker: loads the value when it is asked for."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._loaded: tuple[Any] | None = None

    @property
    def value(self) -> Any:  # noqa: ANN401 - the user's
        """The value."""
        loaded = self._loaded
        if loaded is None:
            with self._lock:
                loaded = self._loaded = self._loaded or (_source(self._key)(),)
        return loaded[0]

    def forget(self) -> None:
        """Free the value: it is loaded again if it is asked for."""
        self._loaded = None

    def __reduce__(self) -> tuple[Callable[[str], _Received], tuple[str]]:
        return _received, (self._key,)  # to a process that the objective starts, by fork


def _source(key: str) -> Callable[[], Any]:
    source = this_process().sources.get(key)
    if source is None:
        msg = "the value of this sparktrials.broadcast is not in this process: no trial runs here"
        raise LookupError(msg)
    return source


def _received(key: str) -> _Received:
    handles = this_process().values
    handle: _Received | None = handles.get(key)
    if handle is None:
        handle = handles[key] = _Received(key)
    return handle


def remove(freed: Iterable[Sequence[str]], root: str) -> None:
    """Remove the files of values that nobody needs any more, where they are on this machine.

    Parameters
    ----------
    freed
        For each its name in `root`, and the names of copies in the machine's local directories.
    root
        Where an application's files are.
    """
    # Spark says where one directory of its own is; copies are beside it, or in another beside it.
    local = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    directories = [os.path.dirname(path) for path in local if path]  # noqa: PTH120
    removed = this_process().removed
    for name, *copies in freed:
        if name in removed:
            continue
        removed.add(name)
        paths = [os.path.join(root, name)]  # noqa: PTH118 - where executors are
        for directory, copy in itertools.product(directories, copies):
            paths.append(os.path.join(directory, copy))  # noqa: PTH118
            paths += glob.glob(os.path.join(glob.escape(directory), "*", copy))  # noqa: PTH118, PTH207
        for path in paths:
            with contextlib.suppress(OSError):  # it never came here, or another was sooner
                os.unlink(path)  # noqa: PTH108


def provide(references: Iterable[tuple[str, Any]]) -> None:
    """Say where values are to be had in this process; those of other studies are freed.

    Parameters
    ----------
    references
        For each key the path of a file that `framing` wrote, or a ``pyspark.Broadcast`` of one.
    """
    known = this_process().sources
    known.clear()
    known.update((key, functools.partial(_load, reference)) for key, reference in references)
    gone = [handle for key, handle in list(this_process().values.items()) if key not in known]
    for handle in gone:
        handle.forget()
    if gone:  # what refers to itself is the collector's, which passes over what is frozen
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def _load(reference: Any) -> Any:  # noqa: ANN401
    # What Spark brought is in a file, unless it is encrypted there.
    path = getattr(reference, "_path", reference)
    if isinstance(path, str):
        return framing.load(path)
    return framing.load_from(bytearray(reference.value))
