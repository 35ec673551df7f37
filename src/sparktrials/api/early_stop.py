"""What ``early_stop_fn`` is asked, and what it sees."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.api.view import TrialsView, all_failed, is_hidden
from sparktrials.errors import AllTrialsFailed
from sparktrials.study.trial import Trial, TrialState

if TYPE_CHECKING:
    from sparktrials.api.trials import Trials
    from sparktrials.space import Space

__all__ = ["EndedView", "judge_of"]

logger = logging.getLogger("sparktrials")


class EndedView(TrialsView):
    """The trials that ended with a result, in the order in which they did.

    What Hyperopt hides, trials that raised or lost their worker, is not in it. The documents are
    those of the trials themselves; that of a trial without a loss is a copy with a loss of NaN.
    Pickled, it is the trials.
    """

    def __init__(self, trials: Trials, ended: Iterable[Trial]) -> None:
        self._all = trials
        self._ended: list[Trial] = []
        self._shown: list[dict[str, Any]] = []
        self._lowest: Trial | None = None
        for trial in ended:
            self.add(trial)

    def add(self, trial: Trial) -> bool:
        """Append a trial that ended; return whether it is to be seen."""
        if is_hidden(trial):
            return False
        self._ended.append(trial)
        (document,) = self._all._documents([trial])  # noqa: SLF001 - a view of it
        if "loss" not in document["result"]:
            document = {**document, "result": {**document["result"], "loss": float("nan")}}
        self._shown.append(document)
        lowest = self._lowest
        if trial.loss is not None and (
            lowest is None or lowest.loss is None or trial.loss < lowest.loss
        ):
            self._lowest = trial
        return True

    @property
    def has_loss(self) -> bool:
        """Whether one of them has a loss."""
        return self._lowest is not None

    def _rows(self) -> Sequence[Trial]:
        return self._ended

    def _labels(self) -> list[str]:
        return self._all._labels()  # noqa: SLF001 - a view of it

    def _space(self) -> Space | None:
        return self._all._space()  # noqa: SLF001 - a view of it

    @property
    def _exp_key(self) -> str | None:
        return self._all._exp_key  # noqa: SLF001 - a view of it

    def _best(self) -> Trial:
        if self._lowest is None:
            raise all_failed(self._ended)
        return self._lowest

    def __len__(self) -> int:
        return len(self._ended)

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Documents of the trials that have ended."""
        return self._shown

    @property
    def exp_key(self) -> str:
        """The experiment's name within the store."""
        return self._all.exp_key

    @property
    def history(self) -> Sequence[Trial]:
        """The trials as values."""
        return self._ended

    @property
    def attachments(self) -> Any:  # noqa: ANN401 - as Trials'
        """Attachments of all trials."""
        return self._all.attachments

    def trial_attachments(self, trial: Any) -> Any:  # noqa: ANN401 - as Trials'
        """Return the attachments of a trial, given its document or id."""
        return self._all.trial_attachments(trial)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._all,)

    def refresh(self) -> None:
        """Do nothing: it is always up to date."""


def _itself(trials: Any) -> Any:  # noqa: ANN401 - what a pickled view is
    return trials


def judge_of(
    function: Callable[..., Any] | None, trials: Trials, history: Iterable[Trial]
) -> Callable[[Sequence[Trial]], bool] | None:
    """Return what the runner asks after trials have ended, or None without an ``early_stop_fn``."""
    if function is None:
        return None
    ended = (t for t in history if t.state in (TrialState.OK, TrialState.FAILED))
    view = EndedView(trials, sorted(ended, key=lambda t: (t.finished or 0.0, t.id)))
    args: Sequence[Any] = ()
    compares = view.has_loss

    def judge(news: Sequence[Trial]) -> bool:
        nonlocal args, compares
        for trial in news:
            if trial.state is TrialState.CANCELLED or not view.add(trial):
                continue
            if view.has_loss and not compares:
                # Hyperopt's no_progress_loss takes the first loss that it sees for the best one,
                # and against the NaN of a failed trial nothing is progress: it starts anew.
                args, compares = (), True
            try:
                stop, args = function(view, *args)
            except AllTrialsFailed:
                if view.has_loss:
                    raise
                continue  # it asks for the best trial, and there is none yet
            if stop:
                logger.info("early_stop_fn stopped the run after trial %d", trial.id)
                return True
        return False

    return judge
