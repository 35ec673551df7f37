"""The deployments that other tests run on work, each with a trivial job."""

from __future__ import annotations

import pytest

JOB = """
    import sys
    from pyspark.sql import SparkSession

    session = SparkSession.builder.getOrCreate()
    context = session.sparkContext

    def task(numbers):
        return [(sum(numbers), sys.executable)]

    rows = context.parallelize(range(10), 4).mapPartitions(task).collect()
    assert sum(row[0] for row in rows) == 45
    assert all(row[1] == sys.executable for row in rows)
    print(context.master)
    session.stop()
"""


@pytest.mark.spark35
def test_session_of_this_process(spark_local):
    def task(numbers):
        return [sum(numbers)]

    context = spark_local.sparkContext
    assert context.master == "local[2]"
    assert sum(context.parallelize(range(10), 4).mapPartitions(task).collect()) == 45


def test_local_cluster(spark_script):
    assert spark_script(JOB).stdout.strip() == "local-cluster[2,1,1024]"


def test_standalone(spark_script, standalone_cluster):
    before = len(standalone_cluster.state()["completedapps"])
    done = spark_script(JOB, master=standalone_cluster.url)
    assert done.stdout.strip() == standalone_cluster.url
    assert len(standalone_cluster.state()["completedapps"]) == before + 1


def test_a_failing_job_does_not_flood_the_console(spark_script):
    done = spark_script(
        """
        import os
        from pyspark.sql import SparkSession

        context = SparkSession.builder.getOrCreate().sparkContext
        try:
            context.parallelize([0], 1).foreach(lambda _: os._exit(1))
        except Exception:
            print("failed")
        """,
        conf="local",
    )
    assert done.stdout.strip() == "failed"
    lines = [line for line in done.stderr.splitlines() if "incubator" not in line]
    assert len(lines) <= 1, done.stderr
