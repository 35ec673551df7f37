"""Spark classic: how many tasks of the application wait for a slot."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["WaitingTasks"]

logger = logging.getLogger("sparktrials.spark")

#: What is summed up over the stages of Spark's status store, and with which sign. Tasks that failed
#: are tried again, so they wait.
_SIGNS = {"numTasks": 1, "numActiveTasks": -1, "numCompleteTasks": -1}


class WaitingTasks:
    """Returns how many tasks wait; 0 where this Spark does not say.

    There may be thousands of stages, and each question to the JVM takes a part of a millisecond, so
    the JVM adds up: `java.util.stream` over a method of `StageData`, 13 questions in all.

    Parameters
    ----------
    context
        A SparkContext.
    """

    def __init__(self, context: Any) -> None:  # noqa: ANN401
        self._context = context
        self._readers: dict[str, Any] | None = None
        self._to_java: Any = None

    def __call__(self) -> int:
        """Return the number."""
        try:
            if self._readers is None:
                self._readers = self._make_readers()
            # Private to Spark, as its UI uses it; the public tracker knows one stage at a time.
            stages = self._context._jsc.sc().statusStore().activeStages()  # noqa: SLF001
            listed = self._to_java(stages).asJava()
            found = sum(
                sign * int(listed.stream().mapToInt(self._readers[name]).sum())
                for name, sign in _SIGNS.items()
            )
        except Exception as error:  # noqa: BLE001 - the context is gone, or it is another Spark
            logger.debug("Spark does not say how many tasks wait: %s", error)
            return 0
        return max(0, found)

    def _make_readers(self) -> dict[str, Any]:
        """Return for each method a Java function that calls it."""
        jvm = self._context._jvm  # noqa: SLF001 - there is no public way
        invoke, class_of = jvm.java.lang.invoke, jvm.java.lang.Class.forName
        stage = class_of("org.apache.spark.status.api.v1.StageData")
        function = class_of("java.util.function.ToIntFunction")
        number = invoke.MethodType.methodType(jvm.java.lang.Integer.TYPE)
        lookup = invoke.MethodHandles.publicLookup()
        proxy = invoke.MethodHandleProxies.asInterfaceInstance
        self._to_java = jvm.scala.collection.JavaConverters.seqAsJavaListConverter
        return {name: proxy(function, lookup.findVirtual(stage, name, number)) for name in _SIGNS}
