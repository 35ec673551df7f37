"""``fmin``: from arguments to a finished study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparktrials.api.arguments import (
    annotated,
    has_own_fmin,
    known_part,
    objective_for,
    suggester_for,
    tree_of,
    trials_for,
)
from sparktrials.api.execution import Work, execute
from sparktrials.api.options import FminOptions
from sparktrials.api.spelling import suggests_keywords
from sparktrials.errors import InvalidPoint
from sparktrials.space import compile_space, space_eval as evaluated
from sparktrials.study.trial import TrialState

__all__ = ["fmin", "space_eval"]


@suggests_keywords
def fmin(  # noqa: PLR0917 - Hyperopt's signature
    fn: Callable[..., Any],
    space: Any,  # noqa: ANN401 - any tree
    algo: Any = None,  # noqa: ANN401 - an algorithm, maybe in a partial
    max_evals: int | None = None,
    timeout: float | None = None,
    loss_threshold: float | None = None,
    trials: Any = None,  # noqa: ANN401 - checked below
    rstate: Any = None,  # noqa: ANN401 - int, Generator or RandomState
    allow_trials_fmin: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's
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
        A tree of ``hp`` nodes, containers and constants, Hyperopt's expressions too; or
        ``"annotated"``: then `fn`'s parameters are annotated with them.
    algo
        ``tpe.suggest`` (the default), ``auto.suggest``, ``atpe.suggest``, ``gp.suggest``,
        ``anneal.suggest``, ``rand.suggest``, ``sobol.suggest``, ``mix.suggest``, or one of them in
        ``functools.partial`` with settings; or a function ``(new_ids, domain, trials, seed) ->
        trial documents`` as Hyperopt's users write them.
    max_evals
        Trials in all, those of earlier runs of the same experiment included; None: no limit.
    timeout
        Seconds for the run.
    loss_threshold
        Stop when the best loss is below it.
    trials
        Where trials run and are kept: `Trials` (the default), `SparkTrials`; Hyperopt's own
        ``Trials`` are run like `Trials`, and get the result.
    rstate
        An int, ``numpy.random.Generator`` or ``RandomState``; a resumed experiment without one
        keeps its seed.
    allow_trials_fmin
        Whether the ``fmin`` of a subclass of `Trials` is called, if it has its own.
    pass_expr_memo_ctrl
        Whether `fn` is called as ``fn(expr, memo, ctrl)``; None: if it is marked so.
    catch_eval_exceptions
        Whether an objective may raise without ending the run: True, False, or None for what the
        trials do by default (`Trials` in this process end, others go on).
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
        a result, with those that have; with the first loss `args` start anew.
    trials_save_file
        A file that the trials are pickled to while the run goes on, at once and whole; where it
        exists, and no trials are given or those given are empty, the run goes on from it. Only name
        a file that you trust. ``Trials("sqlite:///runs.db")`` keeps more, and costs less.

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
    if isinstance(space, str):
        fn, space = annotated(fn, space)
    if allow_trials_fmin and has_own_fmin(trials):
        return trials.fmin(
            fn,
            space,
            algo=algo,
            max_evals=max_evals,
            timeout=timeout,
            loss_threshold=loss_threshold,
            max_queue_len=max_queue_len,
            rstate=rstate,
            pass_expr_memo_ctrl=pass_expr_memo_ctrl,
            verbose=verbose,
            catch_eval_exceptions=bool(catch_eval_exceptions),
            return_argmin=return_argmin,
            show_progressbar=show_progressbar,
            early_stop_fn=early_stop_fn,
            trials_save_file=trials_save_file,
        )
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
    compiled = compile_space(tree_of(space))
    with trials_for(trials, trials_save_file) as (own, save):
        suggester = suggester_for(algo, compiled, space, fn, own, at_once=options.max_queue_len)
        objective, builder = objective_for(fn, space, compiled, own, pass_expr_memo_ctrl)
        work = Work(
            space=compiled,
            suggester=suggester,
            objective=objective,
            builder=builder,
            given=[
                compiled.checked(
                    known_part(compiled, point, f"points_to_evaluate[{i}]"),
                    name=f"points_to_evaluate[{i}]",
                )
                for i, point in enumerate(options.points)
            ],
            save=save,
        )
        execute(options, work, own)
        if options.return_argmin:
            return own.argmin
        if not any(t.state is TrialState.OK for t in own.history):
            return None
        return evaluated(compiled, own.argmin)


def space_eval(space: Any, hp_assignment: Any) -> Any:  # noqa: ANN401 - any tree, and checked
    """Return what the objective would receive for ``{label: value or branch index}``.

    Labels that the space has not are ignored.

    Raises
    ------
    InvalidPoint
        If a label that is active is missing or a value does not fit.
    """
    compiled = compile_space(tree_of(space))
    if not isinstance(hp_assignment, Mapping):
        msg = f"hp_assignment must be a dict of label: value, got {hp_assignment!r}"
        raise InvalidPoint(msg)
    known = {k: v for k, v in hp_assignment.items() if k in compiled.index}
    return evaluated(compiled, known)
