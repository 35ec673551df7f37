"""A discrete-event simulator: P workers on a virtual clock, and a driver that really works.

Hours of a cluster pass in seconds, so that what hundreds or thousands of workers do to a search,
and what they cost its driver, can be measured on a laptop. Two kinds of drivers are run:

- `run_study`: sparktrials itself, that is the real ``study.runner.Runner``, ``study.loop.Loop``,
  suggester and store; only dispatcher and clock are simulated;
- `run_ask_tell`: anything that can be asked for points and told losses: the peers. Nothing of
  sparktrials is imported for these.

Both give a `Result`: when each trial started and ended in simulated seconds, its loss, and what
the driver spent on it.
"""

from __future__ import annotations

import heapq
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from sparktrials.study.protocols import Event, Store, Suggester, Task
    from sparktrials.study.trial import Trial

__all__ = [
    "AskTell",
    "Durations",
    "Result",
    "VirtualClock",
    "Workers",
    "run_ask_tell",
    "run_study",
]

Point = Mapping[str, Any]
Objective = Callable[[Any], float]

_EPOCH = 1_700_000_000.0


@dataclass
class VirtualClock:
    """Time that passes only when the simulator says so; a `study.runner.Clock`."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Return simulated seconds since the start."""
        return self.now

    def time(self) -> float:
        """Return the same, as seconds since the epoch."""
        return _EPOCH + self.now


@dataclass(frozen=True)
class Durations:
    """How long a trial takes: a distribution with a draw per trial, the same for all drivers.

    Attributes
    ----------
    kind
        ``constant``, ``lognormal``, ``exponential`` or ``uniform``.
    scale
        The constant; the median of a log-normal; the mean of an exponential; the middle of a
        uniform, in seconds.
    spread
        sigma of a log-normal; half the width of a uniform, as a part of `scale`.
    seed
        Of the draws.
    """

    kind: str = "constant"
    scale: float = 60.0
    spread: float = 0.0
    seed: int = 0

    @classmethod
    def parsed(cls, text: str, seed: int = 0) -> Durations:
        """Return ``kind:scale[:spread]`` as durations: ``lognormal:60:0.5``.

        Raises
        ------
        ValueError
            If it is none.
        """
        kind, _, rest = text.partition(":")
        if kind not in {"constant", "lognormal", "exponential", "uniform"}:
            msg = f"durations must be constant, lognormal, exponential or uniform, got {text!r}"
            raise ValueError(msg)
        scale, _, spread = rest.partition(":")
        found = cls(kind, float(scale or 60.0), float(spread or 0.0), seed)
        if not found.scale > 0 or found.spread < 0 or (kind == "uniform" and found.spread > 1):
            msg = f"durations must be positive, got {text!r}"
            raise ValueError(msg)
        return found

    def of(self, trial: int) -> float:
        """Return the seconds that a trial takes; a function of its number alone."""
        if self.kind == "constant":
            return self.scale
        u = _uniform(self.seed, trial)
        if self.kind == "exponential":
            return -self.scale * math.log1p(-u)
        if self.kind == "uniform":
            return self.scale * (1 + self.spread * (2 * u - 1))
        from statistics import NormalDist

        return self.scale * math.exp(self.spread * NormalDist().inv_cdf(u))

    def many(self, n: int) -> np.ndarray:
        """Return (n,) the durations of the first `n` trials."""
        return np.array([self.of(i) for i in range(n)])


def _uniform(seed: int, number: int) -> float:
    """Return a hash of two numbers as a uniform on (0, 1): splitmix64 (Steele et al., 2014)."""
    mask = 2**64 - 1
    z = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (((z ^ (z >> 31)) >> 11) + 0.5) * 2.0**-53


@dataclass
class Workers:
    """P workers, and what they run; each trial ends its duration after it was started.

    Attributes
    ----------
    number
        P.
    durations
        Of trials by number.
    clock
        Moved on by `wait`.
    """

    number: int
    durations: Durations
    clock: VirtualClock
    busy: float = 0.0
    _running: list[tuple[float, int, int, Any]] = field(default_factory=list)
    _started: int = 0

    @property
    def free(self) -> int:
        """How many have nothing to do."""
        return self.number - len(self._running)

    def start(self, number: int, what: Any) -> None:
        """Start trial `number` on a free worker."""
        if not self.free:
            msg = f"all of the {self.number} workers are busy"
            raise RuntimeError(msg)
        seconds = self.durations.of(number)
        self.busy += seconds
        end = self.clock.now + seconds
        heapq.heappush(self._running, (end, self._started, number, what))
        self._started += 1

    def wait(self, timeout: float | None = None) -> list[tuple[int, Any]]:
        """Let time pass until a trial ends, or up to `timeout`; return all that have ended."""
        until = math.inf if timeout is None else self.clock.now + timeout
        if not self._running:
            if math.isfinite(until):
                self.clock.now = until
            return []
        self.clock.now = max(self.clock.now, min(self._running[0][0], until))
        ended = []
        while self._running and self._running[0][0] <= self.clock.now:
            _, _, number, what = heapq.heappop(self._running)
            ended.append((number, what))
        return ended

    def abandon(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """End trials before their time."""
        gone = [entry for entry in self._running if wanted(entry[3])]
        for end, *_ in gone:
            self.busy -= end - self.clock.now
        self._running = [entry for entry in self._running if not wanted(entry[3])]
        heapq.heapify(self._running)
        return [entry[3] for entry in gone]


# --------------------------------------------------------------------------- what was measured


@dataclass
class Result:
    """What a simulation came to.

    Attributes
    ----------
    workers
        P.
    ends
        ``(simulated seconds, trial, loss)`` in the order in which trials ended.
    cycles
        ``(trials, CPU seconds)`` of each of the driver's turns: from the trials that ended to the
        moment when it waits again, after as many new ones were suggested. The first turn, in which
        all workers get their first trial, has -P trials.
    seconds
        Simulated seconds in all.
    busy
        Worker seconds in trials.
    peak_rss_mib
        The process's largest resident set so far.
    study
        What was run, for a closer look.
    """

    workers: int
    ends: list[tuple[float, int, float]] = field(default_factory=list)
    cycles: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    busy: float = 0.0
    peak_rss_mib: float = 0.0
    study: Any = None

    @property
    def driver_s(self) -> float:
        """CPU seconds of the driver in all."""
        return sum(cost for _, cost in self.cycles)

    def per_trial_ms(self) -> np.ndarray:
        """Return the driver's CPU per trial in ms, an entry per trial that ended."""
        turns = [(n, cost) for n, cost in self.cycles if n > 0]
        if not turns:
            return np.empty(0)
        n, cost = np.array(turns).T
        return np.repeat(1e3 * cost / n, n.astype(int))

    @property
    def utilisation(self) -> float:
        """The part of the workers' time that was spent in trials."""
        return self.busy / (self.workers * self.seconds) if self.seconds else 0.0

    def best_by(self, seconds: float) -> float:
        """Return the lowest loss that was known at a simulated time."""
        return min((loss for end, _, loss in self.ends if end <= seconds), default=math.inf)

    def seconds_to(self, loss: float) -> float:
        """Return the simulated seconds until a loss was reached, infinite if it never was."""
        return next((end for end, _, found in self.ends if found <= loss), math.inf)


class _Meter:
    """Charges the driver's CPU to the trials whose end it dealt with."""

    def __init__(self, result: Result, clock: VirtualClock, *, charge: bool) -> None:
        self._result = result
        self._clock = clock
        self._charge = charge
        self._trials = -result.workers
        self._spent = 0.0
        self._since = time.process_time()

    def stop(self) -> None:
        """The driver waits: what follows is the simulator's own time."""
        spent = time.process_time() - self._since
        self._spent += spent
        if self._charge:
            self._clock.now += spent

    def go_on(self, ended: int) -> None:
        """The driver works again, on `ended` trials; on none, it is still the turn before."""
        if ended:
            self._result.cycles.append((self._trials, self._spent))
            self._trials, self._spent = ended, 0.0
        self._since = time.process_time()

    def close(self) -> None:
        """Charge the last turn."""
        self.stop()
        self._result.cycles.append((self._trials, self._spent))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._result.peak_rss_mib = peak / (2**20 if sys.platform == "darwin" else 2**10)


# --------------------------------------------------------------------------- sparktrials


class SimulatedDispatcher:
    """A `study.protocols.Dispatcher` whose trials take simulated time."""

    def __init__(
        self, workers: Workers, objective: Objective, space: Any, result: Result, meter: _Meter
    ) -> None:
        self._workers = workers
        self._objective = objective
        self._space = space
        self._result = result
        self._meter = meter
        self._cancelled: list[Trial] = []
        # Looked up once: the simulator's own time is not the driver's, but is waited for, too.
        from sparktrials.study import protocols, trial

        self._finished, self._cancel = protocols.Finished, protocols.Cancelled
        self._outcome, self._ok = trial.Outcome, trial.TrialState.OK

    @property
    def slots(self) -> int:
        """P."""
        return self._workers.number

    def open(self, task: Task) -> None:
        """Do nothing: the objective is known."""

    def room(self) -> int:
        """Return how many workers are free."""
        return self._workers.free

    def submit(self, trials: Sequence[Trial], alone: Collection[int] = ()) -> None:  # noqa: ARG002
        """Start trials."""
        for trial in trials:
            self._workers.start(trial.id, trial)

    def release(self) -> None:
        """Slots are nobody else's."""

    def events(self, timeout: float | None) -> list[Event]:
        """Let time pass until something happens."""
        self._meter.stop()
        # Only what happens is waited for: the runner looks up about once a second for new slots,
        # of which there are none here.
        wait = 0.0 if timeout == 0.0 else None
        ended = self._workers.wait(wait)
        now = self._workers.clock.now
        events: list[Event] = [self._cancel(t.id, t.attempt) for t in self._cancelled]
        self._cancelled = []
        for _, trial in ended:
            loss = float(self._objective(self._space.build(trial.point)))
            self._result.ends.append((now, trial.id, loss))
            events.append(
                self._finished(
                    self._outcome(
                        trial_id=trial.id,
                        attempt=trial.attempt,
                        state=self._ok,
                        loss=loss,
                        result={"loss": loss, "status": "ok"},
                        host="simulated",
                        duration_s=self._workers.durations.of(trial.id),
                    )
                )
            )
        self._meter.go_on(len(ended))
        return events

    def cancel(self, ids: Sequence[int]) -> None:
        """End trials at once."""
        wanted = set(ids)
        self._cancelled += self._workers.abandon(lambda trial: trial.id in wanted)

    def stop(self, ids: Sequence[int]) -> bool:  # noqa: ARG002
        """Tell nobody: simulated trials do not listen."""
        return False

    def close(self) -> None:
        """Do nothing."""


class _Silent:
    """An observer that shows nothing."""

    def changed(self, trials: Sequence[Trial]) -> None:
        pass

    def update(self, history: object, running: int) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)


def run_study(  # noqa: PLR0917 - a study has these
    space: Any,
    objective: Objective,
    suggester: Suggester,
    workers: int,
    trials: int,
    durations: Durations,
    *,
    seed: int = 0,
    store: Store | None = None,
    known: Sequence[Trial] = (),
    charge: bool = False,
) -> Result:
    """Run sparktrials on simulated workers.

    Parameters
    ----------
    space
        Compiled.
    objective
        Called with what ``space.build(point)`` returns; its time is not the driver's.
    trials
        How many to finish in all, those in `known` included.
    store
        In memory, unless it is given.
    known
        Trials that have finished before, with ids from 0.
    charge
        Whether simulated time passes while the driver works, as it does in truth. Without, results
        depend on the seed alone.
    """
    from sparktrials.store.memory import MemoryStore
    from sparktrials.study.history import History
    from sparktrials.study.loop import Limits, Loop
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.runner import Runner

    clock = VirtualClock()
    result = Result(workers)
    own = MemoryStore() if store is None else store
    own.create(
        Experiment(
            key="simulated", fingerprint=space.fingerprint, space=space.describe(), seed=seed
        )
    )
    history = History(space, known)
    own.append("simulated", list(history))
    pool = Workers(workers, durations, clock)
    loop = Loop(history=history, limits=Limits(target=trials), seed=seed, started=0.0)
    meter = _Meter(result, clock, charge=charge)
    runner = Runner(
        loop=loop,
        suggester=suggester,
        dispatcher=SimulatedDispatcher(pool, objective, space, result, meter),
        store=own,
        key="simulated",
        observer=_Silent(),
        clock=clock,
    )
    runner.run()
    meter.close()
    result.seconds, result.busy, result.study = clock.now, pool.busy, runner
    return result


# --------------------------------------------------------------------------- the peers


class AskTell(Protocol):
    """An optimizer: what a peer has to be wrapped into."""

    def ask(self, n: int) -> Sequence[Any]:
        """Return `n` points; they are pending until `tell` is called with them."""

    def tell(self, points: Sequence[Any], losses: Sequence[float]) -> None:
        """Take the losses of points that `ask` returned."""


def run_ask_tell(
    optimizer: AskTell,
    objective: Objective,
    workers: int,
    trials: int,
    durations: Durations,
    *,
    charge: bool = False,
) -> Result:
    """Run an optimizer on simulated workers, each free one getting its point at once."""
    clock = VirtualClock()
    result = Result(workers, study=optimizer)
    pool = Workers(workers, durations, clock)
    meter = _Meter(result, clock, charge=charge)
    asked = 0
    while len(result.ends) < trials:
        n = min(pool.free, trials - asked)
        if n:
            for point in optimizer.ask(n):
                pool.start(asked, point)
                asked += 1
        meter.stop()
        ended = pool.wait()
        points = [point for _, point in ended]
        losses = [float(objective(point)) for point in points]
        for (number, _), loss in zip(ended, losses, strict=True):
            result.ends.append((clock.now, number, loss))
        meter.go_on(len(ended))
        optimizer.tell(points, losses)
    meter.close()
    result.seconds, result.busy = clock.now, pool.busy
    return result
