"""Makes ``import hyperopt`` mean this package."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

from sparktrials.errors import SparkTrialsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["AliasError", "install", "is_installed"]

_HYPEROPT = "hyperopt"
_OURS = "sparktrials.compat"
#: Submodules that stand under Hyperopt's name.
_MODULES = (
    "algobase",
    "anneal",
    "atpe",
    "base",
    "criteria",
    "early_stop",
    "exceptions",
    "fmin",
    "graph_viz",
    "hp",
    "mix",
    "mongoexp",
    "plotting",
    "progress",
    "pyll",
    "pyll.base",
    "pyll.stochastic",
    "pyll_utils",
    "rand",
    "rdists",
    "spark",
    "std_out_err_redirect_tqdm",
    "tpe",
    "utils",
)
#: Those that need more than numpy: they are imported when they are asked for.
_LATE = ("sklearn",)
_HPSKLEARN = "hpsklearn"
#: Its submodules, which are all one here.
_HPSKLEARN_MODULES = ("components", "estimator")


class AliasError(SparkTrialsError, ImportError):
    """``hyperopt`` cannot be made to mean this package, or lacks a module here."""


class _SameModule(Loader):
    """Loads a module of ours under a second name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return our module; it is imported here, for to find it is not to import it."""
        module = importlib.import_module(self.name)
        self.spec = module.__spec__
        if spec.name == _HPSKLEARN:
            for name in _HPSKLEARN_MODULES:
                sys.modules[f"{_HPSKLEARN}.{name}"] = module
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give our module its own name back; it has been run already."""
        module.__spec__ = self.spec


class _Finder(MetaPathFinder):
    """Says what is wrong when a module of Hyperopt's is imported that is not here."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Import the module under our name, which says why it is not there."""
        if not fullname.startswith(f"{_HYPEROPT}.") or not is_installed():
            return None
        name = _OURS + fullname.removeprefix(_HYPEROPT)
        if name.removeprefix(f"{_OURS}.") in _LATE:
            return ModuleSpec(fullname, _SameModule(name))
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            msg = f"sparktrials has no {fullname}: docs/compat.md lists what there is"
            raise ModuleNotFoundError(msg, name=fullname) from None
        msg = f"{fullname} is {name} here: import that"
        raise AliasError(msg, name=fullname)


class _SklearnFinder(MetaPathFinder):
    """Finds Hyperopt-Sklearn here."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return our module."""
        if fullname != _HPSKLEARN:
            return None
        return ModuleSpec(fullname, _SameModule(f"{_OURS}.{_HPSKLEARN}"))


def is_installed() -> bool:
    """Whether ``hyperopt`` means this package in this process."""
    return sys.modules.get(_HYPEROPT) is sys.modules.get(_OURS, _HYPEROPT)


def install(*, replace: bool = False, hpsklearn: bool = False) -> None:
    """Make ``import hyperopt`` and its submodules mean this package, in this process.

    ``import hpsklearn`` does, too, where Hyperopt-Sklearn is not installed.

    Parameters
    ----------
    replace
        Whether a real Hyperopt that was imported already is replaced, but where it is named.
    hpsklearn
        Whether ``hpsklearn`` means this package also where Hyperopt-Sklearn is installed.

    Raises
    ------
    AliasError
        If a real Hyperopt was imported before, and is not to be replaced; or Hyperopt-Sklearn.
    """
    ours = importlib.import_module(_OURS)
    _offer_hpsklearn(first=hpsklearn)
    if is_installed():
        return
    theirs = [n for n in sys.modules if n == _HYPEROPT or n.startswith(f"{_HYPEROPT}.")]
    # What an import that failed has left behind is nobody's.
    if _HYPEROPT in sys.modules and not replace:
        msg = (
            "hyperopt was imported before sparktrials.compat.install(): call install() first, at "
            "the top of the program, or run it by python -m sparktrials.compat program.py"
        )
        raise AliasError(msg)
    for name in theirs:
        del sys.modules[name]
    # All at once: a submodule that is imported later would be set on its parent, and
    # `hyperopt.fmin` is to stay the function.
    for name in _MODULES:
        sys.modules[f"{_HYPEROPT}.{name}"] = importlib.import_module(f"{_OURS}.{name}")
    sys.modules[_HYPEROPT] = ours
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _offer_hpsklearn(*, first: bool) -> None:
    known = [finder for finder in sys.meta_path if isinstance(finder, _SklearnFinder)]
    if first:
        imported = sys.modules.get(_HPSKLEARN)
        if imported not in (None, sys.modules.get(f"{_OURS}.{_HPSKLEARN}")):
            msg = (
                "hpsklearn was imported before sparktrials.compat.install(hpsklearn=True): call "
                "install first, at the top of the program"
            )
            raise AliasError(msg)
        for finder in known:
            sys.meta_path.remove(finder)
        sys.meta_path.insert(0, _SklearnFinder())
    elif not known:
        sys.meta_path.append(_SklearnFinder())  # asked last: one that is installed is found before
