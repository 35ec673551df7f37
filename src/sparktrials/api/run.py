"""``fmin``: from arguments to a finished study."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.api.early_stop import judge_of
from sparktrials.api.options import FminOptions
from sparktrials.api.trials import Trials
from sparktrials.errors import EmptySpace, InvalidArgument, InvalidArgumentType
from sparktrials.progress import observing, show
from sparktrials.space import Space, compile_space, space_eval
from sparktrials.study.loop import Limits, Loop, Stop
from sparktrials.study.protocols import Suggester, Task
from sparktrials.study.runner import Runner
from sparktrials.study.trial import TrialState
from sparktrials.suggest.algorithm import suggester_of

if TYPE_CHECKING:
    from sparktrials.study.history import History

__all__ = ["fmin"]

logger = logging.getLogger("sparktrials")

#: With fewer rounds of parallel trials than this, an algorithm has little to learn from.
_FEW_ROUNDS = 4


def fmin(  # noqa: PLR0917 - Hyperopt's signature
    fn: Callable[..., Any],
    space: Any,  # noqa: ANN401 - any tree
    algo: Any = None,  # noqa: ANN401 - an algorithm, maybe in a partial
    max_evals: int | None = None,
    timeout: float | None = None,
    loss_threshold: float | None = None,
    trials: Any = None,  # noqa: ANN401 - checked below
    rstate: Any = None,  # noqa: ANN401 - int, Generator or RandomState
    allow_trials_fmin: bool = True,  # noqa: ARG001, FBT001, FBT002 - Hyperopt's
    pass_expr_memo_ctrl: bool | None = None,  # noqa: FBT001
    catch_eval_exceptions: bool | None = None,  # noqa: FBT001
    verbose: bool = True,  # noqa: FBT001, FBT002
    return_argmin: bool = True,  # noqa: FBT001, FBT002
    points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
    max_queue_len: int = 1,
    show_progressbar: Any = True,  # noqa: ANN401, FBT002 - or a progress callback
    early_stop_fn: Callable[..., Any] | None = None,
    trials_save_file: str = "",
) -> Any:  # noqa: ANN401 - see Returns
    """Minimize `fn` over `space`.

    Parameters
    ----------
    fn
        Called with what the space describes; returns a loss, or a dict with ``status`` and
        ``loss``.
    space
        A tree of ``hp`` nodes, containers and constants.
    algo
        ``tpe.suggest`` (the default), ``rand.suggest``, or one of them in ``functools.partial``
        with settings.
    max_evals
        Trials in all, those of earlier runs of the same experiment included; None: no limit.
    timeout
        Seconds for the run.
    loss_threshold
        Stop when the best loss is below it.
    trials
        Where trials run and are kept: `Trials` (the default), `SparkTrials`.
    rstate
        An int, ``numpy.random.Generator`` or ``RandomState``; a resumed experiment without one
        keeps its seed.
    allow_trials_fmin
        Accepted for Hyperopt's sake.
    pass_expr_memo_ctrl, trials_save_file
        Not available in this version; other values than the defaults are refused.
    catch_eval_exceptions
        Whether an objective may raise without ending the run: True, False, or None for what the
        trials do by default (`Trials` end, `SparkTrials` go on).
    verbose
        Whether to show messages and a progress bar.
    return_argmin
        Whether to return raw values rather than what the objective received.
    points_to_evaluate
        Points to try first, ``label -> value or branch index``, on top of `max_evals`.
    max_queue_len
        How many points `Trials` suggest at a time; `SparkTrials` decide by themselves.
    show_progressbar
        True, False, or a context manager called with ``initial`` and ``total``.
    early_stop_fn
        ``early_stop_fn(trials, *args) -> (stop, args)``, called after each trial that ended with
        a result, from the first loss on, with those that have.

    Returns
    -------
    dict or object
        ``trials.argmin``, a choice being its branch index; or, without `return_argmin`, what the
        objective received for it, None if no trial has a loss.

    Raises
    ------
    InvalidArgument, InvalidArgumentType, BadSearchSpace
        If an argument makes no sense.
    AllTrialsFailed
        If no trial has a loss, with the first failure's traceback.
    StoreError, SparkError
        If history or cluster fail; all that had arrived is kept.
    """
    options = FminOptions.checked(
        fn=fn,
        max_evals=max_evals,
        timeout=timeout,
        loss_threshold=loss_threshold,
        rstate=rstate,
        catch_eval_exceptions=catch_eval_exceptions,
        verbose=verbose,
        return_argmin=return_argmin,
        points_to_evaluate=points_to_evaluate,
        max_queue_len=max_queue_len,
        show_progressbar=show_progressbar,
        early_stop_fn=early_stop_fn,
    )
    _refuse_unavailable(fn, space, pass_expr_memo_ctrl, trials_save_file)
    compiled = compile_space(space)
    suggester = _suggester(algo, compiled)
    given = [
        compiled.checked(point, name=f"points_to_evaluate[{i}]")
        for i, point in enumerate(options.points)
    ]
    if trials is None:
        trials = Trials()
    if not isinstance(trials, Trials):
        msg = f"trials must be Trials or SparkTrials of this package, got {trials!r}"
        raise InvalidArgumentType(msg)
    _run(options, compiled, suggester, given, trials)
    if options.return_argmin:
        return trials.argmin
    if not any(t.state is TrialState.OK for t in trials.history):
        return None
    return space_eval(compiled, trials.argmin)


def _run(
    options: FminOptions,
    space: Space,
    suggester: Suggester,
    given: Sequence[Mapping[str, Any]],
    trials: Trials,
) -> None:
    with trials.running(space, options.seed) as (history, seed):
        # One that was cancelled is still to be evaluated.
        kept = [t for t in history if t.state is not TrialState.CANCELLED]
        evaluated = {_key(t.point) for t in kept if t.given}
        new = [point for point in given if _key(point) not in evaluated]
        target = None
        if options.max_evals is not None:
            # Points of this call come on top of max_evals, and new ones are evaluated even where
            # the experiment has its trials already.
            target = max(options.max_evals + len(given), len(kept) + len(new) if new else 0)
        limits = _limits(options, trials, target)
        done = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
        loop = Loop(history=history, limits=limits, seed=seed, started=time.monotonic(), given=new)
        loop.judge_best()  # a run that ended by its threshold is not to start a trial when repeated
        trials.fmin_cancelled_reason = None if loop.stop is None else loop.stop.reason
        if limits.target is not None and done >= limits.target:
            trials.settle(loop.abandon(time.time()))
            _say_complete(options, trials, history, limits.target)
            return
        dispatcher = trials.dispatcher(options.max_queue_len)
        try:
            _warn_parallelism(limits.target, suggester, dispatcher.slots, done)
            dispatcher.open(
                Task(
                    objective=options.objective,
                    space=space,
                    name=f"sparktrials {trials.exp_key}",
                    adaptive=suggester.adaptive,
                    trial_timeout=trials.trial_timeout,
                )
            )
            _say_endless(options, limits)
            _say_resumed(options, trials, loop, done)
            with observing(
                options.show_progressbar,
                verbose=options.verbose,
                done=done,
                total=limits.target,
            ) as observer:
                runner = Runner(
                    loop=loop,
                    suggester=suggester,
                    dispatcher=dispatcher,
                    store=trials.store,
                    key=trials.exp_key,
                    observer=observer,
                    early_stop=judge_of(options.early_stop_fn, trials, history),
                    dumps=_dumps(),
                )
                stop = runner.run()
        finally:
            dispatcher.close()
            trials.fmin_cancelled_reason = None if loop.stop is None else loop.stop.reason
    _say_stopped(options, trials, stop)


def _refuse_unavailable(
    fn: object, space: object, pass_expr_memo_ctrl: object, trials_save_file: object
) -> None:
    if trials_save_file:
        msg = (
            f"trials_save_file={trials_save_file!r} is not available in this version: "
            "trials=Trials('sqlite:///runs.db') keeps the history after every trial"
        )
        raise InvalidArgument(msg)
    if pass_expr_memo_ctrl or getattr(fn, "fmin_pass_expr_memo_ctrl", False):
        msg = "pass_expr_memo_ctrl is not available in this version"
        raise InvalidArgument(msg)
    if isinstance(space, str):
        msg = f"space must be a tree of hp nodes, got {space!r}"
        raise InvalidArgument(msg)


def _suggester(algo: object, space: Space) -> Suggester:
    if algo is None:
        from sparktrials.suggest import tpe  # noqa: PLC0415 - scipy, where it is used

        algo = tpe.suggest
    suggester = suggester_of(algo)
    if not space.parameters:
        msg = (
            "the space has no parameter to choose: give at least one hp node, or call the "
            "objective yourself"
        )
        raise EmptySpace(msg)
    return suggester


def _key(point: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(point.items()))


def _limits(options: FminOptions, trials: Trials, target: int | None) -> Limits:
    timeout = _winning("timeout", trials.timeout, options.timeout)
    loss_threshold = _winning("loss_threshold", trials.loss_threshold, options.loss_threshold)
    return Limits(
        target=target,
        timeout=timeout,
        loss_threshold=loss_threshold,
        max_retries=trials.max_retries,
        catch=trials.catch_by_default if options.catch is None else options.catch,
    )


def _winning(name: str, of_trials: float | None, of_fmin: float | None) -> float | None:
    if of_trials is not None and of_fmin is not None and of_trials != of_fmin:
        warnings.warn(
            f"{name}={of_trials:g} of SparkTrials is used, not {name}={of_fmin:g} of fmin",
            stacklevel=5,
        )
    return of_fmin if of_trials is None else of_trials


def _dumps() -> Callable[[object], bytes]:
    import cloudpickle  # noqa: PLC0415 - not at import

    dumps: Callable[[object], bytes] = cloudpickle.dumps
    return dumps


# ---------------------------------------------------------------------- telling people


def _warn_parallelism(target: int | None, suggester: Suggester, slots: int, done: int) -> None:
    if not suggester.adaptive or target is None or slots < 2:  # noqa: PLR2004 - nothing parallel
        return
    left = target - done
    if left < _FEW_ROUNDS * slots:
        warnings.warn(
            f"{left} trials on {slots} slots are {left / slots:.1f} rounds: the algorithm learns "
            f"little between them. Lower parallelism to {max(1, left // _FEW_ROUNDS)}, or raise "
            "max_evals",
            stacklevel=4,
        )


def _say_complete(options: FminOptions, trials: Trials, history: History, target: int) -> None:
    best = history.best
    done = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
    found = (
        "no trial has a loss"
        if best is None
        else f"best loss {best.loss:.6g} in trial {best.id} with {trials.best_params}"
    )
    show(
        f"the experiment {trials.exp_key!r} in {trials.store.url} is complete: {done} of "
        f"{target} trials, {found}. To go on: fmin(..., max_evals=N) with N > {done}; "
        "to start anew: another exp_key, or trials.delete_all()",
        verbose=options.verbose,
    )


def _say_endless(options: FminOptions, limits: Limits) -> None:
    ends = (limits.target, limits.timeout, limits.loss_threshold, options.early_stop_fn)
    if all(end is None for end in ends):
        show(
            "no max_evals, timeout, loss_threshold or early_stop_fn: this runs until it is stopped",
            verbose=options.verbose,
        )


def _say_resumed(options: FminOptions, trials: Trials, loop: Loop, done: int) -> None:
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


def _say_stopped(options: FminOptions, trials: Trials, stop: Stop | None) -> None:
    failed = [t for t in trials.history if t.failure is not None and t.failure.is_error]
    if stop is not None:
        show(f"stopped: {stop.reason}", verbose=options.verbose)
    if len(failed) > 1:
        show(
            f"{len(failed)} of {len(trials.history)} trials failed with an error; "
            "their tracebacks are in trials.history",
            verbose=options.verbose,
        )
