"""What the texts of failed Spark jobs mean; they are as Spark 3.5 and 4 write them."""

from __future__ import annotations

import pytest

from sparktrials.dispatch.spark_errors import Verdict, judge

STAGE = (
    "An error occurred while calling z:org.apache.spark.api.python.PythonRDD.x.\n"
    ": org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 7.0 "
    "failed 4 times, most recent failure: Lost task 0.3 in stage 7.0 (TID 4) "
    "(10.0.0.7 executor 3): "
)
CASES = [
    (
        STAGE
        + "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)\n\tat",
        Verdict.WORKER_LOST,
        "10.0.0.7",
        "process ended",
    ),
    (
        STAGE + "ExecutorLostFailure (executor 3 exited) Reason: "
        "Command exited with code 137\nDriver stacktrace:",
        Verdict.WORKER_LOST,
        "10.0.0.7",
        "code 137",
    ),
    (
        STAGE + "java.lang.OutOfMemoryError: Java heap space\n\tat",
        Verdict.WORKER_LOST,
        "10.0.0.7",
        "memory",
    ),
    (
        "Serialized results (1250.3 MiB) are bigger than spark.driver.maxResultSize (1024.0 MiB)",
        Verdict.WORKER_LOST,
        None,
        "maxResultSize",
    ),
    (
        STAGE + "org.apache.spark.api.python.PythonException: pyspark.errors.exceptions.base."
        "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version: "
        "3.12 than that in driver: 3.11.\n",
        Verdict.ENVIRONMENT,
        "10.0.0.7",
        "3.12",
    ),
    (
        STAGE + 'java.io.IOException: Cannot run program "/opt/python": error=2, No such file\n',
        Verdict.ENVIRONMENT,
        "10.0.0.7",
        "/opt/python",
    ),
    (
        STAGE + "Error from python worker:\n  ModuleNotFoundError: No module named 'pyspark'\n",
        Verdict.ENVIRONMENT,
        "10.0.0.7",
        "pyspark",
    ),
    (
        "[SPARK_JOB_CANCELLED] Job 7 cancelled part of cancelled job tags x SQLSTATE: XXKDA",
        Verdict.CANCELLED,
        None,
        "cancelled",
    ),
    (
        "Job 7 cancelled part of cancelled job group mine",
        Verdict.CANCELLED,
        None,
        "cancelled",
    ),
    (
        "Job 7 cancelled as part of cancellation of all jobs",
        Verdict.CANCELLED,
        None,
        "cancelled",
    ),
    (
        "Job 7 cancelled because SparkContext was shut down",
        Verdict.STOPPED,
        None,
        "shut down",
    ),
    (
        "[SPARK_JOB_CANCELLED] Job 7 cancelled because SparkContext was shut down SQLSTATE: XXKDA",
        Verdict.STOPPED,
        None,
        "shut down",
    ),
    (
        "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\n",
        Verdict.STOPPED,
        None,
        "stopped",
    ),
    ("something that nobody has seen", Verdict.WORKER_LOST, None, "nobody has seen"),
    ("", Verdict.WORKER_LOST, None, "RuntimeError"),
]


@pytest.mark.parametrize(("text", "verdict", "host", "reason"), CASES, ids=lambda v: str(v)[-40:])
def test_judge(text, verdict, host, reason):
    found = judge(RuntimeError(text))
    assert found.verdict is verdict
    assert found.host == host
    assert reason in found.reason
    assert len(found.reason) < 1000


def test_an_error_whose_text_cannot_be_read():
    class Broken(Exception):
        def __str__(self):
            raise ValueError

    assert judge(Broken()).verdict is Verdict.WORKER_LOST


def test_a_trials_own_words_do_not_change_the_verdict():
    # An objective cannot fail a task, but a result or a host name may say anything.
    text = STAGE + "Python worker exited unexpectedly (crashed)\nConnection refused"
    assert judge(RuntimeError(text)).verdict is Verdict.WORKER_LOST


BLOCK = (
    "java.io.IOException: Failed to connect to /10.0.0.7:41233\n"
    "Caused by: io.netty.channel.AbstractChannel$AnnotatedConnectException: "
    "Connection refused: /10.0.0.7:41233"
)


class Py4JJavaError(Exception):
    """Looks like py4j's: the JVM has answered."""


class Py4JNetworkError(Exception):
    """Looks like py4j's: it has not."""


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Py4JJavaError(STAGE + BLOCK), Verdict.WORKER_LOST),
        (
            Py4JJavaError("An error occurred while calling o7.collect.\n" + BLOCK),
            Verdict.WORKER_LOST,
        ),
        (RuntimeError("Job aborted due to stage failure: " + BLOCK), Verdict.WORKER_LOST),
        (Py4JJavaError("Cannot call methods on a stopped SparkContext."), Verdict.STOPPED),
        (Py4JNetworkError("Answer from Java side is empty"), Verdict.STOPPED),
        (Py4JNetworkError("An error occurred while trying to connect"), Verdict.STOPPED),
        (ConnectionRefusedError(111, "Connection refused"), Verdict.STOPPED),
        (AttributeError("'NoneType' object has no attribute 'sc'"), Verdict.STOPPED),
    ],
)
def test_a_connection_that_is_refused_to_a_task_does_not_end_the_study(error, verdict):
    assert judge(error).verdict is verdict
