"""What a driver pins of a study and its trials, for workers to evaluate."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sparktrials.dispatch.jobs import NEW, Job, code_of, pieces_of, sheet_of
from sparktrials.dispatch.naming import NotNamed, encode_argument, import_path
from sparktrials.dispatch.shipping import digest_of, payload_of
from sparktrials.study.values import dumps as to_json

if TYPE_CHECKING:
    from sparktrials.study.board import Board, Sheet
    from sparktrials.study.protocols import Task
    from sparktrials.study.trial import Trial

__all__ = ["Publisher"]

logger = logging.getLogger("sparktrials")


class Publisher:
    """Makes notes of trials: the objective by its import path, or, where it has none, as a pickle.

    Parameters
    ----------
    board, key
        Where pickles are pinned, and the experiment's name.
    task
        The study's.
    dumps
        cloudpickle's ``dumps``.

    Attributes
    ----------
    objective
        The import path, or empty.

    Raises
    ------
    ObjectiveNotPicklable
        If the objective can neither be imported by workers nor pickled.
    """

    def __init__(
        self, board: Board, key: str, task: Task, dumps: Callable[[object], bytes]
    ) -> None:
        self._board = board
        self._key = key
        self.task = task
        self._dumps = dumps
        self._code = ""
        self._run = secrets.token_hex(8)
        self.objective = ""
        try:
            self.objective = import_path(task.objective, "the objective")
        except NotNamed as reason:
            self._pickle(str(reason))

    def _pickle(self, reason: str) -> str:
        """Pin objective and space as a pickle, once; say who evaluates that. Return its digest."""
        if not self._code:
            payload = payload_of(self.task, self._dumps)
            self._code = digest_of(payload)
            logger.warning(
                "%s. So it reaches workers as a pickle, which only those evaluate that were "
                "started with --trust-pickle: whoever can write to %s can then run code there",
                reason,
                self._board.url,
            )
            for sheet in pieces_of(f"{code_of(self._key)}{self._code}/", payload):
                self._board.pin([sheet])
        return self._code

    def sheets(self, trial: Trial) -> list[Sheet]:
        """Return a trial's notes."""
        try:
            job = self._job(trial, self.objective, self._code)
            content = self._specification(trial, job)
        except NotNamed as reason:
            job = self._job(trial, "", self._pickle(str(reason)))
            content = self._specification(trial, job)
        # The job comes last: who finds it finds the rest.
        return [*pieces_of(job.specification, content), sheet_of(job, NEW)]

    def _job(self, trial: Trial, objective: str, code: str) -> Job:
        names = {"objective": objective, "code": code, "run": self._run}
        return Job.new(self._key, trial.id, trial.attempt, **names)

    def describes(self, content: bytes, trial: Trial, job: Job) -> bool:
        """Whether a job's specification, from an earlier driver, is that of a trial."""
        try:
            return content == self._specification(trial, job)
        except NotNamed:
            return False

    def _specification(self, trial: Trial, job: Job) -> bytes:
        """Return what a worker needs of a trial.

        Raises
        ------
        NotNamed
            If the objective is to be imported, and its argument cannot be written down.
        """
        # As it comes back from a store: numbers of numpy's are none there.
        point = {k: v.item() if isinstance(v, np.generic) else v for k, v in trial.point.items()}
        document = {
            "point": point,
            "seed": trial.seed,
            "timeout_s": self.task.trial_timeout,
            "imports": list(self.task.imports),
        }
        if job.objective:
            document["argument"] = encode_argument(self.task.space.build(point))
        return to_json(document).encode()
