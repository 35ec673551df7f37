"""The one effectful loop: carries out what `Loop` decides on an injected store and dispatcher.

The order is the promise: a trial is recorded before it is submitted, a result before it is used.
"""

from __future__ import annotations

import logging
import pickle
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sparktrials.study.clock import Clock, SystemClock
from sparktrials.study.interrupts import PROMPT_S, Grace, held
from sparktrials.study.loop import Change, Loop, Stop, StopReason
from sparktrials.study.protocols import (
    Dispatcher,
    Event,
    Finished,
    Recorder,
    Reported,
    SuggestContext,
    Suggester,
)
from sparktrials.study.results import Results

if TYPE_CHECKING:
    from sparktrials.space import Point
    from sparktrials.study.history import History
    from sparktrials.study.trial import Trial

__all__ = ["AT_ONCE", "Observer", "Runner"]

logger = logging.getLogger("sparktrials")
#: What running trials log.
trial_logger = logging.getLogger("sparktrials.trial")

#: Seconds that trials which ask whether they should stop get to end by themselves.
STOP_GRACE_S = 0.7
#: Seconds in which all must have ended, a success that is on its way included.
CANCEL_GRACE_S = 1.3
#: Seconds after which the loop looks up even when nothing happens: slots may have appeared.
_LOOK_UP_S = 1.0
#: Most points that an adaptive algorithm is asked for at once: what it is asked for next may know
#: more, and thousands of free slots do not wait for the last point. One that is not knows all it
#: ever will. Algorithms that allow it are asked for one at first, then for twice as many each time:
#: slots that get their trials together have them end together, and each then waits for the next
#: points of all others.
AT_ONCE = 64


class Observer(Protocol):
    """Shows people how a study goes."""

    def changed(self, trials: Sequence[Trial]) -> None:
        """Take note of trials' new states, which are recorded."""

    def update(self, history: History, running: int) -> None:
        """Take note of the present state."""

    def note(self, text: str) -> None:
        """Show a message."""


@dataclass(slots=True, eq=False)
class Runner:
    """Runs a study to its end.

    Parameters
    ----------
    loop
        Decides.
    suggester, dispatcher, store
        The study's neighbours; the dispatcher is open, the store acquired.
    key
        The experiment's name in the store.
    observer
        Shows.
    early_stop
        Called with the trials that ended, after they were recorded; True stops the run.
    ask_first
        How many points an adaptive algorithm is asked for at first.
    dumps
        Pickles a result's values that are no plain data, for durable stores.
    clock
        Injected.
    grace
        What an end may take, shared with all that ends after this; None makes one.

    Attributes
    ----------
    settled
        Whether all that is to be recorded is, or was given up.
    """

    loop: Loop
    suggester: Suggester
    dispatcher: Dispatcher
    store: Recorder
    key: str
    observer: Observer
    early_stop: Callable[[Sequence[Trial]], bool] | None = None
    dumps: Callable[[object], bytes] = pickle.dumps
    clock: Clock = field(default_factory=SystemClock)
    ask_first: int = AT_ONCE
    grace: Grace | None = None
    settled: bool = False
    _at_once: int = 0
    _told: set[str] = field(default_factory=set)
    _results: Results = field(init=False)
    _unhandled: deque[Event] = field(default_factory=deque)
    _unrecorded: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what is derived."""
        self._results = Results(self.dumps, self._tell, durable=self.store.durable)

    @property
    def history(self) -> History:
        """The loop's history, which this runner alone writes."""
        return self.loop.history

    @property
    def _grace(self) -> Grace:
        if self.grace is None:
            self.grace = Grace(self.clock.monotonic)
        return self.grace

    def run(self) -> Stop | None:
        """Run to the end; return why it stopped early, or None.

        Raises
        ------
        BaseException
            What ended the run: an objective's exception that is not to be caught, an internal
            error, KeyboardInterrupt. All that had arrived is recorded first.
        """
        try:
            self._run()
        except BaseException as error:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            if interrupted:
                self._grace.begin()
            self.loop.stop = self.loop.stop or Stop(
                StopReason.USER if interrupted else StopReason.ERROR, error
            )
            try:
                self._wind_down()
            except Exception:
                logger.exception("the run could not be wound down after an error")
                self.settled = True
            raise
        self._wind_down()
        stop = self.loop.stop
        if stop is not None and stop.exception is not None:
            raise stop.exception
        if stop is None and self.loop.exhausted:
            return Stop(StopReason.EXHAUSTED)
        return stop

    def _run(self) -> None:
        loop = self.loop
        self._record(loop.take_up(self.clock.time()))
        while True:
            loop.tick(self.clock.monotonic())
            if loop.done:
                return
            if self._feed():
                self._absorb(0.0)
                continue
            left = loop.seconds_left(self.clock.monotonic())
            # An unlimited wait would not notice new slots, nor, in a script, a signal on some
            # platforms.
            self._absorb(max(0.0, min(left, _LOOK_UP_S)))

    def _feed(self) -> bool:
        """Submit as much as the dispatcher has room for; return whether there is more to ask for.

        Some algorithms suggest one point at a time.
        """
        loop = self.loop
        room = self.dispatcher.room()
        with held():
            plan = loop.plan(room, self.clock.time())
        if not plan:
            if loop.remaining == 0 and not loop.interrupted:
                self.dispatcher.release()
            return False
        more = False
        changes = list(plan.changes)
        if plan.given:
            changes += loop.admit(plan.given, self.clock.time(), given=True)
        if plan.ask:
            n = min(plan.ask, self._at_once or self.ask_first)
            n = n if self.suggester.adaptive else plan.ask
            points = self._suggest(n)
            loop.exhausted = not points
            more = 0 < len(points) < plan.ask
            self._at_once = min(2 * n, AT_ONCE) if more else 0
            changes += loop.admit(points, self.clock.time())
        self._record(changes)
        again = {t.id for t in plan.again}
        fresh = [c.trial for c in changes if c.trial.id not in again]
        submitted = [*plan.again, *fresh]
        if submitted:
            self.dispatcher.submit(submitted, plan.alone)
            self.observer.update(self.history, len(loop.running))
        return more

    def _suggest(self, n: int) -> Sequence[Point]:
        remaining = self.loop.remaining
        context = SuggestContext(
            seed=self.loop.seed,
            ids=self.loop.next_ids(n),
            parallelism=self.dispatcher.slots,
            budget=remaining,
        )
        return self.suggester.suggest(self.history.space, self.history, n, context)[:n]

    def _absorb(self, timeout: float) -> None:
        """Wait for events and record what follows from them."""
        changes = self._take(timeout)
        if not changes:
            return
        self._record(())
        self.observer.update(self.history, len(self.loop.running))
        ended = [c.trial for c in changes if c.trial.state.terminal]
        if not ended:
            return
        self.loop.judge_best()
        if self.loop.stop is None and self.early_stop is not None and self.early_stop(ended):
            self.loop.stop = Stop(StopReason.EARLY_STOPPING)

    def _take(self, timeout: float) -> list[Change]:
        """Wait for events; note what follows from them, to be recorded, and return it.

        An error or an interrupt in between leaves events to be handled at the next call.
        """
        self._unhandled += self.dispatcher.events(timeout)
        return self._handle()

    def _handle(self) -> list[Change]:
        noted, now = len(self._unrecorded), self.clock.time()
        while self._unhandled:
            with held():
                event = self._unhandled[0]
                self._pass_on((event,))
                self._unrecorded += self.loop.handle(event, now)
                self._unhandled.popleft()
        return self._unrecorded[noted:]

    # ------------------------------------------------------------------ recording

    def _record(self, news: Sequence[Change]) -> None:
        """Write changes to the store, then to the history.

        An error or an interrupt in between leaves them noted, to be written at the next call.
        """
        self._unrecorded += news
        if not self._unrecorded:
            return
        changes = list(self._unrecorded)
        kept: list[Trial] = []
        seen: list[Trial] = []
        attachments: dict[int, Mapping[str, bytes]] = {}
        for change in changes:
            stored, shown, attached = self._results.forms(change)
            kept.append(stored)
            seen.append(shown)
            if attached:
                attachments[stored.id] = attached
        self.store.append(self.key, kept, attachments)
        with held():
            self._unrecorded = []
            for trial in seen:
                self.history.put(trial)
        for trial in seen:
            if trial.failure is not None and trial.failure.type != "StatusFail":
                self._tell_failure(trial)
        self.observer.changed(seen)

    # ------------------------------------------------------------------ the end

    def _wind_down(self) -> None:
        """Cancel what runs, keep successes that make it in time, record the rest as cancelled."""
        try:
            self._drain()
        finally:
            self.settle()
        self.observer.update(self.history, 0)

    def settle(self) -> None:
        """Record what is not recorded yet, and what still runs as cancelled; may be repeated."""
        with held():
            self._unrecorded += self.loop.abandon(self.clock.time())
        self._record(())
        self.settled = True

    def _drain(self) -> None:
        running = self.loop.running
        if not running and not self._unhandled:
            return
        self._grace.begin()
        start = self.clock.monotonic()
        # Where much of it is spent already, what comes after gets its part.
        share = self._grace.left(PROMPT_S) / PROMPT_S
        self._handle()
        self._record(())
        if running and self.dispatcher.stop(list(running)):
            self._collect(start + share * STOP_GRACE_S)
        if running:
            self.dispatcher.cancel(list(running))
            self._collect(start + share * CANCEL_GRACE_S)
            self._take(0.0)  # also if it took long to cancel
            self._record(())

    def _collect(self, end: float) -> None:
        """Record what becomes of the trials that run, until a time."""
        loop = self.loop
        while loop.running and (left := end - self.clock.monotonic()) > 0:
            arrived = self.dispatcher.events(left)
            self._unhandled += arrived
            self._handle()
            self._record(())
            if not arrived and self.clock.monotonic() < end:
                return  # nothing is under way

    # ------------------------------------------------------------------ telling people

    def _pass_on(self, events: Sequence[Event]) -> None:
        """Log what trials have logged, once."""
        for event in events:
            if isinstance(event, Reported):
                for line in event.lines:
                    trial_logger.info("trial %d: %s", event.trial_id, line)
            elif isinstance(event, Finished) and event.outcome.log:
                trial = self.loop.running.get(event.outcome.trial_id)
                if trial is not None and trial.attempt == event.outcome.attempt:
                    rest = event.outcome.log.removeprefix(trial.log).strip("\n")
                    if rest and event.outcome.log.startswith(trial.log):
                        trial_logger.info("trial %d: %s", trial.id, rest)

    def _tell(self, once: str, text: str) -> None:
        if once not in self._told:
            self._told.add(once)
            self.observer.note(text)

    def _tell_failure(self, trial: Trial) -> None:
        failure = trial.failure
        if failure is None:
            return
        where = f" on {trial.host}" if trial.host else ""
        text = f"trial {trial.id} failed{where}: {failure}\n  point: {dict(trial.point)}" + (
            f"\n{failure.traceback}" if failure.traceback else ""
        )
        if "failure" in self._told:
            logger.info("%s", text)
            return
        self._told.add("failure")
        self.observer.note(
            text.rstrip() + "\n(the first failure is shown; later ones are in the history)"
        )
