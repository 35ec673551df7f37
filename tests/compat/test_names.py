"""``docs/compat.md`` has a row for every public name of Hyperopt, and says of each what is true.

``names.json`` has the names, see ``list_names.py``. A row's names are looked up on the alias.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrials import SparkTrials

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "compat.md"
NAMES = json.loads((HERE / "names.json").read_text())["modules"]
#: Classes whose members have rows of their own.
CLASSES = {
    "hyperopt.base": ("Trials", "Domain", "Ctrl"),
    "hyperopt.fmin": ("FMinIter",),
    "hyperopt.spark": ("SparkTrials",),
    "hyperopt.pyll.base": ("Apply", "Literal", "SymbolTable"),
    "hyperopt.exceptions": (
        "InvalidTrial",
        "InvalidLoss",
        "InvalidResultStatus",
        "InvalidAnnotatedParameter",
    ),
}
VERDICTS = {"same", "better", "absent"}


def rows_of(text):
    """Return ``(module, name) -> (verdict, note)`` of the tables below a heading with a module."""
    found, module = {}, None
    for line in text.splitlines():
        if heading := re.match(r"#+ (.*)", line):
            named = re.fullmatch(r"`(hyperopt[\w.]*)`", heading[1])
            module = named and named[1]
        elif module and (row := re.fullmatch(r"\| (.*) \| (\w+) \| ?(.*?) ?\|", line)):
            for name in re.findall(r"`([^`]+)`", row[1]):
                assert (module, name) not in found, f"{module}.{name} has two rows"
                found[module, name] = row[2], row[3]
    return found


ROWS = rows_of(PAGE.read_text())


#: What objects of SparkTrials have, and the class has not.
ONLY_WITH_SPARK = {
    (module, name)
    for module, name in ROWS
    if name.startswith("SparkTrials.") and not hasattr(SparkTrials, name.partition(".")[2])
}


def listed():
    """Yield the module and the name of everything that must have a row."""
    for module, names in NAMES.items():
        for name, entry in names.items():
            yield module, name
            if name in CLASSES.get(module, ()):
                yield from ((module, f"{name}.{member}") for member in entry["members"])


def parameters_in_hyperopt(module, name):
    """Return the names of a function's parameters in Hyperopt, None if it is no function."""
    name, _, member = name.partition(".")
    entry = NAMES[module].get(name, {})
    return entry.get("members", {}).get(member) if member else entry.get("parameters")


def found_on_the_alias(module, name):
    """Return what the alias has under a name.

    Raises
    ------
    ImportError, AttributeError
        If it has nothing.
    """
    if module == "hyperopt.pyll.scope":
        return getattr(importlib.import_module("sparktrials.compat.pyll").scope, name)
    found = importlib.import_module(module.replace("hyperopt", "sparktrials.compat", 1))
    first, _, member = name.partition(".")
    found = getattr(found, first)
    if not member:
        return found
    try:
        return getattr(found, member)
    except AttributeError:
        return getattr(instance_of(first), member)


def instance_of(name):
    """Return an object of a class, for what only its objects have."""
    hyperopt = importlib.import_module("sparktrials.compat")
    if name == "SymbolTable":
        return hyperopt.pyll.scope
    if name == "Apply":
        return hyperopt.hp.uniform("x", 0, 1)
    if name == "Literal":
        return hyperopt.pyll.as_apply(3)
    if name in CLASSES["hyperopt.exceptions"]:
        return getattr(hyperopt.exceptions, name)("what", "object")
    trials = hyperopt.Trials()
    domain = hyperopt.Domain(abs, hyperopt.hp.uniform("x", 0, 1))
    return {
        "Trials": lambda: trials,
        "Domain": lambda: domain,
        "Ctrl": lambda: hyperopt.Ctrl(trials, None),
        "FMinIter": lambda: hyperopt.FMinIter(
            hyperopt.rand.suggest, domain, trials, rstate=None, max_evals=1
        ),
    }[name]()


def signature_of(found):
    """Return the names of positional parameters, and whether all positions and names are taken."""
    spec = inspect.signature(found).parameters.values()
    positional = [
        p.name
        for p in spec
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "self"
    ]
    by_name = {p.name for p in spec if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    kinds = {p.kind for p in spec}
    return (
        positional,
        by_name,
        inspect.Parameter.VAR_POSITIONAL in kinds,
        inspect.Parameter.VAR_KEYWORD in kinds,
    )


def deviation(found, theirs, *, same):
    """Say in which way `found` cannot be called as Hyperopt's, None if it can."""
    if isinstance(found, type) and issubclass(found, Exception):
        return None  # those without an __init__ of their own take anything
    positional, by_name, any_position, any_name = signature_of(found)
    wanted = [name for name in theirs if not name.startswith("*")]
    for name in wanted:
        if name not in by_name and not any_name and not (any_position and same):
            return f"has no parameter {name!r}, only {positional}"
    # What Hyperopt passes on as **kwargs may be named here.
    if same and any(name.startswith("**") for name in theirs) and not any_name:
        return "takes no keywords but its own"
    if same and not any_position and positional[: len(wanted)] != wanted:
        return f"has its parameters in another order: {positional}, not {wanted}"
    return None


def test_every_name_of_hyperopt_has_a_row():
    assert [".".join(key) for key in listed() if key not in ROWS] == []


def test_no_row_is_of_a_name_that_hyperopt_has_not():
    # Private names have rows where programs use them.
    left = [key for key in ROWS if key not in set(listed())]
    assert [".".join(key) for key in left if not key[1].split(".")[-1].startswith("_")] == []


def test_every_row_says_what_is_to_be_known():
    assert {verdict for verdict, _ in ROWS.values()} <= VERDICTS
    silent = [".".join(k) for k, (verdict, note) in ROWS.items() if verdict != "same" and not note]
    assert silent == []


def rows_with(*verdicts):
    keys = [
        key
        for key, (verdict, _) in ROWS.items()
        if verdict in verdicts and key not in ONLY_WITH_SPARK
    ]
    return pytest.mark.parametrize(("module", "name"), keys, ids=[".".join(key) for key in keys])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@rows_with("same", "better")
def test_what_is_there_is_there(module, name):
    found = found_on_the_alias(module, name)
    theirs = parameters_in_hyperopt(module, name)
    if theirs is not None:
        assert callable(found)
        assert deviation(found, theirs, same=ROWS[module, name][0] == "same") is None


@rows_with("absent")
def test_what_is_absent_is_absent(module, name):
    with pytest.raises((ImportError, AttributeError)):
        found_on_the_alias(module, name)


def test_members_without_rows_are_those_of_their_class():
    missing = []
    for module, names in NAMES.items():
        for name, entry in names.items():
            if name in CLASSES.get(module, ()) or ROWS[module, name][0] == "absent":
                continue
            has = dir(found_on_the_alias(module, name)) if entry.get("members") else ()
            missing += [
                f"{module}.{name}.{member}"
                for member, parameters in entry.get("members", {}).items()
                if parameters is not None and member not in has
            ]
    assert missing == []


@pytest.mark.spark35
def test_spark_trials_have_their_attributes(spark_local):
    trials = SparkTrials(spark_session=spark_local)
    keys = [key for key in ROWS if key[1].startswith("SparkTrials.")]
    found = {key for key in keys if hasattr(trials, key[1].partition(".")[2])}
    assert found == {key for key in keys if ROWS[key][0] != "absent"}


def test_names_are_those_of_the_real_hyperopt():
    python = os.environ.get("SPARKTRIALS_PEERS")
    if not python:
        pytest.skip("SPARKTRIALS_PEERS names no Python with Hyperopt (make setup-peers makes one)")
    done = subprocess.run(
        [python, HERE / "list_names.py"], capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr or "'NoneType'" in done.stderr:
        pytest.skip("the Python that SPARKTRIALS_PEERS names has no Hyperopt")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (HERE / "names.json").read_text(), (
        f"regenerate: {python} tests/compat/list_names.py > tests/compat/names.json"
    )


@pytest.mark.parametrize("use", ["", "sparktrials.compat.install()"])
def test_importing_the_alias_needs_numpy_alone(use):
    code = (
        "import sys, numpy\n"
        "before = {n.partition('.')[0] for n in sys.modules}\n"
        f"import sparktrials.compat\n{use}\n"
        "loaded = {n.partition('.')[0] for n in sys.modules} - before\n"
        "print(*sorted(loaded - set(sys.stdlib_module_names) - {'sparktrials', 'hyperopt'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
