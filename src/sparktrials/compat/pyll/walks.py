"""Walks over expressions, and copies. None recurses: depth is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparktrials.errors import BadSearchSpace

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sparktrials.compat.pyll.graph import Apply

__all__ = ["clone", "clone_merge", "dfs", "toposort"]


def dfs(
    aa: Apply, seq: list[Apply] | None = None, seqset: dict[Apply, list[Apply]] | None = None
) -> list[Apply]:
    """Return each node of an expression once, arguments before what is applied to them.

    Parameters
    ----------
    seq
        The nodes found are added to it.
    seqset
        Node to its inputs: those in it are not entered, those found are added.
    """
    found: list[Apply] = [] if seq is None else seq
    seen: dict[Apply, list[Apply]] = {} if seqset is None else seqset
    if aa in seen:
        return found
    seen[aa] = aa.inputs()
    stack = [(aa, iter(seen[aa]))]
    while stack:
        node, rest = stack[-1]
        for child in rest:
            if child not in seen:
                seen[child] = child.inputs()
                stack.append((child, iter(seen[child])))
                break
        else:
            stack.pop()
            found.append(node)
    return found


def toposort(expr: Apply) -> list[Apply]:
    """Return the nodes of an expression in topological order, itself last.

    Raises
    ------
    BadSearchSpace
        If it contains itself.
    """
    order = dfs(expr)
    place = {node: i for i, node in enumerate(order)}
    for node in order:
        if any(place[child] >= place[node] for child in node.inputs()):
            msg = f"the expression contains itself: {node.name!r} is among its own arguments"
            raise BadSearchSpace(msg)
    return order


def clone(expr: Apply, memo: dict[Apply, Apply] | None = None) -> Apply:
    """Return a copy; constants are not copied, but the nodes that hold them are.

    Parameters
    ----------
    memo
        Node to its replacement; the copies are added.
    """
    copies = {} if memo is None else memo
    for node in dfs(expr):
        if node not in copies:
            copies[node] = node.clone_from_inputs([copies[arg] for arg in node.inputs()])
    return copies[expr]


def clone_merge(
    expr: Apply,
    memo: dict[Apply, Apply] | None = None,
    merge_literals: bool = False,  # noqa: FBT001, FBT002 - Hyperopt's order
) -> Apply:
    """Return a copy in which pure operations on the same arguments are one node.

    Parameters
    ----------
    memo
        Node to its replacement; the copies are added.
    merge_literals
        Equal constants of one type are one node, too.
    """
    copies = {} if memo is None else memo
    known: dict[Hashable, Apply] = {}
    constants: dict[type, list[Apply]] = {}
    for node in dfs(expr):
        if node in copies:
            continue
        inputs = [copies[arg] for arg in node.inputs()]
        if node.name == "literal":
            alike = constants.setdefault(type(node.obj), []) if merge_literals else []  # type: ignore[attr-defined]  # a Literal
            found = next((other for other in alike if _equal(node, other)), None)
            copies[node] = node.clone_from_inputs(inputs) if found is None else found
            if found is None:
                alike.append(copies[node])
            continue
        key = (
            node.name,
            tuple(inputs[: len(node.pos_args)]),
            tuple(zip((k for k, _ in node.named_args), inputs[len(node.pos_args) :], strict=True)),
        )
        if node.pure and key in known:
            copies[node] = known[key]
            continue
        copies[node] = node.clone_from_inputs(inputs)
        if node.pure:
            known[key] = copies[node]
    return copies[expr]


def _equal(node: Apply, other: Apply) -> bool:
    a, b = node.obj, other.obj  # type: ignore[attr-defined]  # Literals
    try:
        return a is b or bool(a == b)
    except Exception:  # noqa: BLE001 - arrays, and what users define
        return False
