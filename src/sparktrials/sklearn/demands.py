"""What a search demands of its models, and which of them can do it.

A scorer may need probabilities, samples may have weights. A model that cannot do with that would
fail in each of its trials, so that it is not tried: its options get the probability 0.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import has_fit_parameter

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.component import SKLEARN
from sparktrials.sklearn.draws import Draws, all_nodes, may_take_long
from sparktrials.sklearn.known import is_known
from sparktrials.space.distributions import Categorical
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Node,
    Switch,
    TupleNode,
    as_node,
    children,
)

if TYPE_CHECKING:
    from sparktrials.sklearn.evaluation import Judgement

__all__ = ["Demands", "suited"]

logger = logging.getLogger("sparktrials.sklearn")

#: Models that are made to see whether any of a kind will do, and to see which will.
_FEW, _MANY = 12, 400
#: How often a choice's option must have been seen for what it cannot do.
_OFTEN = 20
#: Ensembles that hand the weights on to what they are made of.
_PASS_ON = (
    "AdaBoostClassifier",  # the regressor draws samples
    "Voting",
    "Stacking",
    "RANSAC",
    "MultiOutput",
    "TransformedTarget",
    *(() if SKLEARN >= (1, 8) else ("Bagging",)),
)
#: They take what their parts take, but not by this name.
_TAKE_NONE = ("OneVsRestClassifier", "OneVsOneClassifier", "OutputCodeClassifier", "Pipeline")
#: Parts of ensembles.
_INNER = ("estimator", "final_estimator", "estimators", "regressor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What each model must be able to do.

    Attributes
    ----------
    methods
        Of these it must have one, if there are any: ``predict_proba`` and the like.
    weights
        Whether it must take ``sample_weight``.
    in_rounds
        Whether ``partial_fit`` must take it, where there is one.
    """

    methods: tuple[str, ...] = ()
    weights: bool = False
    in_rounds: bool = False

    @classmethod
    def of(cls, judgement: Judgement, sample_weight: object, *, in_rounds: bool) -> Demands:
        """Return what scorer or loss and weights demand."""
        methods: Any = getattr(judgement.scorer, "_response_method", None) or ()
        methods = (methods,) if isinstance(methods, str) else tuple(methods)
        if judgement.continuous:
            methods = ("predict_proba",)
        return cls(
            methods=() if "predict" in methods else methods,
            weights=sample_weight is not None,
            in_rounds=in_rounds,
        )

    def __bool__(self) -> bool:
        return bool(self.methods) or self.weights

    def unmet_by(self, model: object) -> str:
        """Return what a model cannot do, in a few words; empty if it can do all."""
        if not hasattr(model, "fit"):
            return ""
        if self.methods and not _has_any(model, self.methods):
            return f"no {' or '.join(self.methods)}"
        if self.weights and not _takes_weights(model, in_rounds=self.in_rounds):
            return "no sample_weight"
        return ""

    def refusal(self, model: object) -> Exception:
        """Return the error that says so, as scikit-learn does."""
        name, others = type(model).__name__, "choose another model"
        if self.unmet_by(model) == "no sample_weight":
            return InvalidArgument(
                f"{name} doesn't support sample_weight: {others}, or give no weights"
            )
        return AttributeError(
            f"{name} has none of the following attributes: {', '.join(self.methods)}. The scoring "
            f"or loss needs one: {others}, or another scoring"
        )


def _has_any(model: Any, methods: tuple[str, ...]) -> bool:  # noqa: ANN401 - an estimator
    # Before a fit a stack without a final estimator does not know that it gets one.
    return (
        any(hasattr(model, method) for method in methods)
        or getattr(model, "final_estimator", model) is None
        or (not is_known(model) and _may_get_any(type(model), methods))
    )


def _may_get_any(cls: type, methods: tuple[str, ...]) -> bool:
    """Whether a class may have methods after a fit that it has not before."""
    return hasattr(cls, "__getattr__") or any(hasattr(cls, method) for method in methods)


def _takes_weights(model: Any, *, in_rounds: bool = False) -> bool:  # noqa: ANN401 - an estimator
    name = type(model).__name__
    if name in _TAKE_NONE:
        return False
    if in_rounds and hasattr(model, "partial_fit"):
        return "sample_weight" in inspect.signature(model.partial_fit).parameters
    parameters = inspect.signature(model.fit).parameters.values()
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    if not (anything or has_fit_parameter(model, "sample_weight")):
        return False
    return not name.startswith(_PASS_ON) or all(map(_takes_weights, _inner(model)))


def _inner(model: Any) -> Iterator[Any]:  # noqa: ANN401 - an estimator
    for name in _INNER:
        part = getattr(model, name, None)
        for one in part if isinstance(part, list) else [part]:
            inner = one[1] if isinstance(one, tuple) else one
            if hasattr(inner, "fit"):
                yield inner


def suited(tree: Any, demands: Demands, draws: Draws | None = None) -> Any:  # noqa: ANN401 - trees
    """Return the space without the models that do not do what is demanded; log which these are.

    Parameters
    ----------
    tree
        The space.
    demands
        What each model must be able to do.
    draws
        That have looked at the space before; None: new ones.

    Raises
    ------
    InvalidArgument, AttributeError
        If there is no other: as scikit-learn has it.
    """
    if not demands:
        return tree
    root = as_node(tree)
    search = _Search(demands, draws or Draws(), _users(root))
    refused = search.visit(root)
    if refused is not None:
        raise demands.refusal(refused)
    if not search.dropped:
        return tree
    left_out = "; ".join(dict.fromkeys(search.words))
    logger.warning("left out of the search, for what it is judged or fitted by: %s", left_out)
    return _Rewriting(search.dropped).of(root)


def _users(root: Node) -> Mapping[int, int]:
    """Return how many nodes have each node, by its id."""
    return Counter(id(child) for node in all_nodes(root) for child in children(node))


@dataclass(slots=True)
class _Search:
    """Looks for the options of choices that will not do."""

    demands: Demands
    draws: Draws
    users: Mapping[int, int]
    #: Options by the id of the draw that chooses them.
    dropped: dict[int, set[int]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def visit(self, node: Node) -> object:
        """Return a model that will not do if nothing that a node may become does, else None."""
        if isinstance(node, MappingNode):
            parts = dict(zip(node.keys, node.values, strict=True))
            for key in ("classifier", "regressor", "model"):
                refused = self.visit(parts[key]) if key in parts else None
                if refused is not None:
                    return refused
            return None
        if isinstance(node, Switch) and self._is_free(node.index):
            return self._visit_options(node, _index(node))
        return self._judge(node)

    def _is_free(self, node: Node) -> bool:
        """Whether it is a draw of an option, and decides on nothing else."""
        is_choice = isinstance(node, Draw) and isinstance(node.distribution, Categorical)
        return is_choice and self.users[id(node)] == 1

    def _visit_options(self, node: Switch, index: Draw) -> object:
        refused: dict[int, Any] = {}
        for i in _options_of(index):
            model = self.visit(node.options[i])
            if model is not None:
                refused[i] = model
        if len(refused) == len(_options_of(index)):
            return next(iter(refused.values()))
        if refused:
            self.dropped[id(index)] = set(refused)
        for model in refused.values():
            self.words.append(f"{type(model).__name__} ({self.demands.unmet_by(model)})")
        return None

    def _judge(self, node: Node) -> object:
        made = self._samples(node, _FEW)
        unmet = [model for _, model in made if self.demands.unmet_by(model)]
        if not unmet:
            return None
        if len(made) > 1 and not may_take_long(node):
            made = self._samples(node, _MANY)
            unmet = [model for _, model in made if self.demands.unmet_by(model)]
        if not made:
            return None
        if len(unmet) == len(made):
            return unmet[0]
        self._look_inside(node, made)
        return None

    def _samples(self, node: Node, n: int) -> Sequence[tuple[Mapping[str, Any], Any]]:
        """Return some of what a node may become, with their points; none if not all can be made."""
        made, errors = self.draws.of(node, n, by_clock=False)
        return [] if errors else made  # a user's function: its trials will say what is wrong

    def _look_inside(self, node: Node, made: Sequence[tuple[Mapping[str, Any], Any]]) -> None:
        """Find the options of inner choices with which a model never does."""
        judged = [(point, self.demands.unmet_by(model)) for point, model in made]
        why = next(said for _, said in judged if said)
        choices = [
            one for one in all_nodes(node) if isinstance(one, Switch) and self._is_free(one.index)
        ]
        # Outer ones first: what is inside an option that is left out does not matter any more.
        for switch in sorted(
            choices, key=lambda one: -sum(_index(one).label in p for p, _ in judged)
        ):
            index = _index(switch)
            bad = set()
            for i in _options_of(index):
                said = [unmet for point, unmet in judged if point.get(index.label) == i]
                if len(said) >= _OFTEN and all(said):
                    bad.add(i)
            if bad and len(bad) < len(_options_of(index)):
                self.dropped[id(index)] = bad
                judged = [(p, said) for p, said in judged if p.get(index.label) not in bad]
                options = ", ".join(_brief(switch.options[i], i) for i in sorted(bad))
                name = type(made[0][1]).__name__
                self.words.append(f"{name} where {index.label!r} is {options} ({why})")


def _index(switch: Switch) -> Draw:
    assert isinstance(switch.index, Draw)  # noqa: S101 - for mypy
    return switch.index


def _brief(option: Node, i: int) -> str:
    return repr(option.value) if isinstance(option, Constant) else f"option {i}"


def _options_of(draw: Draw) -> list[int]:
    distribution = draw.distribution
    assert isinstance(distribution, Categorical)  # noqa: S101 - for mypy
    return [i for i, p in enumerate(distribution.probabilities) if p > 0]


class _Rewriting:
    """Makes a tree anew in which some options are never drawn; nodes that are shared stay so."""

    def __init__(self, dropped: Mapping[int, set[int]]) -> None:
        self._dropped = dropped
        self._made: dict[int, Node] = {}

    def of(self, node: Node) -> Node:
        """Return what takes a node's place: itself where nothing changes."""
        made = self._made.get(id(node))
        if made is None:
            made = self._made[id(node)] = self._new(node)
        return made

    def _new(self, node: Node) -> Node:
        if isinstance(node, Draw):
            return _without(node, self._dropped[id(node)]) if id(node) in self._dropped else node
        if all(self.of(child) is child for child in children(node)):
            return node
        if isinstance(node, Switch):
            return Switch(self.of(node.index), tuple(map(self.of, node.options)))
        if isinstance(node, TupleNode):
            return TupleNode(tuple(map(self.of, node.items)))
        if isinstance(node, MappingNode):
            return MappingNode(node.keys, tuple(map(self.of, node.values)))
        assert isinstance(node, Call)  # noqa: S101 - for mypy: nothing else has children
        kwargs = tuple((name, self.of(value)) for name, value in node.kwargs)
        return Call(node.function, tuple(map(self.of, node.args)), kwargs)


def _without(draw: Draw, options: set[int]) -> Draw:
    distribution = draw.distribution
    assert isinstance(distribution, Categorical)  # noqa: S101 - for mypy
    kept = [0.0 if i in options else p for i, p in enumerate(distribution.probabilities)]
    return replace(draw, distribution=Categorical(tuple(p / sum(kept) for p in kept)))
