"""A space as one expression that draws any number of trials: what ``domain.s_idxs_vals`` is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.compat.pyll.base import Apply, Literal, scope

if TYPE_CHECKING:
    from sparktrials.space import Space

__all__ = ["Vectorized", "columns_of"]


class Vectorized:
    """For each label, an expression of the ids of the trials in which it is active, and of values.

    Parameters
    ----------
    space
        Compiled.
    params
        ``label -> Apply`` of its distribution.
    s_new_ids, s_rng
        Literals that stand for the ids and the random generator.
    """

    def __init__(
        self, space: Space, params: dict[str, Apply], s_new_ids: Literal, s_rng: Literal
    ) -> None:
        self._idxs: dict[str, Apply] = {}
        self._vals: dict[str, Apply] = {}
        for parameter in space.parameters:
            label = parameter.label
            self._idxs[label] = self._active(space, parameter.condition, s_new_ids)
            draw = params[label]
            self._vals[label] = Apply(
                draw.name,
                list(draw.pos_args),
                [*draw.named_args, ("rng", s_rng), ("size", scope.len(self._idxs[label]))],
                o_len=None,
            )

    def _active(self, space: Space, condition: Any, s_new_ids: Literal) -> Apply:  # noqa: ANN401
        deciders = sorted({k for term in condition for k, _ in term})
        labels = [space.parameters[k].label for k in deciders]
        place = {k: i for i, k in enumerate(deciders)}
        terms = [[(place[k], branch) for k, branch in term] for term in condition]
        columns = [node for label in labels for node in (self._idxs[label], self._vals[label])]
        return scope.sparktrials_active_ids(  # type: ignore[no-any-return]  # it is an Apply
            s_new_ids, Literal(terms), *columns
        )

    def idxs_by_label(self) -> dict[str, Apply]:
        """Return ``label -> expression of trial ids``."""
        return dict(self._idxs)

    def vals_by_label(self) -> dict[str, Apply]:
        """Return ``label -> expression of values``."""
        return dict(self._vals)


def columns_of(
    documents: Iterable[Mapping[str, Any]], labels: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``label -> array of ids`` and ``label -> array of values`` of trial documents."""
    miscs = [document["misc"] for document in documents]
    idxs: dict[str, Any] = {}
    vals: dict[str, Any] = {}
    for label in labels:
        active = [misc for misc in miscs if len(misc["vals"][label])]
        idxs[label] = np.array([misc["tid"] for misc in active], dtype=int)
        vals[label] = np.array([misc["vals"][label][0] for misc in active])
    return idxs, vals


@scope.define_if_new
def sparktrials_active_ids(new_ids: Sequence[int], terms: Any, *columns: Any) -> Any:  # noqa: ANN401
    """Return, as an array, the ids for which one of `terms` holds: ``[(decider, branch), ...]``.

    `columns` are ids and values of the deciders in turn.
    """
    ids = list(new_ids)
    if not terms:
        return np.asarray(ids, dtype=int)
    values = [
        dict(zip(i, np.asarray(v).tolist(), strict=True))
        for i, v in zip(columns[::2], columns[1::2], strict=True)
    ]
    active = [
        tid
        for tid in ids
        if any(all(values[k].get(tid) == branch for k, branch in term) for term in terms)
    ]
    return np.asarray(active, dtype=int)
