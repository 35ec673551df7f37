"""One run of a study on some trials: from checked arguments to a history that ended."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparktrials.api.early_stop import judge_of
from sparktrials.api.messages import (
    say_complete,
    say_endless,
    say_resumed,
    say_stopped,
    warn_parallelism,
)
from sparktrials.api.signals import orderly_signals
from sparktrials.observers import Observers, TransitionLog
from sparktrials.progress import observing
from sparktrials.store import Spool, SpoolingStore
from sparktrials.study.interrupts import Grace
from sparktrials.study.loop import Limits, Loop
from sparktrials.study.protocols import Task
from sparktrials.study.runner import AT_ONCE, Runner
from sparktrials.study.trial import TrialState
from sparktrials.suggest.algorithm import Configured
from sparktrials.tracking.observer import tracked

if TYPE_CHECKING:
    from sparktrials.api.options import FminOptions
    from sparktrials.api.saving import SaveFile
    from sparktrials.api.trials import Trials
    from sparktrials.space import Space
    from sparktrials.study.interrupts import OrderlyHandler
    from sparktrials.study.protocols import Builder, Suggester
    from sparktrials.study.trial import Trial

__all__ = ["Work", "execute"]

logger = logging.getLogger("sparktrials")

_COMPAT = "sparktrials.compat"
_NONE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run is about.

    Attributes
    ----------
    space
        Compiled.
    suggester
        Proposes points.
    objective, builder
        ``objective(builder.build(point))`` is a trial; the builder is the space, usually.
    given
        Points of the user's, checked.
    save
        The file that the trials are saved to, if any.
    """

    space: Space
    suggester: Suggester
    objective: Callable[..., Any]
    builder: Builder
    given: Sequence[Mapping[str, Any]] = ()
    save: SaveFile | None = None


def execute(options: FminOptions, work: Work, trials: Trials) -> None:
    """Run trials until the options say that it is enough.

    Raises
    ------
    BaseException
        What ended the run early, if it was an error; all that had arrived is kept.
    """
    try:
        with orderly_signals() as signals:
            _run(options, work, trials, signals)
    finally:
        if work.save is not None:  # with what users changed in documents while it ran
            work.save.write(trials)


def _run(options: FminOptions, work: Work, trials: Trials, signals: OrderlyHandler) -> None:
    grace = Grace()
    # Documents that were inserted and not refreshed come on top, as in Hyperopt.
    on_top = len(work.given) + trials.unrefreshed()
    with (
        trials.running(work.space, options.seed) as (history, seed),
        tracked(
            trials.tracking,
            automatic=trials.tracks_active_run,
            history=history,
            key=trials.exp_key,
            durable=trials.store.durable,
            grace=grace,
        ) as trackers,
    ):
        # One that was cancelled is still to be evaluated.
        new = list(work.given)
        kept = len(history) - history.count(TrialState.CANCELLED)
        if new:
            given = (t for t in history if t.given and t.state is not TrialState.CANCELLED)
            evaluated = {_key(t.point) for t in given}
            new = [point for point in new if _key(point) not in evaluated]
        target = None
        if options.max_evals is not None:
            # Points of this call come on top of max_evals, and new ones are evaluated even where
            # the experiment has its trials already.
            target = max(
                options.max_evals + on_top - trials.counted_apart(),
                kept + len(new) if new else 0,
            )
        limits = _limits(options, trials, target)
        done = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
        loop = Loop(history=history, limits=limits, seed=seed, started=time.monotonic(), given=new)
        loop.judge_best()  # a run that ended by its threshold is not to start a trial when repeated
        trials.fmin_cancelled_reason = None if loop.stop is None else loop.stop.reason
        by_hand = history.count(TrialState.NEW)  # documents that the user inserted
        if limits.target is not None and done >= limits.target and not by_hand:
            trials.settle(loop.abandon(time.time()))
            say_complete(options, trials, history, limits.target)
            return
        dispatcher = trials.dispatcher(options.max_queue_len)
        spool = Spool(trials.store.url, trials.exp_key, work.space.fingerprint)
        runner: Runner | None = None
        try:
            warn_parallelism(limits.target, work.suggester, dispatcher.slots, done)
            dispatcher.open(
                Task(
                    objective=work.objective,
                    space=work.builder,
                    name=f"sparktrials {trials.exp_key}",
                    adaptive=work.suggester.adaptive,
                    trial_timeout=trials.trial_timeout,
                    imports=_imports(),
                    ends_at=loop.ends_at,
                    grace=grace,
                )
            )
            ends = (limits.target, limits.timeout, limits.loss_threshold)
            say_endless(options, limited=any(end is not None for end in ends))
            say_resumed(options, trials, loop, done)
            with observing(
                options.show_progressbar,
                verbose=options.verbose,
                done=done,
                total=limits.target,
                slots=lambda: dispatcher.slots,
            ) as bar:
                runner = Runner(
                    loop=loop,
                    suggester=work.suggester,
                    dispatcher=dispatcher,
                    store=SpoolingStore(trials.store, spool),
                    key=trials.exp_key,
                    observer=Observers(bar, TransitionLog(trials.exp_key), *trackers),
                    early_stop=_after(options, work.save, trials),
                    dumps=_dumps(),
                    grace=grace,
                    # Ours give the same points in one call or in several.
                    ask_first=1 if isinstance(work.suggester, Configured) else AT_ONCE,
                )
                stop = runner.run()
        finally:
            signals.closing = True
            with contextlib.ExitStack() as closing:  # each, whatever becomes of the others
                closing.callback(signals.closed)
                closing.callback(trials.ended)
                closing.callback(spool.close)
                closing.callback(dispatcher.close)
                if runner is not None and not runner.settled:  # an interrupt got in between
                    closing.callback(_settle, runner)
                trials.fmin_cancelled_reason = None if loop.stop is None else loop.stop.reason
    say_stopped(options, trials, stop)


def _settle(runner: Runner) -> None:
    try:
        runner.settle()
    except Exception:
        logger.exception("what was running could not be recorded as cancelled")


def _after(
    options: FminOptions, save: SaveFile | None, trials: Trials
) -> Callable[[Sequence[Trial]], bool] | None:
    """Return what is done after trials have ended: True stops the run."""
    judge = judge_of(options.early_stop_fn, trials, trials.history)
    if save is None:
        return judge

    def after(news: Sequence[Trial]) -> bool:
        save.write_now_and_then(trials)
        return judge is not None and judge(news)

    return after


def _imports() -> tuple[str, ...]:
    """Return the modules that make ``import hyperopt`` in an objective mean the same elsewhere."""
    alias = sys.modules.get("hyperopt")
    return ("sparktrials.compat.installed",) if alias is sys.modules.get(_COMPAT, _NONE) else ()


def _key(point: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(point.items()))


def _limits(options: FminOptions, trials: Trials, target: int | None) -> Limits:
    return Limits(
        target=target,
        # Of two the one that ends the run first.
        timeout=_combined(min, trials.timeout, options.timeout),
        loss_threshold=_combined(max, trials.loss_threshold, options.loss_threshold),
        max_retries=trials.max_retries,
        catch=trials.catch_by_default if options.catch is None else options.catch,
        in_driver=not (trials.asynchronous or trials.local.in_processes),
    )


def _combined(choose: Callable[..., float], *values: float | None) -> float | None:
    there = [value for value in values if value is not None]
    return choose(there) if there else None


def _dumps() -> Callable[[object], bytes]:
    import cloudpickle  # noqa: PLC0415 - not at import

    dumps: Callable[[object], bytes] = cloudpickle.dumps
    return dumps
