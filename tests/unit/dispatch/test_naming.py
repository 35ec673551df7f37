from __future__ import annotations

import functools
import sys
from types import SimpleNamespace

import pytest

from sparktrials.dispatch.naming import (
    Allowed,
    NotNamed,
    decode_argument,
    encode_argument,
    import_path,
    imported,
    paths_in,
)
from sparktrials.errors import InvalidArgument

HERE = "tests.unit.dispatch.test_naming"


def objective(x):
    return x


class Model:
    def method(self):
        """A method."""


@functools.cache
def decorated(x):
    return x


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Make a module of the user's own; return its name."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "import os, subprocess\nfrom os import system\n"
        "def f(x): return x\nclass C:\n    class D: pass\nVALUE = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_functions_and_classes_have_paths():
    for thing in (objective, Model):
        path = import_path(thing, "it")
        module, _, name = path.partition(":")
        assert getattr(sys.modules[module], name) is thing
    assert import_path(Model.method, "it").endswith(":Model.method")
    assert import_path(len, "it") == "builtins:len"


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (lambda x: x, "is a lambda"),
        (functools.partial(objective, 1), "of type partial"),
        (Model(), "of type Model"),
        (Model().method, "another object"),
        (3, "of type int"),
    ],
)
def test_what_has_no_path_says_why(thing, why):
    with pytest.raises(NotNamed, match=f"the objective.*{why}"):
        import_path(thing, "the objective")


def test_a_function_within_another():
    def inner(x):
        return x

    with pytest.raises(NotNamed, match="defined inside a function"):
        import_path(inner, "it")


def test_a_function_of_the_program_itself(monkeypatch):
    class Main:
        __spec__ = None

    monkeypatch.setitem(sys.modules, "__main__", Main)
    monkeypatch.setattr(objective, "__module__", "__main__")
    with pytest.raises(NotNamed, match="move it into a module beside the program"):
        import_path(objective, "the objective")


def test_a_module_that_is_run_has_a_name(monkeypatch):
    class Main:
        __spec__ = SimpleNamespace(name="package.search")

    monkeypatch.setitem(sys.modules, "__main__", Main)
    monkeypatch.setattr(objective, "__module__", "__main__")
    assert import_path(objective, "the objective") == "package.search:objective"


def test_own_modules_are_imported(own):
    assert imported(f"{own}:f", Allowed()) is sys.modules[own].f
    assert imported(f"{own}:C.D", Allowed()) is sys.modules[own].C.D


@pytest.mark.parametrize(
    "path",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:exec",
        "numpy.testing:runstring",
        "sparktrials.dispatch.worker:run_pack",
        "sys:exit",
        "os.path:join",
        "",
        "os",
        ":f",
        "a b:f",
        "..os:system",
    ],
)
def test_what_is_not_the_users_own_is_not_imported(path):
    with pytest.raises(InvalidArgument):
        imported(path, Allowed())


@pytest.mark.parametrize(
    "name", ["system", "os.system", "subprocess.Popen", "VALUE", "f.__call__", "C.__subclasses__"]
)
def test_what_a_module_merely_has_is_not_its_own(own, name):
    with pytest.raises(InvalidArgument, match="no function or class of that module"):
        imported(f"{own}:{name}", Allowed())


def test_packages_are_allowed_by_name(own):
    assert imported("json.encoder:JSONEncoder", Allowed(["json"])).__name__ == "JSONEncoder"
    with pytest.raises(InvalidArgument, match=r"no module .jsonx. here"):
        imported("jsonx:f", Allowed(["json"]))
    with pytest.raises(InvalidArgument, match="--allow json "):
        imported("json.encoder:JSONEncoder", Allowed(["json.decoder"]))


def test_a_module_that_is_not_there():
    with pytest.raises(InvalidArgument, match=r"no module .nowhere_at_all\.x. here"):
        Allowed().check("nowhere_at_all.x")


ARGUMENTS = [
    {"x": 1.5, "n": 3, "t": (1, [2, {"y": None}]), "b": b"\0", 7: "seven"},
    [objective, {"model": Model, "in": (Model, len)}],
    float("inf"),
    "text",
    {},
    (),
]


@pytest.mark.parametrize(
    "argument", ARGUMENTS, ids=["plain", "named", "infinite", "text", "dict", "tuple"]
)
def test_arguments_come_back(argument):
    known = {import_path(thing, "it"): thing for thing in (objective, Model, len)}
    document = encode_argument(argument)
    assert decode_argument(document, known.__getitem__) == argument
    assert set(paths_in(document)) <= set(known)


def test_what_cannot_be_written_down_says_so():
    with pytest.raises(NotNamed, match="a constant of the search space"):
        encode_argument({"model": Model()})
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(NotNamed, match="too deeply"):
        encode_argument(deep)


@pytest.mark.parametrize(
    "document",
    [
        None,
        3,
        [],
        ["plain"],
        ["name", 3],
        ["code", "x"],
        ["dict", 3],
        ["list", {}],
        ["plain", {"__sparktrials__": ["no"]}],
    ],
    ids=str,
)
def test_no_other_document_is_an_argument(document):
    with pytest.raises(ValueError):
        decode_argument(document, str)
