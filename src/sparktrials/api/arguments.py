"""Arguments of Hyperopt's kinds as ours: annotated objectives, its graphs, algorithms and trials.

It reaches for ``compat``, as ``saving`` does, and only when such an argument comes.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.api.attachments import attachment_name
from sparktrials.api.saving import SaveFile
from sparktrials.api.trials import Trials
from sparktrials.callers import users_level
from sparktrials.errors import (
    EmptySpace,
    InvalidAnnotatedParameter,
    InvalidArgument,
    InvalidArgumentType,
)
from sparktrials.space.nodes import Node
from sparktrials.study.protocols import Suggester
from sparktrials.suggest.algorithm import is_native, suggester_of
from sparktrials.suggest.constant import Constant

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.protocols import Builder

__all__ = [
    "annotated",
    "has_own_fmin",
    "known_part",
    "objective_for",
    "suggester_for",
    "tree_of",
    "trials_for",
]

#: Modules that make expression graphs, of which a space may be made beside our nodes.
_GRAPHS = ("sparktrials.compat.pyll", "hyperopt.pyll")


class _KeywordCall:
    """Calls a function with a dict's items as keywords."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - the user's
        return self.function(**keywords)


def annotated(fn: Any, space: str) -> tuple[Callable[..., Any], dict[str, Any]]:  # noqa: ANN401
    """Return the objective and the space of a function whose parameters are annotated with nodes.

    Raises
    ------
    InvalidArgument
        If `space` is any other text than ``"annotated"``.
    InvalidAnnotatedParameter
        If an annotation is no node.
    EmptySpace
        If there is none.
    """
    if space != "annotated":
        msg = f"space must be a tree of hp nodes or 'annotated', got {space!r}"
        raise InvalidArgument(msg)
    if not callable(fn):
        msg = f"fn must be callable with the point, got {fn!r}"
        raise InvalidArgumentType(msg)
    found = {k: v for k, v in inspect.get_annotations(fn, eval_str=True).items() if k != "return"}
    for name, node in found.items():
        if not isinstance(node, Node) and not _is_graph(node):
            msg = (
                f"space='annotated': annotate the objective's parameter {name!r} with an hp node, "
                f"such as {name}: hp.uniform({name!r}, 0, 1); got {node!r}"
            )
            raise InvalidAnnotatedParameter(msg)
    if not found:
        msg = "space='annotated': the objective has no annotated parameter"
        raise EmptySpace(msg)
    return _KeywordCall(fn), found


def _is_graph(node: object) -> bool:
    return any(kind.__name__ == "Apply" for kind in type(node).__mro__)


def tree_of(space: Any) -> Any:  # noqa: ANN401 - any tree
    """Return a space as our nodes, Hyperopt's graphs converted."""
    if not any(name in sys.modules for name in _GRAPHS):
        return space  # nobody can have made one
    from sparktrials.compat.pyll.convert import node_of  # noqa: PLC0415 - see the module's docstring

    return node_of(space)


def known_part(space: Space, point: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a user's point without the labels that the space has not; tell which those are."""
    unknown = [label for label in point if label not in space.index]
    if unknown:
        warnings.warn(
            f"{name} has {', '.join(map(repr, unknown))}, which the space has not: ignored",
            stacklevel=users_level(),
        )
    return {label: value for label, value in point.items() if label in space.index}


def suggester_for(
    algo: Any,  # noqa: ANN401 - checked here
    space: Space,
    tree: Any,  # noqa: ANN401 - the space as the user made it
    objective: Callable[..., Any],
    trials: Trials,
    *,
    at_once: int = 1,
) -> Suggester:
    """Return the suggester that a user's ``algo`` stands for.

    A function of the user's gets `at_once` ids at a time.

    Raises
    ------
    EmptySpace
        If there is nothing to choose.
    InvalidArgument, InvalidArgumentType
        If it is no algorithm, or its settings are wrong.
    """
    if not space.parameters:
        return _constant(tree)
    if algo is None:
        from sparktrials.suggest import tpe  # noqa: PLC0415 - scipy, where it is used

        algo = tpe.suggest
    inner = algo
    while isinstance(inner, functools.partial):
        inner = inner.func
    if is_native(algo) or isinstance(inner, Suggester) or not callable(inner):
        return suggester_of(algo)
    from sparktrials.compat.foreign import ForeignAlgorithm  # noqa: PLC0415 - as above

    return ForeignAlgorithm.of(algo, objective, tree, trials, at_once)


def _constant(tree: object) -> Suggester:
    """Return the suggester of a space in which everything is fixed, as Hyperopt allows."""
    size = len(tree) if isinstance(tree, Sized) and not isinstance(tree, (str, bytes)) else 0
    if not size or isinstance(tree, np.ndarray):
        msg = (
            "the space has no parameter to choose: give at least one hp node, or call the "
            "objective yourself"
        )
        raise EmptySpace(msg)
    warnings.warn(
        "the space has no parameter to choose: all trials are of the same point",
        stacklevel=users_level(),
    )
    return Constant()


def objective_for(
    fn: Callable[..., Any],
    tree: Any,  # noqa: ANN401 - the space as the user made it
    space: Space,
    trials: Trials,
    raw: bool | None,  # noqa: FBT001 - fmin's pass_expr_memo_ctrl
) -> tuple[Callable[..., Any], Builder]:
    """Return the objective, and what builds its argument of a point.

    Objectives that are marked, or meant by `raw`, are called as ``fn(expr, memo, ctrl)``.
    """
    if raw is None:
        raw = bool(getattr(fn, "fmin_pass_expr_memo_ctrl", False))
    if not raw and "sparktrials.compat.control" not in sys.modules:
        return fn, space
    from sparktrials.compat.control import (  # noqa: PLC0415 - as above
        EvaluatedWithCtrl,
        ExprMemoCtrl,
        RawPoint,
        asks_for_ctrl,
    )

    if not raw:
        if not asks_for_ctrl(tree):
            return fn, space
        fn = EvaluatedWithCtrl(fn)
    return ExprMemoCtrl.of(fn, tree, trials), RawPoint()


# ---------------------------------------------------------------------- trials


@contextlib.contextmanager
def trials_for(trials: Any, save_file: str) -> Iterator[tuple[Trials, SaveFile | None]]:  # noqa: ANN401
    """Yield `Trials` for what the user gave, and the file that they are saved to.

    Hyperopt's own get the result when the run is over, however it ends.

    Raises
    ------
    InvalidArgumentType
        If they are trials of another kind.
    InvalidArgument
        If the file holds other trials.
    """
    save = SaveFile(save_file) if save_file else None
    if trials is None:
        trials = save.load() if save is not None and save.exists() else Trials()
    theirs = None
    if not isinstance(trials, Trials):
        theirs, trials = trials, _mirror(trials)
    if save is not None:
        save.take_up(trials)
    try:
        yield trials, save
    finally:
        if theirs is not None:
            _give_back(trials, theirs)


def has_own_fmin(trials: object) -> bool:
    """Whether trials are of a user's subclass with a ``fmin`` of its own."""
    return isinstance(trials, Trials) and type(trials).fmin is not Trials.fmin


def _mirror(theirs: Any) -> Trials:  # noqa: ANN401 - hyperopt.Trials, maybe
    """Return `Trials` with the documents of Hyperopt's."""
    if isinstance(theirs, str):  # which may hold a password
        msg = "trials must be Trials or SparkTrials, got a string: use Trials(URL) for a history"
        raise InvalidArgumentType(msg)
    # Subclasses that evaluate elsewhere have another way to run; those of users have not.
    runs_elsewhere = getattr(type(theirs), "asynchronous", False)
    usable = hasattr(theirs, "_dynamic_trials") and hasattr(theirs, "_insert_trial_docs")
    if isinstance(theirs, type) or not usable or runs_elsewhere:
        names = {"SparkTrials": "sparktrials.SparkTrials(...)"}
        instead = names.get(type(theirs).__name__, "sparktrials.Trials(...)")
        msg = f"trials must be Trials or SparkTrials of this package, got {theirs!r}: use {instead}"
        raise InvalidArgumentType(msg)
    trials = Trials(exp_key=theirs._exp_key)  # noqa: SLF001 - Hyperopt has no other way
    trials.take_documents(theirs._dynamic_trials, refreshed=[t["tid"] for t in theirs])  # noqa: SLF001
    trials.share_attachments(theirs.attachments)
    return trials


def _give_back(trials: Trials, theirs: Any) -> None:  # noqa: ANN401
    documents = trials._dynamic_trials  # noqa: SLF001 - ours
    known = {id(document) for document in theirs._dynamic_trials}  # noqa: SLF001
    theirs._insert_trial_docs([d for d in documents if id(d) not in known])  # noqa: SLF001
    for trial in trials.history:
        for name in trial.attachments:
            content = trials.store.attachment(trials.exp_key, trial.id, name)
            theirs.attachments[attachment_name(trial.id, name)] = content
    theirs.refresh()
