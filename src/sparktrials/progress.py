"""Shows people how a run goes: a bar with the best loss, and messages above it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.study.history import History

__all__ = ["Bar", "BarObserver", "default_bar", "no_bar", "observing"]

logger = logging.getLogger("sparktrials")

#: Hyperopt's protocol of a progress callback: ``with callback(initial=3, total=10) as bar``.
BarFactory = Callable[..., AbstractContextManager[Any]]


class Bar(Protocol):
    """What a progress callback yields."""

    postfix: Any

    def update(self, n: int) -> None:
        """Advance by `n` trials."""


@contextlib.contextmanager
def default_bar(initial: int, total: int | None) -> Iterator[Any]:
    """Yield a tqdm bar on standard error."""
    from tqdm import tqdm  # noqa: PLC0415 - not at import

    with tqdm(
        total=total,
        initial=initial,
        file=sys.stderr,
        postfix={"best loss": "?"},
        disable=False,
        dynamic_ncols=True,
        unit="trial",
    ) as bar:
        yield bar


@contextlib.contextmanager
def no_bar(initial: int, total: int | None) -> Iterator[Any]:  # noqa: ARG001 - the protocol
    """Yield a bar that shows nothing."""

    class NoBar:
        postfix: Any = None

        def update(self, n: int) -> None:
            pass

    yield NoBar()


class BarObserver:
    """Tells a bar, a terminal and the log what happens.

    Parameters
    ----------
    bar
        What the progress callback yielded.
    done
        Trials that the bar shows already.
    verbose
        Whether messages go to standard error, or to the log only.
    """

    def __init__(self, bar: Any, done: int, *, verbose: bool) -> None:  # noqa: ANN401 - users' too
        self._bar = bar
        self._done = done
        self._verbose = verbose

    def update(self, history: History, running: int) -> None:
        """Advance the bar to the number of trials that ended, and say what is best."""
        best = history.best
        failed = history.count(TrialState.FAILED)
        loss = "?" if best is None else f"{best.loss:.6g}"
        text = f"best loss: {loss}"
        if running > 1:
            text += f", running: {running}"
        if failed:
            text += f", failed: {failed}"
        if hasattr(self._bar, "set_postfix_str"):
            self._bar.set_postfix_str(text, refresh=False)
        else:
            self._bar.postfix = text
        ended = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
        if ended > self._done:
            self._bar.update(ended - self._done)
            self._done = ended

    def note(self, text: str) -> None:
        """Show a message above the bar, and log it."""
        show(text, verbose=self._verbose)


def show(text: str, *, verbose: bool) -> None:
    """Show a message to the person at the terminal, or log it if they want quiet."""
    if not verbose:
        logger.info("%s", text)
        return
    from tqdm import tqdm  # noqa: PLC0415 - not at import

    tqdm.write(text, file=sys.stderr)


@contextlib.contextmanager
def observing(
    show_progressbar: object, *, verbose: bool, done: int, total: int | None
) -> Iterator[BarObserver]:
    """Open the bar that `show_progressbar` asks for: True, False, or a progress callback.

    Without `verbose` there is none, as in Hyperopt.
    """
    factory: BarFactory
    if not show_progressbar or not verbose:
        factory = no_bar
    else:
        factory = show_progressbar if callable(show_progressbar) else default_bar
    with factory(initial=done, total=total) as bar:
        yield BarObserver(bar, done, verbose=verbose)
