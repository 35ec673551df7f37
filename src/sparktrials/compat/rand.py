"""``hyperopt.rand``: random search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.compat.vectorized import columns_of
from sparktrials.suggest.random import suggest

if TYPE_CHECKING:
    from sparktrials.compat.domain import Domain

__all__ = ["suggest", "suggest_batch"]


def suggest_batch(
    new_ids: Sequence[int],
    domain: Domain,
    trials: Any,  # noqa: ANN401 - Trials
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``label -> ids`` and ``label -> values``, arrays both, drawn from the prior."""
    documents = suggest(new_ids, domain, trials, seed)
    return columns_of(documents, domain.params)
