"""``examples/demo.py`` from start to finish, and what its pipelines promise."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from sparktrials import Trials, space_eval

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo.py"


@pytest.fixture
def pipelines(monkeypatch):
    """Return the demo's module of pipelines."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import pipelines

    yield pipelines
    sys.modules.pop("pipelines")


def pasted(output):
    """Return the code that the demo printed between its headings."""
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("The best pipeline"))
    end = next(i for i, line in enumerate(lines) if line.startswith("Accuracy"))
    code = "\n".join(line.removeprefix("    ") for line in lines[start + 1 : end])
    ast.parse(code)
    return code


def run_pasted(code):
    names = {}
    exec(code, names)
    return names["pipeline"]


def test_defaults_are_scikit_learns_own(pipelines):
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC, LinearSVC

    for cls in (LinearSVC, SVC, KNeighborsClassifier, ExtraTreesClassifier):
        point = pipelines.DEFAULTS[cls.__name__]
        (name, model), *others = pipelines.build(space_eval(pipelines.SPACE, point)).steps
        assert not others
        assert name == cls.__name__.lower()
        plain = cls().get_params() | {"random_state": model.get_params().get("random_state")}
        assert plain | model.get_params() == plain


def test_code_makes_the_pipeline_that_was_scored(pipelines):
    point = {
        "scaler": 3,
        "quantiles": 50.0,
        "quantiles to": 1,
        "reducer": 1,
        "components": 5,
        "whiten": 1,
        "model": 1,
        "svc C": 2.5,
        "svc gamma": 1,
        "svc gamma value": 0.01,
    }
    steps = space_eval(pipelines.SPACE, point)
    pipeline = run_pasted(pipelines.as_code(steps))
    assert str(pipeline) == str(pipelines.build(steps))
    assert 1 - pipelines.score(pipeline).mean() == pipelines.objective(steps)["loss"]


@pytest.mark.slow
def test_demo_goes_on_and_shows_what_it_has(pipelines, spark_script, tmp_path):
    first = spark_script(DEMO, "--trials", 2)
    assert "6 trials in" in first.stdout
    pipeline = run_pasted(pasted(first.stdout))
    assert pipeline.fit(*pipelines.data()).score(*pipelines.data()) > 0.9
    for name in (*pipelines.DEFAULTS, "tpe, 6 trials", "random, 6 trials"):
        assert name in first.stdout

    # Complete: no Spark, for there is none at that place.
    again = spark_script(DEMO, "--trials", 2, SPARK_HOME=str(tmp_path / "nowhere"))
    assert "Spark was not started" in again.stdout
    assert "Starting Spark" not in again.stderr
    assert pasted(again.stdout) == pasted(first.stdout)

    more = spark_script(DEMO, "--trials", 4)
    assert "2 trials in" in more.stdout
    for key in ("tpe", "random"):
        history = Trials(f"sqlite:///{tmp_path}/runs/demo.db", exp_key=key).history
        assert [t.id for t in history] == list(range(8))
        assert sum(t.given for t in history) == len(pipelines.DEFAULTS)


@pytest.mark.slow
def test_demo_on_spark_connect(pipelines, spark_script, connect_server):
    pytest.importorskip("grpc", reason="the extra sparktrials[connect] is not installed")
    done = spark_script(DEMO, "--trials", 1, conf="connect", SPARK_REMOTE=connect_server.url)
    assert f"{1 + len(pipelines.DEFAULTS)} trials in" in done.stdout
    assert "failures: none" in done.stdout
    run_pasted(pasted(done.stdout))
