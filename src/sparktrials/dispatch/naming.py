"""Functions and classes by import path, and an objective's argument as data that may hold some.

What a database says to import is what whoever can write there wants to be run: `Allowed` says what
a worker imports for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from sparktrials.errors import InvalidArgument
from sparktrials.study.values import tagged, untagged

__all__ = [
    "Allowed",
    "NotNamed",
    "decode_argument",
    "encode_argument",
    "import_path",
    "imported",
    "paths_in",
]

_DEEPEST = 50


class NotNamed(Exception):
    """Something cannot be found again by an import path; the message says why."""


def import_path(value: object, what: str) -> str:
    """Return ``module:qualname`` of a function or class.

    Raises
    ------
    NotNamed
        If importing that would not give the same object.
    """
    module = getattr(value, "__module__", None)
    qualname = getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or not callable(value):
        msg = f"{what} is an object of type {type(value).__name__}, no function of a module"
        raise NotNamed(msg)
    if "<" in qualname:
        kind = "a lambda" if qualname.endswith("<lambda>") else "defined inside a function"
        msg = f"{what} ({module}.{qualname}) is {kind}: define it with def at the top of a module"
        raise NotNamed(msg)
    if module == "__main__":
        module = _main_name()
        if not module:
            msg = (
                f"{what} ({qualname}) is defined in the program itself (__main__), which workers "
                "cannot import: move it into a module beside the program and import it from there"
            )
            raise NotNamed(msg)
        return f"{module}:{qualname}"
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not value:
        msg = f"{what}: importing {module}.{qualname} gives another object (is it decorated?)"
        raise NotNamed(msg)
    return f"{module}:{qualname}"


def _main_name() -> str:
    """Return what the running program can be imported as: of ``python -m package.module``."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = "" if spec is None else str(spec.name)
    return "" if name.endswith("__main__") else name


class Allowed:
    """What a worker imports on a database's word: modules of the user's own, and packages named.

    The user's own are those beneath the directories of ``PYTHONPATH``, the working directory and
    what is installed as editable: neither Python's nor installed packages, whose functions could do
    anything with the arguments that the database has for them.

    Parameters
    ----------
    packages
        Names of modules or packages that are imported besides.
    """

    def __init__(self, packages: Collection[str] = ()) -> None:
        self._packages = frozenset(packages)
        kinds = ("stdlib", "platstdlib", "purelib", "platlib")
        places = {*map(sysconfig.get_path, kinds), *site.getsitepackages()}
        self._closed = [Path(place).resolve() for place in {*places, site.getusersitepackages()}]

    def check(self, module: str) -> None:
        """Refuse a module that is not to be imported.

        Raises
        ------
        InvalidArgument
            If it is not.
        """
        parts = module.split(".")
        if any(".".join(parts[: n + 1]) in self._packages for n in range(len(parts))):
            return
        top = parts[0]
        if all(part.isidentifier() for part in parts) and top != "sparktrials":
            origin = _origin(top)
            if origin is not None and not any(origin.is_relative_to(c) for c in self._closed):
                return
            if origin is None and top not in sys.stdlib_module_names:
                msg = (
                    f"there is no module {module!r} here: start the worker in the directory "
                    "that has it, or with PYTHONPATH, or install it"
                )
                raise InvalidArgument(msg)
        msg = (
            f"{module!r} is no module of your own (beneath the working directory or PYTHONPATH): "
            f"start the worker with --allow {top} if trials may call what is in it"
        )
        raise InvalidArgument(msg)


def _origin(top: str) -> Path | None:
    """Return where a module or package is, without importing it."""
    if top in sys.builtin_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    where = (
        spec.origin
        if spec.has_location
        else next(iter(spec.submodule_search_locations or ()), None)
    )
    return None if where is None else Path(os.path.realpath(where))


def imported(path: str, allowed: Allowed) -> Any:  # noqa: ANN401 - a function or class
    """Return what an import path names.

    Raises
    ------
    InvalidArgument
        If it is no import path, or not allowed, or a thing that merely passes through the module.
    ImportError, AttributeError
        If it is not there.
    """
    module, _, qualname = path.partition(":")
    if not qualname:
        msg = f"{path!r} is no import path, which is module:name"
        raise InvalidArgument(msg)
    allowed.check(module)
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    home = getattr(found, "__module__", None)
    if not callable(found) or home != module:
        # os.system by way of a module of the user's that imports os
        msg = f"{path!r} is no function or class of that module"
        raise InvalidArgument(msg)
    return found


# --------------------------------------------------------------------------- arguments


def encode_argument(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return what an objective is called with as JSON: plain data, functions and classes by path.

    Raises
    ------
    NotNamed
        If something is neither.
    """
    return _encoded(value, 0)


def _encoded(value: object, depth: int) -> list[Any]:
    kind = type(value)
    if depth > _DEEPEST:
        msg = "the objective's argument is nested too deeply"
        raise NotNamed(msg)
    if kind is dict:
        items: Any = value
        return [
            "dict",
            [[_encoded(k, depth + 1), _encoded(v, depth + 1)] for k, v in items.items()],
        ]
    if kind is list or kind is tuple:
        members: Any = value
        return [kind.__name__, [_encoded(item, depth + 1) for item in members]]
    try:
        return ["plain", tagged(value)]
    except (TypeError, RecursionError):
        return ["name", import_path(value, "a constant of the search space")]


def decode_argument(document: object, find: Callable[[str], Any]) -> Any:  # noqa: ANN401
    """Return what `encode_argument` was given; `find` imports what a path names.

    Raises
    ------
    ValueError
        If the document is not what `encode_argument` returns.
    """
    if type(document) is not list or len(document) != 2:  # noqa: PLR2004 - kind and content
        msg = "not the argument of an objective"
        raise ValueError(msg)
    kind, content = document
    if kind == "plain":
        return untagged(content)
    if kind == "name" and type(content) is str:
        return find(content)
    if kind in {"dict", "list", "tuple"} and type(content) is list:
        if kind == "dict":
            return {decode_argument(k, find): decode_argument(v, find) for k, v in content}
        made = [decode_argument(item, find) for item in content]
        return made if kind == "list" else tuple(made)
    msg = f"an unknown kind of argument: {kind!r}"
    raise ValueError(msg)


def paths_in(document: object) -> list[str]:
    """Return the import paths in what `encode_argument` returned.

    Raises
    ------
    ValueError
        If the document is not that.
    """
    found: list[str] = []
    decode_argument(document, lambda path: found.append(path) or path)  # type: ignore[func-returns-value]
    return found
