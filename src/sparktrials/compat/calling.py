"""How Hyperopt calls algorithms: ``(new_ids, domain, trials, seed) -> documents``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.api.documents import scalar
from sparktrials.api.driving import DrivenTrials
from sparktrials.api.trials import Trials
from sparktrials.errors import InvalidArgument, InvalidProbabilities
from sparktrials.study.protocols import SuggestContext
from sparktrials.suggest.algorithm import is_native

if TYPE_CHECKING:
    from sparktrials.space import Point
    from sparktrials.study.history import History
    from sparktrials.suggest.algorithm import Algorithm

__all__ = ["documents_by", "documents_of"]


def documents_by(  # noqa: PLR0917 - as Hyperopt calls
    domain: Any,  # noqa: ANN401 - a Domain
    algorithm: Algorithm,
    settings: Mapping[str, Any],
    new_ids: Sequence[int],
    trials: Any,  # noqa: ANN401 - Trials, or Hyperopt's
    seed: Any,  # noqa: ANN401 - an int or a generator
) -> list[dict[str, Any]]:
    """Return documents of new trials with the points that an algorithm suggests.

    Raises
    ------
    InvalidArgument, InvalidPoint
        If a setting is wrong, or the trials do not fit the domain's space.
    """
    number = _seed(seed)
    members = settings.get("p_suggest")
    if members is not None and not all(is_native(member) for _, member in members):
        return _one_of(members, new_ids, domain, trials, number)
    ids = [int(i) for i in new_ids]
    context = SuggestContext(seed=number, ids=ids)
    suggester = algorithm.configured(**settings)
    points = suggester.suggest(domain.space, _history(trials, domain), len(ids), context)
    return documents_of(points, ids, domain, trials)


def documents_of(
    points: Sequence[Point],
    ids: Sequence[int],
    domain: Any,  # noqa: ANN401
    trials: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """Return documents of new trials with given points."""
    miscs = [
        {
            "tid": tid,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {k: [tid] if k in point else [] for k in domain.space.labels},
            "vals": {k: [scalar(point[k])] if k in point else [] for k in domain.space.labels},
        }
        for tid, point in zip(ids, points, strict=False)
    ]
    tids = [misc["tid"] for misc in miscs]
    results = [domain.new_result() for _ in miscs]
    documents: list[dict[str, Any]] = trials.new_trial_docs(
        tids, [None] * len(tids), results, miscs
    )
    return documents


def _one_of(
    members: Sequence[tuple[float, Any]],
    new_ids: Sequence[int],
    domain: Any,  # noqa: ANN401
    trials: Any,  # noqa: ANN401
    seed: int,
) -> list[dict[str, Any]]:
    """Ask one of several algorithms, some of which are users' functions."""
    probabilities = [p for p, _ in members]
    if not np.isclose(sum(probabilities), 1.0):
        msg = f"mix.suggest: the probabilities of p_suggest must sum to 1, got {probabilities}"
        raise InvalidProbabilities(msg)
    rng = np.random.default_rng(seed)
    chosen = int(rng.multinomial(1, probabilities).argmax())
    documents: list[dict[str, Any]] = members[chosen][1](
        new_ids, domain, trials, int(rng.integers(2**31))
    )
    return documents


def _history(trials: Any, domain: Any) -> History:  # noqa: ANN401
    """Return the trials as a history over the domain's space."""
    if isinstance(trials, DrivenTrials):
        return trials.history_over(domain.space)
    own = Trials()  # Hyperopt's: read anew at each call
    own.take_documents([dict(d) for d in trials._dynamic_trials])  # noqa: SLF001 - Hyperopt's
    return own.history_over(domain.space)


def _seed(seed: Any) -> int:  # noqa: ANN401
    if isinstance(seed, (int, np.integer)):
        return int(seed) % 2**63
    try:
        return int(np.random.default_rng(seed).integers(2**31 - 1))
    except (TypeError, ValueError):
        msg = f"seed must be a whole number or what numpy.random.default_rng takes, got {seed!r}"
        raise InvalidArgument(msg) from None
