"""The space that a `HyperoptEstimator` searches, of its parameters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.assembly import array_of
from sparktrials.sklearn.columns import columns_preprocessing, filled_preprocessing, filling
from sparktrials.sklearn.component import Component
from sparktrials.sklearn.kinds import empty_columns, is_of_numbers, is_there, kinds_of
from sparktrials.sklearn.menus import (
    any_classifier,
    any_preprocessing,
    any_sparse_classifier,
    any_sparse_preprocessing,
    any_text_preprocessing,
)
from sparktrials.sklearn.validation import (
    check_finite_columns,
    has_missing,
    is_frame,
    is_sparse,
    is_text,
    listed,
)
from sparktrials.space.nodes import (
    Call,
    Constant,
    MappingNode,
    Node,
    Switch,
    TupleNode,
    as_node,
    children,
)

logger = logging.getLogger("sparktrials.sklearn")

__all__ = ["all_learners_have", "is_classification", "space_of", "with_class"]

_PARTS = ("classifier", "regressor", "preprocessing", "ex_preprocs")


def space_of(
    estimator: Any,  # noqa: ANN401 - a HyperoptEstimator
    X: Any = None,  # noqa: ANN401 - any data
    exogenous: Sequence[Any] = (),
) -> Any:  # noqa: ANN401 - a tree
    """Return the space; what is not given is by default what fits the features, where they are.

    Raises
    ------
    InvalidArgument
        If there is a space, and parts of one beside it; or a classifier and a regressor; or no
        preprocessing for features that it is needed for.
    """
    given = [name for name in _PARTS if getattr(estimator, name) is not None]
    for name in {"classifier", "regressor"}.intersection(given):
        _check_learner(name, getattr(estimator, name))
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
        sparse = any(hasattr(data, "toarray") for data in (X, *exogenous))
        sparse = sparse or is_text(X) or (is_sparse(X) and not exogenous)  # those become arrays
        classifier = (any_sparse_classifier if sparse else any_classifier)("classifier")
    preprocessing = estimator.preprocessing
    if preprocessing is None:
        if exogenous:
            preprocessing = _beside_others("preprocessing", X, exogenous)
        else:
            preprocessing = _preprocessing_of("preprocessing", X)
    return {
        "classifier": classifier,
        "regressor": estimator.regressor,
        "preprocessing": preprocessing,
        "ex_preprocs": _exogenous_of(estimator.ex_preprocs, exogenous),
    }


def _beside_others(name: str, X: Any, exogenous: Sequence[Any]) -> Node:  # noqa: ANN401
    """Return the preprocessing of features that become an array with the exogenous data."""
    if any(hasattr(data, "toarray") for data in (X, *exogenous)):  # all of them become sparse
        usual = any_sparse_preprocessing(name)
        return filled_preprocessing(name, usual) if _has_gaps(X) else usual
    if is_text(X) or (is_frame(X) and not set(kinds_of(X).values()) <= {"number", "category"}):
        msg = (
            "with EX_list the default preprocessing takes numbers alone: give preprocessing=, or "
            "one frame with all columns as X, and no EX_list"
        )
        raise InvalidArgument(msg)
    usual = any_preprocessing(name)
    return filled_preprocessing(name, usual) if _has_gaps(X) else usual


def _has_gaps(data: Any) -> bool:  # noqa: ANN401 - any data
    if hasattr(data, "toarray"):
        return has_missing(data)
    if is_text(data):
        return False
    try:
        values = np.asarray(array_of(data), dtype=np.float64)
    except (TypeError, ValueError):
        return False  # which is for the preprocessing of the user's own
    return bool(np.isnan(values).any())


def _exogenous_of(given: Any, exogenous: Sequence[Any]) -> Any:  # noqa: ANN401 - a tree, maybe of Hyperopt's, or None
    """Return what stands for the preprocessing of exogenous data sets: lists, as far as is known.

    Raises
    ------
    InvalidArgument
        If it is, or may become, one transformer.
    """
    if given is None:
        gaps = [_has_gaps(data) for data in exogenous]
        named = [f"ex_preprocs.{i}" for i in range(len(gaps))]
        return (
            [filling(n) if g else [] for n, g in zip(named, gaps, strict=True)] if any(gaps) else ()
        )
    options = [] if hasattr(given, "named_args") else [given]  # a graph of Hyperopt's is left alone
    while options:
        option = options.pop()
        if isinstance(option, Switch):
            options.extend(option.options)
            continue
        if isinstance(option, (list, tuple, TupleNode)):
            continue
        one = _made_by(as_node(option))[0]
        if one is not None and not isinstance(one, (list, tuple)) and type(one) is not object:
            name = getattr(one, "__name__", type(one).__name__)
            msg = (
                f"ex_preprocs is, or may become, a {name} alone: it is a list with, for each "
                "exogenous data set, a list of transformers, or a node that becomes one: "
                "[[standard_scaler('a')], [pca('b')]] for two, [hp.choice('c', [...])] for one"
            )
            raise InvalidArgument(msg)
    return given


def _check_learner(name: str, given: object) -> None:
    if isinstance(given, Component):
        msg = f"{name} is a component that was not called: {given.name}('label') makes its space"
        raise InvalidArgument(msg)
    if isinstance(given, (list, tuple)):
        if given and isinstance(given[0], type):
            msg = f"{name} is {with_class(given)}"
            raise InvalidArgument(msg)
        msg = f"{name} is a {type(given).__name__}: hp.choice('label', [...]) is a choice of models"
        raise InvalidArgument(msg)


def with_class(given: Sequence[Any]) -> str:
    """Return what to say of a tuple or list that begins with a class."""
    name = given[0].__name__
    return (
        f"a {type(given).__name__} with the class {name}: parameters to search are written "
        f"scope.call({name}, parameter=hp.uniform(...))"
    )


def _preprocessing_of(name: str, X: Any) -> Node:  # noqa: ANN401 - any data, or None
    if X is None:
        return any_preprocessing(name)
    if is_text(X):
        _check_texts(X)
        return any_text_preprocessing(name)
    if is_sparse(X):
        usual = any_sparse_preprocessing(name)
        return filled_preprocessing(name, usual) if has_missing(X) else usual
    if is_frame(X):
        check_finite_columns(X)
    of_numbers = not is_frame(X) or is_of_numbers(X)
    if empty := empty_columns(X):
        logger.warning("columns that have no value in any sample: %s", listed(empty))
    if not of_numbers:
        return columns_preprocessing(name, X)
    try:
        gaps = has_missing(X)
    except (TypeError, ValueError) as error:  # the former of pandas' NA
        if getattr(getattr(X, "dtype", None), "kind", "") not in set("OUS"):
            raise
        reason = str(error).rstrip(".")
        msg = (
            f"{reason}: without preprocessing= an array must hold numbers; make it a DataFrame, of "
            "which each column is dealt with as what it holds"
        )
        raise InvalidArgument(msg) from error
    if gaps:
        return filled_preprocessing(name, any_preprocessing(name))
    return any_preprocessing(name)


def _check_texts(X: Any) -> None:  # noqa: ANN401 - a sequence
    missing = sum(not is_there(text) for text in X)
    if missing:
        msg = (
            f"X has {missing} missing texts among {len(X)}, and nothing that weighs words takes "
            "them: make them empty, ['' if text is None else text for text in X], or leave them out"
        )
        raise ValueError(msg)


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


def all_learners_have(estimator: Any, method: str) -> bool:  # noqa: ANN401 - a HyperoptEstimator
    """Whether all that may stand at the end of its pipelines has a method, as far as is known."""
    space = space_of(estimator)
    if hasattr(space, "named_args"):  # a graph of Hyperopt's
        return False
    stack: list[Node] = [as_node(space)]
    ends: list[Node] = []
    while stack:
        node = stack.pop()
        if isinstance(node, MappingNode) and not {"classifier", "regressor"}.isdisjoint(node.keys):
            parts = zip(node.keys, node.values, strict=True)
            ends.extend(value for key, value in parts if key in {"classifier", "regressor"})
        else:
            stack.extend(children(node))
    made = [thing for node in ends for thing in _made_by(node) if thing is not None]
    return bool(made) and all(hasattr(thing, method) for thing in made)


def _made_by(node: Node) -> list[Any]:
    """Return the estimators and classes that a node may make; what is not known is an object."""
    if isinstance(node, Switch):
        return [thing for option in node.options for thing in _made_by(option)]
    if isinstance(node, Constant):
        return [node.value]
    if isinstance(node, Call):
        if isinstance(node.function, type):
            return [node.function]
        first = node.args[0] if node.args else None
        if isinstance(first, Constant) and isinstance(first.value, type):
            return [first.value]
    return [object()]
