"""What travels to executors: the study's payload once, a task function by value with each pack."""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import sparktrials
from sparktrials.dispatch.pickling import pickled

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from sparktrials.study.protocols import Task

__all__ = [
    "digest_of",
    "make_task",
    "package_name",
    "package_zip",
    "payload_of",
]


def payload_of(task: Task, dumps: Callable[[object], bytes]) -> bytes:
    """Return what a worker process loads of a study: modules to import, objective, space.

    Raises
    ------
    ObjectiveNotPicklable
    """
    objective = pickled(task.objective, "the objective", dumps)
    space = pickled(task.space, "the search space", dumps)
    return pickle.dumps((task.imports, objective, space))


def digest_of(payload: bytes) -> str:
    """Return the name under which executors cache a payload."""
    return hashlib.sha256(payload).hexdigest()[:32]


def package_name(digest: str) -> str:
    """Return the name of the package's zip among an application's files."""
    return f"sparktrials-{digest}.zip"


@functools.lru_cache(maxsize=1)
def package_zip() -> bytes:
    """Return this package as an importable zip: objectives may use any part of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add_folder(archive, files("sparktrials"), "sparktrials")
    return buffer.getvalue()


def _add_folder(archive: zipfile.ZipFile, folder: Traversable, name: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".py"):
            _add(archive, entry, name)
        elif entry.is_dir() and entry.name != "__pycache__":
            _add_folder(archive, entry, f"{name}/{entry.name}")


def _add(archive: zipfile.ZipFile, entry: Traversable, folder: str) -> None:
    # A fixed date: the same code gives the same zip, so executors keep one copy of it.
    info = zipfile.ZipInfo(f"{folder}/{entry.name}", date_time=(2020, 1, 1, 0, 0, 0))
    archive.writestr(info, entry.read_bytes(), zipfile.ZIP_DEFLATED)


def make_task(
    pack: bytes,
    fetch: Callable[[str], bytes],
    extras: tuple[Any, ...],
    package_digest: str,
    *,
    data: tuple[tuple[str, Any], ...] = (),
    freed: tuple[tuple[str, ...], ...] = (),
    ranks: tuple[str, Any] | None = None,
    lease_property: str | None = None,
) -> Callable[[Any], Iterator[bytes]]:
    """Return the function that Spark runs as a task's one partition.

    It is nested so that cloudpickle ships it by value: an executor needs no sparktrials to load
    it. It imports everything inside, and uses what is installed there if it is this version, else
    the zip of this one, which it puts among the application's files once per executor.

    Parameters
    ----------
    pack
        A pickled `worker.Pack`.
    fetch
        Returns the study's ``"payload"`` and the ``"package"``, on an executor; travels by value,
        too.
    extras
        The user's own broadcasts that the objective refers to: naming them here has Spark attach
        them to the job.
    package_digest
        Names the zip.
    data
        Where values of ``sparktrials.broadcast`` are to be had, see `broadcasting.provide`.
    freed
        Names of files with such values that nobody needs any more, see `broadcasting.remove`.
    ranks
        Of a barrier job: a name of its own, and the accumulator that takes failures.
    lease_property
        The local property that has the number of the lease, where the pack has none.
    """
    version = sparktrials.__version__
    zip_name = package_name(package_digest)

    def run(iterator: Any) -> Iterator[bytes]:  # noqa: ANN401 - Spark's
        attached = extras  # a closure keeps only what it names
        import pickle  # noqa: PLC0415 - by value, so all imports are inside
        import sys  # noqa: PLC0415

        def ours() -> bool:
            try:
                found = __import__("sparktrials")
            except Exception:  # noqa: BLE001 - an old one that this Python cannot even import
                return False
            # A mere folder of that name is a module, too, but has no version.
            return getattr(found, "__version__", None) == version

        def is_whole(path: str) -> bool:
            import hashlib  # noqa: PLC0415

            try:
                with open(path, "rb") as file:  # noqa: PTH123
                    return hashlib.sha256(file.read()).hexdigest()[:32] == package_digest
            except OSError:
                return False

        def use_zip() -> None:
            import os  # noqa: PLC0415
            import tempfile  # noqa: PLC0415

            from pyspark import SparkFiles  # noqa: PLC0415

            # Executors' is ".": an objective may go elsewhere.
            root = os.path.abspath(SparkFiles.getRootDirectory())  # noqa: PTH100
            path = os.path.join(root, zip_name)  # noqa: PTH118
            if not is_whole(path):
                handle, temporary = tempfile.mkstemp(dir=root)
                with os.fdopen(handle, "wb") as file:
                    file.write(fetch("package"))
                os.replace(temporary, path)  # noqa: PTH105
            for name in [n for n in sys.modules if n.partition(".")[0] == "sparktrials"]:
                del sys.modules[name]
            sys.path.insert(0, path)

        def described(error: BaseException, *, internal: bool) -> bytes:
            import platform  # noqa: PLC0415
            import socket  # noqa: PLC0415
            import traceback  # noqa: PLC0415

            return pickle.dumps(
                {
                    "internal": internal,
                    "host": socket.gethostname(),
                    "python": platform.python_version(),
                    "type": type(error).__name__,
                    "message": str(error),
                    "traceback": traceback.format_exc(),
                }
            )

        def answer(report: bytes, *, ends: bool = True) -> Iterator[bytes]:
            if ranks is None:
                return iter((report,))
            if ends:
                ranks[1].add([(ranks[0], report)])
            return iter((pickle.dumps((ends, report)),))

        def run_it(todo: Any, resources: Any) -> Iterator[bytes]:  # noqa: ANN401
            if ranks is None:
                return answer(run_pack(todo, payload, attempt, stage, resources))
            from pathlib import Path  # noqa: PLC0415

            from pyspark import SparkFiles  # noqa: PLC0415

            from sparktrials.dispatch.barrier import run_rank  # noqa: PLC0415

            marker = Path(SparkFiles.getRootDirectory(), ranks[0]).absolute()
            ends, report = run_rank(todo, payload, context, resources, marker)
            return answer(report, ends=ends)

        def located(reference: Any) -> Any:  # noqa: ANN401
            from pathlib import Path  # noqa: PLC0415

            from pyspark import SparkFiles  # noqa: PLC0415

            is_name = isinstance(reference, str)  # of one of the application's files
            return str(Path(SparkFiles.get(reference)).absolute()) if is_name else reference

        def payload() -> bytes:
            return fetch("payload")

        def consume() -> None:
            for _ in iterator:  # else Spark throws this Python away after the task
                pass

        try:
            from pyspark import TaskContext  # noqa: PLC0415

            if not ours():
                use_zip()
            from sparktrials.dispatch.broadcasting import provide, remove  # noqa: PLC0415
            from sparktrials.dispatch.task_environment import (  # noqa: PLC0415
                is_bound_elsewhere,
                resources_of,
            )
            from sparktrials.dispatch.worker import run_nothing, run_pack  # noqa: PLC0415
        except Exception as error:  # noqa: BLE001 - e.g. no numpy: nothing of ours can say so
            consume()
            return answer(described(error, internal=False))
        context: Any = TaskContext.get()
        attempt = context.attemptNumber() if context is not None else 0
        stage = context.stageId() if context is not None else None
        try:
            resources = resources_of(context)
            if is_bound_elsewhere(resources):
                return answer(run_nothing())  # and this Python is of no use for GPUs
            consume()
            provide([(key, located(reference)) for key, reference in data])
            if freed:
                remove(freed, located("."))
            todo = pickle.loads(pack)  # noqa: S301 - made by this function's maker
            if lease_property is not None:
                from dataclasses import replace  # noqa: PLC0415

                todo = replace(todo, lease=int(context.getLocalProperty(lease_property)))
            return run_it(todo, resources)
        except Exception as error:  # noqa: BLE001 - to end the study with it
            return answer(described(error, internal=True))
        finally:
            del attached

    return run
