"""What people are told about a run, beside the bar."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from sparktrials.callers import users_level
from sparktrials.progress import show
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.api.options import FminOptions
    from sparktrials.api.trials import Trials
    from sparktrials.study.history import History
    from sparktrials.study.loop import Loop, Stop
    from sparktrials.study.protocols import Suggester

__all__ = ["say_complete", "say_endless", "say_resumed", "say_stopped", "warn_parallelism"]

#: With fewer rounds of parallel trials than this, an algorithm has little to learn from.
_FEW_ROUNDS = 4


def warn_parallelism(target: int | None, suggester: Suggester, slots: int, done: int) -> None:
    """Warn that there is little to learn from between rounds of parallel trials.

    A study that goes on has learnt from those that it has.
    """
    if not suggester.adaptive or target is None or slots < 2:  # noqa: PLR2004 - nothing parallel
        return
    if done < target < _FEW_ROUNDS * slots:
        warnings.warn(
            f"{target} trials on {slots} slots are {target / slots:.1f} rounds: the algorithm "
            f"learns little between them. Run {max(1, target // _FEW_ROUNDS)} at a time "
            "(parallelism, n_jobs), or raise max_evals",
            stacklevel=users_level(),
        )


def say_complete(options: FminOptions, trials: Trials, history: History, target: int) -> None:
    """Say that the experiment has its trials already."""
    where = trials.store.url.rstrip(":")
    best = history.best
    done = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
    found = (
        "no trial has a loss"
        if best is None
        else f"best loss {best.loss:.6g} in trial {best.id} with {trials.best_params}"
    )
    show(
        f"the experiment {trials.exp_key!r} in {where} is complete: {done} of {target} trials, "
        f"{found}. To go on: fmin(..., max_evals=N) with N > {done}; "
        "to start anew: another exp_key, or trials.delete_all()",
        verbose=options.verbose,
    )


def say_endless(options: FminOptions, *, limited: bool) -> None:
    """Say that nothing ends the run."""
    if not limited and options.early_stop_fn is None:
        show(
            "no max_evals, timeout, loss_threshold or early_stop_fn: this runs until it is stopped",
            verbose=options.verbose,
        )


def say_resumed(options: FminOptions, trials: Trials, loop: Loop, done: int) -> None:
    """Say that the run goes on from earlier ones."""
    if not trials.store.durable or not (done or loop.interrupted):
        return
    running = (
        f"; {loop.interrupted} that were in flight when its last driver ended run again"
        if loop.interrupted
        else ""
    )
    show(
        f"continuing the experiment {trials.exp_key!r} in {trials.store.url}: {done} trials are "
        f"there{running}",
        verbose=options.verbose,
    )


def say_stopped(options: FminOptions, trials: Trials, stop: Stop | None) -> None:
    """Say why the run ended early, and how many trials failed."""
    failed = [t for t in trials.history if t.failure is not None and t.failure.is_error]
    if stop is not None:
        show(f"stopped: {stop.reason}", verbose=options.verbose)
    if len(failed) > 1:
        show(
            f"{len(failed)} of {len(trials.history)} trials failed with an error; "
            "their tracebacks are in trials.history",
            verbose=options.verbose,
        )
