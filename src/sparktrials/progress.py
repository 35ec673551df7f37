"""Shows people how a run goes: a bar with the best loss, and messages above it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any, Protocol

from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.study.history import History
    from sparktrials.study.trial import Trial

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
    """Yield a tqdm bar on standard error, in a notebook one of the notebook's.

    What the program prints meanwhile appears above it, and its own tqdm bars beneath it.
    """
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(
            _bar_class()(
                total=total,
                initial=initial,
                file=sys.stderr,
                postfix={"best loss": "?"},
                disable=False,
                dynamic_ncols=True,
                unit="trial",
            )
        )
        if sys.stdout.isatty() and sys.stderr.isatty():  # elsewhere the two don't meet
            lines = AboveBars(sys.stdout)
            stack.callback(lines.finish)
            stack.enter_context(contextlib.redirect_stdout(lines))
        yield bar


def _bar_class() -> Any:  # noqa: ANN401 - tqdm is untyped
    """Return tqdm's bar for a terminal, or in a notebook that can show it the notebook's."""
    if in_notebook() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm as bar  # noqa: PLC0415 - not at import
    else:
        from tqdm import tqdm as bar  # noqa: PLC0415
    return bar


def in_notebook() -> bool:
    """Whether the program runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class AboveBars:
    """A text stream whose lines are written above the bars of a terminal.

    A line that is not complete waits for its end, or for a ``flush``. What this stream does not
    have itself, it takes from the one beneath.

    Parameters
    ----------
    file
        The stream beneath.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._unfinished = ""

    def write(self, text: str) -> int:
        """Write the lines that are complete, and keep the rest."""
        lines, newline, rest = text.rpartition("\n")
        if newline:
            from tqdm import tqdm  # noqa: PLC0415 - not at import

            with tqdm.external_write_mode(file=sys.stderr):  # where the bars are
                self._file.write(f"{self._unfinished}{lines}\n")
                self._file.flush()
            self._unfinished = ""
        self._unfinished += rest
        return len(text)

    def flush(self) -> None:
        """Write all there is: a prompt does not end with a newline."""
        unfinished, self._unfinished = self._unfinished, ""
        if unfinished:
            self._file.write(unfinished)
        self._file.flush()

    def finish(self) -> None:
        """Write what is left."""
        if self._unfinished:
            self.write("\n")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream beneath has
        if name == "_file":  # while unpickling
            raise AttributeError(name)
        return getattr(self._file, name)


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
    total
        Trials in all; None: no limit.
    slots
        Returns how many trials can run at once now.
    """

    def __init__(
        self,
        bar: Any,  # noqa: ANN401 - users' too
        done: int,
        *,
        verbose: bool,
        total: int | None = None,
        slots: Callable[[], int] = lambda: 1,
    ) -> None:
        self._bar = bar
        self._total = total
        self._done = done
        self._verbose = verbose
        self._slots = slots
        self._moved = False  # whether a trial has ended
        self._shown = ""

    def changed(self, trials: Sequence[Trial]) -> None:
        """Do nothing: the bar shows totals."""

    def update(self, history: History, running: int) -> None:
        """Advance the bar to the number of trials that ended, and say what is best."""
        best = history.best
        failed = history.count(TrialState.FAILED)
        loss = "?" if best is None else f"{best.loss:.6g}"
        ended = history.count(TrialState.OK, TrialState.FAILED, TrialState.PRUNED)
        text = f"best loss: {loss}"
        slots = self._slots() if running else 1
        if slots > 1:
            # The slots of those that ended just now get the next trials, if there are any.
            more = self._total is None or self._total - ended > running
            busy = running + (ended - self._done if more else 0)
            text += f", running: {min(busy, slots)}/{slots}"
        if failed:
            text += f", failed: {failed}"
        if hasattr(self._bar, "set_postfix_str"):
            self._bar.set_postfix_str(text, refresh=False)
        else:
            self._bar.postfix = text
        if ended > self._done:
            self._bar.update(ended - self._done)
            self._done = ended
            self._moved = True
        elif not self._moved and text != self._shown and hasattr(self._bar, "refresh"):
            self._bar.refresh()  # it draws itself when it moves, and the first trial may take long
        self._shown = text

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
    show_progressbar: object,
    *,
    verbose: bool,
    done: int,
    total: int | None,
    slots: Callable[[], int] = lambda: 1,
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
        yield BarObserver(bar, done, verbose=verbose, total=total, slots=slots)
