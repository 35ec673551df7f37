"""The programs of the README, pasted."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def short(program):
    code, n = re.subn(r"max_evals=\d+", "max_evals=8", program)
    assert n == 1
    return code


def test_the_quick_start_can_be_pasted(spark_local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = README.read_text().partition("## Quick start\n")[2].partition("\n## ")[0]
    first, second = re.findall(r"```python\n(.*?)```", start, re.DOTALL)
    names = {"__name__": "__main__"}  # as in a notebook
    exec(short(first), names)
    assert len(names["trials"].history) == 8
    assert names["trials"].best_params["model"]["kind"] in {"svm", "forest"}
    assert (tmp_path / "runs.db").exists()
    exec(short(second), names)
    assert len(names["search"].trials.history) == 8
    assert names["search"].score(names["X_test"], names["y_test"]) > 0.95
    assert "sparktrials" not in type(names["search"].best_pipeline_).__module__
