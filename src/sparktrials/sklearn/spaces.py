"""The space that a `HyperoptEstimator` searches, of its parameters."""

from __future__ import annotations

from typing import Any

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.menus import any_classifier, any_preprocessing
from sparktrials.space.nodes import Constant, MappingNode, Node, as_node, children

__all__ = ["is_classification", "space_of"]

_PARTS = ("classifier", "regressor", "preprocessing", "ex_preprocs")


def space_of(estimator: Any) -> Any:  # noqa: ANN401 - a HyperoptEstimator; a tree
    """Return the space.

    Raises
    ------
    InvalidArgument
        If there is a space, and parts of one beside it; or a classifier and a regressor.
    """
    given = [name for name in _PARTS if getattr(estimator, name) is not None]
    if estimator.space is not None:
        if given:
            msg = (
                f"space has all parts of a pipeline: {given[0]} belongs into it, not beside it "
                "(None where there is none)"
            )
            raise InvalidArgument(msg)
        return estimator.space
    if estimator.classifier is not None and estimator.regressor is not None:
        msg = "give a classifier or a regressor, not both"
        raise InvalidArgument(msg)
    classifier = estimator.classifier
    if classifier is None and estimator.regressor is None:
        classifier = any_classifier("classifier")
    preprocessing = estimator.preprocessing
    if preprocessing is None:
        preprocessing = any_preprocessing("preprocessing")
    return {
        "classifier": classifier,
        "regressor": estimator.regressor,
        "preprocessing": preprocessing,
        "ex_preprocs": estimator.ex_preprocs or (),
    }


def is_classification(estimator: Any) -> bool:  # noqa: ANN401 - a HyperoptEstimator
    """Whether its pipelines end with classifiers."""
    if estimator.space is None:
        return estimator.regressor is None
    return _says_classifier(estimator.space)


def _says_classifier(space: Any) -> bool:  # noqa: ANN401 - a tree, maybe of Hyperopt's
    if isinstance(space, dict) and "classifier" in space:
        return space["classifier"] is not None
    if hasattr(space, "named_args"):  # a graph of Hyperopt's
        named = dict(space.named_args)
        classifier = named.get("classifier")
        return classifier is not None and getattr(classifier, "obj", classifier) is not None
    stack: list[Node] = [as_node(space)]
    while stack:
        node = stack.pop()
        if isinstance(node, MappingNode) and "classifier" in node.keys:
            value = node.values[node.keys.index("classifier")]
            return not (isinstance(value, Constant) and value.value is None)
        stack.extend(children(node))
    return True
