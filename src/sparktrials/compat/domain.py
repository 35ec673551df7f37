"""``Domain``: a search space with its objective, as algorithms and evaluators of users see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.compat.calling import documents_by
from sparktrials.compat.control import Ctrl, memo_of, with_ctrl
from sparktrials.compat.pyll.base import Apply, Literal, as_apply, dfs, rec_eval, scope
from sparktrials.compat.pyll.convert import node_of
from sparktrials.compat.vectorized import Vectorized
from sparktrials.dispatch.evaluation import STATUS_NEW, judged
from sparktrials.errors import InvalidPoint
from sparktrials.space import compile_space

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.suggest.algorithm import Algorithm

__all__ = ["Domain"]


class Domain:
    """A search space with its objective.

    Parameters
    ----------
    fn
        The objective.
    expr
        The space.
    workdir
        Kept in the documents of trials that algorithms suggest.
    pass_expr_memo_ctrl
        Whether `fn` is called as ``fn(expr=..., memo=..., ctrl=...)``; None: if it is marked so.
    name, loss_target
        Kept for those who read them.

    Attributes
    ----------
    expr
        The space as a graph.
    space
        The space, compiled.
    params
        ``label -> Apply`` of the parameters' distributions.
    s_idxs_vals
        Expression of ``(label -> ids, label -> values)`` for the ids `s_new_ids`, drawn from the
        prior with the generator `s_rng`: put those two into ``rec_eval``'s memo.

    Raises
    ------
    BadSearchSpace
        As ``fmin`` does.
    """

    rec_eval_print_node_on_error = False
    pyll_ctrl = as_apply(Ctrl)

    def __init__(  # noqa: PLR0917 - Hyperopt's signature
        self,
        fn: Callable[..., Any],
        expr: Any,  # noqa: ANN401 - any tree
        workdir: str | None = None,
        pass_expr_memo_ctrl: bool | None = None,  # noqa: FBT001 - Hyperopt's signature
        name: str | None = None,
        loss_target: float | None = None,
    ) -> None:
        self.fn = fn
        if pass_expr_memo_ctrl is None:
            pass_expr_memo_ctrl = getattr(fn, "fmin_pass_expr_memo_ctrl", False)
        self.pass_expr_memo_ctrl = pass_expr_memo_ctrl
        self.expr = as_apply(expr)
        self.space: Space = compile_space(node_of(self.expr))
        self.params: dict[str, Apply] = {
            node.arg["label"].obj: node.arg["obj"]
            for node in dfs(self.expr)
            if node.name == "hyperopt_param"
        }
        self.loss_target = loss_target
        self.name = name
        self.workdir = workdir
        self.s_new_ids = Literal("new_ids")
        self.s_rng = Literal("rng-placeholder")
        self.vh = Vectorized(self.space, self.params, self.s_new_ids, self.s_rng)
        self.s_idxs_vals = scope.pos_args(
            as_apply(self.vh.idxs_by_label()), as_apply(self.vh.vals_by_label())
        )
        self.cmd = ("domain_attachment", "FMinIter_Domain")

    # ------------------------------------------------------------------ evaluation

    def memo_from_config(self, config: Mapping[str, Any]) -> dict[Any, Any]:
        """Return ``node -> value`` for ``label -> value``."""
        return memo_of(self.expr, config)

    def evaluate(
        self,
        config: Mapping[str, Any],
        ctrl: Any,  # noqa: ANN401 - a Ctrl
        attach_attachments: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    ) -> dict[str, Any]:
        """Call the objective for ``label -> value``; return the result as a dict.

        Raises
        ------
        InvalidPoint
            If a parameter that is active has no value.
        InvalidResultStatus, InvalidLoss
            If the objective returned neither a number nor a dict with status and loss.
        """
        self._check(config)
        if self.pass_expr_memo_ctrl:
            returned = self.fn(expr=self.expr, memo=self._memo(config, ctrl), ctrl=ctrl)
        else:
            returned = self.fn(self._argument(config, ctrl))
        return self._taken(returned, ctrl, attach_attachments)

    def evaluate_async(
        self,
        config: Mapping[str, Any],
        ctrl: Any,  # noqa: ANN401
        attach_attachments: bool = True,  # noqa: ARG002, FBT001, FBT002
    ) -> Any:  # noqa: ANN401 - what evaluate_async2 takes, or what it is called with
        """Return the objective and its argument, to be called elsewhere."""
        if self.pass_expr_memo_ctrl:
            return self.fn(expr=self.expr, memo=self._memo(config, ctrl), ctrl=ctrl)
        return self.fn, self._argument(config, ctrl)

    def evaluate_async2(
        self,
        rval: Any,  # noqa: ANN401 - what the objective returned
        ctrl: Any,  # noqa: ANN401
        attach_attachments: bool = True,  # noqa: FBT001, FBT002
    ) -> dict[str, Any]:
        """Return what the objective returned elsewhere as a result."""
        return self._taken(rval, ctrl, attach_attachments)

    def _check(self, config: Mapping[str, Any]) -> None:
        for label in self.space.active(config):
            if label not in config:
                msg = f"config lacks {label!r}, which is active in it: {dict(config)!r}"
                raise InvalidPoint(msg)

    def _argument(self, config: Mapping[str, Any], ctrl: Any) -> Any:  # noqa: ANN401
        return rec_eval(
            self.expr,
            memo=self._memo(config, ctrl),
            print_node_on_error=self.rec_eval_print_node_on_error,
        )

    def _memo(self, config: Mapping[str, Any], ctrl: Any) -> dict[Any, Any]:  # noqa: ANN401
        return with_ctrl(self.expr, self.memo_from_config(config), ctrl)

    @staticmethod
    def _taken(returned: Any, ctrl: Any, attach: bool) -> dict[str, Any]:  # noqa: ANN401, FBT001
        result = judged(returned)
        if attach:
            for name, content in (result.pop("attachments", None) or {}).items():
                ctrl.attachments[name] = content
        return result

    # ------------------------------------------------------------------ suggestion

    def documents_by(
        self,
        algorithm: Algorithm,
        settings: Mapping[str, Any],
        new_ids: Sequence[int],
        trials: Any,  # noqa: ANN401 - Trials, or Hyperopt's
        seed: Any,  # noqa: ANN401 - an int or a generator
    ) -> list[dict[str, Any]]:
        """Return trial documents with the points that an algorithm of this package suggests."""
        return documents_by(self, algorithm, settings, new_ids, trials, seed)

    # ------------------------------------------------------------------ results

    def short_str(self) -> str:
        """Return a short description."""
        return f"Domain{{{self.fn}}}"

    def loss(self, result: Mapping[str, Any], config: Any = None) -> Any:  # noqa: ANN401, ARG002
        """Return the loss of a result, or None."""
        return result.get("loss")

    def loss_variance(self, result: Mapping[str, Any], config: Any = None) -> Any:  # noqa: ANN401, ARG002
        """Return the variance of the loss, 0 if the result has none."""
        return result.get("loss_variance", 0.0)

    def true_loss(self, result: Mapping[str, Any], config: Any = None) -> Any:  # noqa: ANN401
        """Return the true loss, where the loss is only an estimate of it."""
        return result["true_loss"] if "true_loss" in result else self.loss(result, config)

    def true_loss_variance(self, config: Any = None) -> Any:  # noqa: ANN401
        """Return the variance of the true loss: for subclasses.

        Raises
        ------
        NotImplementedError
            Always, here.
        """
        raise NotImplementedError

    def status(self, result: Mapping[str, Any], config: Any = None) -> Any:  # noqa: ANN401, ARG002
        """Return the status of a result."""
        return result["status"]

    def new_result(self) -> dict[str, Any]:
        """Return the result of a trial that has not run."""
        return {"status": STATUS_NEW}
