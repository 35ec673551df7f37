"""Spark classic: the context of a session and what it knows, or a clear error."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.spark_backend import Attempt
from sparktrials.errors import InvalidArgumentType, SparkContextStopped

if TYPE_CHECKING:
    from pyspark import SparkContext

__all__ = [
    "first_attempt",
    "STOPPED",
    "context_of",
    "is_running",
    "is_stopped",
    "slots_of",
    "use_this_python",
]

#: What `SparkContextStopped` says.
STOPPED = (
    "the SparkContext of this session was stopped; make a new session with "
    "SparkSession.builder.getOrCreate(), and a new SparkTrials, or trials.spark_session = it"
)


def context_of(session: Any) -> SparkContext:  # noqa: ANN401 - several session classes
    """Return the session's running context.

    Raises
    ------
    SparkContextStopped
        If it was stopped.
    InvalidArgumentType
        If `session` is not a SparkSession.
    """
    if not hasattr(session, "sparkContext"):
        msg = f"spark_session must be a SparkSession, got {session!r}"
        raise InvalidArgumentType(msg)
    context: SparkContext = session.sparkContext
    if is_stopped(context):
        raise SparkContextStopped(STOPPED)
    return context


def is_running() -> bool:
    """Whether this process has a SparkContext that can be used."""
    from pyspark import SparkContext  # noqa: PLC0415 - an extra

    active = SparkContext._active_spark_context  # noqa: SLF001 - there is no public way
    return active is not None and not is_stopped(active)


def is_stopped(context: Any) -> bool:  # noqa: ANN401 - private parts of a SparkContext
    """Whether the context was stopped, from Python or from the JVM."""
    if context._jsc is None:  # noqa: SLF001 - there is no public way
        return True
    try:
        return bool(context._jsc.sc().isStopped())  # noqa: SLF001
    except Exception:  # noqa: BLE001 - the JVM is gone
        return True


def slots_of(context: Any, profile: Any | None = None) -> int:  # noqa: ANN401
    """Return how many trials the cluster can run at once now, at least 1.

    Executors that are still to register don't count yet, so ask again later.

    Raises
    ------
    SparkContextStopped
        If the context was stopped.
    """
    if is_stopped(context):
        raise SparkContextStopped(STOPPED)
    with contextlib.suppress(Exception):  # private to Spark: absent or changed in some version
        scala = context._jsc.sc()  # noqa: SLF001
        jvm_profile = getattr(profile, "_java_resource_profile", None)
        if jvm_profile is None:
            jvm_profile = scala.resourceProfileManager().defaultResourceProfile()
        found = int(scala.maxNumConcurrentTasks(jvm_profile))
        if found > 0:
            return found
    cpus = int(setting_of(context, "spark.task.cpus", "1"))
    return max(1, int(context.defaultParallelism) // cpus)


def setting_of(context: Any, name: str, default: str) -> str:  # noqa: ANN401 - a SparkContext
    """Return a setting of Spark's; `SparkContext.getConf` would copy all of them, one by one."""
    return str(context._jsc.sc().conf().get(name, default))  # noqa: SLF001


def first_attempt(context: Any, stage: int | None) -> Attempt | None:  # noqa: ANN401
    """Return what became of the first attempt at a stage's one task, if Spark still knows."""
    if stage is None:
        return None
    with contextlib.suppress(Exception):  # private to Spark: absent or changed in some version
        scala = context._jsc.sc()  # noqa: SLF001
        scala.listenerBus().waitUntilEmpty(1000)  # what it knows lags behind a little
        tasks = scala.statusStore().taskList(stage, 0, 10).iterator()
        while tasks.hasNext():
            task = tasks.next()
            if task.attempt() == 0 and task.duration().isDefined():
                said = task.errorMessage()
                lost = said.isDefined() and "ExecutorLostFailure" in said.get()
                return Attempt(float(task.duration().get()) / 1000, lost)
    return None


def use_this_python(context: Any) -> None:  # noqa: ANN401 - a SparkContext
    """Have workers on this machine run this Python, not what ``python3`` happens to be.

    A user's own session, too, where nobody has told it another by setting, variable or attribute.
    """
    told = "PYSPARK_PYTHON" in os.environ or setting_of(context, "spark.pyspark.python", "")
    if told or not context.master.startswith("local"):
        return
    if context.pythonExec == "python3" and sys.executable:  # what pyspark takes unless told
        context.pythonExec = sys.executable
