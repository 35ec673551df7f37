"""The quick-start notebook keeps its format, and every cell of it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_quickstart.py"
SEPARATOR = "\n# COMMAND ----------\n"

# Runs the notebook cell by cell in one namespace, as a notebook server does, then reports.
RUNNER = """
    import json, sys
    from pathlib import Path

    text = Path(sys.argv[1]).read_text()
    namespace = {"__name__": "__main__"}
    for number, cell in enumerate(text.split("\\n# COMMAND ----------\\n"), 1):
        try:
            exec(compile(cell, f"cell {number}", "exec"), namespace)
        except BaseException:
            print(f"cell {number} failed:\\n{cell}", file=sys.stderr)
            raise
    n = namespace

    def states(trials):
        return [t.state.value for t in trials.history]

    print(json.dumps({
        "best": {k: float(v) for k, v in n["best"].items()},
        "first_study": states(n["trials"]),
        "units": n["trials"].best_trial["result"]["units"],
        "argmin": {k: int(v) for k, v in n["argmin"].items()},
        "best_params": n["model_trials"].best_params,
        "received": n["received"],
        "failures": n["failures"],
        "fragile": states(n["fragile_trials"]),
        "stopped": states(n["stopped_trials"]),
        "stopped_reason": n["stopped_trials"].fmin_cancelled_reason,
        "given": [t.id for t in n["stopped_trials"].history if t.given],
        "first": [t.loss for t in n["first"].history],
        "second": [t.loss for t in n["second"].history],
        "restored": [t.loss for t in n["restored"].history],
    }))
"""


def cells():
    return NOTEBOOK.read_text().split(SEPARATOR)


def test_source_format():
    assert NOTEBOOK.read_text().startswith("# Databricks notebook source\n")
    assert len(cells()) > 10
    for cell in cells():
        lines = [line for line in cell.strip().splitlines() if line]
        if any(line.startswith("# MAGIC") for line in lines):
            assert all(line.startswith(("# MAGIC", "# Databricks")) for line in lines), cell
        else:
            compile(cell, "cell", "exec")


def test_pip_stands_alone_before_all_code():
    found = [i for i, cell in enumerate(cells()) if "%pip" in cell]
    code = [i for i, cell in enumerate(cells()) if "# MAGIC" not in cell]
    assert found == [1]
    assert found[0] < code[0]


@pytest.fixture
def results(spark_script, tmp_path):
    done = spark_script(RUNNER, NOTEBOOK, conf="local")
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.spark
@pytest.mark.slow
def test_every_cell_runs(results):
    assert results["first_study"] == ["ok"] * 40
    assert results["best"].keys() == {"x", "rate", "layers", "units"}
    assert results["units"] in range(16, 129, 16)

    assert results["argmin"]["model"] in {0, 1}
    option = results["received"]
    assert option["kind"] == ["tree", "line"][results["argmin"]["model"]]
    if option["kind"] == "line":
        assert results["best_params"]["penalty"] == option["penalty"]
    else:
        assert results["best_params"]["depth"] == option["depth"]

    assert len(results["fragile"]) == 30
    assert {kind for _, kind, _ in results["failures"]} == {"raised", "reported"}
    assert results["fragile"].count("failed") == len(results["failures"])

    assert results["given"] == [0]
    assert 15 < results["stopped"].count("ok") < 1000
    assert results["stopped_reason"]

    assert len(results["first"]) == 20
    assert len(results["second"]) == 30
    assert results["second"][:20] == results["first"]
    assert results["restored"] == results["second"]
