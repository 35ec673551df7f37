"""``hyperopt.rand``: random search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.compat.base import miscs_to_idxs_vals
from sparktrials.suggest.random import suggest

if TYPE_CHECKING:
    from sparktrials.compat.domain import Domain

__all__ = ["suggest", "suggest_batch"]


def suggest_batch(
    new_ids: Sequence[int],
    domain: Domain,
    trials: Any,  # noqa: ANN401 - Trials
    seed: int,
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Return ``label -> ids`` and ``label -> values`` of points drawn from the prior."""
    documents = suggest(new_ids, domain, trials, seed)
    return miscs_to_idxs_vals([d["misc"] for d in documents], keys=domain.params)
