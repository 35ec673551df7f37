"""Trials on a board: how a driver and its workers talk to each other through a store.

A job is a note that a driver pins and removes, and that one worker at a time takes. Each change
replaces the note that was read, so of two who want the same one is too late, and knows it:

::

    new ──worker──► taken ──worker──► done | lost ──driver──► removed
     ▲                │  └─────────driver (cancelled, or the worker is gone)──────► removed
     └────worker──────┘  (handed back)

What belongs to a job (its specification, a large outcome) lies beside it under a name that no
other job has. Nothing here is trusted by who reads it, and nothing is unpickled here.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparktrials.dispatch.messages import (
    decode_outcomes,
    decode_report,
    encode_outcomes,
    encode_report,
)
from sparktrials.study.board import BODY_LIMIT, JOBS, Board, Note, Sheet, notes_of
from sparktrials.study.values import decode_json, dumps, loads

if TYPE_CHECKING:
    from sparktrials.study.protocols import Reported
    from sparktrials.study.reports import Report
    from sparktrials.study.trial import Outcome

__all__ = [
    "DONE",
    "JOBS",
    "LOST",
    "NEW",
    "TAKEN",
    "WORKERS",
    "WORKERS_WAKE",
    "Job",
    "Said",
    "code_of",
    "data_of",
    "decode_job",
    "decode_said",
    "driver_wake",
    "encode_said",
    "job_of",
    "jobs_of",
    "outcome_of",
    "pack_outcome",
    "pieces_of",
    "pinned_content",
    "sheet_of",
]

WORKERS = "worker/"
NEW, TAKEN, DONE, LOST = "new", "taken", "done", "lost"
#: What workers wait for.
WORKERS_WAKE = "workers"
_LENGTH = 8  # bytes that say how long the header is


def jobs_of(key: str) -> str:
    """Return what the names of an experiment's jobs start with."""
    return notes_of(key)[0]


def data_of(key: str) -> str:
    """Return what the names of all that belongs to an experiment's jobs start with."""
    return notes_of(key)[1]


def code_of(key: str) -> str:
    """Return what the names of an experiment's pickled objectives start with."""
    return notes_of(key)[2]


def driver_wake(key: str) -> str:
    """Return what an experiment's driver waits for."""
    return f"driver/{jobs_of(key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A trial on the board.

    Attributes
    ----------
    key, trial, attempt
        Which.
    token
        Its own: two jobs of one trial share none.
    objective
        Its import path, or empty.
    code
        Where that is empty, the digest of what is pickled: objective and search space.
    run
        Names the driver's run: code that is imported may be another one in the next.
    owner, host
        The worker that has it, and its machine.
    stop
        Whether the trial should end by itself.
    reason, timed_out
        Of a lost one.
    n_pieces, sha256
        Of an outcome: how many pieces lie beside it if it is too large for the note's body, and
        what it is checked by.
    """

    key: str
    trial: int
    attempt: int
    token: str
    objective: str = ""
    code: str = ""
    run: str = ""
    owner: str = ""
    host: str = ""
    stop: bool = False
    reason: str = ""
    timed_out: bool = False
    n_pieces: int = 0
    sha256: str = ""

    @classmethod
    def new(
        cls, key: str, trial: int, attempt: int, *, objective: str, code: str, run: str = ""
    ) -> Job:
        """Return a new one."""
        return cls(
            key=key,
            trial=trial,
            attempt=attempt,
            token=secrets.token_hex(8),
            objective=objective,
            code=code,
            run=run,
        )

    @classmethod
    def named(cls, key: str, trial: int) -> Job:
        """Return what has the name of a trial's job, and nothing more."""
        return cls(key=key, trial=trial, attempt=0, token="")

    @property
    def name(self) -> str:
        """The note's name."""
        return f"{jobs_of(self.key)}{self.trial:019d}"

    @property
    def data(self) -> str:
        """What the names of all that belongs to it start with."""
        return f"{data_of(self.key)}{self.trial:019d}/{self.token}/"

    @property
    def specification(self) -> str:
        """What the names of its specification's pieces start with."""
        return f"{self.data}spec/"

    @property
    def outcome(self) -> str:
        """What the names of a large outcome's pieces start with."""
        return f"{self.data}outcome/"

    def taken(self, owner: str, host: str) -> Job:
        """The same, taken by a worker."""
        return replace(self, owner=owner, host=host)

    @property
    def free(self) -> Job:
        """The same, taken by nobody."""
        return replace(self, owner="", host="", stop=False)


_TYPES: Mapping[str, type] = {
    "key": str,
    "trial": int,
    "attempt": int,
    "token": str,
    "objective": str,
    "code": str,
    "run": str,
    "owner": str,
    "host": str,
    "stop": bool,
    "reason": str,
    "timed_out": bool,
    "n_pieces": int,
    "sha256": str,
}


def sheet_of(job: Job, tag: str, body: bytes = b"") -> Sheet:
    """Return a job as it is pinned."""
    fields = {name: getattr(job, name) for name in _TYPES}
    text = json.dumps({name: value for name, value in fields.items() if value})
    return Sheet(job.name, tag, text, body)


def decode_job(note: Note) -> Job:
    """Return the job of a note.

    Raises
    ------
    ValueError
        If it is none.
    """
    fields = decode_json(note.text)
    if type(fields) is not dict or any(type(v) is not _TYPES.get(k) for k, v in fields.items()):
        msg = f"the note {note.name} is no job"
        raise ValueError(msg)
    job = Job(**{"key": "", "trial": 0, "attempt": 0, "token": "", **fields})
    if job.name != note.name or not job.token.isalnum() or job.trial < 0:
        msg = f"the note {note.name} says that it is another job"
        raise ValueError(msg)
    return job


def job_of(note: Note | None) -> Job | None:
    """Return the job of a note; None if it is none."""
    if note is None:
        return None
    try:
        return decode_job(note)
    except ValueError:
        return None


# --------------------------------------------------------------------------- contents


def pieces_of(prefix: str, content: bytes) -> list[Sheet]:
    """Return a content of any size as sheets."""
    starts = range(0, len(content), BODY_LIMIT)
    return [
        Sheet(_piece(prefix, index), "", "", content[start : start + BODY_LIMIT])
        for index, start in enumerate(starts)
    ]


def pinned_content(board: Board, prefix: str) -> bytes:
    """Return a content; empty if it is gone."""
    pieces = [board.body(_piece(prefix, 0))]
    while len(pieces[-1]) == BODY_LIMIT:  # most have one that is not full
        pieces.append(board.body(_piece(prefix, len(pieces))))
    return b"".join(pieces)


def _piece(prefix: str, index: int) -> str:
    return f"{prefix}{index:06d}"


# --------------------------------------------------------------------------- outcomes


def pack_outcome(outcome: Outcome) -> bytes:
    """Return an outcome, whose result is plain, as bytes."""
    header, blobs = encode_outcomes([outcome])
    text = json.dumps({"header": header, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join([len(text).to_bytes(_LENGTH, "big"), text, *blobs])


def unpack_outcome(content: bytes) -> Outcome:
    """Return the outcome of bytes.

    Raises
    ------
    ValueError
        If `pack_outcome` could not have made them.
    """
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "big")
    document = decode_json(content[_LENGTH:start].decode())
    try:
        header, sizes = document["header"], document["sizes"]
        blobs = []
        for size in sizes:
            blobs.append(content[start : start + size])
            start += size
    except (LookupError, TypeError) as error:
        msg = f"not an outcome: {error}"
        raise ValueError(msg) from error
    if start != len(content):
        msg = f"an outcome of {len(content)} bytes, not {start}"
        raise ValueError(msg)
    (outcome,) = decode_outcomes(header, blobs)
    return outcome


def outcome_of(board: Board, job: Job) -> Outcome:
    """Return the outcome of a job that is done.

    Raises
    ------
    ValueError
        If what is there is damaged, or no outcome of that trial.
    """
    content = pinned_content(board, job.outcome) if job.n_pieces else board.body(job.name)
    if hashlib.sha256(content).hexdigest() != job.sha256:
        msg = f"the outcome of trial {job.trial} is damaged"
        raise ValueError(msg)
    outcome = unpack_outcome(content)
    if outcome.trial_id != job.trial:
        msg = f"the outcome of trial {job.trial} says that it is of trial {outcome.trial_id}"
        raise ValueError(msg)
    return outcome


# --------------------------------------------------------------------------- what is said meanwhile


@dataclass(frozen=True, slots=True)
class Said:
    """The last that a running trial said, and how much it has said in all."""

    n_reports: int
    n_lines: int
    last: Reported

    def since(self, n_reports: int, n_lines: int) -> Reported:
        """Return what is new to who knows that much; the earliest of it may be gone."""
        new_reports = max(0, self.n_reports - n_reports)
        new_lines = max(0, self.n_lines - n_lines)
        return replace(
            self.last,
            reports=self.last.reports[-new_reports:] if new_reports else (),
            lines=self.last.lines[-new_lines:] if new_lines else (),
        )


def encode_said(
    n_reports: int, n_lines: int, reports: Sequence[Report], lines: Sequence[str]
) -> bytes:
    """Return the last that a running trial said as bytes."""
    report = encode_report(0, 0, reports, lines)
    return dumps({"n": [n_reports, n_lines], "report": report}).encode()


def decode_said(body: bytes, trial: int, attempt: int) -> Said | None:
    """Return what a running trial said; None if it is nothing.

    Raises
    ------
    ValueError
        If `encode_said` could not have made it.
    """
    if not body:
        return None
    document = loads(body.decode())
    try:
        n_reports, n_lines = document["n"]
        last = decode_report({**document["report"], "id": trial, "attempt": attempt})
        return Said(int(n_reports), int(n_lines), last)
    except (LookupError, TypeError) as error:
        msg = f"not what a trial says: {error}"
        raise ValueError(msg) from error
