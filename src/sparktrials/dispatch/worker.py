"""What runs in an executor's Python: a pack of trials, one after the other, to plain data.

A task never fails for the objective's reasons: all that can go wrong comes back as an outcome, or,
when this Python cannot run trials at all, as a complaint about it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import pickle
import platform
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sparktrials.dispatch.evaluation import TrialTimeout, evaluate, failure_of
from sparktrials.dispatch.offspring import offspring
from sparktrials.dispatch.process_state import this_process
from sparktrials.dispatch.task_environment import task_environment, trial_environment
from sparktrials.dispatch.travelling import SPARKS_PICKLERS, fit_to_travel
from sparktrials.study.trial import FailureKind, Outcome, TrialState
from sparktrials.study.values import TRIAL_LIMIT

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.handshake import Address
    from sparktrials.dispatch.current import Listener
    from sparktrials.space import Point
    from sparktrials.study.protocols import Builder
    from sparktrials.study.trial import Trial

__all__ = [
    "Complaint",
    "Pack",
    "Report",
    "complaint_of",
    "decode_pickled",
    "load_study",
    "run_nothing",
    "run_pack",
    "run_trial",
    "specs",
]

#: What an executor is told of a trial: its id, attempt, seed and point.
Spec: TypeAlias = "tuple[int, int, int | None, Point]"
#: Seconds that Python code gets to end after its time is up, before the process is ended.
TIMEOUT_GRACE_S = 2.0
#: Studies whose objective a process keeps loaded.
_CACHED_STUDIES = 4


@dataclass(frozen=True, slots=True)
class Pack:
    """Trials for one task, and how to run them.

    Attributes
    ----------
    study
        Digest of the study's payload: the cache key of the objective.
    trials
        ``(trial id, attempt, seed, point)`` in order: see `specs`.
    time_box_s
        A trial is not started when this much time has passed; the first always is.
    trial_timeout_s
        Seconds for one trial, or None.
    limit_threads
        Whether thread pools of libraries keep to the task's cpus.
    nodes
        Tasks that run each trial together, as ranks of a barrier job.
    channel, lease
        Where to ask for trials, and what to say who asks; None for a pack that has its own.
    """

    study: str
    trials: tuple[Spec, ...]
    time_box_s: float
    trial_timeout_s: float | None = None
    limit_threads: bool = True
    nodes: int = 1
    channel: Address | None = None
    lease: int | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """Says that a Python cannot run the study's trials, and why."""

    host: str
    python: str
    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a task brings back.

    Attributes
    ----------
    outcomes
        Of the trials that were run, each pickled.
    repeated
        Spark started the task a second time, so the first worker is lost; nothing was run.
    stage
        Spark's number of the task's stage, where it was repeated.
    complaint
        Set when the objective could not even be loaded; nothing was run.
    unreachable
        Why the driver's channel cannot be reached from here; nothing was run.
    """

    host: str
    outcomes: tuple[bytes, ...] = ()
    repeated: bool = False
    stage: int | None = None
    complaint: Complaint | None = None
    unreachable: str | None = None


def load_study(study: str, payload: Callable[[], bytes]) -> tuple[Callable[..., Any], Builder]:
    """Return a study's objective and space, from memory where this process has loaded it before."""
    studies = this_process().studies
    if study not in studies:
        first, full = not studies, len(studies) >= _CACHED_STUDIES
        while len(studies) >= _CACHED_STUDIES:
            del studies[next(iter(studies))]
        if full:
            gc.unfreeze()
        imports, objective, space = pickle.loads(payload())  # noqa: S301 - as Spark does with code
        for module in imports:
            importlib.import_module(module)
        studies[study] = (pickle.loads(objective), pickle.loads(space))  # noqa: S301
        # Spark's daemon collects garbage between any two tasks, while the next one waits: what has
        # been imported by now stays, and need not be walked each time. There is hardly any garbage
        # now, for the same reason: to look for it would take longer than all else here.
        if first or full:
            gc.collect()
        gc.freeze()
    return studies[study]


def run_pack(
    pack: Pack,
    payload: Callable[[], bytes],
    attempt_number: int,
    stage: int | None = None,
    resources: Mapping[str, Any] | None = None,
) -> bytes:
    """Run a pack and return a pickled `Report`. Whatever it raises is a fault of this package.

    Parameters
    ----------
    pack
        What to run.
    payload
        Returns the study's payload; called when this process sees the study for the first time.
    attempt_number
        Spark's, 0 for the first: a task that is tried again is not run blindly.
    stage
        Spark's number of the task's stage.
    resources
        What Spark says that the task has, see `task_environment.resources_of`.
    """
    host = socket.gethostname()
    if attempt_number > 0:
        return pickle.dumps(Report(host, repeated=True, stage=stage))
    resources = resources or {}
    with task_environment(resources, limit_threads=pack.limit_threads):
        return _run(pack, payload, host, resources)


def run_nothing() -> bytes:
    """Return a `Report` that gives back all trials."""
    return pickle.dumps(Report(socket.gethostname()))


def _run(
    pack: Pack, payload: Callable[[], bytes], host: str, resources: Mapping[str, Any]
) -> bytes:
    try:
        study = load_study(pack.study, payload)
    except BaseException as error:  # noqa: BLE001 - whatever unpickling somebody's code raises
        return pickle.dumps(Report(host, complaint=complaint_of(error, host)))

    def run(spec: Sequence[Any], listener: Listener | None = None) -> Outcome:
        return run_trial(
            study,
            spec,
            host=host,
            timeout_s=pack.trial_timeout_s,
            resources=resources,
            listener=listener,
        )

    if pack.channel is not None:
        from sparktrials.dispatch.lease import pull  # noqa: PLC0415 - packs need no sockets

        left, unreachable = pull(pack.channel, pack.lease or 0, host, run)
        return pickle.dumps(Report(host, tuple(map(_packed, left)), unreachable=unreachable))
    end = time.monotonic() + pack.time_box_s
    outcomes: list[bytes] = []
    size = 0
    for spec in pack.trials:
        if outcomes and (time.monotonic() >= end or size >= TRIAL_LIMIT):
            break
        outcomes.append(_packed(run(spec)))
        size += len(outcomes[-1])
    return pickle.dumps(Report(host, tuple(outcomes)))


def run_trial(
    study: tuple[Callable[..., Any], Builder],
    spec: Sequence[Any],
    *,
    host: str,
    timeout_s: float | None = None,
    resources: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    picklers: Sequence[str] = SPARKS_PICKLERS,
) -> Outcome:
    """Evaluate a trial in this process, which is there for nothing else.

    Parameters
    ----------
    study
        Objective and space.
    spec
        See `specs`.
    host, resources
        What the trial is told of where it is.
    timeout_s
        Seconds after which it is ended, or, where C code ignores that, this process.
    listener
        Takes what it says.
    picklers
        See `fit_to_travel`.

    Returns
    -------
    Outcome
        It holds plain data and pickles only, and none too large.
    """
    objective, space = study
    trial_id, attempt, seed, point = spec
    outcome: Outcome | None = None
    with trial_environment(), offspring() as started:
        try:
            with _deadline(timeout_s):
                outcome, _ = evaluate(
                    objective,
                    space,
                    point,
                    trial_id=trial_id,
                    attempt=attempt,
                    host=host,
                    seed=seed,
                    resources=resources,
                    listener=listener,
                )
        except TrialTimeout as error:  # the alarm rang when the objective had just ended
            outcome = outcome or _timed_out(error, trial_id, attempt, host)
    if outcome.failure is not None and outcome.failure.kind is FailureKind.TIMEOUT:
        started.end()
    return fit_to_travel(outcome, picklers)


def _timed_out(error: TrialTimeout, trial_id: int, attempt: int, host: str) -> Outcome:
    return Outcome(
        trial_id=trial_id,
        attempt=attempt,
        state=TrialState.FAILED,
        failure=failure_of(error),
        host=host,
    )


def complaint_of(error: BaseException, host: str) -> Complaint:
    """Describe why this Python cannot run the study."""
    return Complaint(
        host=host,
        python=platform.python_version(),
        type=type(error).__name__,
        message=str(error),
        traceback=traceback.format_exc()[-20_000:],
    )


def _packed(outcome: Outcome) -> bytes:
    return pickle.dumps(outcome)


def decode_pickled(content: bytes) -> Outcome:
    """Return an outcome that a `Report` brought: from the user's own executors."""
    outcome: Outcome = pickle.loads(content)  # noqa: S301 - as Spark does with all results
    return outcome


@contextlib.contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """End the block after `seconds`: by an exception, or the process where C code ignores it."""
    if seconds is None:
        yield
        return
    in_main = threading.current_thread() is threading.main_thread()
    over = False

    def ring(_signal: int, _frame: object) -> None:
        if over:  # a late alarm must not keep the rest of `finally` from being done
            return
        msg = f"the trial took longer than trial_timeout={seconds:g} s"
        raise TrialTimeout(msg)

    before = signal.signal(signal.SIGALRM, ring) if in_main else None
    faulthandler.dump_traceback_later(
        seconds + TIMEOUT_GRACE_S, exit=True, file=sys.__stderr__ or sys.stderr
    )
    try:
        if in_main:
            signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        over = True
        if in_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def specs(trials: Sequence[Trial]) -> tuple[Spec, ...]:
    """Return what executors are told of trials."""
    return tuple((t.id, t.attempt, t.seed, dict(t.point)) for t in trials)
