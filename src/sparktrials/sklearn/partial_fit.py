"""Learning in rounds, by ``partial_fit``, until the score on the validation part stops rising."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils.class_weight import compute_class_weight

__all__ = ["RETRAIN", "learn_in_rounds", "stopped_rising"]

#: Rounds before which learning is not ended, and after which it is in any case.
MIN_ROUNDS = 7
MAX_ROUNDS = 200
#: Learning ends when no round of the last part has been better than the best before it.
EARLIER = 0.6
#: How many times as many rounds the best pipeline gets on all data.
RETRAIN = 1.2


def stopped_rising(scores: list[float]) -> bool:
    """Whether the later scores are no better than the earlier ones."""
    if len(scores) < MIN_ROUNDS:
        return False
    split = math.floor(len(scores) * EARLIER)
    return max(scores[:split]) >= max(scores[split:])


def _is_early_stopping(name: str) -> bool:
    return name.rpartition("__")[2] == "early_stopping"


def learn_in_rounds(
    learner: Any,  # noqa: ANN401 - has partial_fit
    X: Any,  # noqa: ANN401 - as the preprocessing left it
    y: Any,  # noqa: ANN401
    *,
    classes: Any,  # noqa: ANN401 - all labels, or None
    sample_weight: Any = None,  # noqa: ANN401
    validation: tuple[Any, Any] | None = None,
    rounds: int = MAX_ROUNDS,
    seed: int = 0,
) -> tuple[Any, int]:
    """Fit a learner in rounds over all samples in new orders.

    Parameters
    ----------
    learner
        Is fitted, or with `validation` a copy of it.
    X, y
        To fit by.
    classes
        The labels that there are, for a classifier.
    sample_weight
        The weight of each sample, or None.
    validation
        Features and target to judge by; without, there are `rounds` rounds.
    rounds
        The most rounds.
    seed
        Of the orders.

    Returns
    -------
    tuple
        The learner as it was after its best round, and how many rounds that took.
    """
    rng = np.random.default_rng(seed)
    order = np.arange(len(y))
    scores: list[float] = []
    best, best_round = learner, 0
    done = 0
    if getattr(learner, "class_weight", None) == "balanced" and classes is not None:
        # Rounds see a part of the data each, as scikit-learn has it, and refuse the word.
        present = np.unique(y)
        weights = compute_class_weight("balanced", classes=present, y=y)
        learner.set_params(class_weight=dict(zip(present.tolist(), weights.tolist(), strict=True)))
    if hasattr(learner, "get_params"):
        # Rounds end by the validation part's score; scikit-learn refuses to end them itself.
        ends = [n for n, v in learner.get_params().items() if _is_early_stopping(n) and v is True]
        learner.set_params(**dict.fromkeys(ends, False))
    while done < rounds and not stopped_rising(scores):
        rng.shuffle(order)
        known = {} if classes is None else {"classes": classes}
        if sample_weight is not None:
            known["sample_weight"] = sample_weight[order]
        learner.partial_fit(rows_of(X, order), y[order], **known)
        done += 1
        if validation is not None:
            scores.append(float(learner.score(*validation)))
            if scores[-1] == max(scores):
                best, best_round = copy.deepcopy(learner), done
    return (learner, done) if validation is None else (best, best_round)
