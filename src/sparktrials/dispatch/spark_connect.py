"""Spark Connect: queries of one task each, through a `SparkSession` that may be a thin client's.

Nothing here needs a SparkContext, an RDD, a broadcast variable or py4j. A pack is a ``mapInArrow``
over one row. What executors need of a study goes to the server once as files of the session, which
Spark brings to each executor; where it does not, it travels with each query.
"""

from __future__ import annotations

import functools
import logging
import pickle
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.broadcasting import collecting
from sparktrials.dispatch.shipping import (
    digest_of,
    make_task,
    package_name,
    package_zip,
    payload_of,
)
from sparktrials.dispatch.spark_backend import Shipment
from sparktrials.dispatch.spark_connect_interrupts import Interrupts
from sparktrials.dispatch.spark_connect_pickling import dumps
from sparktrials.dispatch.spark_connect_slots import ConnectSlots
from sparktrials.dispatch.spark_errors import JobFailure, Verdict, judge_connect
from sparktrials.dispatch.spark_resources import DECLINED, grown_slots, is_local, need_profile
from sparktrials.errors import InvalidArgument, SparkContextStopped

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Broadcast
    from sparktrials.dispatch.worker import Pack
    from sparktrials.study.protocols import Task

__all__ = ["ConnectBackend"]

logger = logging.getLogger("sparktrials.spark")

#: Tasks in a row without the session's files after which none is expected to get them.
_MISSES = 3
#: Seconds that cancelling waits for the server: one that is gone is asked again for ten minutes.
_CANCEL_WAIT_S = 1.0
_REMEDY = (
    "what had finished is kept: stop() the session, make a new one with "
    "SparkSession.builder.remote(...).getOrCreate(), and call fmin again with the same store, or "
    "with the same trials after trials.spark_session = the new one"
)


@dataclass(slots=True, eq=False)
class _Parcel:
    """What executors need of a study, by the names that it has among the session's files.

    Attributes
    ----------
    contents
        ``"payload"`` and ``"package"``.
    names
        Their files.
    with_queries
        Whether they travel with each query, because the files do not arrive.
    missed
        Tasks in a row that lacked a file: an executor that has just come may.
    data
        For each broadcast value its file, and how it travels with queries.
    """

    contents: dict[str, bytes]
    names: dict[str, str]
    package: str
    with_queries: bool
    data: dict[str, tuple[str, Any]]
    missed: int = 0

    def task(self, pack: bytes, *, with_query: bool) -> Callable[[Any], Any]:
        """Return the function for ``mapInArrow``."""
        if with_query:
            values = tuple((key, value) for key, (_, value) in self.data.items())
            task = make_task(pack, _given(self.contents), (), self.package, data=values)
            return _arrow_task(task, ())
        files = tuple((key, name) for key, (name, _) in self.data.items())
        task = make_task(pack, _from_files(self.names), (), self.package, data=files)
        return _arrow_task(task, (*self.names.values(), *(name for _, name in files)))


class ConnectBackend:
    """A `Backend` on a Spark Connect session.

    Parameters
    ----------
    session
        A session of `pyspark.sql.connect`.
    profile
        A ``pyspark.resource.ResourceProfile`` for the tasks, or None.

    Raises
    ------
    InvalidArgumentType
        If the profile is none.
    """

    def __init__(self, session: Any, profile: Any | None = None) -> None:  # noqa: ANN401
        if profile is not None:
            need_profile(profile)
        self._session = session
        self._profile = profile
        self._slots = ConnectSlots(session, profile)
        self._row: Any = None
        self._schema: Any = None
        self._uploaded: set[str] = set()
        self._ended = False
        self._interrupts = Interrupts(session.interruptTag)

    def check(self) -> None:
        """Raise if the session cannot be used any more.

        Raises
        ------
        SparkContextStopped
        """
        if self.stopped():
            msg = f"the Spark Connect session was stopped; {_REMEDY}"
            raise SparkContextStopped(msg)

    def stopped(self) -> bool:
        """Whether the session was stopped, or the server has said that it knows it no more."""
        return self._ended or bool(self._session.is_stopped)

    def ended(self) -> str | None:
        """Return what the server says of the session: a query of one that ended may hang."""
        self._slots.refresh()
        error = self._slots.error
        failure = None if error is None else self.judge(error)
        return failure.reason if failure and failure.verdict is Verdict.STOPPED else None

    def gone(self, reason: str) -> str:
        """Say that the session ended."""
        return f"the Spark Connect session ended while trials were running ({reason}); {_REMEDY}"

    def slots(self) -> int:
        """Return how many tasks the cluster can run at once."""
        self.check()
        found: int = self._asked(self._slots)
        return found

    def grows_to(self) -> float:
        """Return what dynamic allocation allows."""
        self.check()
        found: float = self._asked(lambda: grown_slots(self._session.conf.get, self._profile))
        return found

    def waiting(self) -> int:
        """Spark Connect does not say; leases, which ask, need a channel anyway."""
        return 0

    def check_together(self, nodes: int) -> None:
        """Refuse: a rank that fails could not say so while others wait for it."""
        msg = f"nodes_per_trial={nodes} needs a classic Spark session; this one is of Spark Connect"
        raise InvalidArgument(msg)

    def listens_on(self) -> None:
        """Executors cannot be expected to reach the client of a server."""

    def ship(self, task: Task) -> Shipment:
        """Send a study to the server as files of the session."""
        from pyspark.sql.types import BinaryType, StructField, StructType  # noqa: PLC0415 - extra

        self.check()
        with collecting() as handles:
            payload = payload_of(task, dumps)
        package = package_zip()
        digest, package_digest = digest_of(payload), digest_of(package)
        contents = {"payload": payload, "package": package}
        names = {
            "payload": f"sparktrials-study-{digest}.pickle",
            "package": package_name(package_digest),
        }
        self._asked(self._prepare)
        self._schema = StructType([StructField("report", BinaryType())])
        sent = self._asked(lambda: self._upload(contents, names))
        data = self._asked(lambda: {k: self._data(k, h, sent=sent) for k, h in handles.items()})
        parcel = _Parcel(contents, names, package_digest, with_queries=not sent, data=data)
        return Shipment(digest, parcel)

    def _data(self, key: str, handle: Broadcast[Any], *, sent: bool) -> tuple[str, Any]:
        """Publish a broadcast value, where the session takes files."""
        from sparktrials.dispatch.spark_connect_broadcast import (  # noqa: PLC0415 - where used
            ConnectPublication,
            InQuery,
        )

        if not sent:
            return "", InQuery(handle)
        publish = functools.partial(ConnectPublication, self._session, key)
        return handle.published(self._session, publish).reference, InQuery(handle)

    def unship(self, shipment: Shipment) -> None:
        """Forget the study; the files that the server has of it go with the session."""
        shipment.handle.contents.clear()
        shipment.handle.data.clear()

    def capture(self) -> tuple[str, ...]:
        """Return the thread's tags."""
        return tuple(self._session.getTags())

    def enter(self, captured: tuple[str, ...], tags: Sequence[str]) -> None:
        """Give the thread these tags."""
        for tag in (*captured, *tags):
            self._session.addTag(tag)

    def run(self, shipment: Shipment, pack: Pack, description: str, tag: str) -> bytes:
        """Run a pack as a query of one task."""
        self._session.addTag(tag)
        try:
            return self._run(shipment.handle, pack, description)
        finally:
            self._session.removeTag(tag)

    def _run(self, parcel: _Parcel, pack: Pack, description: str) -> bytes:
        content = pickle.dumps(pack)
        if not parcel.with_queries:
            report = self._query(parcel.task(content, with_query=False), description)
            if report:
                parcel.missed = 0
                return report
            parcel.missed += 1
            if parcel.missed == _MISSES:
                logger.info("the session's files do not reach executors: each query carries them")
                parcel.with_queries = True
        return self._query(parcel.task(content, with_query=True), description)

    def cancel(self, tags: Collection[str]) -> None:
        """Interrupt queries by tag."""
        self._interrupts.ask(tags, _CANCEL_WAIT_S)

    def judge(self, error: BaseException) -> JobFailure:
        """Return what the exception means."""
        failure = judge_connect(error)
        if failure.verdict is Verdict.STOPPED:
            self._ended = True
        return failure

    def first_attempt(self, stage: int | None) -> None:
        """Spark Connect does not say."""

    # ------------------------------------------------------------------

    def _asked(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Return what the server answers."""
        try:
            return ask()
        except Exception as error:
            failure = self.judge(error)
            if failure.verdict is not Verdict.STOPPED:
                raise
            msg = f"the Spark Connect session ended ({failure.reason}); {_REMEDY}"
            raise SparkContextStopped(msg) from error

    def _prepare(self) -> None:
        if self._profile is not None:
            master = str(self._session.conf.get("spark.master", ""))
            if is_local(master):
                logger.warning(DECLINED, master)
                self._profile = None
        if self._row is None:
            row = self._session.range(0, 1, 1, 1)
            _ = row.schema  # asked for once, not for each query
            self._row = row

    def _query(self, task: Callable[[Any], Any], description: str) -> bytes:
        task.__name__ = description  # what plans and the server's pages call it
        more = {} if self._profile is None else {"profile": self._profile}
        answer = self._row.mapInArrow(task, self._schema, **more).toArrow()
        report: bytes = answer.column(0)[0].as_py()
        return report

    def _upload(self, contents: dict[str, bytes], names: dict[str, str]) -> bool:
        """Add files to the session; return False where it takes none."""
        missing = {what: name for what, name in names.items() if name not in self._uploaded}
        if not missing:
            return True
        with tempfile.TemporaryDirectory(prefix="sparktrials-") as directory:
            paths = []
            for what, name in missing.items():
                path = Path(directory, name)
                path.write_bytes(contents[what])
                paths.append(str(path))
            try:
                self._session.addArtifacts(*paths, file=True)
            except Exception as error:
                if judge_connect(error).verdict is Verdict.STOPPED:
                    raise
                logger.info("the session takes no files: each query carries them: %s", error)
                return False
        self._uploaded.update(missing.values())
        return True


def _given(contents: dict[str, bytes]) -> Callable[[str], bytes]:
    def fetch(name: str) -> bytes:  # nested: it travels by value
        return contents[name]

    return fetch


def _from_files(names: dict[str, str]) -> Callable[[str], bytes]:
    def fetch(name: str) -> bytes:
        from pyspark import SparkFiles  # noqa: PLC0415 - on an executor

        with open(SparkFiles.get(names[name]), "rb") as file:  # noqa: PTH123 - by value
            return file.read()

    return fetch


def _arrow_task(
    task: Callable[[Any], Iterator[bytes]], files: tuple[str, ...]
) -> Callable[[Any], Iterator[Any]]:
    """Return a task for ``mapInArrow``: its report is the one cell of its one batch.

    Parameters
    ----------
    task
        What `make_task` made.
    files
        The application's files that it needs: where one is missing the report is empty.
    """

    def run(batches: Any) -> Iterator[Any]:  # noqa: ANN401 - of pyarrow.RecordBatch
        import os  # noqa: PLC0415 - by value, so all imports are inside

        import pyarrow as pa  # noqa: PLC0415
        from pyspark import SparkFiles  # noqa: PLC0415

        there = all(os.path.exists(SparkFiles.get(name)) for name in files)  # noqa: PTH110
        for report in task(batches) if there else (b"" for _ in batches):
            yield pa.RecordBatch.from_arrays([pa.array([report], pa.binary())], ["report"])

    return run
