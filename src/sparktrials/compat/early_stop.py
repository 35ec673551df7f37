"""``hyperopt.early_stop``: when ``fmin(early_stop_fn=...)`` is to stop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from sparktrials.api.early_stop import EndedView
from sparktrials.errors import InvalidArgument

__all__ = ["no_progress_loss"]

logger = logging.getLogger(__name__)

#: Job states of a document that has its result.
_DONE = 2
_FAILED = "fail"
_ENDED_STATUSES = ("ok", _FAILED)


def no_progress_loss(
    iteration_stop_count: int = 20, percent_increase: float = 0.0
) -> Callable[..., tuple[bool, list[Any]]]:
    """Return a function that stops the run when the best loss has not improved for a while.

    Trials count when they have ended, in whatever order they do; one that failed is one without
    progress. Counting starts with the first loss.

    Parameters
    ----------
    iteration_stop_count
        Trials in a row without progress after which to stop.
    percent_increase
        By how many percent of the best loss a loss must be below it to be progress.

    Raises
    ------
    InvalidArgument
        If one of them is not a number.
    """
    _check_number("iteration_stop_count", iteration_stop_count)
    _check_number("percent_increase", percent_increase)

    def stop_fn(
        trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
        best_loss: float | None = None,
        iteration_no_progress: int = 0,
        seen: int | None = None,
    ) -> tuple[bool, list[Any]]:
        """Take what the last call returned; return whether to stop, and what the next one takes."""
        news, seen = _news(trials, best_loss, seen)
        for loss in news:
            if best_loss is None:
                # As in Hyperopt, the trial that sets the mark is the first without progress.
                best_loss, iteration_no_progress = loss, int(loss is not None)
            elif loss is not None and loss < best_loss - abs(best_loss * percent_increase / 100):
                best_loss, iteration_no_progress = loss, 0
            else:
                iteration_no_progress += 1
                logger.debug(
                    "no progress in %d of %s trials: best loss %g, new loss %s",
                    iteration_no_progress,
                    iteration_stop_count,
                    best_loss,
                    loss,
                )
        stop = best_loss is not None and iteration_no_progress >= iteration_stop_count
        return stop, [best_loss, iteration_no_progress, seen]

    return stop_fn


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        msg = f"{name} must be a number, got {value!r}"
        raise InvalidArgument(msg)


def _news(
    trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
    best_loss: float | None,
    seen: int | None,
) -> tuple[list[float | None], int]:
    """Return the losses of the trials that ended since the last call, and how many ended in all."""
    documents: Sequence[Mapping[str, Any]] = trials.trials
    if isinstance(trials, EndedView) and seen is not None:  # in the order in which they ended
        return [_loss(d) for d in documents[seen:]], len(documents)
    ended = [d for d in documents if _has_ended(d)]
    if not ended:
        return [], 0
    if seen is None and best_loss is not None:  # called by hand, with the state that Hyperopt's has
        return [_loss(ended[-1])], len(ended)
    lowest = min((loss for d in ended if (loss := _loss(d)) is not None), default=None)
    if seen is None:  # all that was there before is one iteration
        return [lowest], len(ended)
    # Nobody knows which of them are the new ones, nor in which order they came: the lowest loss of
    # all is progress only if a new one has it, and as the last it leaves the run the most time.
    without = max(len(ended) - seen - 1, 0)
    return [*[None] * without, *([lowest] if len(ended) > seen else [])], len(ended)


def _has_ended(document: Mapping[str, Any]) -> bool:
    return document.get("state") == _DONE or document["result"].get("status") in _ENDED_STATUSES


def _loss(document: Mapping[str, Any]) -> float | None:
    """Return the loss of a document, None if it has none, or one that is no number."""
    result = document["result"]
    loss = result.get("loss")
    if loss is None or result.get("status") == _FAILED or math.isnan(loss):
        return None
    return float(loss)
