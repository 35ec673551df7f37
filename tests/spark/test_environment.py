"""Executors and drivers that lack something: found out at once, and said by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sparktrials.errors import (
    ExecutorEnvironmentError,
    SparkContextStopped,
    SparkError,
    SparkNotAvailable,
)

pytest.importorskip("pyspark")

SOURCE = Path(__file__).parents[2] / "src"

#: Makes of any Python one that has no sparktrials installed, however that was done.
CLEAN = """
import os, sys
sys.path[:] = [
    p for p in sys.path
    if not os.path.exists(os.path.join(p, "sparktrials")) or os.path.dirname(__file__) == p
]
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__name__", str(f))]
"""

#: Put before each script: sparktrials on the driver's path alone.
DRIVER = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from pyspark.sql import SparkSession
from sparktrials import SparkTrials, fmin, hp, rand
import sparktrials

def run(fn, trials=None, **keywords):
    trials = SparkTrials() if trials is None else trials
    defaults = dict(algo=rand.suggest, max_evals=6, rstate=0, verbose=False)
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{{**defaults, **keywords}})
    return trials
"""


def script(body):
    return DRIVER + textwrap.dedent(body)


def executor_path(directory, **packages):
    """Make a directory for executors' PYTHONPATH, with modules given as source."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(CLEAN)
    for name, source in packages.items():
        path = directory / name
        path.mkdir()
        if source is not None:
            (path / "__init__.py").write_text(source)
    return directory


# --------------------------------------------------------------------- sparktrials on executors


@pytest.mark.slow
@pytest.mark.spark35
def test_executors_need_no_sparktrials_and_may_have_another(spark_script, tmp_path):
    paths = {
        "none": executor_path(tmp_path / "none"),
        "older": executor_path(tmp_path / "older", sparktrials="__version__ = '0.0.1'"),
        "broken": executor_path(tmp_path / "broken", sparktrials="raise RuntimeError('broken')"),
        "folder": executor_path(tmp_path / "folder", sparktrials=None),
    }
    done = spark_script(
        script(
            """
            session = SparkSession.builder.getOrCreate()
            for argument in sys.argv[1:]:
                name, path = argument.split("=")
                # What spark.executorEnv sets; Spark starts other workers for another value.
                session.sparkContext.environment["PYTHONPATH"] = path

                def objective(x):
                    import sparktrials, sys
                    from sparktrials import STATUS_OK
                    return {
                        "loss": x, "status": STATUS_OK, "file": sparktrials.__file__,
                        "version": sparktrials.__version__,
                        "heavy": [m for m in ("scipy", "pandas", "tqdm") if m in sys.modules],
                    }

                results = run(objective).results
                files = {r["file"].rpartition("/sparktrials-")[2] for r in results}
                assert all(".zip" in file for file in files), files
                assert all(r["version"] == sparktrials.__version__ for r in results)
                assert all(r["heavy"] == [] for r in results), results[0]
                print(name, len(results))
            """
        ),
        *(f"{name}={path}" for name, path in paths.items()),
        PYTHONPATH="",
    )
    assert done.stdout.split() == ["none", "6", "older", "6", "broken", "6", "folder", "6"]


# --------------------------------------------------------------------- what else executors lack


def wrong_python():
    """Return a Python of another minor version, or None."""
    here = sys.version_info[:2]
    names = [f"python3.{minor}" for minor in range(9, 16) if (3, minor) != here]
    found = [shutil.which(name) for name in names]
    found += sorted(map(str, Path(sys.base_prefix).parent.glob("3.*/bin/python3")))
    for path in found:
        if path is None:
            continue
        done = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and tuple(map(int, done.stdout.split())) != here:
            return path
    return None


FAILING = script(
    """
    session = SparkSession.builder.getOrCreate()
    import time
    trials = SparkTrials()
    start = time.monotonic()
    try:
        run(lambda x: x, trials, max_evals=50)
    except sparktrials.errors.ExecutorEnvironmentError as error:
        print(error)
    assert time.monotonic() - start < 60
    assert not [t for t in trials.history if t.failure]
    assert all(t.state.terminal for t in trials.history)
    session.stop()
    """
)


@pytest.mark.slow
def test_another_python_version_on_executors(spark_script):
    python = wrong_python()
    if python is None:
        pytest.skip("no Python of another minor version on this machine")
    done = spark_script(
        FAILING, conf="local", PYSPARK_PYTHON=python, PYSPARK_DRIVER_PYTHON=sys.executable
    )
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert "version" in done.stdout
    assert here in done.stdout
    assert "PYSPARK_PYTHON" in done.stdout


@pytest.mark.slow
def test_no_python_on_executors(spark_script, tmp_path):
    done = spark_script(
        FAILING,
        conf="local",
        PYSPARK_PYTHON=str(tmp_path / "no-such-python"),
        PYSPARK_DRIVER_PYTHON=sys.executable,
    )
    assert "no-such-python" in done.stdout
    assert "PYSPARK_PYTHON" in done.stdout


@pytest.mark.slow
def test_a_session_of_ones_own_on_this_machine_runs_this_python(spark_script, tmp_path):
    """Not the ``python3`` of PATH, which may be another."""
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\nexit 3\n")
    other.chmod(0o755)
    done = spark_script(
        script(
            """
            import os
            del os.environ["PYSPARK_PYTHON"]
            os.environ["PATH"] = sys.argv[1] + os.pathsep + os.environ["PATH"]
            session = SparkSession.builder.getOrCreate()

            def objective(x):
                import sys
                return {"loss": x, "status": "ok", "python": sys.executable}

            print({r["python"] for r in run(objective).results} == {sys.executable})
            session.sparkContext.pythonExec = "told"
            SparkTrials()
            print(session.sparkContext.pythonExec)
            """
        ),
        str(tmp_path),
        conf="local",
    )
    assert done.stdout.split() == ["True", "told"]


@pytest.mark.slow
def test_modules_that_executors_lack(spark_script, tmp_path):
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "only_here.py").write_text("def loss(x):\n    return x\n")
    no_numpy = tmp_path / "no-numpy"
    no_numpy.mkdir()
    (no_numpy / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\")")
    done = spark_script(
        script(
            """
            import socket
            session = SparkSession.builder.getOrCreate()
            sys.path.insert(0, sys.argv[1])
            import only_here
            from sparktrials.errors import ExecutorEnvironmentError

            # A module that the objective refers to: it cannot even be loaded there.
            trials = SparkTrials()
            try:
                run(lambda x: only_here.loss(x), trials, max_evals=100)
            except ExecutorEnvironmentError as error:
                assert "No module named 'only_here'" in str(error), error
                assert socket.gethostname() in str(error), error
                print("refers")
            assert not [t for t in trials.history if t.failure]

            # One that it imports when it runs: a trial like any other that raises.
            def imports(x):
                import only_here
                return only_here.loss(x)

            try:
                run(imports)
            except sparktrials.errors.AllTrialsFailed as error:
                assert "No module named 'only_here'" in str(error), error
                print("imports")
            session.sparkContext.addPyFile(sys.argv[1] + "/only_here.py")
            assert len(run(imports)) == 6
            print("shipped")

            session.sparkContext.environment["PYTHONPATH"] = sys.argv[2]
            try:
                run(lambda x: x)
            except ExecutorEnvironmentError as error:
                assert "numpy" in str(error), error
                assert socket.gethostname() in str(error), error
                print("numpy")
            """
        ),
        tmp_path / "driver",
        no_numpy,
        conf="local",
        PYTHONPATH="",
    )
    assert done.stdout.split() == ["refers", "imports", "shipped", "numpy"]


# --------------------------------------------------------------------- a context that is gone


@pytest.mark.slow
def test_a_stopped_context(spark_script):
    done = spark_script(
        script(
            """
            import threading, time
            from sparktrials.errors import SparkContextStopped

            def expect(name, call):
                try:
                    call()
                except SparkContextStopped as error:
                    print(name, "stop" in str(error))

            session = SparkSession.builder.getOrCreate()
            given, found = SparkTrials(spark_session=session), SparkTrials()
            run(lambda x: x, given)
            session.stop()
            expect("constructor", lambda: SparkTrials(spark_session=session))
            expect("given", lambda: run(lambda x: x, given, max_evals=9))
            expect("found", lambda: run(lambda x: x, found))
            assert len(given) == 6  # what had arrived is there

            session = SparkSession.builder.getOrCreate()
            assert len(run(lambda x: x, found)) == 6  # a new session is found
            print("new")

            def stop(view, *_):
                session.stop()
                return False, []

            trials = SparkTrials()
            expect("driver", lambda: run(lambda x: x, trials, early_stop_fn=stop, max_evals=500))
            assert all(t.state.terminal for t in trials.history)

            session = SparkSession.builder.getOrCreate()
            trials = SparkTrials()
            timer = threading.Timer(1, session.stop)
            timer.start()
            expect("running", lambda: run(lambda x: time.sleep(600), trials))
            timer.join()

            session = SparkSession.builder.getOrCreate()
            trials = SparkTrials()
            jvm = session.sparkContext._jsc
            timer = threading.Timer(1, jvm.stop)
            timer.start()
            expect("jvm", lambda: run(lambda x: time.sleep(600), trials))
            timer.join()
            """
        ),
        conf="local",
    )
    names = ["constructor", "given", "found", "new", "driver", "running", "jvm"]
    expected = [word for name in names for word in ([name] if name == "new" else [name, "True"])]
    assert done.stdout.split() == expected


def test_jobs_that_somebody_keeps_cancelling_end_the_study(spark_local):
    from sparktrials import SparkTrials, fmin, hp, rand

    context = spark_local.sparkContext
    context.setJobGroup("doomed", "d")

    def stop(view, *_):
        context._jsc.sc().cancelJobGroupAndFutureJobs("doomed")
        return False, []

    trials = SparkTrials()
    try:
        with pytest.raises(SparkError, match="cancel"):
            fmin(
                lambda x: x,
                hp.uniform("x", 0, 1),
                algo=rand.suggest,
                max_evals=10_000,
                trials=trials,
                early_stop_fn=stop,
                verbose=False,
            )
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
        context.setLocalProperty("spark.job.description", None)
    assert all(t.state.terminal for t in trials.history)
    assert trials.count_successful_trials() > 0


# --------------------------------------------------------------------- no Spark at all


def test_no_pyspark(monkeypatch):
    from sparktrials import SparkTrials

    for name in [n for n in sys.modules if n.partition(".")[0] == "pyspark"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SparkNotAvailable, match="pip install pyspark") as caught:
        SparkTrials()
    assert "Trials()" in str(caught.value)


def test_the_exceptions_are_spark_errors():
    for kind in (ExecutorEnvironmentError, SparkContextStopped, SparkNotAvailable):
        assert issubclass(kind, SparkError)
        assert issubclass(kind, RuntimeError)
