"""Where a worker evaluates: one child process, kept for trials of the same objective."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.child import Child
from sparktrials.dispatch.child_study import ChildStudy
from sparktrials.study.protocols import Crashed, Event, Lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparktrials.study.protocols import Task
    from sparktrials.study.trial import Trial

__all__ = ["Bench"]


class _Pickler:
    """What the child is told can be imported there."""

    def dumps(self, obj: object, /) -> bytes:
        """Return a pickle."""
        return pickle.dumps(obj)

    def dump(self, obj: object, file: Any, /, **settings: Any) -> None:  # noqa: ANN401 - theirs
        """Write a pickle."""
        pickle.dump(obj, file, **settings)


class Bench:
    """Evaluates one trial at a time."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._study: ChildStudy | None = None
        self._is_for: object = None
        self._trial: Trial | None = None

    def give(self, is_for: object, task: Callable[[], Task], trial: Trial) -> None:
        """Have a trial evaluated; `is_for` tells tasks apart, `task` makes the one it is for."""
        if self._child is not None:
            self._child.take()  # it may have died since
        if self._child is None or not self._child.alive or self._is_for != is_for:
            self.close()
            self._study = ChildStudy(task(), _Pickler())
            self._is_for = is_for
            self._child = Child(self._study)
        self._trial = trial
        self._child.give(trial)

    def wait(self, timeout_s: float) -> list[Event]:
        """Wait until something happens, up to so long."""
        assert self._child is not None  # noqa: S101 - given
        return [self._told(event) for event in self._child.wait(timeout_s)]

    def _told(self, event: Event) -> Event:
        """Return an event, `Crashed` only where the objective cannot be loaded."""
        died = isinstance(event, Crashed) and not (self._child and self._child.complained)
        if not died or self._trial is None or not isinstance(event, Crashed):
            return event
        # Whatever killed it before it began may be the trial's fault as well as not.
        return Lost(self._trial.id, self._trial.attempt, str(event.exception))

    def stop(self) -> bool:
        """Tell the trial that it should end by itself; whether it has ever asked."""
        return self._child is not None and self._child.stop()

    def kill(self) -> list[Event]:
        """End the trial; return what it had said before."""
        events = [] if self._child is None else self._child.kill()
        return [event for event in events if not isinstance(event, Crashed)]

    def close(self) -> None:
        """Free everything; idempotent."""
        if self._child is not None:
            self._child.close()
        if self._study is not None:
            self._study.close()
        self._child = self._study = self._is_for = None
