"""The operations that expressions name: what ``scope`` is, but for making the expressions.

A pickled expression carries the functions that its user defined: `Definition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import get_ident
from typing import Any, ClassVar, TypeVar

from sparktrials.compat.pyll.travel import packed, unpacked
from sparktrials.errors import InvalidArgument, InvalidArgumentType

__all__ = ["Definition", "PyllImportError", "SymbolTableEntry", "Symbols"]

_F = TypeVar("_F", bound=Callable[..., Any])


class PyllImportError(ImportError):
    """A name that is to be imported from a scope is not defined there."""


class Definition:
    """One operation: its name and function; in a pickle it carries the function along."""

    def __init__(
        self,
        table: Symbols,
        name: str,
        function: Callable[..., Any] | None,
        o_len: int | None,
        pure: bool,  # noqa: FBT001
    ) -> None:
        self.table = table
        self.name = name
        self.function = function
        self.o_len = o_len
        self.pure = pure
        self._packing: set[int] = set()

    def __deepcopy__(self, memo: object) -> Definition:
        return self

    def __getstate__(self) -> tuple[Any, ...]:
        thread = get_ident()
        if thread in self._packing:  # the function refers to an expression that applies it
            return (self.table, self.name, None, self.o_len, self.pure)
        self._packing.add(thread)
        try:
            function = packed(self.function)
        finally:
            self._packing.discard(thread)
        return (self.table, self.name, function, self.o_len, self.pure)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.table, self.name, function, self.o_len, self.pure = state
        self.function = unpacked(function)
        self._packing = set()
        self.table.adopt(self)


class Symbols:
    """Functions by name; each is an attribute, too, which makes an expression of it."""

    _impls: dict[str, Callable[..., Any]]

    #: What every table has from the start.
    _INITIAL: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "list": list,
        "dict": dict,
        "range": range,
        "len": len,
        "int": int,
        "float": float,
        "map": map,
        "max": max,
        "min": min,
        "getattr": getattr,
    }

    def __init__(self) -> None:
        self._impls = dict(self._INITIAL)
        self._definitions: dict[str, Definition] = {}
        for name in self._INITIAL:
            if name != "map":
                setattr(self, name, SymbolTableEntry(self, name, None, pure=True))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - entries, and functions that users set
        msg = (
            f"scope has no operation {name!r}; write a function of that name and decorate it with "
            "@scope.define"
        )
        raise AttributeError(msg)

    def define(self, f: _F, o_len: int | None = None, pure: bool = False) -> _F:  # noqa: FBT001, FBT002
        """Add a function under its own name; a decorator.

        Raises
        ------
        InvalidArgument
            A `ValueError`: the name is taken.
        """
        if hasattr(self, _name_of(f)):
            msg = (
                f"Cannot override existing symbol {_name_of(f)!r}; choose another name, or call "
                f"scope.undefine({_name_of(f)!r}) first"
            )
            raise InvalidArgument(msg)
        return self._define(f, o_len, pure)

    def define_if_new(self, f: _F, o_len: int | None = None, pure: bool = False) -> _F:  # noqa: FBT001, FBT002
        """Add a function under its own name unless that very function is there already.

        Raises
        ------
        InvalidArgument
            A `ValueError`: the name is taken by another function.
        """
        if hasattr(self, _name_of(f)) and self._impls.get(_name_of(f)) is not f:
            msg = f"Cannot redefine existing symbol {_name_of(f)!r}, which is another function"
            raise InvalidArgument(msg)
        return self._define(f, o_len, pure)

    def define_pure(self, f: _F) -> _F:
        """Add a function without side effects; a decorator."""
        return self.define(f, o_len=None, pure=True)

    def define_info(self, o_len: int | None = None, pure: bool = False) -> Callable[[_F], _F]:  # noqa: FBT001, FBT002
        """Make a decorator that adds a function; `o_len` is the length of what it returns."""

        def wrapper(f: _F) -> _F:
            return self.define(f, o_len=o_len, pure=pure)

        return wrapper

    def undefine(self, f: str | Callable[..., Any]) -> None:
        """Remove a function, given itself or its name."""
        name = f if isinstance(f, str) else _name_of(f)
        if name not in self._impls:
            msg = f"scope has no operation {name!r}"
            raise KeyError(msg)
        del self._impls[name]
        self._definitions.pop(name, None)
        self.__dict__.pop(name, None)

    def inject(self, *args: str, **kwargs: str) -> dict[str, Any]:
        """Return operations by name; keywords rename: ``inject(plus="add")``.

        Raises
        ------
        PyllImportError
            If one is not defined.
        """
        found: dict[str, Any] = {}
        for name, original in [*((a, a) for a in args), *kwargs.items()]:
            try:
                found[name] = getattr(self, original)
            except AttributeError:
                raise PyllImportError(original) from None
        return found

    def import_(self, _globals: dict[str, Any], *args: str, **kwargs: str) -> None:
        """Put operations into a dict, usually ``globals()``: see `inject`."""
        _globals.update(self.inject(*args, **kwargs))

    def adopt(self, definition: Definition) -> None:
        """Add an operation that came in a pickle, unless its name is known here."""
        if definition.function is not None and definition.name not in self._impls:
            self._install(definition)

    def _define(self, f: _F, o_len: int | None, pure: bool) -> _F:  # noqa: FBT001
        self._install(Definition(self, _name_of(f), f, o_len, pure))
        return f

    def _install(self, definition: Definition) -> None:
        name = definition.name
        assert definition.function is not None  # noqa: S101 - the callers see to it
        setattr(self, name, SymbolTableEntry(self, name, definition.o_len, definition.pure))
        self._impls[name] = definition.function
        self._definitions[name] = definition

    def _new_apply(
        self,
        name: str,
        args: Iterable[object],
        kwargs: Mapping[str, object],
        o_len: int | None,
        pure: bool,  # noqa: FBT001
    ) -> Any:  # noqa: ANN401 - an Apply
        raise NotImplementedError


def _name_of(function: object) -> str:
    name = getattr(function, "__name__", None)
    if not callable(function) or not isinstance(name, str):
        msg = f"scope takes functions that have a name, got {function!r}"
        raise InvalidArgumentType(msg)
    return name


class SymbolTableEntry:
    """One operation of a table, as users call it."""

    def __init__(
        self,
        symbol_table: Symbols,
        apply_name: str,
        o_len: int | None,
        pure: bool,  # noqa: FBT001
    ) -> None:
        self.symbol_table = symbol_table
        self.apply_name = apply_name
        self.o_len = o_len
        self.pure = pure

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - an Apply
        """Return the operation applied to expressions or values."""
        return self.symbol_table._new_apply(  # noqa: SLF001
            self.apply_name, args, kwargs, self.o_len, self.pure
        )

    def __getstate__(self) -> dict[str, Any]:
        definition = self.symbol_table._definitions.get(self.apply_name)  # noqa: SLF001
        return {**self.__dict__, "_definition": definition}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.pop("_definition", None)  # it has put itself into the scope
        self.__dict__.update(state)
