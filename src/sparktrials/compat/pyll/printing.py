"""Expressions as text: one numbered line per node, what appeared before by its line."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sparktrials.compat.pyll.graph import Apply

__all__ = ["write_graph"]


def write_graph(
    root: Apply, file: IO[str], lineno: list[int], indent: int, memo: dict[Apply, str]
) -> None:
    """Write an expression, indented by depth.

    Parameters
    ----------
    lineno
        One number, the next line's, counted on.
    memo
        What was written before: node to its text. Nodes written here are added.
    """
    # Depth first with a stack of our own: expressions may nest deeper than Python recurses.
    stack: list[tuple[Apply | str, int]] = [(root, indent)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            text = item
        elif item in memo:
            text = memo[item]
        else:
            text = item.name if item.name != "literal" else _constant(item)
            memo[item] = f"{text}  [line:{lineno[0]}]"
            for name, argument in reversed(item.named_args):
                stack.extend([(argument, depth + 2), (f" {name} =", depth)])
            stack.extend((argument, depth + 2) for argument in reversed(item.pos_args))
        file.write(f"{lineno[0]} {' ' * depth}{text}\n")
        lineno[0] += 1


def _constant(node: Any) -> str:  # noqa: ANN401 - a Literal
    value = node.obj
    if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "biuf":
        return f"Literal{{np.ndarray,shape={value.shape},min={value.min():f},max={value.max():f}}}"
    return f"Literal{{{value}}}"
