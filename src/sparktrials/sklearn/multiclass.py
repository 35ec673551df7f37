"""Components that make a classifier of several classes of classifiers of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparktrials import hp, scope
from sparktrials.sklearn.component import class_of
from sparktrials.sklearn.menus import any_classifier

if TYPE_CHECKING:
    from sparktrials.space.nodes import Node

__all__ = ["one_vs_one_classifier", "one_vs_rest_classifier", "output_code_classifier"]


def one_vs_rest_classifier(label: str, estimator: Any = None, **given: Any) -> Node:  # noqa: ANN401
    """Return a node that makes a ``OneVsRestClassifier``.

    Parameters
    ----------
    label
        Begins the labels of its parameters.
    estimator
        A node or an estimator; `any_classifier` if None.
    given
        Its other parameters: constants or nodes.
    """
    return scope.call(
        class_of("sklearn.multiclass.OneVsRestClassifier"), _inner(label, estimator), **given
    )


def one_vs_one_classifier(label: str, estimator: Any = None, **given: Any) -> Node:  # noqa: ANN401
    """Return a node that makes a ``OneVsOneClassifier``; see `one_vs_rest_classifier`."""
    return scope.call(
        class_of("sklearn.multiclass.OneVsOneClassifier"), _inner(label, estimator), **given
    )


def output_code_classifier(label: str, estimator: Any = None, **given: Any) -> Node:  # noqa: ANN401
    """Return a node that makes an ``OutputCodeClassifier``; see `one_vs_rest_classifier`."""
    given.setdefault("code_size", hp.uniform(f"{label}.code_size", 1, 2))
    return scope.call(
        class_of("sklearn.multiclass.OutputCodeClassifier"), _inner(label, estimator), **given
    )


def _inner(label: str, estimator: Any) -> Any:  # noqa: ANN401 - a node or an estimator
    return any_classifier(f"{label}.estimator") if estimator is None else estimator
