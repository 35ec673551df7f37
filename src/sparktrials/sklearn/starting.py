"""Where a search begins: the points of its space that are nearest to configurations known as good.

What is known as good is in `starts`. A user's space need not have it: a parameter may be given, or
searched in another range. So each part of the space is led to what is wished for it, as near as it
goes; what nothing is wished for stays at its first option, or in the middle of its range.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
#: What stands for no transformer in a space.
_NOTHING = (None, (), "passthrough")


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


def starting_points(tree: object, space: Space, starts: Sequence[Start] = STARTS) -> list[Point]:
    """Return points to begin with; none if there is one learner only, or they are not known.

    Parameters
    ----------
    tree
        The space of a `HyperoptEstimator`, as parts of a pipeline.
    space
        The same, compiled.
    starts
        What is known as good, in the order of trial.
    """
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
    made = [i for i, option in enumerate(learner.options) if _makes(option, start.component)]
    if not made or not isinstance(learner.index, Draw) or not _may_be(learner.index, made[0]):
        return []
    draws: Draws = {learner.index.label: made[0]}
    draws |= _near(learner.options[made[0]], start.parameters)[1]
    for node in others:
        if node is not None:
            draws |= _near(node, _Transformers.of(start))[1]
    return [draws]


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


def _near(node: Node, wish: object) -> tuple[int, Draws]:
    """Return how many wishes a node leaves open at least, and the draws that lead there.

    A wish is a value, a dict of them by parameter, or `_Transformers`.
    """
    if isinstance(node, Constant):
        return _missed(node.value, wish), {}
    if isinstance(node, Draw):
        if isinstance(wish, (int, float)) and not isinstance(wish, bool):
            return 0, {node.label: float(wish)}
        return int(_is_value(wish)), {}
    if isinstance(node, Switch):
        return _nearest(node, wish)
    missed, draws = _all_near(_parts(node, wish))
    return missed + _is_of_others(node, wish), draws


def _is_of_others(node: Node, wish: object) -> bool:
    """Whether a node makes a transformer of another class than is wished for."""
    made = _made_by(node)
    return (
        isinstance(wish, _Transformers) and made is not None and made.__name__ not in wish.classes
    )


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
    return [(part, wish) for part in children(node)]


def _all_near(parts: Iterable[tuple[Node, object]]) -> tuple[int, Draws]:
    missed = 0
    draws: Draws = {}
    for node, wish in parts:
        more, others = _near(node, wish)
        missed += more
        draws |= others
    return missed, draws


def _nearest(node: Switch, wish: object) -> tuple[int, Draws]:
    """Return the same for the option that leaves the fewest wishes open, the first of such."""
    if not isinstance(node.index, Draw):  # an expression decides
        return 0, {}
    index = node.index
    options = [(i, *_near(o, wish)) for i, o in enumerate(node.options) if _may_be(index, i)]
    i, missed, draws = min(options, key=lambda option: option[1])
    return missed, {index.label: i} | draws


def _missed(value: object, wish: object) -> int:
    if isinstance(wish, _Transformers):
        return int(not wish.none and any(value is n or value == n for n in _NOTHING))
    return int(_is_value(wish) and (type(value) is not type(wish) or value != wish))


def _is_value(wish: object) -> bool:
    return wish is not _ANYTHING and not isinstance(wish, (Mapping, _Transformers))
