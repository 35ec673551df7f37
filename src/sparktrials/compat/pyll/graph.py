"""Hyperopt's expressions: `Apply`, `Literal`, and the `scope` that names what they apply.

Nodes are mutable and refer to their function by name, as Hyperopt's users and packages expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import IO, Any

from sparktrials.compat.pyll.binding import MissingArgument, bound
from sparktrials.compat.pyll.foreign import adopted, is_foreign
from sparktrials.compat.pyll.operators import Operators
from sparktrials.compat.pyll.printing import write_graph
from sparktrials.compat.pyll.symbols import Definition, Symbols
from sparktrials.compat.pyll.translation import Translation
from sparktrials.errors import BadSearchSpace, InvalidArgumentType
from sparktrials.space.nodes import Node

__all__ = [
    "Apply",
    "Literal",
    "SymbolTable",
    "UndefinedValue",
    "apply",
    "as_apply",
    "graph_of",
    "scope",
]


class UndefinedValue:
    """The value of a parameter of a `Lambda`, which has none."""


class SymbolTable(Symbols):
    """The operations by name: ``scope.add(a, b)`` is an `Apply` of ``scope._impls["add"]``."""

    def __reduce__(self) -> Any:  # noqa: ANN401 - pickle's protocol
        # Of the one that all share, a pickle has the name: its operations travel with expressions.
        return "scope" if self is scope else object.__reduce_ex__(self, 2)

    def map(self, fn: object, seq: object, pure: bool = False) -> Apply:  # noqa: FBT001, FBT002
        """``map(fn, seq)``; `pure` asserts that `fn` changes no item."""
        sequence = as_apply(seq)
        return self._new_apply("map", [fn, sequence], {}, sequence.o_len, pure)

    def _new_apply(
        self,
        name: str,
        args: Iterable[object],
        kwargs: Mapping[str, object],
        o_len: int | None,
        pure: bool,  # noqa: FBT001
    ) -> Apply:
        positional = [as_apply(a) for a in args]
        named = [[k, as_apply(kwargs[k])] for k in sorted(kwargs)]
        return Apply(name, positional, named, o_len=o_len, pure=pure)


class _Kind(type):
    """Shows a class under Hyperopt's name: packages look for that in ``str(type(space))``."""

    def __repr__(cls) -> str:
        return f"<class 'hyperopt.pyll.base.{cls.__name__}'>"


class Apply(Operators, metaclass=_Kind):
    """An operation applied to other expressions.

    Attributes
    ----------
    name
        Of the operation, in `scope`.
    pos_args, named_args
        Its arguments: a list, and a list of ``[name, argument]``. Both may be changed.
    o_len
        Length of the result where it is known: then the expression unpacks.
    pure
        The operation has no side effects.
    define_params
        Arguments of ``scope.define_if_new`` for the process where the expression is unpickled.
    """

    def __init__(  # noqa: PLR0917 - Hyperopt's order
        self,
        name: str,
        pos_args: Iterable[Apply],
        named_args: Iterable[Sequence[Any]],
        o_len: int | None = None,
        pure: bool = False,  # noqa: FBT001, FBT002
        define_params: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.pos_args: list[Apply] = list(pos_args)
        self.named_args: list[list[Any]] = [[keyword, arg] for keyword, arg in named_args]
        self.o_len = o_len
        self.pure = pure
        self.define_params = define_params
        for arg in self.inputs():
            if not isinstance(arg, Apply):
                msg = f"an argument of {name!r} is no expression: {arg!r}"  # type: ignore[unreachable]
                raise InvalidArgumentType(msg)
        for keyword, _ in self.named_args:
            if not isinstance(keyword, str):
                msg = f"the name of an argument of {name!r} is no string: {keyword!r}"
                raise InvalidArgumentType(msg)

    def __getstate__(self) -> dict[str, Any]:
        definition = scope._definitions.get(self.name)  # noqa: SLF001
        return {**self.__dict__, "_definition": definition} if definition else self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.pop("_definition", None)  # it has put itself into the scope
        if self.define_params:
            scope.define_if_new(**self.define_params)

    def _operation(self, name: str, *operands: object) -> Apply:
        found: Apply = getattr(scope, name)(*operands)
        return found

    def eval(self, memo: dict[int, Any] | None = None) -> Any:  # noqa: ANN401
        """Compute the expression and all that it is made of, also options that are not chosen.

        Parameters
        ----------
        memo
            Values by ``id`` of the node; what is computed is added.
        """
        values = {} if memo is None else memo
        stack: list[Apply] = [self]
        while stack:
            node = stack[-1]
            if id(node) in values:
                stack.pop()
                continue
            if isinstance(node, Literal):
                values[id(node)] = node.obj
                continue
            missing = [a for a in node.inputs() if id(a) not in values]
            if missing:
                stack.extend(reversed(missing))
                continue
            args = [values[id(a)] for a in node.pos_args]
            kwargs = {k: values[id(a)] for k, a in node.named_args}
            values[id(node)] = scope._impls[node.name](*args, **kwargs)  # noqa: SLF001
        return values[id(self)]

    def inputs(self) -> list[Apply]:
        """Return the arguments, positional ones first."""
        if self.named_args:
            return self.pos_args + [arg for _, arg in self.named_args]
        return self.pos_args

    @property
    def arg(self) -> dict[str, Any]:
        """The arguments by the function's names for them, `MissingArgument` where there is none."""
        function = scope._impls[self.name]  # noqa: SLF001
        return bound(self.name, function, self.pos_args, self.named_args)

    def set_kwarg(self, name: str, value: object) -> None:
        """Set or add a named argument.

        Raises
        ------
        NotImplementedError
            If it is given by position.
        """
        for pair in self.named_args:
            if pair[0] == name:
                pair[1] = as_apply(value)
                return
        if self.arg.get(name, MissingArgument) is not MissingArgument:
            msg = f"change pos arg to kw arg: {name!r} of {self.name!r} is given by position"
            raise NotImplementedError(msg)
        self.named_args.append([name, as_apply(value)])
        self.named_args.sort(key=lambda pair: pair[0])

    def clone_from_inputs(self, inputs: Sequence[Apply], o_len: int | str | None = "same") -> Apply:
        """Return the same operation on other arguments, given as `inputs` orders them.

        Raises
        ------
        TypeError
            If their number differs.
        """
        n = len(self.pos_args)
        if len(inputs) != n + len(self.named_args):
            msg = f"{self.name!r} has {len(self.inputs())} arguments, got {len(inputs)}"
            raise TypeError(msg)
        named = [[pair[0], arg] for pair, arg in zip(self.named_args, inputs[n:], strict=True)]
        length = self.o_len if isinstance(o_len, str) else o_len
        return type(self)(self.name, inputs[:n], named, length, self.pure, self.define_params)

    def replace_input(self, old_node: Apply, new_node: Apply) -> list[int]:
        """Put a node in another's place; return the places in the order of `inputs`."""
        places = []
        for i, arg in enumerate(self.pos_args):
            if arg is old_node:
                self.pos_args[i] = new_node
                places.append(i)
        for i, pair in enumerate(self.named_args):
            if pair[1] is old_node:
                pair[1] = new_node
                places.append(i + len(self.pos_args))
        return places

    def pprint(
        self,
        ofile: IO[str],
        lineno: list[int] | None = None,
        indent: int = 0,
        memo: dict[Apply, str] | None = None,
    ) -> None:
        """Write the expression to a file, one numbered line per node."""
        write_graph(
            self,
            ofile,
            [0] if lineno is None else lineno,
            indent,
            {} if memo is None else memo,
        )

    def __str__(self) -> str:
        """Return what `pprint` writes."""
        file = StringIO()
        self.pprint(file)
        return file.getvalue()[:-1]

    def __getitem__(self, idx: object) -> Apply:
        if self.o_len is not None and isinstance(idx, int) and idx >= self.o_len:
            msg = f"{self.name!r} has {self.o_len} items, got index {idx}"
            raise IndexError(msg)
        return self._operation("getitem", self, idx)

    def __iter__(self) -> Iterator[Apply]:
        return iter([self[i] for i in range(len(self))])

    def __len__(self) -> int:
        if self.o_len is None:
            msg = (
                "len of pyll.Apply either undefined or unknown: the expression has no value yet, "
                "so it has no length, cannot be iterated, and is neither true nor false"
            )
            raise TypeError(msg)
        return self.o_len

    def __call__(self, *args: object, **kwargs: object) -> Apply:
        """Call the value, once it is known."""
        return self._operation("call", self, args, kwargs)


class Literal(Apply):
    """A constant."""

    def __init__(self, obj: Any = None) -> None:  # noqa: ANN401
        try:
            length = len(obj)
        except Exception:  # noqa: BLE001 - objects may refuse in ways of their own
            length = None
        super().__init__("literal", [], [], length, pure=True)
        self._obj = obj

    @property
    def obj(self) -> Any:  # noqa: ANN401
        """The constant itself."""
        return self._obj

    @property
    def arg(self) -> dict[str, Any]:
        """Nothing: a constant has no arguments."""
        return {}

    def clone_from_inputs(
        self,
        inputs: Sequence[Apply],  # noqa: ARG002
        o_len: int | str | None = "same",  # noqa: ARG002
    ) -> Literal:
        """Return another expression of the same constant."""
        return type(self)(self._obj)


#: The operations that all share. Hyperopt's users extend it, so it is what a module here is not
#: otherwise: state.
scope = SymbolTable()


def apply(name: str, *args: object, **kwargs: object) -> Apply:
    """Return the operation of that name, defined or not, applied to expressions or values."""
    return scope._new_apply(name, args, kwargs, None, pure=False)  # noqa: SLF001


def as_apply(obj: object) -> Apply:
    """Return anything as an expression: containers are searched, all else is a `Literal`.

    Nodes of `sparktrials.hp` become what Hyperopt's ``hp`` makes, and expressions of an installed
    Hyperopt ours.

    Raises
    ------
    BadSearchSpace
        If a container contains itself.
    """
    if not isinstance(obj, (tuple, list, dict)):
        return _leaf(obj, None)
    # Depth first with a stack of our own: containers may nest deeper than Python recurses.
    stack = [_Container(obj)]
    above = {id(obj)}
    nodes = _translation()
    while True:
        container = stack[-1]
        if len(container.made) == len(container.parts):
            stack.pop()
            above.discard(id(container.source))
            made = container.expression()
            if not stack:
                return made
            stack[-1].made.append(made)
            continue
        part = container.parts[len(container.made)]
        if not isinstance(part, (tuple, list, dict)):
            container.made.append(_leaf(part, nodes))
            continue
        if id(part) in above:
            msg = f"a search space must be a tree, but this {type(part).__name__} contains itself"
            raise BadSearchSpace(msg)
        above.add(id(part))
        stack.append(_Container(part))


class _Container:
    """A container on its way to an expression."""

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - a tuple, list or dict
        self.source = source
        self.made: list[Apply] = []
        self.keys: list[Any] | None = None
        if not isinstance(source, dict):
            self.parts = list(source)
            return
        try:
            keys = sorted(source)
        except TypeError:  # of several types
            keys = sorted(source, key=str)
        if all(isinstance(key, str) for key in keys):
            self.keys = keys
            self.parts = [source[key] for key in keys]
        else:
            self.parts = [[(key, source[key]) for key in keys]]

    def expression(self) -> Apply:
        if self.keys is not None:
            pairs = list(zip(self.keys, self.made, strict=True))
            return Apply("dict", [], pairs, len(pairs))
        if isinstance(self.source, dict):
            return Apply("dict", self.made, [], o_len=None)
        return Apply(
            "pos_args", self.made, [], len(self.made) if isinstance(self.source, tuple) else None
        )


def _leaf(value: object, nodes: Translation[Apply] | None) -> Apply:
    if isinstance(value, Apply):
        return value
    if isinstance(value, Node):
        return (nodes or _translation()).of(value)
    if is_foreign(value):
        return adopted(value, Apply, Literal, _learn)
    return Literal(value)


def _learn(name: str, function: Callable[..., Any]) -> None:
    scope.adopt(Definition(scope, name, function, None, pure=False))


def graph_of(node: Node) -> Apply:
    """Return what Hyperopt's ``hp`` and ``scope`` make of what ours made.

    Nodes that are shared stay shared.
    """
    return _translation().of(node)


def _translation() -> Translation[Apply]:
    return Translation(Apply, Literal, scope._impls)  # noqa: SLF001
