"""Budgets for modules: size, and names that say what is inside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "sparktrials"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 420
SHAPELESS = {"util", "utils", "helper", "helpers", "common", "misc", "tools", "base", "core"}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_size(path):
    n_lines = len(path.read_text().splitlines())
    assert n_lines < MAX_LINES, f"{place(path)} has {n_lines} lines: split it by what it knows"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "compat":  # where modules have Hyperopt's names
        return
    assert not SHAPELESS.intersection(parts), f"{place(path)}: name it for what is inside"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_starts_with_its_purpose(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "the module docstring comes first"


def test_every_package_is_one():
    """A directory without ``__init__.py`` would be left out of the wheel."""
    for path in MODULES:
        assert (path.parent / "__init__.py").exists(), path.parent


def test_typed():
    assert (PACKAGE / "py.typed").exists()
