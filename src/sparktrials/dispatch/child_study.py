"""What a child process needs of a study, in a file that all of them read."""

from __future__ import annotations

import mmap
import pickle
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sparktrials.dispatch import framing
from sparktrials.dispatch.broadcasting import collecting
from sparktrials.dispatch.shipping import payload_of

if TYPE_CHECKING:
    from sparktrials.study.protocols import Task

__all__ = ["ChildStudy", "Pickler", "read_study"]


class Pickler(Protocol):
    """The module pickle, or cloudpickle."""

    def dumps(self, obj: object, /) -> bytes:
        """Return a pickle."""

    def dump(self, obj: object, file: Any, /, **settings: Any) -> None:  # noqa: ANN401 - theirs
        """Write a pickle."""


class ChildStudy:
    """A study as `Child` processes load it; to be closed when no more of them are started.

    Parameters
    ----------
    task
        The study's. Values of `sparktrials.broadcast` that its objective refers to are written to
        files, which the children map into memory: arrays in them are shared.
    pickler
        The module ``cloudpickle``; ``pickle`` does for what can be imported.

    Raises
    ------
    ObjectiveNotPicklable
    """

    def __init__(self, task: Task, pickler: Pickler) -> None:
        self.trial_timeout_s = task.trial_timeout
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        with collecting() as handles:
            payload = payload_of(task, pickler.dumps)
        data = []
        if handles:
            self._folder = tempfile.TemporaryDirectory(prefix="sparktrials-")
            for key, handle in handles.items():
                path = Path(self._folder.name, key)
                with path.open("xb") as file:
                    framing.dump(handle.value, file, pickler.dump)
                data.append((key, str(path)))
        # In the file are the paths that this process imports from, and what it was called with.
        content = {
            "path": list(sys.path),
            "argv": list(sys.argv),
            "data": data,
            "timeout_s": task.trial_timeout,
            "payload": payload,
        }
        self._file = tempfile.TemporaryFile(prefix="sparktrials-")  # noqa: SIM115 - see close
        pickle.dump(content, self._file)
        self._file.flush()

    def fileno(self) -> int:
        """Return the file's descriptor, for a child to inherit."""
        return self._file.fileno()

    def close(self) -> None:
        """Remove the files; may be called again."""
        self._file.close()
        if self._folder is not None:
            self._folder.cleanup()


def read_study(descriptor: int) -> Mapping[str, Any]:
    """Return what a `ChildStudy` wrote, in a process that has inherited its file."""
    # Its position is shared with all other children: so it is not read, but mapped.
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        found: Mapping[str, Any] = pickle.loads(content)  # noqa: S301 - of the parent's own making
        return found
