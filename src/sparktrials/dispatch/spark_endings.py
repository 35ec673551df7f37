"""How a Spark job ended, read off its result or its exception: the same for packs and leases."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.dispatch.spark_errors import JobFailure, Verdict
from sparktrials.dispatch.spark_hosts import Hosts
from sparktrials.dispatch.worker import Complaint, Report
from sparktrials.errors import ExecutorEnvironmentError, SparkContextStopped, SparkError

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend
    from sparktrials.dispatch.spark_jobs import JobEnd

__all__ = ["Ending", "Endings"]

logger = logging.getLogger("sparktrials.spark")

#: Jobs in a row that others may cancel, beside three for each slot.
_FOREIGN_CANCELS = 10
#: Tasks in a row that may find an executor that cannot run trials, beside three for each slot.
_UNFIT = 5
_REPEATED = (
    "the worker that ran it was lost: its Python process or its executor ended (os._exit, a crash "
    "in native code, out of memory, a preempted machine)"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: exactly one is set, but that a foreign cancellation may be a crash, too.

    Attributes
    ----------
    report
        What the task brought back, having run.
    failure
        Its worker is gone, or, if the verdict is ENVIRONMENT, could run nothing.
    cancelled
        By us or by somebody else.
    crash
        Nothing can run any more.
    """

    report: Report | None = None
    failure: JobFailure | None = None
    cancelled: bool = False
    crash: BaseException | None = None


class Endings:
    """Judges jobs of one study; remembers what is needed to tell a bad host from a bad cluster.

    Parameters
    ----------
    backend
        Which Spark.
    slots
        Returns how many tasks can run at once.
    others
        Returns how many jobs have not ended, that which is judged not among them.

    Attributes
    ----------
    hosts
        Where tasks run nothing, for those that ask for slots.
    """

    def __init__(
        self, backend: Backend, slots: Callable[[], int], others: Callable[[], int]
    ) -> None:
        self.hosts = Hosts()
        self._backend = backend
        self._slots = slots
        self._others = others
        self._succeeded = False
        self._foreign = 0  # jobs in a row that somebody else cancelled
        self._unfit = 0  # jobs in a row that found an executor that cannot run trials
        self._told: set[str | None] = set()

    def ready(self, host: str | None) -> None:
        """Take note that a host can run trials: the objective was loaded there."""
        self._succeeded = True
        self.hosts.worked(host)

    def worked(self, host: str | None) -> None:
        """Take note that a task has run trials."""
        self.ready(host)
        self._foreign = self._unfit = 0

    def of(self, end: JobEnd) -> Ending:
        """Judge one job."""
        if end.result is not None:
            return self._of_result(end.result)
        if end.error is None or end.job.cancelled:
            return Ending(cancelled=True)
        failure = self._backend.judge(end.error)
        logger.debug("a job failed: %s", failure.reason, exc_info=end.error)
        crash: SparkError | None = None
        if failure.verdict is Verdict.REFUSED:
            crash = SparkError(f"Spark refuses to run trials: {failure.reason}")
        elif failure.verdict is Verdict.STOPPED or self._backend.stopped():
            crash = SparkContextStopped(self._backend.gone(failure.reason))
        if crash is not None:
            crash.__cause__ = end.error
            return Ending(crash=crash)
        if failure.verdict is Verdict.CANCELLED:
            return self._cancelled_by_others()
        if failure.verdict is Verdict.ENVIRONMENT:
            return self._environment(failure, end.error)
        return Ending(failure=failure)

    def _of_result(self, result: bytes) -> Ending:
        report = pickle.loads(result)  # noqa: S301 - from the user's own executors
        if isinstance(report, dict):
            if report.pop("internal"):
                msg = (
                    f"sparktrials itself failed on {report['host']} with {report['type']}: "
                    f"{report['message']}\n{report['traceback']}"
                )
                return Ending(crash=SparkError(msg))
            report = Report(report["host"], complaint=Complaint(**report))
        if report.complaint is not None:
            found = report.complaint
            reason = (
                f"its Python {found.python} failed before the first trial with {found.type}: "
                f"{found.message}\n{found.traceback}"
            )
            failure = JobFailure(Verdict.ENVIRONMENT, reason, found.host)
            return self._environment(failure, None)
        if report.repeated:
            failure = JobFailure(Verdict.WORKER_LOST, _REPEATED, report.host, report.stage)
            return Ending(failure=failure)
        if report.outcomes:
            self.worked(report.host)
        return Ending(report=report)

    def _cancelled_by_others(self) -> Ending:
        # Once is somebody's wish. Again and again is a job group whose future jobs are cancelled,
        # too: cancelled trials don't count, so the study would never end.
        self._foreign += 1
        if self._foreign <= _FOREIGN_CANCELS + 3 * self._slots():
            return Ending(cancelled=True)
        msg = (
            f"the last {self._foreign} Spark jobs were all cancelled by somebody else: is the job "
            "group of the thread that called fmin cancelled?"
        )
        return Ending(cancelled=True, crash=SparkError(msg))

    def _environment(self, failure: JobFailure, error: BaseException | None) -> Ending:
        self._unfit += 1
        hopeless = not self._succeeded or self._unfit > _UNFIT + 3 * self._slots()
        where = f" on {failure.host}" if failure.host else ""
        if self._others() or not hopeless:
            # One bad host among good ones, or so it may turn out: its trials run elsewhere.
            self.hosts.failed(failure.host, time.monotonic())
            if failure.host not in self._told:
                self._told.add(failure.host)
                logger.warning(
                    "an executor%s cannot run trials, which go to others: %s",
                    where,
                    failure.reason,
                )
            return Ending(failure=failure)
        msg = (
            f"an executor{where} cannot run trials: {failure.reason}\n"
            "Executors need the driver's Python version, numpy, and the modules that the objective "
            "imports: set PYSPARK_PYTHON, install the module there, or ship it with --py-files, "
            "--archives or spark.sparkContext.addPyFile"
        )
        crash = ExecutorEnvironmentError(msg)
        crash.__cause__ = error
        return Ending(crash=crash)
