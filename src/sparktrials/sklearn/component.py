"""What a component is: a class, and a table of what may be tried of its parameters.

A `Component` is called with a label and returns a search-space node that makes the estimator. The
tables are data; what the entries mean is here, and nowhere else:

==========================  =====================================================================
``Real(low, high)``         a float; ``log=True`` where orders of magnitude count
``Whole(low, high)``        an int; ``log=True`` likewise
``OneOf(a, b, ...)``        one of constants, or of entries of these kinds
``New(path, **table)``      an object of another class with parameters of its own
``Cases(name, a, b, ...)``  tables of which one holds: what makes sense together, and no more
anything else               a constant
==========================  =====================================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import sklearn

from sparktrials import hp, scope
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.space.nodes import Constant, Node, Switch

if TYPE_CHECKING:
    from sparktrials.sklearn.earlier import Translation

__all__ = [
    "FLAG",
    "SKLEARN",
    "Cases",
    "Component",
    "Kind",
    "Needs",
    "New",
    "OneOf",
    "Real",
    "Whole",
    "class_of",
]

#: The version of scikit-learn: major and minor.
SKLEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))
#: What a component is for. ``detector``: learns from the features alone, and predicts no target.
Kind = Literal["classifier", "regressor", "detector", "preprocessor", "text"]
#: What data a component takes that not every data set is.
Needs = Literal["", "non-negative", "categories", "positive target", "several targets", "text"]

#: A log-uniform whole number rounds to its bounds as often as to others, and never beyond them.
_HALF = 0.499


@dataclass(frozen=True, slots=True)
class Real:
    """A float of ``[low, high]``, uniform or log-uniform."""

    low: float
    high: float
    log: bool = False

    def node(self, label: str) -> Node:
        """Return the parameter."""
        if self.log:
            return hp.loguniform(label, math.log(self.low), math.log(self.high))
        return hp.uniform(label, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Whole:
    """An int of ``[low, high]``, uniform or log-uniform."""

    low: int
    high: int
    log: bool = False

    def node(self, label: str) -> Node:
        """Return the parameter."""
        if self.log:
            low, high = math.log(self.low - _HALF), math.log(self.high + _HALF)
            return scope.int(hp.qloguniform(label, low, high, 1))
        return hp.uniformint(label, self.low, self.high)


class OneOf:
    """One of several constants or entries."""

    __slots__ = ("options",)

    def __init__(self, *options: object) -> None:
        self.options = options

    def node(self, label: str) -> Node:
        """Return the parameter; what belongs to an option has the option's number in its label."""
        return hp.choice(label, [_node(o, f"{label}.{i}") for i, o in enumerate(self.options)])


#: A parameter that is on or off.
FLAG = OneOf(True, False)  # noqa: FBT003 - data


class New:
    """An object of another class: ``New("sklearn.tree.DecisionTreeClassifier", max_depth=...)``."""

    __slots__ = ("path", "table")

    def __init__(self, path: str, **table: object) -> None:
        self.path = path
        self.table = table

    def node(self, label: str) -> Node:
        """Return the node that makes it."""
        made = {name: _node(entry, f"{label}.{name}") for name, entry in self.table.items()}
        return scope.call(class_of(self.path), **made)


class Cases:
    """Tables of which one holds.

    A parameter that is given keeps the cases that allow it: those where it is that constant, where
    it may be searched, or where it is not named. A value that no case allows replaces the cases as
    a whole: scikit-learn's defaults hold for the rest.
    """

    __slots__ = ("name", "tables")

    def __init__(self, name: str, *tables: Mapping[str, object]) -> None:
        self.name = name
        self.tables = tables

    @property
    def parameters(self) -> set[str]:
        """Names of the parameters that the cases speak of."""
        return {name for table in self.tables for name in table}

    def node(self, label: str, given: Mapping[str, object]) -> object:
        """Return a dict of parameters, or a node that becomes one."""
        mine = {name: value for name, value in given.items() if name in self.parameters}
        kept = [t for t in self.tables if all(_allows(t, n, v) for n, v in mine.items())]
        if not kept:
            return mine
        tables = [
            {name: _node(entry, f"{label}.{i}.{name}") for name, entry in table.items()} | mine
            for i, table in enumerate(kept)
        ]
        return tables[0] if len(tables) == 1 else hp.choice(f"{label}.{self.name}", tables)


def _allows(table: Mapping[str, object], name: str, value: object) -> bool:
    if name not in table:
        return True
    entry = table[name]
    if isinstance(entry, OneOf) and not isinstance(value, Node):
        searched = any(isinstance(o, (Real, Whole, New)) for o in entry.options)
        return searched or any(_same(o, value) for o in entry.options)
    return isinstance(entry, (Real, Whole, OneOf, New)) or _same(entry, value)


def _same(constant: object, value: object) -> bool:
    return type(constant) is type(value) and constant == value


def _as_given(value: object) -> object:
    """Return a user's value so that a list without nodes stays a list."""
    if isinstance(value, (list, dict)) and not _holds_node(value):
        return Constant(value)
    return value


def _holds_node(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_node, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_node, value))
    return isinstance(value, Node)


def _node(entry: object, label: str) -> Any:  # noqa: ANN401 - a node, or a constant
    return entry.node(label) if isinstance(entry, (Real, Whole, OneOf, New)) else entry


def class_of(path: str) -> Callable[..., Any]:
    """Return the class at a dotted path.

    Raises
    ------
    InvalidArgument
        If the package is not installed, or this version of it has no such class.
    """
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        msg = f"{name} needs the package {package}, which is not installed: pip install {package}"
        raise InvalidArgument(msg) from None
    except AttributeError:
        msg = f"the installed version of {package} has no {path}"
        raise InvalidArgument(msg) from None
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A row of the tables, and the function that makes a search space of it.

    ``svc("model", C=10)`` is a node: an ``SVC`` with ``C`` 10 and all else searched. What is given
    may be a constant or a node of one's own; parameters that the table does not name are passed on.

    Attributes
    ----------
    name
        What it is called, here and in Hyperopt-Sklearn.
    short
        What menus add to their label for it.
    path
        Its class.
    kind
        What it is for.
    table
        Parameter to entry.
    cases
        Parameters that depend on each other.
    needs
        What data it takes that not every data set is.
    fails
        What may still go wrong with data that it takes, in a few words.
    earlier
        Makes of arguments that Hyperopt-Sklearn has those of its class.
    """

    name: str
    short: str
    path: str
    kind: Kind
    table: Mapping[str, object] = field(default_factory=dict)
    cases: tuple[Cases, ...] = ()
    needs: Needs = ""
    fails: str = ""
    earlier: Translation | None = None

    def __call__(self, label: object, /, **given: object) -> Node:
        """Return a search-space node that makes the estimator.

        Parameters
        ----------
        label
            Begins the labels of its parameters: ``label.C``.
        given
            Parameters that are not searched as the table says: constants or nodes.

        Raises
        ------
        InvalidArgumentType
            If the label is no text.
        InvalidArgument
            If its package is not installed, or its class has no such parameter.
        """
        if not isinstance(label, str):
            msg = f"{self.name} takes a label (str) first, got {label!r}"
            raise InvalidArgumentType(msg)
        if self.earlier is not None:
            given = self.earlier(self.name, given)
        make = class_of(self.path)
        known = parameters_of(make)
        unknown = [] if known is None else [name for name in given if name not in known]
        if unknown:
            msg = (
                f"{self.name} has no parameter {unknown[0]!r}; {make.__name__} takes "
                f"{', '.join(sorted(known or ()))}"
            )
            raise InvalidArgument(msg)
        in_cases = {name for case in self.cases for name in case.parameters}
        plain = {n: _node(e, f"{label}.{n}") for n, e in self.table.items() if n not in given}
        own = {name: _as_given(value) for name, value in given.items()}
        plain |= {name: value for name, value in own.items() if name not in in_cases}
        groups = [case.node(label, own) for case in self.cases]
        for group in groups:
            if isinstance(group, dict):
                plain |= group
        chosen = [group for group in groups if isinstance(group, Switch)]
        if not chosen:
            return scope.call(make, **plain)
        return scope.call(_made, make, plain, *chosen)

    @property
    def package(self) -> str:
        """The package that its class is in."""
        return self.path.partition(".")[0]

    @property
    def available(self) -> bool:
        """Whether its package is installed."""
        return importlib.util.find_spec(self.package) is not None

    def __repr__(self) -> str:
        return f"<component {self.name} of {self.path}>"


def parameters_of(make: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names that an estimator's class can be called with; None: whatever it is given."""
    if not hasattr(make, "_get_param_names") or make.__module__.partition(".")[0] != "sklearn":
        return None
    return frozenset(make._get_param_names())  # noqa: SLF001 - scikit-learn's protocol


def _made(make: Callable[..., Any], plain: dict[str, Any], *chosen: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return an estimator; a function of this module, so that a space can be pickled."""
    for group in chosen:
        plain = {**plain, **group}
    return make(**plain)
