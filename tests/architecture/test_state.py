"""What outlives a call is in few places, which are named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "sparktrials"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Function without parameters whose answer is kept: why that is no hidden state.
KEPT = {
    "compat/rdists.py:_lognorm_gen": "a constant: a class made of SciPy's, which is imported late",
    "compat/rdists.py:_loguniform_gen": "the same",
    "dispatch/process_state.py:this_process": "the one place for what belongs to a process",
    "dispatch/shipping.py:package_zip": "a constant: the files of this package",
}
#: Name in a module or class that changes: why it has to.
CHANGING = {
    "compat/plotting.py:default_status_colors": "Hyperopt's name, which programs change",
    "compat/pyll/stochastic.py:implicit_stochastic_symbols": "Hyperopt's name, which programs read",
    "store/lease.py:Owner._living": "which owners this process has is known to no object in it",
}
MUTABLE = {"dict", "list", "set", "deque", "defaultdict", "WeakSet", "WeakValueDictionary", "Lock"}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def name_of(node: ast.expr) -> str:
    """Return the last part of a dotted name, of what is called, too."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def kept_without_arguments(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            cached = {"cache", "lru_cache"} & {name_of(d) for d in node.decorator_list}
            if cached and not (node.args.args or node.args.kwonlyargs or node.args.posonlyargs):
                yield node.name


def changing(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Find names of a module and its classes that hold what can change, and are no constants."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from changing(node.body, f"{node.name}.")
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None:
            continue
        called = isinstance(value, ast.Call) and name_of(value) in MUTABLE
        if not called and not isinstance(value, (ast.Dict, ast.List, ast.Set)):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = name_of(target)
            if not name.isupper() and not name.startswith("__"):
                yield prefix + name


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_state_has_its_place(path):
    tree = ast.parse(path.read_text())
    found = {f"{place(path)}:{name}" for name in kept_without_arguments(tree)}
    assert found <= KEPT.keys(), "process state belongs into dispatch/process_state.py"
    assert {f"{place(path)}:{name}" for name in changing(tree.body)} <= CHANGING.keys()
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Global)]


def test_what_is_named_here_is_there():
    trees = {place(path): ast.parse(path.read_text()) for path in MODULES}
    kept = {f"{p}:{n}" for p, tree in trees.items() for n in kept_without_arguments(tree)}
    moving = {f"{p}:{n}" for p, tree in trees.items() for n in changing(tree.body)}
    assert KEPT.keys() == kept
    assert CHANGING.keys() == moving
