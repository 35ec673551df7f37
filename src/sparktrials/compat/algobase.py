"""``hyperopt.algobase``: what users' own algorithms are made of."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.compat import pyll
from sparktrials.compat.base import miscs_update_idxs_vals
from sparktrials.compat.pyll.base import DEFAULT_MAX_PROGRAM_LEN, GarbageCollected
from sparktrials.errors import InvalidArgument, InvalidArgumentType

if TYPE_CHECKING:
    from sparktrials.compat.domain import Domain

__all__ = ["ExprEvaluator", "SuggestAlgo"]


class ExprEvaluator:
    """Evaluates an expression node by node, for subclasses to step in.

    Parameters
    ----------
    expr
        The expression.
    deepcopy_inputs
        Whether each operation gets copies, to find one that changes its arguments.
    max_program_len
        Nodes that may wait at once, before a loop is suspected.
    memo_gc
        Whether values are let go as soon as nobody needs them.

    Raises
    ------
    InvalidArgument
        If `deepcopy_inputs` is not a bool: a memo, most likely.
    """

    def __init__(
        self,
        expr: Any,  # noqa: ANN401 - any tree
        deepcopy_inputs: bool = False,  # noqa: FBT001, FBT002 - Hyperopt's signature
        max_program_len: int | None = None,
        memo_gc: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        if deepcopy_inputs not in {False, True}:
            msg = f"deepcopy_inputs must be True or False, got {deepcopy_inputs!r}"
            raise InvalidArgument(msg)
        self.expr = pyll.as_apply(expr)
        self.deepcopy_inputs = deepcopy_inputs
        self.max_program_len = max_program_len or DEFAULT_MAX_PROGRAM_LEN
        self.memo_gc = memo_gc
        self.clients: dict[Any, set[Any]] = {}

    def eval_nodes(self, memo: dict[Any, Any] | None = None) -> dict[Any, Any]:
        """Return ``node -> value``, starting from the values in `memo`.

        Raises
        ------
        InvalidArgument
            If the expression does not come to an end.
        """
        memo = dict(memo or {})
        self.clients = {}
        for node in pyll.dfs(self.expr):
            self.clients.setdefault(node, set())
            for operand in node.inputs():
                self.clients.setdefault(operand, set()).add(node)
        todo = [self.expr]
        while todo:
            if len(todo) > self.max_program_len:
                msg = f"more than {self.max_program_len} nodes wait: the expression is a loop"
                raise InvalidArgument(msg)
            node = todo.pop()
            if node in memo:
                continue
            if isinstance(node, pyll.Literal):
                self.set_in_memo(memo, node, node.obj)
                continue
            if node.name == "switch":
                waiting = self.on_switch(memo, node)
                if waiting is None:
                    continue
            else:
                waiting = [operand for operand in node.inputs() if operand not in memo]
            if waiting:
                todo.append(node)
                todo.extend(waiting)
                continue
            value = self.on_node(memo, node)
            if isinstance(value, pyll.Apply):  # an operation may answer with an expression
                value = pyll.rec_eval(value, memo=dict(memo))
            self.set_in_memo(memo, node, value)
        return memo

    def set_in_memo(self, memo: dict[Any, Any], k: Any, v: Any) -> None:  # noqa: ANN401
        """Set a node's value; let go of operands that nobody else waits for."""
        memo[k] = v
        if not self.memo_gc:
            return
        for operand in k.inputs():
            if all(client in memo for client in self.clients[operand]):
                memo[operand] = GarbageCollected

    def on_switch(self, memo: dict[Any, Any], node: Any) -> list[Any] | None:  # noqa: ANN401
        """Return what a switch waits for; None when its value is set.

        Raises
        ------
        InvalidArgumentType
            If its index is no whole number of one of its options.
        """
        index = node.pos_args[0]
        if index not in memo:
            return [index]
        chosen = np.asarray(memo[index])
        if (
            chosen.size != 1
            or not 0 <= int(chosen.item()) == chosen.item() < len(node.pos_args) - 1
        ):
            msg = f"a switch over {len(node.pos_args) - 1} options got the index {memo[index]!r}"
            raise InvalidArgumentType(msg)
        option = node.pos_args[int(chosen.item()) + 1]
        if option not in memo:
            return [option]
        self.set_in_memo(memo, node, memo[option])
        return None

    def on_node(self, memo: dict[Any, Any], node: Any) -> Any:  # noqa: ANN401
        """Return the value of a node whose operands have theirs."""
        args = [memo[operand] for operand in node.pos_args]
        kwargs = {name: memo[operand] for name, operand in node.named_args}
        if self.deepcopy_inputs:
            args, kwargs = copy.deepcopy(args), copy.deepcopy(kwargs)
        return pyll.scope._impls[node.name](*args, **kwargs)  # noqa: SLF001 - Hyperopt's


class SuggestAlgo(ExprEvaluator):
    """An algorithm that decides on one hyperparameter after the other.

    Subclasses have ``on_node_hyperparameter(memo, node, label)``, which returns the values of a
    label for the trials that ``node``'s ``size`` counts; what they don't decide is drawn from the
    prior by ``ExprEvaluator.on_node(self, memo, node)``.

    Parameters
    ----------
    domain, trials, seed
        As algorithms get them.
    """

    def __init__(self, domain: Domain, trials: Any, seed: int) -> None:  # noqa: ANN401
        super().__init__(domain.s_idxs_vals)
        self.domain = domain
        self.trials = trials
        self.label_by_node = {node: label for label, node in domain.vh.vals_by_label().items()}
        self._seed = seed
        self.rng = np.random.default_rng(seed)

    def __call__(self, new_id: int) -> list[dict[str, Any]]:
        """Return the document of one new trial."""
        self.rng = np.random.default_rng(self._seed + new_id)
        idxs, vals = self._drawn([new_id])
        misc = {"tid": new_id, "cmd": self.domain.cmd, "workdir": self.domain.workdir}
        miscs_update_idxs_vals([misc], idxs, vals)
        documents: list[dict[str, Any]] = self.trials.new_trial_docs(
            [new_id], [None], [self.domain.new_result()], [misc]
        )
        return documents

    def batch(self, new_ids: Iterable[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return ``label -> ids`` and ``label -> values`` of several new trials."""
        ids = list(new_ids)
        self.rng = np.random.default_rng([self._seed, *ids])
        return self._drawn(ids)

    def _drawn(self, ids: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        memo = self.eval_nodes({self.domain.s_new_ids: ids, self.domain.s_rng: self.rng})
        idxs, vals = memo[self.expr]
        return idxs, vals

    def on_node(self, memo: dict[Any, Any], node: Any) -> Any:  # noqa: ANN401
        """Return a node's value: a hyperparameter's is decided by the subclass."""
        if node in self.label_by_node:
            return self.on_node_hyperparameter(memo, node, self.label_by_node[node])
        return super().on_node(memo, node)

    def on_node_hyperparameter(self, memo: dict[Any, Any], node: Any, label: str) -> Any:  # noqa: ANN401
        """Return a hyperparameter's values: for subclasses.

        Raises
        ------
        NotImplementedError
            Always, here.
        """
        msg = f"{type(self).__name__} must have on_node_hyperparameter, asked for {label!r}"
        raise NotImplementedError(msg)
