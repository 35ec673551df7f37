"""``hyperopt.fmin``: the function, and its loop as an iterator."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparktrials.api.arguments import suggester_for
from sparktrials.api.documents import (
    JOB_STATE_CANCEL,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
)
from sparktrials.api.execution import Work, execute
from sparktrials.api.options import FminOptions, seed_of
from sparktrials.api.run import fmin, space_eval
from sparktrials.api.saving import SaveFile
from sparktrials.api.trials import Trials
from sparktrials.compat import progress
from sparktrials.compat.base import spec_from_misc
from sparktrials.compat.control import Ctrl, DomainCall, ExprMemoCtrl, RawPoint
from sparktrials.compat.domain import Domain
from sparktrials.compat.utils import coarse_utcnow

__all__ = [
    "FMinIter",
    "fmin",
    "fmin_pass_expr_memo_ctrl",
    "generate_trial",
    "generate_trials_to_calculate",
    "partial",
    "space_eval",
]

logger = logging.getLogger("hyperopt.fmin")


def generate_trial(tid: int, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a new trial at ``label -> value or branch index``."""
    return {
        "state": JOB_STATE_NEW,
        "tid": tid,
        "spec": None,
        "result": {"status": "new"},
        "misc": {
            "tid": tid,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {label: [tid] for label in space},
            "vals": {label: [value] for label, value in space.items()},
        },
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }


def generate_trials_to_calculate(points: Iterable[Mapping[str, Any]]) -> Trials:
    """Return `Trials` whose first evaluations are `points`, on top of ``fmin``'s ``max_evals``."""
    trials = Trials()
    trials.insert_trial_docs(generate_trial(tid, point) for tid, point in enumerate(points))
    return trials


def fmin_pass_expr_memo_ctrl(f: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an objective to be called as ``f(expr=..., memo=..., ctrl=...)``.

    `expr` is the space as a graph, ``pyll.rec_eval(expr, memo=memo)`` makes of it what other
    objectives receive, and `ctrl` is a `Ctrl`.
    """
    f.fmin_pass_expr_memo_ctrl = True  # type: ignore[attr-defined]  # Hyperopt's mark
    return f


def partial(fn: Callable[..., Any], **kwargs: Any) -> functools.partial[Any]:  # noqa: ANN401
    """Return ``functools.partial(fn, **kwargs)``; `fmin_pass_expr_memo_ctrl`'s mark stays."""
    found = functools.partial(fn, **kwargs)
    if hasattr(fn, "fmin_pass_expr_memo_ctrl"):
        found.fmin_pass_expr_memo_ctrl = fn.fmin_pass_expr_memo_ctrl  # type: ignore[attr-defined]
    return found


class FMinIter:
    """A search that is run step by step: ``next(it)`` evaluates one trial more.

    Parameters
    ----------
    algo, trials, rstate, max_queue_len, max_evals, timeout, loss_threshold, verbose
        As in `fmin`; the time counts from here.
    domain
        Space and objective.
    asynchronous, poll_interval_secs
        Kept for those who read them: waiting is by events here.
    show_progressbar, early_stop_fn, trials_save_file
        As in `fmin`.

    Raises
    ------
    InvalidArgument, InvalidArgumentType
        If an argument makes no sense.
    """

    catch_eval_exceptions = False
    pickle_protocol = -1

    def __init__(  # noqa: PLR0917 - Hyperopt's signature
        self,
        algo: Any,  # noqa: ANN401 - an algorithm
        domain: Domain,
        trials: Trials,
        rstate: Any,  # noqa: ANN401 - a seed
        asynchronous: bool | None = None,  # noqa: FBT001
        max_queue_len: int = 1,
        poll_interval_secs: float = 1.0,
        max_evals: int = sys.maxsize,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        verbose: bool = False,  # noqa: FBT001, FBT002
        show_progressbar: Any = True,  # noqa: ANN401, FBT002
        early_stop_fn: Callable[..., Any] | None = None,
        trials_save_file: str = "",
    ) -> None:
        self.algo = algo
        self.domain = domain
        self.trials = trials
        self.rstate = rstate
        self.asynchronous = trials.asynchronous if asynchronous is None else asynchronous
        self.max_queue_len = max_queue_len
        self.poll_interval_secs = poll_interval_secs
        self.max_evals = max_evals
        self.timeout = timeout
        self.loss_threshold = loss_threshold
        self.verbose = verbose
        self.early_stop_fn = early_stop_fn
        self.early_stop_args: Any = []
        self.trials_save_file = trials_save_file
        if not show_progressbar or not verbose:
            self.progress_callback = progress.no_progress_callback
        elif callable(show_progressbar):
            self.progress_callback = show_progressbar
        else:
            self.progress_callback = progress.default_callback
        self.start_time = time.monotonic()
        self._seed = seed_of(rstate)
        self._stopped = False
        self._compares = False

    # ------------------------------------------------------------------ evaluating

    def serial_evaluate(self, N: int = -1) -> None:
        """Evaluate the new trials, `N` at most if it is positive, one after the other."""
        for document in list(self.trials._dynamic_trials):  # noqa: SLF001 - Hyperopt's public secret
            if document["state"] != JOB_STATE_NEW:
                continue
            self._evaluate(document)
            N -= 1
            if N == 0:
                break
        self.trials.refresh()

    def _evaluate(self, document: dict[str, Any]) -> None:
        document["state"] = JOB_STATE_RUNNING
        document["book_time"] = document["refresh_time"] = coarse_utcnow()
        ctrl = Ctrl(self.trials, current_trial=document)
        try:
            result = self.domain.evaluate(spec_from_misc(document["misc"]), ctrl)
        except Exception as error:
            document["misc"]["error"] = (str(type(error)), str(error))
            document["refresh_time"] = coarse_utcnow()
            document["state"] = JOB_STATE_ERROR
            if not self.catch_eval_exceptions:
                self.trials.refresh()
                raise
        else:
            document["result"] = result
            document["refresh_time"] = coarse_utcnow()
            document["state"] = JOB_STATE_DONE

    def run(self, N: int, block_until_done: bool = True) -> None:  # noqa: FBT001, FBT002
        """Evaluate the trials that are new, and then `N` more that the algorithm suggests."""
        self.trials.refresh()
        left = None if self.timeout is None else self.start_time + self.timeout - time.monotonic()
        if left is not None and left <= 0:
            return
        cancelled = self.trials.count_by_state_unsynced(JOB_STATE_CANCEL)
        counted = len(self.trials.history) - cancelled
        target = counted + max(0, N)
        if target == 0:
            return
        objective, builder = self._objective()
        execute(
            FminOptions.checked(
                fn=objective,
                max_evals=None if target >= sys.maxsize else target,
                timeout=left,
                loss_threshold=self.loss_threshold,
                rstate=self._seed,
                catch_eval_exceptions=self.catch_eval_exceptions or None,
                verbose=self.verbose,
                return_argmin=False,
                points_to_evaluate=None,
                max_queue_len=self.max_queue_len,
                show_progressbar=self.progress_callback,
                early_stop_fn=None if self.early_stop_fn is None else self._judge,
            ),
            Work(
                space=self.domain.space,
                suggester=suggester_for(
                    self.algo,
                    self.domain.space,
                    self.domain.expr,
                    self.domain.fn,
                    self.trials,
                    at_once=self.max_queue_len,
                ),
                objective=objective,
                builder=builder,
                save=SaveFile(self.trials_save_file) if self.trials_save_file else None,
            ),
            self.trials,
        )
        if block_until_done:
            logger.info("Queue empty, exiting run.")

    def _objective(self) -> tuple[Callable[..., Any], Any]:
        domain = self.domain
        if type(domain).evaluate is not Domain.evaluate:
            return DomainCall(domain, self.trials), RawPoint()
        if domain.pass_expr_memo_ctrl:
            return ExprMemoCtrl(domain.fn, domain.expr, self.trials), RawPoint()
        return domain.fn, domain.space

    def _judge(self, trials: Any, *_: object) -> tuple[bool, list[Any]]:  # noqa: ANN401
        """Ask the user's ``early_stop_fn``, whose arguments outlive one run."""
        if self.early_stop_fn is not None:
            if trials.has_loss and not self._compares:  # as within one run, see api.early_stop
                self.early_stop_args, self._compares = [], True
            self._stopped, self.early_stop_args = self.early_stop_fn(trials, *self.early_stop_args)
        return self._stopped, []

    # ------------------------------------------------------------------ stepping

    @property
    def is_cancelled(self) -> bool:
        """Whether the last run was ended before its time, for trials that run elsewhere."""
        return self.asynchronous and self.trials.fmin_cancelled_reason is not None

    def block_until_done(self) -> None:
        """Evaluate what is new."""
        if self.trials.count_by_state_unsynced(JOB_STATE_NEW):
            self.run(0)

    def __iter__(self) -> FMinIter:
        return self

    def __next__(self) -> Trials:
        before = len(self.trials.history)
        self.run(1, block_until_done=self.asynchronous)
        # A step in which nothing was evaluated, for a limit or for want of points, is the last.
        nothing = len(self.trials.history) == before
        if self._stopped or nothing or len(self.trials) >= self.max_evals:
            raise StopIteration
        return self.trials

    def exhaust(self) -> FMinIter:
        """Run until ``max_evals`` trials are there."""
        self.run(self.max_evals - len(self.trials), block_until_done=self.asynchronous)
        self.trials.refresh()
        return self
