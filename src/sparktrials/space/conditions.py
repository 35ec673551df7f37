"""When each parameter of a tree is active: an OR of ANDs of ``parameter == branch``.

The walk goes from the root down and hands every node the *terms* under which it is reached: a set
of sets of literals ``(draw, branch)``. A literal holds when its draw is active and has that value.

Two facts keep the terms short. A draw that serves one switch and nothing else is active just when
that switch is reached, so its literals stand for the whole path above them. And a node under all
branches of a switch is reached just when the switch is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from sparktrials.errors import BadSearchSpace, DuplicateLabel
from sparktrials.space.distributions import Categorical, Integer, Uniform
from sparktrials.space.nodes import Draw, Node, Switch, children

__all__ = ["Condition", "branches", "draws_of", "holds", "table_of"]

#: An OR of ANDs of ``(index of the choice's parameter, branch)``; empty: always active.
Condition: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]
#: Literals ``(position of the draw in the order of appearance, branch)`` that must all hold.
_Term: TypeAlias = frozenset[tuple[int, int]]
_Terms: TypeAlias = frozenset[_Term]

_ALWAYS: _Terms = frozenset({frozenset()})
#: Ways to reach one node, beyond single literals, that are worth writing down.
_MOST_TERMS = 10_000


def branches(draw: Node) -> range | None:
    """Return the values that an index can take, or None where they are not known in advance."""
    if isinstance(draw, Draw):
        distribution = draw.distribution
        if isinstance(distribution, Categorical):
            return range(len(distribution.probabilities))
        if isinstance(distribution, Integer):
            return range(distribution.low, distribution.high)
        if isinstance(distribution, Uniform) and distribution.integer and distribution.q == 1:
            return range(round(distribution.low), round(distribution.high) + 1)
    return None


def draws_of(order: Iterable[Node]) -> list[Draw]:
    """Return the draws in order of appearance.

    Raises
    ------
    DuplicateLabel
        If two of them have one label.
    """
    draws: dict[str, Draw] = {}
    for node in order:
        if isinstance(node, Draw) and draws.setdefault(node.label, node) is not node:
            msg = (
                f"the label {node.label!r} names two parameters ({draws[node.label]} and {node}); "
                "give each its own label, or use one node object in both places to share it"
            )
            raise DuplicateLabel(msg)
    return list(draws.values())


def table_of(order: Sequence[Node]) -> list[tuple[Draw, Condition]]:
    """Return the draws, those that conditions name first, each with its condition.

    Parameters
    ----------
    order
        All nodes once, children before parents, the root last.

    Returns
    -------
    list
        ``(draw, condition)``; conditions name draws by their position in this list.

    Raises
    ------
    BadSearchSpace
        `DuplicateLabel`; or the base class if two parameters decide on each other, or there are
        too many ways to reach one.
    """
    draws = draws_of(order)
    walk = _Walk(order, draws)
    reached = walk.reached()
    conditions = [reached[id(draw)] for draw in draws]
    levels, stuck = _levels(conditions)
    if stuck:
        # An index that is used again below its own switch: those paths say nothing new, for the
        # switch was reached before. Rare, so paid for only when the table comes out circular.
        for i in stuck:
            if id(draws[i]) in walk.indices - walk.exclusive:
                conditions[i] = walk.reached(without=draws[i])[id(draws[i])]
        levels, stuck = _levels(conditions)
    if stuck:
        labels = ", ".join(repr(draws[i].label) for i in stuck)
        msg = f"the parameters {labels} decide on each other whether they are active"
        raise BadSearchSpace(msg)
    ranked = sorted(range(len(draws)), key=lambda i: (levels[i], i))
    number = {i: j for j, i in enumerate(ranked)}
    return [
        (
            draws[i],
            tuple(
                sorted(
                    tuple(sorted((number[k], b) for k, b in term)) for term in conditions[i] if term
                )
            ),
        )
        for i in ranked
    ]


def holds(condition: Condition, row: Sequence[object]) -> bool:
    """Whether a condition holds, given the values of the columns before; None: inactive."""
    for term in condition:
        for k, branch in term:
            if row[k] != branch:
                break
        else:
            return True
    return False


class _Walk:
    """The tree as the walk needs it: parents before children, and what each index stands for."""

    def __init__(self, order: Sequence[Node], draws: Sequence[Draw]) -> None:
        self.downward = list(reversed(order))
        self.draws = draws
        self.number = {id(draw): i for i, draw in enumerate(draws)}
        uses = Counter(id(child) for node in order for child in children(node))
        self.indices = {id(node.index) for node in order if isinstance(node, Switch)}
        #: Indices that serve one switch and nothing else.
        self.exclusive = {index for index in self.indices if uses[index] == 1}

    def reached(self, without: Draw | None = None) -> dict[int, _Terms]:
        """Return for each node, by id, the terms under which it is reached.

        Options of switches over `without` are not entered; what stands only there has no entry.
        """
        arriving: dict[int, list[_Terms]] = {id(self.downward[0]): [_ALWAYS]}
        reached: dict[int, _Terms] = {}
        home: dict[int, _Terms] = {}  # draw -> when it is active, where literals of it stand alone
        for node in self.downward:
            incoming = arriving.pop(id(node), None)
            if incoming is None:
                continue
            terms = incoming[0] if len(incoming) == 1 else self._united(incoming, home)
            reached[id(node)] = terms
            if not isinstance(node, Switch):
                for child in children(node):
                    arriving.setdefault(id(child), []).append(terms)
                continue
            index = node.index
            arriving.setdefault(id(index), []).append(terms)
            if index is without:
                continue
            below = self._below(node, terms, home)
            for option, under in zip(node.options, below, strict=True):
                arriving.setdefault(id(option), []).append(under)
        return reached

    def _below(self, switch: Switch, terms: _Terms, home: dict[int, _Terms]) -> list[_Terms]:
        """Return the terms under which each option of a switch is reached."""
        index = switch.index
        if branches(index) is None:  # computed: any option may be needed
            return [terms] * len(switch.options)
        i = self.number[id(index)]
        if id(index) in self.exclusive or terms == _ALWAYS:
            home[i] = terms
            return [frozenset({frozenset({(i, b)})}) for b in range(len(switch.options))]
        return [frozenset(term | {(i, b)} for term in terms) for b in range(len(switch.options))]

    def _united(self, incoming: Iterable[_Terms], home: Mapping[int, _Terms]) -> _Terms:
        """Return the union without what it implies: longer terms, and full sets of branches."""
        terms = frozenset().union(*incoming)
        while len(terms) > 1 and frozenset() not in terms:
            counts = Counter(k for term in terms if len(term) == 1 for k, _ in term)
            full = [k for k, n in counts.items() if k in home and self._covers(k, n, terms)]
            if not full:
                break
            for k in full:
                terms = frozenset(t for t in terms if not (len(t) == 1 and _only(t)[0] == k))
                terms |= home[k]
        return _absorbed(terms)

    def _covers(self, k: int, n: int, terms: _Terms) -> bool:
        """Whether the `n` single literals of `k` in `terms` name all values that it can take."""
        values = branches(self.draws[k])
        return (
            values is not None
            and n >= values.stop - values.start  # len() of a range overflows
            and all(frozenset({(k, b)}) in terms for b in values)
        )


def _only(term: _Term) -> tuple[int, int]:
    (literal,) = term
    return literal


def _absorbed(terms: _Terms) -> _Terms:
    """Drop the terms that contain another one."""
    if frozenset() in terms:
        return _ALWAYS
    single = {_only(term) for term in terms if len(term) == 1}
    longer = sorted((t for t in terms if len(t) > 1 and single.isdisjoint(t)), key=len)
    if len(longer) > _MOST_TERMS:
        msg = (
            f"one parameter stands under more than {_MOST_TERMS} combinations of switches; use "
            "hp.choice in place of scope.switch over parameters that are used elsewhere, too"
        )
        raise BadSearchSpace(msg)
    kept: list[_Term] = []
    shorter = 0  # terms of one length cannot contain each other
    for at, term in enumerate(longer):
        if at and len(term) > len(longer[at - 1]):
            shorter = len(kept)
        if not any(other < term for other in kept[:shorter]):
            kept.append(term)
    return frozenset(kept).union(frozenset({literal}) for literal in single)


def _levels(conditions: Sequence[_Terms]) -> tuple[list[int], list[int]]:
    """Return how deep each draw's condition reaches, and the draws that are in or below a cycle."""
    named = [{k for term in terms for k, _ in term} for terms in conditions]
    naming: list[list[int]] = [[] for _ in conditions]
    for i, ks in enumerate(named):
        for k in ks:
            naming[k].append(i)
    waiting = [len(ks) for ks in named]
    levels = [0] * len(conditions)
    ready = [i for i, n in enumerate(waiting) if n == 0]
    for k in ready:  # grows while it is walked
        for i in naming[k]:
            levels[i] = max(levels[i], levels[k] + 1)
            waiting[i] -= 1
            if waiting[i] == 0:
                ready.append(i)
    return levels, [i for i, n in enumerate(waiting) if n > 0]
