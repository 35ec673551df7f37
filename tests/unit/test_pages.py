"""The programs on pages run as they stand there, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE = 120


@pytest.mark.parametrize(
    "page",
    [
        "how-to/ask-and-tell.md",
        "how-to/local-parallelism.md",
        "how-to/sklearn.md",
        "how-to/sklearn-judging.md",
        "how-to/sklearn-search-cv.md",
    ],
)
def test_programs_on_a_page(page, tmp_path):
    programs = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert programs
    script = tmp_path / "page.py"
    script.write_text("\n".join(programs))
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
