"""Evaluation of expressions: lazy in switches, without recursion."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.compat.pyll.graph import Apply, Literal, as_apply, scope
from sparktrials.compat.pyll.walks import dfs
from sparktrials.errors import BadSearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_MAX_PROGRAM_LEN", "GarbageCollected", "rec_eval"]

DEFAULT_MAX_PROGRAM_LEN = 100000


class GarbageCollected:
    """Stands for a value that nothing needs any longer."""


def rec_eval(  # noqa: PLR0917 - Hyperopt's order
    expr: object,
    deepcopy_inputs: bool = False,  # noqa: FBT001, FBT002
    memo: Mapping[Apply, Any] | None = None,
    max_program_len: int | None = None,
    memo_gc: bool = True,  # noqa: FBT001, FBT002
    print_trace: bool = False,  # noqa: FBT001, FBT002
    print_node_on_error: bool = True,  # noqa: FBT001, FBT002
) -> Any:  # noqa: ANN401
    """Return the value of an expression; of a switch only the option taken is evaluated.

    Parameters
    ----------
    deepcopy_inputs
        Give every operation copies of its arguments.
    memo
        Values of nodes that are known.
    max_program_len
        More nodes than these waiting at once are taken for an endless expression.
    memo_gc
        Drop values when nothing needs them any longer.
    print_trace, print_node_on_error
        What to print.

    Raises
    ------
    RuntimeError
        If the expression is endless.
    TypeError, ValueError, IndexError
        If a switch's index is no integer, is negative, or has no option.
    """
    if deepcopy_inputs not in (0, 1):
        msg = (
            f"deepcopy_inputs should be bool, got {deepcopy_inputs!r}; did you mean "
            "rec_eval(expr, memo=...)?"
        )
        raise ValueError(msg)
    top = as_apply(expr)
    values = _Values(top, memo or {}, collect=memo_gc)
    longest = DEFAULT_MAX_PROGRAM_LEN if max_program_len is None else max_program_len
    todo = [top]
    while todo:
        if len(todo) > longest:
            msg = "Probably infinite loop in document"
            raise RuntimeError(msg)
        node = todo.pop()
        if print_trace:
            _print("rec_eval:print_trace", len(todo), node.name)
        if node in values.known:
            continue
        if isinstance(node, Literal):
            values.set(node, node.obj)
            continue
        if node.name == "switch":
            needed = _next_of_switch(node, values.known)
            if needed in values.known and needed is not node.pos_args[0]:
                values.set(node, values.known[needed])
            else:
                todo.extend([node, needed])
            continue
        missing = [arg for arg in values.inputs[node] if arg not in values.known]
        if missing:
            todo.append(node)
            todo.extend(missing)
            continue
        args = [values.known[arg] for arg in node.pos_args]
        kwargs = {name: values.known[arg] for name, arg in node.named_args}
        if deepcopy_inputs:
            args, kwargs = copy.deepcopy((args, kwargs))
        try:
            value = _function(node)(*args, **kwargs)
        except Exception as error:
            if print_node_on_error:
                line = "=" * 80
                _print(line + "\nERROR in rec_eval\nEXCEPTION", type(error), str(error))
                _print(f"NODE\n{node}\n{line}")
            raise
        if isinstance(value, Apply):  # what a Lambda returns
            value = rec_eval(value, deepcopy_inputs, values.alive(), memo_gc=memo_gc)
        values.set(node, value)
    return values.known[top]


class _Values:
    """What is known so far, and who still needs it."""

    def __init__(self, top: Apply, memo: Mapping[Apply, Any], *, collect: bool) -> None:
        self.known = dict(memo)
        self.inputs: dict[Apply, list[Apply]] = {}
        self.waiting: dict[Apply, int] | None = None
        dfs(top, [], self.inputs)
        if collect:
            self.waiting = dict.fromkeys(self.inputs, 0)
            for node, inputs in self.inputs.items():
                if node not in self.known:
                    for arg in set(inputs):
                        self.waiting[arg] += 1

    def set(self, node: Apply, value: object) -> None:
        self.known[node] = value
        if self.waiting is not None:
            for arg in set(self.inputs[node]):
                self.waiting[arg] -= 1
                if not self.waiting[arg]:
                    self.known[arg] = GarbageCollected

    def alive(self) -> dict[Apply, Any]:
        """Return what an expression that an operation made may use."""
        return {node: v for node, v in self.known.items() if v is not GarbageCollected}


def _function(node: Apply) -> Any:  # noqa: ANN401
    try:
        return scope._impls[node.name]  # noqa: SLF001
    except KeyError:
        msg = (
            f"scope has no operation {node.name!r} in this process; define it with @scope.define "
            "before expressions that use it are evaluated"
        )
        raise BadSearchSpace(msg) from None


def _next_of_switch(node: Apply, known: Mapping[Apply, Any]) -> Apply:
    """Return what a switch needs next: its index, or the option that the index names."""
    index = node.pos_args[0]
    if index not in known:
        return index
    position = known[index]
    if isinstance(position, np.ndarray):
        position = position.item()
    if not isinstance(position, (int, np.integer)):
        msg = f"switch argument was {position!r}, must be an integer"
        raise TypeError(msg)
    if position < 0:
        msg = f"switch pos must be positive int, got {position!r}"
        raise ValueError(msg)
    if position + 1 >= len(node.pos_args):
        msg = f"switch has {len(node.pos_args) - 1} options, its index was {position!r}"
        raise IndexError(msg)
    return node.pos_args[int(position) + 1]


def _print(*values: object) -> None:
    sys.stdout.write(" ".join(map(str, values)) + "\n")
