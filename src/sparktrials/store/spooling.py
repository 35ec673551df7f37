"""A store that writes beside itself what it cannot take: nothing that was evaluated is lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparktrials.errors import InvalidTrial, SparkTrialsError, StoreUnavailable
from sparktrials.store.records import encode_trial
from sparktrials.study.values import split

if TYPE_CHECKING:
    from sparktrials.store.spool import Spool
    from sparktrials.study.protocols import Store
    from sparktrials.study.trial import Trial

__all__ = ["SpoolingStore"]

_log = logging.getLogger("sparktrials.store")


class SpoolingStore:
    """A store that writes beside itself once it cannot be written any more.

    The append that fails raises, which ends a run; those that follow, of what was still under way,
    go to the file at once, without another minute of tries.

    Parameters
    ----------
    store
        What trials belong into.
    spool
        Where they go else.
    """

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._given_up = False

    @property
    def durable(self) -> bool:
        """Whether the store is."""
        return self._store.durable

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes]] | None = None,
    ) -> None:
        """Write trials to the store, or else to the file.

        Raises
        ------
        Exception
            What the store raised, whatever that is; the message, or the log, says where the
            results are.
        """
        if self._given_up:
            self._keep(trials, attachments)
            return
        try:
            self._store.append(key, trials, attachments)
        except Exception as error:
            self._given_up = True
            if not self._store.durable:
                raise
            try:
                where = self._keep(trials, attachments)
            except OSError as problem:
                told = (
                    f"Nor could the results be kept on this machine ({problem}): those "
                    "that were not stored are in this process's trials only"
                )
            else:
                told = (
                    f"The run ends. The results that were not stored are in {where}: the next "
                    "fmin on this machine with the same store and exp_key hands them in and goes on"
                )
            if not isinstance(error, SparkTrialsError):
                _log.exception("the store raised something unexpected. %s", told)
                raise
            kind = StoreUnavailable if isinstance(error, StoreUnavailable) else type(error)
            msg = f"{error}\n{told}"
            raise kind(msg) from error

    def _keep(
        self, trials: Sequence[Trial], attachments: Mapping[int, Mapping[str, bytes]] | None
    ) -> str:
        try:
            return self._spool.keep(trials, attachments)
        except InvalidTrial as error:  # what no store takes must not take the rest with it
            _log.warning("%s: it is kept without that", error)
            return self._spool.keep([_storable(t) for t in trials], attachments)


def _storable(trial: Trial) -> Trial:
    """Return a trial with as much of its result as can be written."""
    plain, _ = split(trial.result)
    bare = {"loss": trial.loss, "status": "ok" if trial.failure is None else "fail"}
    for result in (trial.result, plain, bare):
        candidate = replace(trial, result=result)
        try:
            encode_trial(candidate)
        except InvalidTrial:
            continue
        return candidate
    return replace(trial, result=bare, reports=(), log="")
