"""The quick start of the README, pasted."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_quick_start_can_be_pasted(spark_local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = re.search(r"## Quick start\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    code, n = re.subn(r"max_evals=\d+", "max_evals=8", found[1])
    assert n == 1
    names = {"__name__": "__main__"}  # as in a notebook
    exec(code, names)
    assert len(names["trials"].history) == 8
    assert names["trials"].best_params["model"]["kind"] in {"svm", "forest"}
    assert (tmp_path / "runs.db").exists()
