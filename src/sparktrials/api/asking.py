"""``Study``: points on request, results when they are there: the program runs its own trials."""

from __future__ import annotations

import contextlib
import operator
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, overload

from sparktrials.api.arguments import suggester_for, tree_of
from sparktrials.api.mismatch import difference
from sparktrials.api.options import positive_int, seed_of
from sparktrials.api.trials import Trials
from sparktrials.dispatch.evaluation import evaluate
from sparktrials.errors import (
    InvalidArgument,
    InvalidLoss,
    InvalidResultStatus,
    InvalidTrial,
    SpaceExhausted,
    SpaceMismatch,
    StoreInUse,
)
from sparktrials.space import compile_space
from sparktrials.store import is_url
from sparktrials.study.loop import Change, begun
from sparktrials.study.protocols import Experiment, SuggestContext
from sparktrials.study.trial import Trial, TrialState

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from sparktrials.space import Point
    from sparktrials.study.history import History
    from sparktrials.study.protocols import Store

__all__ = ["Study", "StudyTrial"]

#: Seconds that a call waits for its turn. A process on another machine that died in the middle of a
#: call has it for a minute (`store.lease.LEASE_S`).
_PATIENCE_S = 75.0
#: Longest wait between two tries, in seconds.
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StudyTrial:
    """A trial of a `Study`, as it was when it was asked for or looked at.

    Attributes
    ----------
    id
        Its number: what `Study.tell` wants.
    params
        What an objective would be called with.
    point
        ``label -> raw draw`` of the active labels; a choice is its branch index.
    seed
        A 32-bit seed of its own.
    state, loss, result
        ``running``, None and empty until it is told.
    host
        The machine that asked for it, and later the one that told.
    """

    id: int
    params: Any
    point: Point
    seed: int | None
    state: TrialState
    loss: float | None
    result: Mapping[str, Any]
    host: str | None


class Study:
    """Suggests points and takes results, in whatever order; runs nothing itself.

    Any number of processes and machines may ask and tell on one store: each call takes its turn,
    and knows of all that was asked and told before. A trial belongs to nobody: any process may tell
    it, and one whose process died stays in `pending` until somebody does.

    Parameters
    ----------
    space
        A tree of ``hp`` nodes, containers and constants, Hyperopt's expressions too.
    algo
        As in `fmin`; None is ``auto.suggest``.
    store, exp_key
        Where the history is kept, as in `Trials`.
    seed
        As `rstate` of ``fmin``; an experiment that exists keeps its seed.

    Raises
    ------
    SpaceMismatch
        If the experiment has another space.
    StoreError, InvalidArgument, InvalidArgumentType, BadSearchSpace
        As `Trials` and ``fmin`` do.

    Examples
    --------
    >>> from sparktrials import Study, hp
    >>> study = Study({"x": hp.uniform("x", -5, 5)}, seed=0)
    >>> for _ in range(10):
    ...     trial = study.ask()
    ...     study.tell(trial, trial.params["x"] ** 2)
    >>> study.best.loss < 5
    True
    """

    def __init__(
        self,
        space: Any,  # noqa: ANN401 - any tree
        *,
        algo: Any = None,  # noqa: ANN401 - an algorithm, maybe in a partial
        store: str | Store | None = None,
        exp_key: str | None = None,
        seed: Any = None,  # noqa: ANN401 - int, Generator or RandomState
    ) -> None:
        self._space = compile_space(tree_of(space))
        self._seed = seed_of(seed, "seed")
        self._trials = Trials(store, exp_key)
        self._own_store = isinstance(store, str) and is_url(store)
        if algo is None:
            from sparktrials.suggest import auto  # noqa: PLC0415 - scipy, where it is used

            algo = auto.suggest
        self._suggester = suggester_for(algo, self._space, space, _runs_nothing, self._trials)
        self._lock = threading.RLock()
        self._check_space()

    def __repr__(self) -> str:
        return f"Study of {self._trials!r}"

    # ------------------------------------------------------------------ ask and tell

    @overload
    def ask(self) -> StudyTrial: ...

    @overload
    def ask(self, n: SupportsIndex) -> list[StudyTrial]: ...

    def ask(self, n: SupportsIndex | None = None) -> StudyTrial | list[StudyTrial]:
        """Return a new trial, or a list of `n` that are suggested together.

        Raises
        ------
        SpaceExhausted
            If the algorithm has no point left; of `n` as many are returned as there are.
        StoreInUse
            If another driver, an ``fmin`` say, has the experiment and keeps it.
        StoreError
            If the store fails; then nothing was asked for.
        """
        wanted = 1 if n is None else positive_int("n", n)
        found: list[Trial] = []
        with self._turn() as (history, seed):
            while len(found) < wanted:
                new = self._suggested(history, seed, wanted - len(found))
                if not new:
                    break
                self._trials.settle([Change(trial) for trial in new])
                found += new
        if not found:
            msg = f"the algorithm has no point left, after {len(self._trials.history)} trials"
            raise SpaceExhausted(msg)
        asked = [self._shown(trial) for trial in found]
        return asked[0] if n is None else asked

    def _suggested(self, history: History, seed: int, n: int) -> list[Trial]:
        pending = history.count(TrialState.NEW, TrialState.RUNNING)
        first = history.next_id
        context = SuggestContext(seed=seed, ids=range(first, first + n), parallelism=pending + n)
        points = self._suggester.suggest(self._space, history, n, context)[:n]
        now, host = time.time(), socket.gethostname()
        return [
            begun(number, point, seed, now, host=host)
            for number, point in zip(history.reserve(len(points)), points, strict=True)
        ]

    def tell(self, trial: StudyTrial | SupportsIndex, result: Any) -> None:  # noqa: ANN401 - see below
        """Take the result of a trial that was asked for, here or in another process.

        Parameters
        ----------
        trial
            What `ask` returned, or its id.
        result
            What an objective returns, a loss or a dict with ``status`` and ``loss``; or the
            exception that ended the trial, which then counts as failed.

        Raises
        ------
        InvalidArgument
            If there is no such trial.
        InvalidTrial
            If it was told before: the first result stays.
        InvalidLoss, InvalidResultStatus
            If it is no result; the trial stays pending.
        StoreInUse, StoreError
            As `ask`.
        """
        number = trial.id if isinstance(trial, StudyTrial) else operator.index(trial)
        with self._turn() as (history, _):
            told = history.get(number)
            if told is None:
                msg = f"{self._trials!r} has no trial {number}: ask() comes first"
                raise InvalidArgument(msg)
            if told.state.terminal:
                said = told.state.value if told.loss is None else f"ok with loss {told.loss:g}"
                msg = f"trial {number} was told before, it is {said}: the first result stays"
                raise InvalidTrial(msg)
            ended, attachments = _ended(told, result)
            self._trials.settle([Change(ended)], {number: attachments} if attachments else None)

    # ------------------------------------------------------------------ reading

    @property
    def trials(self) -> Trials:
        """All trials, as ``fmin`` leaves them: documents, losses, ``history``.

        ``fmin(objective, space, trials=study.trials)`` goes on with them; pending ones run again.
        """
        self._refresh()
        return self._trials

    @property
    def pending(self) -> list[StudyTrial]:
        """Trials that were asked for, in any process, and are not told yet."""
        return [self._shown(t) for t in self._refresh() if not t.state.terminal]

    @property
    def best(self) -> StudyTrial:
        """The trial with the lowest loss.

        Raises
        ------
        AllTrialsFailed
            If no trial has a loss.
        """
        rows = {t.id: t for t in self._refresh()}
        return self._shown(rows[self._trials.best_trial["tid"]])

    def _refresh(self) -> list[Trial]:
        with self._lock:
            self._trials.refresh()
            return self._trials.history

    def _shown(self, trial: Trial) -> StudyTrial:
        return StudyTrial(
            id=trial.id,
            params=self._space.build(trial.point),
            point=trial.point,
            seed=trial.seed,
            state=trial.state,
            loss=trial.loss,
            result=trial.result,
            host=trial.host,
        )

    # ------------------------------------------------------------------ turns

    @contextlib.contextmanager
    def _turn(self) -> Iterator[tuple[History, int]]:
        """Be the experiment's one driver for the block; yield its history and its seed."""
        with self._lock, contextlib.ExitStack() as stack:
            yield self._entered(stack)

    def _entered(self, stack: contextlib.ExitStack) -> tuple[History, int]:
        until = time.monotonic() + _PATIENCE_S
        pause = _PAUSE_S / 16
        while True:
            try:
                return stack.enter_context(self._trials.running(self._space, self._seed))
            except StoreInUse:
                if time.monotonic() >= until:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that two don't keep step
            pause = min(2 * pause, _PAUSE_S)

    def _check_space(self) -> None:
        found = self._trials.experiment()
        own = self._space.fingerprint
        if found is not None and found.fingerprint not in {"", own} and self._trials.history:
            wanted = Experiment(
                key=found.key, fingerprint=own, space=self._space.describe(), seed=found.seed
            )
            raise SpaceMismatch(difference(found, wanted, self._trials.store.url))

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Close the store, if this study opened it; idempotent. Pending trials stay pending."""
        if self._own_store:
            self._trials.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _ended(trial: Trial, result: Any) -> tuple[Trial, Mapping[str, bytes]]:  # noqa: ANN401
    """Return a trial as a result leaves it, and its attachments.

    Raises
    ------
    InvalidLoss, InvalidResultStatus
        If it is no result.
    """

    def returned(_: object) -> Any:  # noqa: ANN401
        if isinstance(result, BaseException):
            raise result
        return result

    outcome, exception = evaluate(
        returned,
        _Nothing(),
        trial.point,
        trial_id=trial.id,
        attempt=trial.attempt,
        host=socket.gethostname(),
    )
    if isinstance(exception, (InvalidLoss, InvalidResultStatus)) and exception is not result:
        raise exception
    ended = replace(
        trial,
        state=outcome.state,
        loss=outcome.loss,
        result=outcome.result,
        failure=outcome.failure,
        host=outcome.host,
        finished=time.time(),
        attachments=tuple(outcome.attachments),
    )
    return ended, outcome.attachments


class _Nothing:
    """Builds nothing: the trial has run elsewhere."""

    def build(self, point: Point) -> Point:
        """Return the point."""
        return point


def _runs_nothing(*_: object) -> NoReturn:
    msg = "a Study runs no objective: it is asked and told"
    raise NotImplementedError(msg)
