"""What the runner asks of its neighbours, and the events and messages that pass between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

import numpy as np

from sparktrials.study.interrupts import Grace

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Outcome, Trial

__all__ = [
    "Builder",
    "Cancelled",
    "Crashed",
    "Dispatcher",
    "Event",
    "Experiment",
    "Finished",
    "Lost",
    "Recorder",
    "Reported",
    "Returned",
    "Store",
    "Suggester",
    "SuggestContext",
    "Task",
]


# --------------------------------------------------------------------------- suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestContext:
    """What a suggestion may depend on besides space and history.

    Attributes
    ----------
    seed
        The study's; the generator of trial `i` is spawned from it with key `i`.
    ids
        Ids of the trials that the points are for, increasing.
    parallelism
        How many trials run at once.
    budget
        How many trials may still be started, these included; None when unlimited.
    """

    seed: int
    ids: Sequence[int]
    parallelism: int = 1
    budget: int | None = None

    def rng(self, trial_id: int) -> np.random.Generator:
        """Return the generator of one trial; each call starts it anew."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(trial_id,)))


@runtime_checkable
class Suggester(Protocol):
    """An optimizer: arrays in, points out; no I/O, no clock, no state but caches of the history."""

    @property
    def adaptive(self) -> bool:
        """False when points don't depend on results: then any number may be drawn ahead."""

    def suggest(
        self, space: Space, history: History, n: int, context: SuggestContext
    ) -> list[Point]:
        """Return up to `n` points, none to say that the space is exhausted.

        One that returns fewer is asked again at once.
        """


# --------------------------------------------------------------------------- dispatch


class Builder(Protocol):
    """Makes of a point what the objective is called with: a `Space`, usually."""

    def build(self, point: Point) -> Any:  # noqa: ANN401 - whatever the user's tree describes
        """Return the objective's argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a dispatcher needs of a study, once.

    Attributes
    ----------
    objective
        Called with what ``space.build(point)`` returns.
    space
        Builds that argument, where the trial runs.
    name
        For people: job descriptions, messages.
    adaptive
        Whether results steer the next points: then few trials are sent ahead.
    trial_timeout
        Seconds for one trial, or None.
    imports
        Modules of this package that are imported before the objective is loaded.
    ends_at
        When the study's time is up, by this process's `time.monotonic`, or None: for a dispatcher
        that cannot be told by `stop` while a trial runs.
    grace
        What `close` may take where it ends a run early.
    """

    objective: Callable[..., Any]
    space: Builder
    name: str = "sparktrials"
    adaptive: bool = True
    trial_timeout: float | None = None
    imports: tuple[str, ...] = ()
    ends_at: float | None = None
    grace: Grace = field(default_factory=Grace)


@dataclass(frozen=True, slots=True)
class Reported:
    """A running attempt said something: values by step, lines of text."""

    trial_id: int
    attempt: int
    reports: tuple[Report, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt ended with an outcome.

    `exception` is the objective's own, where it ran in this process.
    """

    outcome: Outcome
    exception: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker of an attempt is gone.

    `alone`: no other trial shared its task, so the trial may be to blame. A trial lost in company
    is run again, alone, even if no retry is left.
    """

    trial_id: int
    attempt: int
    reason: str
    alone: bool = True
    host: str | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """An attempt was never started and may be submitted again, uncharged."""

    trial_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An attempt was stopped because `cancel` was called."""

    trial_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Crashed:
    """Nothing can run any more (a fault of ours or of the cluster): the study must end with it."""

    exception: BaseException


Event: TypeAlias = Finished | Reported | Lost | Returned | Cancelled | Crashed


class Dispatcher(Protocol):
    """Runs trials somewhere and tells what became of them, in any order, at least once."""

    @property
    def slots(self) -> int:
        """How many trials can run at the same time now."""

    def open(self, task: Task) -> None:
        """Take the study's task; called once, before `submit`.

        Raises
        ------
        ObjectiveNotPicklable, SparkError
        """

    def room(self) -> int:
        """Return how many more trials should be submitted now, 0 or more."""

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:
        """Queue RUNNING trials; those whose ids are in `alone` share a task with no other."""

    def release(self) -> None:
        """Take note that no further trial is expected: a slot without one may be given back."""

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for at least one event, up to `timeout` seconds, and return all there are."""

    def stop(self, ids: Sequence[int]) -> bool:
        """Tell trials that they should end by themselves; whether any of them may do so."""

    def cancel(self, ids: Sequence[int]) -> None:
        """Ask for trials to be stopped; each ends in an event, a success that made it included."""

    def close(self) -> None:
        """Stop what still runs and free everything; idempotent."""


# --------------------------------------------------------------------------- store


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a store keeps of a study besides its trials.

    Attributes
    ----------
    key
        The experiment's name within the store.
    fingerprint, space
        The space's fingerprint and its description (``Space.describe``), to be shown. An empty
        fingerprint stands for a space that is not known yet: of trials that came as documents.
    seed
        The study's seed: a resumed study continues its streams.
    """

    key: str
    fingerprint: str
    space: Sequence[Mapping[str, str]]
    seed: int


class Recorder(Protocol):
    """What a run asks of a store: a place for what became of its trials."""

    @property
    def durable(self) -> bool:
        """Whether it outlives the process."""

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes]] | None = None,
    ) -> None:
        """Write the trials' present states, and attachments by trial id, as `Store.append`."""


class Store(Protocol):
    """Keeps experiments. Each call is atomic, durable when it returns, and safe to repeat.

    Attributes
    ----------
    durable
        Whether it outlives the process: then trials hold plain values only, all else is attached.
    """

    durable: bool

    @property
    def url(self) -> str:
        """Where it is, for people: no secrets."""

    def experiments(self) -> list[Experiment]:
        """Return all experiments, by key."""

    def experiment(self, key: str) -> Experiment | None:
        """Return one, or None."""

    def create(self, experiment: Experiment) -> Experiment:
        """Add it unless its key is there; return the one that is stored."""

    def bind(self, experiment: Experiment, *, replace: bool = False) -> Experiment:
        """Give an experiment whose space is not known yet its space; return the one stored.

        `replace`: also if it has one.
        """

    def acquire(self, key: str) -> None:
        """Become the experiment's one driver.

        Raises
        ------
        StoreInUse
            If another driver holds it and is alive, as far as can be told from here.
        """

    def release(self, key: str) -> None:
        """Stop being the driver; idempotent."""

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes | BinaryIO]] | None = None,
    ) -> None:
        """Write the trials' present states, and attachments by trial id, in one transaction.

        An attachment is bytes, or a file of them that is read from its beginning, twice.
        A state that is already there, or comes too late (the stored trial is terminal, or of a
        later attempt), changes nothing.
        """

    def read(self, key: str, since: int = 0) -> tuple[list[Trial], int]:
        """Return the trials that changed after position `since`, by id, and the new position."""

    def attachment(self, key: str, trial_id: int, name: str) -> bytes:
        """Return one attachment; KeyError if there is none."""

    def attach(self, key: str, trial_id: int, name: str, content: bytes | BinaryIO) -> None:
        """Attach a content to a trial that is there, ended or not; one of that name is replaced."""

    def open_attachment(self, key: str, trial_id: int, name: str) -> BinaryIO:
        """Return one attachment as a file to read from; KeyError if there is none."""

    def delete(self, key: str) -> None:
        """Remove an experiment with all its trials and attachments."""

    def compact(self) -> tuple[int, int]:
        """Give back the room of what is no more; return the sizes before and after.

        Bytes, or entries where bytes are not told.
        """

    def close(self) -> None:
        """Free everything; idempotent."""
