"""Histories that others wrote, made durable."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.api.keeping import DEFAULT_KEY
from sparktrials.api.saving import load_trials
from sparktrials.api.trials import Trials
from sparktrials.errors import StoreError
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.study.protocols import Store

__all__ = ["Imported", "import_trials"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to.

    Attributes
    ----------
    exp_key, url
        Where the trials are now.
    total, with_loss
        How many there are, and how many of them have a loss.
    warnings
        What could not be taken along.
    """

    exp_key: str
    url: str
    total: int
    with_loss: int
    warnings: tuple[str, ...]


def import_trials(
    path: str | os.PathLike[str], store: str | Store, exp_key: str | None = None
) -> Imported:
    """Put the trials of a pickle into a store.

    Parameters
    ----------
    path
        A pickle of ``Trials``, Hyperopt's or ours. Loading it runs whatever its maker put into it.
    store
        A URL or a store.
    exp_key
        Name of the experiment; None: the one that the trials have, or ``default``.

    Raises
    ------
    StoreError
        If the file does not load, the store cannot be written, or the experiment has trials.
    """
    source = load_trials(path)
    wanted = exp_key or (source._exp_key or DEFAULT_KEY)  # noqa: SLF001 - a view of them
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        target = Trials(store, wanted)
        if target.history:
            msg = (
                f"experiment {wanted!r} in {target.store.url} has {len(target.history)} trials "
                "already: choose another exp_key (--exp-key)"
            )
            raise StoreError(msg)
        if source.history:
            target.adopt(source)
    return Imported(
        exp_key=wanted,
        url=target.store.url,
        total=len(target.history),
        with_loss=sum(t.state is TrialState.OK for t in target.history),
        warnings=tuple(str(w.message) for w in told),
    )
