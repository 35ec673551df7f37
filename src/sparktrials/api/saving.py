"""The file that ``fmin(trials_save_file=...)`` keeps trials in: a pickle, replaced as a whole."""

from __future__ import annotations

import io
import os
import pickle
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.errors import InvalidArgument, InvalidArgumentType, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from sparktrials.api.trials import Trials

__all__ = ["SaveFile", "load_trials", "replacing"]

#: Of the time that a run takes, the part that saving may take: 1 / (1 + this).
_PAUSE = 20


class _Unpickler(pickle.Unpickler):
    """Reads pickles that name Hyperopt's classes, whether it is installed or not."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - any global
        """Return a global; Hyperopt's ``Trials`` are ours, and numpy 1 reads what numpy 2 wrote."""
        if module.startswith("numpy._core") and np.lib.NumpyVersion(np.__version__) < "2.0.0":
            module = module.replace("numpy._core", "numpy.core", 1)
        if module.partition(".")[0] == "hyperopt":
            if name == "Trials":
                from sparktrials.api.trials import Trials  # noqa: PLC0415 - it saves itself

                return Trials
            import sparktrials.compat  # noqa: PLC0415 - Hyperopt's names

            place = module.replace("hyperopt", sparktrials.compat.__name__, 1)
            return super().find_class(place, name)
        return super().find_class(module, name)


def load_trials(path: str | os.PathLike[str]) -> Trials:
    """Return the trials of a pickle: one that ``fmin`` saved, or of Hyperopt's ``Trials``.

    Loading a pickle runs whatever its maker put into it: only name a file that you trust.

    Raises
    ------
    StoreUnavailable
        If the file cannot be read.
    StoreError
        If it is not the pickle of trials.
    """
    from sparktrials.api.trials import Trials  # noqa: PLC0415 - it saves itself

    try:
        content = Path(path).read_bytes()
    except OSError as error:
        msg = f"{os.fspath(path)} cannot be read: {error}"
        raise StoreUnavailable(msg) from error
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        msg = f"{os.fspath(path)} does not load as trials: it is not a pickle ({error})"
        raise StoreError(msg) from error
    except Exception as error:
        msg = (
            f"{os.fspath(path)} does not load as trials ({type(error).__name__}: {error}); "
            "is it a file that fmin saved, and is what its results are made of importable?"
        )
        raise StoreError(msg) from error
    if not isinstance(found, Trials):
        msg = f"{os.fspath(path)} holds {type(found).__name__}, not Trials"
        raise StoreError(msg)
    return found


@contextmanager
def replacing(path: Path, what: str) -> Iterator[Path]:
    """Name a file that becomes `path` when the block has ended well: never half of one.

    Raises
    ------
    StoreUnavailable
        If `what`, as it is called in messages, cannot be written.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StoreUnavailable):
            raise
        msg = f"{what} cannot be written: {error}"
        raise StoreUnavailable(msg) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


class SaveFile:
    """A file that holds the trials of a run.

    Parameters
    ----------
    path
        Its name.

    Raises
    ------
    InvalidArgumentType
        If it is no path.
    """

    def __init__(self, path: Any) -> None:  # noqa: ANN401 - checked
        if not isinstance(path, (str, os.PathLike)):
            msg = f"trials_save_file must be the name of a file, got {path!r}"
            raise InvalidArgumentType(msg)
        self.name = os.fspath(path)
        self.path = Path(os.path.realpath(path))  # a link stays one
        self._next = 0.0

    def _mode(self) -> int:
        """Return the mode of the file, or what new files get: nobody else may write a pickle."""
        with suppress(OSError):
            return stat.S_IMODE(self.path.stat().st_mode)
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o644 & ~mask

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists()

    def load(self) -> Trials:
        """Return the trials of the file, see `load_trials`."""
        return load_trials(self.path)

    def take_up(self, trials: Trials) -> None:
        """Put the file's trials into `trials` if those are empty; see that none would be lost.

        Raises
        ------
        InvalidArgument
            If the file holds trials that `trials` has not: they would be overwritten.
        StoreUnavailable
            If the file cannot be written.
        """
        if not self.exists():
            self.write(trials)  # a name that cannot be written is an error now, not after hours
            return
        saved = self.load()
        if not trials.history:
            if saved.history:
                trials.adopt(saved)
            return
        here = {t.id: t.point for t in trials.history}
        lost = [t.id for t in saved.history if dict(here.get(t.id, {})) != dict(t.point)]
        if lost:
            msg = (
                f"trials_save_file {self.name!r} holds {len(lost)} trials that the "
                "given trials have not, and would be overwritten: pass no trials to go on from "
                "the file, or name another one"
            )
            raise InvalidArgument(msg)

    def write_now_and_then(self, trials: Trials) -> None:
        """Write the trials, unless writing takes more than a small part of the time.

        Pickling n trials is O(n): after each trial it would be quadratic.
        """
        start = time.monotonic()
        if start >= self._next:
            self.write(trials)
            end = time.monotonic()
            self._next = end + _PAUSE * (end - start)

    def write(self, trials: Trials) -> None:
        """Replace the file by one with the trials as they are; at no time is there half of one.

        Raises
        ------
        StoreUnavailable
            If it cannot be written.
        StoreError
            If a result cannot be pickled.
        """
        import cloudpickle  # noqa: PLC0415 - not at import

        try:
            content = cloudpickle.dumps(trials)
        except Exception as error:
            msg = (
                f"trials_save_file: the trials cannot be pickled ({type(error).__name__}: "
                f"{error}); return plain values from the objective"
            )
            raise StoreError(msg) from error
        with replacing(self.path, f"trials_save_file {self.name!r}") as temporary:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(self._mode())  # which may be one that nobody writes to
