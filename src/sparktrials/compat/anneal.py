"""``hyperopt.anneal``: ``anneal.suggest``, simulated annealing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.compat.vectorized import columns_of

if TYPE_CHECKING:
    from sparktrials.compat.domain import Domain
    from sparktrials.suggest.anneal import suggest

__all__ = ["suggest", "suggest_batch"]


def suggest_batch(
    new_ids: Sequence[int],
    domain: Domain,
    trials: Any,  # noqa: ANN401 - Trials
    seed: int,
    *args: Any,  # noqa: ANN401 - settings in Hyperopt's order
    **kwargs: Any,  # noqa: ANN401
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``label -> ids`` and ``label -> values``, arrays both, of `suggest`'s points.

    Settings are `avg_best_idx` and `shrink_coef`, as those of `suggest`.
    """
    from sparktrials.suggest.anneal import suggest  # noqa: PLC0415 - see __getattr__

    settings = {**dict(zip(("avg_best_idx", "shrink_coef"), args, strict=False)), **kwargs}
    documents = suggest(new_ids, domain, trials, seed, **settings)
    return columns_of(documents, domain.params)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - loaded when the algorithm is used
    if name == "suggest":
        from sparktrials.suggest.anneal import suggest  # noqa: PLC0415

        return suggest
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
