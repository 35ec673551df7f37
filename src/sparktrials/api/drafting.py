"""Documents of trials that are still to be made, as Hyperopt's algorithms write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparktrials.api.documents import JOB_STATE_NEW
from sparktrials.errors import InvalidArgument, InvalidTrial

__all__ = ["drafts", "drafts_from"]


def drafts(
    tids: Sequence[int],
    specs: Sequence[Any],
    results: Sequence[Mapping[str, Any]],
    miscs: Sequence[dict[str, Any]],
    exp_key: str | None,
) -> list[dict[str, Any]]:
    """Return documents of new trials, to be completed and inserted.

    Raises
    ------
    InvalidArgument
        If the arguments differ in length.
    """
    _same_length(tids=tids, specs=specs, results=results, miscs=miscs)
    return [
        {
            "state": JOB_STATE_NEW,
            "tid": tid,
            "spec": spec,
            "result": result,
            "misc": misc,
            "exp_key": exp_key,
            "owner": None,
            "version": 0,
            "book_time": None,
            "refresh_time": None,
        }
        for tid, spec, result, misc in zip(tids, specs, results, miscs, strict=True)
    ]


def drafts_from(
    tids: Sequence[int],
    specs: Sequence[Any],
    results: Sequence[Mapping[str, Any]],
    miscs: Sequence[dict[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return documents of trials that other trials, `sources`, gave rise to.

    Raises
    ------
    InvalidArgument
        If the arguments differ in length.
    InvalidTrial
        If a misc names another tid or source.
    """
    _same_length(tids=tids, specs=specs, results=results, miscs=miscs, sources=sources)
    documents = []
    rows = zip(tids, specs, results, miscs, sources, strict=True)
    for tid, spec, result, misc, source in rows:
        for name, value in (("tid", tid), ("cmd", None), ("from_tid", source["tid"])):
            if misc.setdefault(name, value) != value and name != "cmd":
                msg = f"trial {tid}: misc[{name!r}] must be {value!r}, got {misc[name]!r}"
                raise InvalidTrial(msg)
        kept = ("state", "exp_key", "owner", "book_time", "refresh_time")
        document = {"version": 0, "tid": tid, "spec": spec, "result": result, "misc": misc}
        documents.append({**document, **{name: source[name] for name in kept}})
    return documents


def _same_length(**columns: Sequence[Any]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{n} {name}" for name, n in lengths.items())
        msg = f"there must be as many {', '.join(lengths)}; got {found}"
        raise InvalidArgument(msg)
