"""Where a search begins: the points of its space that are nearest to configurations known as good.

What is known as good is in `starts`. A user's space need not have it: a parameter may be given, or
searched in another range. So each part of the space is led to what is wished for it, as near as it
goes; what nothing is wished for stays at its first option, or in the middle of its range.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from sparktrials.sklearn.component import class_of
from sparktrials.sklearn.menus import component_named
from sparktrials.sklearn.starts import STARTS, Start
from sparktrials.space.codec import Codec
from sparktrials.space.distributions import Categorical
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Node,
    Switch,
    as_node,
    children,
)
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.space.compile import Point, Space
    from sparktrials.study.trial import Trial

__all__ = ["starting_points", "untried"]

#: Raw draws by label.
Draws = dict[str, float]
#: Nothing is wished for.
_ANYTHING = object()
#: What stands in for a transformer that is wished for where there is none of its class, best first.
_SCALERS = (
    "StandardScaler",
    "PowerTransformer",
    "QuantileTransformer",
    "RobustScaler",
    "MinMaxScaler",
)
#: What stands for no transformer in a space.
_NOTHING: tuple[object, ...] = ((), [], "passthrough")
#: What a number goes through on its way, and stays what it is.
_SAME_NUMBER = (int, float, round)


@dataclass(frozen=True, slots=True)
class _Transformers:
    """A wish: transformers of these classes, each with these parameters, or none at all."""

    classes: frozenset[str]
    parameters: Mapping[str, object]
    none: bool

    @classmethod
    def of(cls, start: Start) -> _Transformers:
        if start.before:
            return cls(frozenset({start.before, "OneHotEncoder"}), start.prepared, none=False)
        return cls(frozenset({"TargetEncoder"}), {}, none=True)


def starting_points(
    tree: object, space: Space, starts: Sequence[Start] = STARTS, *, samples: int = 0
) -> list[Point]:
    """Return points to begin with; none if there is one learner only, or they are not known.

    Parameters
    ----------
    tree
        The space of a `HyperoptEstimator`, as parts of a pipeline.
    space
        The same, compiled.
    starts
        What is known as good, in the order of trial.
    samples
        How many there are: models that take too long for so many are left out.
    """
    starts = [start for start in starts if samples <= start.most_samples]
    root = as_node(tree)
    if not isinstance(root, MappingNode):
        return []
    parts = dict(zip(root.keys, root.values, strict=True))
    found = [
        draws
        for key in ("classifier", "regressor")
        if isinstance(learner := parts.get(key), Switch)
        for start in starts
        for draws in _draws(learner, start, [parts.get("preprocessing"), parts.get("ex_preprocs")])
    ]
    codec = Codec.of(space)
    middle = codec.from_unit(np.full((len(found), len(codec)), 0.5))
    wished = codec.encode(found)
    # Decoding brings numbers inside their bounds.
    points = codec.decode(np.where(np.isnan(wished), middle, wished))
    return [point for i, point in enumerate(points) if point not in points[:i]]


def untried(points: Iterable[Point], history: Iterable[Trial]) -> list[Point]:
    """Return the points that no trial has, but one that was cancelled."""
    tried = [trial.point for trial in history if trial.state is not TrialState.CANCELLED]
    return [point for point in points if point not in tried]


def _draws(learner: Switch, start: Start, others: Iterable[Node | None]) -> list[Draws]:
    """Return what leads to a start; nothing if its class is not among the learners."""
    made = [
        (*_near(option, start.parameters), way)
        for option, way in _options(learner, {})
        if _makes(option, start.component)
    ]
    if not made:
        return []
    _, draws, way = min(made, key=lambda one: one[0])
    draws = way | draws
    for node in others:
        if node is not None:
            draws |= _near(node, _Transformers.of(start))[1]
    return [draws]


def _options(node: Node, way: Draws) -> Iterator[tuple[Node, Draws]]:
    """Yield what may be chosen, in choices of choices, too, and the draws that lead there."""
    if isinstance(node, Switch) and isinstance(node.index, Draw):
        for i, option in enumerate(node.options):
            if _may_be(node.index, i):
                yield from _options(option, way | {node.index.label: i})
    else:
        yield node, way


def _makes(node: Node, component: str) -> bool:
    made = _made_by(node)
    path = component_named(component).path
    return made is not None and path.endswith(f".{made.__name__}") and made is class_of(path)


def _made_by(node: Node) -> Any:  # noqa: ANN401 - a class
    """Return the class that a node makes an object of, None if that is not known."""
    if not isinstance(node, Call):
        return None
    first = node.args[0] if node.args else None
    makers = (node.function, first.value if isinstance(first, Constant) else None)
    return next((maker for maker in makers if inspect.isclass(maker)), None)


def _may_be(index: Draw, option: int) -> bool:
    of = index.distribution
    return not isinstance(of, Categorical) or of.probabilities[option] > 0


def _near(node: Node, wish: object) -> tuple[float, Draws]:
    """Return how many wishes a node leaves open at least, and the draws that lead there.

    A wish is a value, a dict of them by parameter, or `_Transformers`.
    """
    if isinstance(node, Constant):
        return _missed(node.value, wish), {}
    if isinstance(node, Draw):
        if _is_number(wish):
            return 0, {node.label: float(wish)}
        return int(_is_value(wish)), {}
    if isinstance(node, Switch):
        return _nearest(node, wish)
    missed, draws = _all_near(_parts(node, wish))
    return missed + _is_of_others(node, wish), draws


def _is_of_others(node: Node, wish: object) -> float:
    """Return what is missed if a node makes a transformer of another class than is wished for."""
    made = _made_by(node)
    if made is None or not isinstance(wish, _Transformers):
        return 0
    return _other(made.__name__, wish)


def _other(name: str, wish: _Transformers) -> float:
    if name in wish.classes:
        return 0
    if name not in _SCALERS or wish.none:
        return 1
    return (1 + _SCALERS.index(name)) / 10


def _parts(node: Node, wish: object) -> list[tuple[Node, object]]:
    """Return what a node is made of, each with what is wished for of it."""
    if isinstance(wish, _Transformers) and _made_by(node) and not _is_of_others(node, wish):
        wish = wish.parameters
    if isinstance(wish, Mapping):
        if isinstance(node, MappingNode):
            each = zip(node.keys, node.values, strict=True)
            return [(part, wish.get(name, _ANYTHING)) for name, part in each]
        if isinstance(node, Call):
            # An estimator: its parameters are keywords, or in dicts beside its class.
            beside = [arg for arg in node.args if isinstance(arg, (MappingNode, Switch))]
            named = [(part, wish.get(name, _ANYTHING)) for name, part in node.kwargs]
            return [*named, *((part, wish) for part in beside)]
    is_expression = isinstance(node, Call) and node.function not in _SAME_NUMBER
    if is_expression and not isinstance(wish, _Transformers):
        wish = _ANYTHING  # what its parts would have to be is not known
    return [(part, wish) for part in children(node)]


def _all_near(parts: Iterable[tuple[Node, object]]) -> tuple[float, Draws]:
    missed = 0.0
    draws: Draws = {}
    for node, wish in parts:
        more, others = _near(node, wish)
        missed += more
        draws |= others
    return missed, draws


def _nearest(node: Switch, wish: object) -> tuple[float, Draws]:
    """Return the same for the option that leaves the fewest wishes open, the first of such."""
    if not isinstance(node.index, Draw):  # an expression decides
        return 0, {}
    index = node.index
    options = [(i, *_near(o, wish)) for i, o in enumerate(node.options) if _may_be(index, i)]
    i, missed, draws = min(options, key=lambda option: option[1])
    return missed, {index.label: i} | draws


def _missed(value: object, wish: object) -> float:
    if isinstance(wish, _Transformers):
        if value is None or (isinstance(value, (str, tuple, list)) and value in _NOTHING):
            return int(not wish.none)
        if isinstance(value, (tuple, list)):
            each = [_missed(one, wish) for one in value]
            return max(each) if wish.none else min(each)
        return _other(type(value).__name__, wish) if hasattr(value, "fit") else 0
    if _is_number(value) and _is_number(wish):
        return abs(value - wish) / (abs(value) + abs(wish)) if value != wish else 0
    return int(_is_value(wish) and (type(value) is not type(wish) or value != wish))


def _is_number(thing: object) -> TypeGuard[float]:
    return isinstance(thing, (int, float)) and not isinstance(thing, bool)


def _is_value(wish: object) -> bool:
    return wish is not _ANYTHING and not isinstance(wish, (Mapping, _Transformers))
