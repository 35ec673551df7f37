"""The notebook about pipelines keeps its format, and every cell of it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_sklearn_pipelines.py"
SEPARATOR = "\n# COMMAND ----------\n"

RUNNER = """
    import json, sys
    from pathlib import Path

    n = {"__name__": "__main__"}
    for cell in Path(sys.argv[1]).read_text().split("\\n# COMMAND ----------\\n"):
        exec(compile(cell, "cell", "exec"), n)
    print(json.dumps({
        "states": [t.state.value for t in n["search"].trials.history],
        "held_out": n["held_out"],
        "rows": len(n["board"]),
        "code": n["code"],
        "tuned": n["tuned"].best_score_,
        "columns": sorted(n["tuned"].cv_results_),
    }))
"""


def test_source_format():
    text = NOTEBOOK.read_text()
    assert text.startswith("# Databricks notebook source\n")
    for cell in text.split(SEPARATOR):
        lines = [line for line in cell.strip().splitlines() if line]
        if any(line.startswith("# MAGIC") for line in lines):
            assert all(line.startswith(("# MAGIC", "# Databricks")) for line in lines), cell
        else:
            compile(cell, "cell", "exec")


@pytest.mark.newest
@pytest.mark.slow
def test_every_cell_runs(spark_script):
    done = spark_script(RUNNER, NOTEBOOK, conf="local")
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["states"]) == found["rows"] == 30
    assert found["states"].count("ok") > 20
    assert found["held_out"] > 0.75
    assert "Pipeline(" in found["code"]
    assert found["tuned"] > 0.95
    assert "param_svc__C" in found["columns"]
