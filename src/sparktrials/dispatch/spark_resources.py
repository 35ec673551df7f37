"""Resource profiles: what each trial's task needs, checked against what the cluster can do."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

from sparktrials.errors import InvalidArgument, InvalidArgumentType

__all__ = [
    "DECLINED",
    "check_fits",
    "comes_true",
    "grown_slots",
    "is_local",
    "need_profile",
    "profile_on",
]

#: Seconds after the start of an application in which executors are still expected to register.
_STARTING_S = 30.0
#: Seconds between two looks at them.
_LOOK_AGAIN_S = 0.25
DECLINED = (
    "resource_profile has no effect on spark.master=%s: there are no executors whose resources "
    "Spark manages"
)


def is_local(master: str) -> bool:
    """Whether Spark runs in the driver alone: there are no executors whose resources to manage."""
    return master.startswith("local") and not master.startswith("local-cluster")


def need_profile(profile: object) -> None:
    """Raise if a profile is none.

    Raises
    ------
    InvalidArgumentType
    """
    from pyspark.resource import ResourceProfile  # noqa: PLC0415 - an extra

    if not isinstance(profile, ResourceProfile):
        msg = (
            "resource_profile must be a pyspark.resource.ResourceProfile, as ResourceProfileBuilder"
            f"().require(...).build returns it, got {profile!r}"
        )
        raise InvalidArgumentType(msg)


def profile_on(context: Any, profile: object | None) -> Any | None:  # noqa: ANN401 - pyspark's
    """Return a profile as the context's own; None where there is none, or where none can hold.

    Parameters
    ----------
    context
        A running SparkContext.
    profile
        A ``pyspark.resource.ResourceProfile``, or None.

    Raises
    ------
    InvalidArgumentType
        If it is something else.
    InvalidArgument
        If this cluster cannot do it.
    """
    if profile is None:
        return None
    need_profile(profile)
    if is_local(context.master):
        return None
    manager, made = context._jsc.sc().resourceProfileManager(), _in_jvm(context, profile)  # noqa: SLF001
    try:
        manager.isSupported(made)
        known = manager.getEquivalentProfile(made)
        if known.isDefined():
            made = known.get()
        else:
            manager.addResourceProfile(made)  # else Spark cannot say how many tasks fit
    except Exception as error:
        reason = getattr(error, "java_exception", None)
        said = reason.getMessage() if reason is not None else str(error)
        msg = (
            f"this cluster cannot run tasks with the resource_profile {_shown(profile)}: {said}. "
            "A profile of task requests alone works on standalone clusters, YARN and Kubernetes; "
            "executor requests need spark.dynamicAllocation.enabled=true, too. Else set "
            "spark.task.cpus and spark.task.resource.* for the whole application"
        )
        raise InvalidArgument(msg) from error
    from pyspark.resource import ResourceProfile  # noqa: PLC0415 - an extra

    return ResourceProfile(_java_resource_profile=made)


def check_fits(context: Any, profile: Any) -> None:  # noqa: ANN401
    """Refuse a task that no executor can run: Spark says so in its log, and waits for good.

    Executors that are still to register may be larger, and dynamic allocation may bring others.

    Parameters
    ----------
    context
        A running SparkContext.
    profile
        What `profile_on` returned.

    Raises
    ------
    InvalidArgument
    """
    conf = context._jsc.sc().conf()  # noqa: SLF001 - there is no public way
    if str(conf.get("spark.dynamicAllocation.enabled", "false")).lower() == "true":
        return
    if not comes_true(context, lambda: _fits(context, profile)):
        msg = (
            f"no executor of this cluster has what the resource_profile {_shown(profile)} wants "
            "for a task: ask for less, or for larger executors (spark.executor.cores, "
            "spark.executor.resource.*)"
        )
        raise InvalidArgument(msg)


def comes_true(context: Any, condition: Callable[[], bool]) -> bool:  # noqa: ANN401
    """Whether something holds, at the latest when an application's executors have registered."""
    deadline = context.startTime / 1000 + _STARTING_S
    while not condition():
        if time.time() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


def _fits(context: Any, profile: Any) -> bool:  # noqa: ANN401
    """Whether a task fits, as far as is known: there may be no executor yet."""
    with contextlib.suppress(Exception):  # private to Spark: absent or changed in some version
        scala = context._jsc.sc()  # noqa: SLF001
        default = scala.resourceProfileManager().defaultResourceProfile()
        needed = profile._java_resource_profile  # noqa: SLF001
        there, fitting = map(scala.maxNumConcurrentTasks, (default, needed))
        return not there or fitting > 0
    return True


def _in_jvm(context: Any, profile: Any) -> Any:  # noqa: ANN401
    """Return the JVM's counterpart: made once, since each that is made is another to Spark."""
    if profile._java_resource_profile is not None:  # noqa: SLF001
        return profile._java_resource_profile  # noqa: SLF001
    from pyspark.resource import ExecutorResourceRequests, TaskResourceRequests  # noqa: PLC0415

    builder = context._jvm.org.apache.spark.resource.ResourceProfileBuilder()  # noqa: SLF001
    executor = ExecutorResourceRequests(
        context._jvm,  # noqa: SLF001
        profile._executor_resource_requests,  # noqa: SLF001
    )
    task = TaskResourceRequests(context._jvm, profile._task_resource_requests)  # noqa: SLF001
    if profile._executor_resource_requests:  # noqa: SLF001
        builder.require(executor._java_executor_resource_requests)  # noqa: SLF001
    builder.require(task._java_task_resource_requests)  # noqa: SLF001
    return builder.build()


def _shown(profile: Any) -> str:  # noqa: ANN401
    task = {name: request.amount for name, request in profile.taskResources.items()}
    executor = {name: request.amount for name, request in profile.executorResources.items()}
    return f"(task: {task}, executor: {executor})"


def grown_slots(get: Callable[[str, str], Any], profile: Any | None) -> float:  # noqa: ANN401
    """Return how many tasks can run at once when dynamic allocation has grown a cluster.

    0 where it is off; infinite where the settings do not say, or where a profile may ask for other
    executors.

    Parameters
    ----------
    get
        Returns a setting of Spark's, given its default.
    profile
        A ``ResourceProfile``, or None.
    """
    enabled = str(get("spark.dynamicAllocation.enabled", "false")).lower() == "true"
    if not enabled or is_local(str(get("spark.master", ""))):
        return 0
    most, cores = (
        str(get(name, ""))
        for name in ("spark.dynamicAllocation.maxExecutors", "spark.executor.cores")
    )
    if profile is not None or not (most.isdecimal() and cores.isdecimal()):
        return math.inf
    return int(most) * max(1, int(cores) // int(get("spark.task.cpus", "1")))
