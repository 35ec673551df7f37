"""``Ctrl``, and objectives that are called as ``fn(expr, memo, ctrl)``."""

from __future__ import annotations

import logging
import numbers
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.api.documents import JOB_STATE_DONE, document_of
from sparktrials.api.trials import Trials
from sparktrials.compat.pyll.base import GarbageCollected, Literal, as_apply, dfs, rec_eval
from sparktrials.dispatch.current import current_trial
from sparktrials.dispatch.evaluation import STATUS_OK
from sparktrials.errors import InvalidArgument
from sparktrials.study.trial import Trial, TrialState

if TYPE_CHECKING:
    from sparktrials.space import Point

__all__ = [
    "Ctrl",
    "DomainCall",
    "EvaluatedWithCtrl",
    "ExprMemoCtrl",
    "RawPoint",
    "asks_for_ctrl",
    "made_by_hyperopt",
    "memo_of",
    "with_ctrl",
]

logger = logging.getLogger("hyperopt.base")


class Ctrl:
    """What an objective that is called as ``fn(expr, memo, ctrl)`` can do beside returning.

    Parameters
    ----------
    trials
        The run's trials; new ones if None.
    current_trial
        The document of the trial that runs.
    """

    info = logger.info
    warn = logger.warning
    error = logger.error
    debug = logger.debug

    def __init__(self, trials: Any, current_trial: Any = None) -> None:  # noqa: ANN401 - Hyperopt's
        self.trials = Trials() if trials is None else trials
        self.current_trial = current_trial
        self._recorded: _Recorded | None = None

    def checkpoint(self, r: Any = None) -> None:  # noqa: ANN401 - a result
        """Note a preliminary result in the trial's document."""
        if r is not None:
            self.current_trial["result"] = r

    @property
    def attachments(self) -> MutableMapping[str, Any]:
        """The trial's attachments: ``name -> content``, to read and to write."""
        if self._recorded is not None:
            return self._recorded
        found: MutableMapping[str, Any] = self.trials.trial_attachments(trial=self.current_trial)
        return found

    def inject_results(
        self,
        specs: Sequence[Any],
        results: Sequence[Mapping[str, Any]],
        miscs: Sequence[dict[str, Any]],
        new_tids: Sequence[int] | None = None,
    ) -> Any:  # noqa: ANN401 - ids
        """Insert trials that are done, found on the way; return their ids.

        Raises
        ------
        InvalidArgument
            If no trial runs.
        """
        if self.current_trial is None:
            msg = "inject_results needs a current trial, which the new ones come from"
            raise InvalidArgument(msg)
        tids = self.trials.new_trial_ids(len(specs)) if new_tids is None else new_tids
        sources = [self.current_trial] * len(specs)
        documents = self.trials.source_trial_docs(tids, specs, results, miscs, sources)
        for document in documents:
            document["state"] = JOB_STATE_DONE
        return self.trials.insert_trial_docs(documents)


class _Recorded(MutableMapping[str, Any]):
    """Attachments that a running trial adds, over those that it has."""

    def __init__(self, below: Mapping[str, Any]) -> None:
        self.below = below
        self.new: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        return self.new[name] if name in self.new else self.below[name]

    def __setitem__(self, name: str, content: Any) -> None:  # noqa: ANN401
        self.new[name] = content

    def __delitem__(self, name: str) -> None:
        del self.new[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.below, **self.new})

    def __len__(self) -> int:
        return len({**self.below, **self.new})


class RawPoint:
    """Builds nothing: the objective evaluates the expression by itself."""

    def build(self, point: Point) -> dict[str, Any]:
        """Return the point."""
        return dict(point)


def memo_of(expr: Any, config: Mapping[str, Any]) -> dict[Any, Any]:  # noqa: ANN401 - an Apply
    """Return ``node -> value`` for the parameters of an expression.

    Those without a value are `GarbageCollected`: evaluating one is an error.
    """
    walk, missing = dfs, GarbageCollected
    if made_by_hyperopt(expr):
        real = sys.modules["hyperopt.pyll.base"]
        walk, missing = real.dfs, real.GarbageCollected
    return {
        node: config.get(node.arg["label"].obj, missing)
        for node in walk(expr)
        if node.name == "hyperopt_param"
    }


def made_by_hyperopt(tree: Any) -> bool:  # noqa: ANN401
    """Whether a tree holds a graph of the real Hyperopt's."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if any(kind.__module__ == "hyperopt.pyll.base" for kind in type(item).__mro__):
            return True
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return False


def asks_for_ctrl(space: Any) -> bool:  # noqa: ANN401 - any tree
    """Whether a space has the `Ctrl` in it, as ``Domain.pyll_ctrl``."""
    return any(isinstance(n, Literal) and n.obj is Ctrl for n in dfs(as_apply(space)))


def with_ctrl(expr: Any, memo: dict[Any, Any], ctrl: Any) -> dict[Any, Any]:  # noqa: ANN401
    """Return a memo in which a `Ctrl` stands for what asks for one."""
    asking = [n for n in dfs(expr) if isinstance(n, Literal) and n.obj is Ctrl]
    return {**memo, **dict.fromkeys(asking, ctrl)}


class EvaluatedWithCtrl:
    """An objective for a space that asks for the `Ctrl`, in the shape of a marked one."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __call__(self, expr: Any, memo: dict[Any, Any], ctrl: Ctrl) -> Any:  # noqa: ANN401
        """Evaluate the space, then the objective."""
        return self.fn(rec_eval(expr, memo=with_ctrl(expr, memo, ctrl)))


class _Controlled:
    """An objective that is handed a `Ctrl`; for subclasses, which say how.

    Parameters
    ----------
    trials
        The run's; left behind when this is sent to an executor.
    """

    def __init__(self, trials: Trials | None) -> None:
        self.trials = trials

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "trials": None}

    def call(self, point: dict[str, Any], ctrl: Ctrl) -> Any:  # noqa: ANN401 - the user's result
        """Evaluate a point."""
        raise NotImplementedError

    def __call__(self, point: dict[str, Any]) -> Any:  # noqa: ANN401
        """Evaluate a point; what was attached by the `Ctrl` goes with the result."""
        document = self._document(point)
        ctrl = Ctrl(self.trials, document)
        # On an executor there are no trials.
        below = {} if self.trials is None else self.trials.trial_attachments(document)
        ctrl._recorded = recorded = _Recorded(below)  # noqa: SLF001 - this module's
        returned = self.call(point, ctrl)
        new = {k: v for k, v in recorded.new.items() if isinstance(v, (bytes, bytearray, str))}
        if self.trials is not None:
            for name in recorded.new.keys() - new.keys():  # objects stay in memory
                self.trials.trial_attachments(document)[name] = recorded.new[name]
        if not new:
            return returned
        if isinstance(returned, (numbers.Real, np.number)):
            return {"loss": float(returned), "status": STATUS_OK, "attachments": new}
        if isinstance(returned, Mapping):
            return {**returned, "attachments": {**new, **(returned.get("attachments") or {})}}
        return returned  # whatever it is, it is judged elsewhere

    def _document(self, point: dict[str, Any]) -> dict[str, Any]:
        number = current_trial().id or 0
        if self.trials is not None:
            for document in self.trials.documents_of([number]):
                return document
        trial = Trial(id=number, state=TrialState.RUNNING, point=point)
        return document_of(trial, list(point), None)


class ExprMemoCtrl(_Controlled):
    """Calls ``fn(expr=..., memo=..., ctrl=...)`` with a point.

    Parameters
    ----------
    fn
        The user's function.
    expr
        The space as a graph: the real Hyperopt's where it is made of that.
    trials
        The run's.
    """

    def __init__(self, fn: Callable[..., Any], expr: Any, trials: Trials | None) -> None:  # noqa: ANN401
        super().__init__(trials)
        self.fn = fn
        self.expr = expr

    @classmethod
    def of(cls, fn: Callable[..., Any], space: Any, trials: Trials) -> ExprMemoCtrl:  # noqa: ANN401
        """Return the objective for a space of any kind."""
        real = sys.modules.get("hyperopt.pyll.base")
        if real is not None and made_by_hyperopt(space):
            return cls(fn, real.as_apply(space), trials)
        return cls(fn, as_apply(space), trials)

    def call(self, point: dict[str, Any], ctrl: Ctrl) -> Any:  # noqa: ANN401
        """Evaluate a point."""
        return self.fn(expr=self.expr, memo=memo_of(self.expr, point), ctrl=ctrl)


class DomainCall(_Controlled):
    """Evaluates points by a domain's own ``evaluate``.

    Parameters
    ----------
    domain
        A `Domain` of a subclass.
    trials
        The run's.
    """

    def __init__(self, domain: Any, trials: Trials | None) -> None:  # noqa: ANN401 - a Domain
        super().__init__(trials)
        self.domain = domain

    def call(self, point: dict[str, Any], ctrl: Ctrl) -> Any:  # noqa: ANN401
        """Evaluate a point."""
        return self.domain.evaluate(point, ctrl)
