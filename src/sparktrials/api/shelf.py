"""Documents as users hold them: one dict per trial, the same at each read, and theirs to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

from sparktrials.api.documents import document_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from sparktrials.study.trial import Trial

__all__ = ["DocumentList", "Shelf"]

#: What changes in a document while its trial runs; the rest is written once.
_MOVING = ("state", "result", "owner", "book_time", "refresh_time")


@dataclass(slots=True, eq=False)
class _Held:
    """A document, with the trial that it shows and what was written into it."""

    document: dict[str, Any]
    trial: Trial
    state: int
    result: dict[str, Any]
    loss: Any
    status: Any
    n: int
    values: tuple[Any, ...]
    by_hand: bool = False

    @classmethod
    def of(cls, document: dict[str, Any], trial: Trial, *, by_hand: bool = False) -> _Held:
        result = document["result"]
        return cls(
            document=document,
            trial=trial,
            state=document["state"],
            result=result,
            loss=result.get("loss"),
            status=result.get("status"),
            n=len(result),
            values=tuple(result.values()),
            by_hand=by_hand,
        )


class Shelf:
    """Keeps the documents that were read, and those that users made.

    Hyperopt's documents are its truth: programs set their ``state`` and ``result``. Here they show
    trials; `moved` and `edited` find those that say something else by now.
    """

    def __init__(self) -> None:
        self._open: dict[int, _Held] = {}
        self._ended: dict[int, _Held] = {}
        self._expected: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._ended)

    def documents(
        self, trials: Iterable[Trial], labels: Callable[[], Sequence[str]], exp_key: str | None
    ) -> list[dict[str, Any]]:
        """Return the documents of trials: made at the first read, brought up to date later."""
        ended = self._ended
        found: list[dict[str, Any]] = []
        known: Sequence[str] | None = None
        for trial in trials:
            held = ended.get(trial.id)
            if held is None or held.trial is not trial:
                known = labels() if known is None else known
                found.append(self._present(trial, known, exp_key))
            else:
                found.append(held.document)
        return found

    def _present(self, trial: Trial, labels: Sequence[str], exp_key: str | None) -> dict[str, Any]:
        held = self._open.get(trial.id) or self._ended.get(trial.id)
        if held is not None and held.trial is trial:
            return held.document
        fresh = document_of(trial, labels, exp_key)
        own = self._expected.pop(trial.id, None) if held is None else held.document
        if own is None:
            self._keep(_Held.of(fresh, trial))
            return fresh
        _update(own, fresh)
        self._keep(_Held.of(own, trial, by_hand=held is None or held.by_hand))
        return own

    def _keep(self, held: _Held) -> None:
        self._open.pop(held.trial.id, None)
        self._ended.pop(held.trial.id, None)
        (self._ended if held.trial.state.terminal else self._open)[held.trial.id] = held

    def hold(self, document: dict[str, Any], trial: Trial) -> None:
        """Keep a user's own document of a trial."""
        self._keep(_Held.of(document, trial, by_hand=True))

    def expect(self, document: dict[str, Any]) -> None:
        """Keep a document for a trial that is about to be made."""
        self._expected[document["tid"]] = document

    def moved(self) -> list[tuple[dict[str, Any], Trial]]:
        """Return the documents of trials that had not ended, and whose state users have set.

        A result without a new state is a note.
        """
        return [
            (h.document, h.trial) for h in self._open.values() if h.document["state"] != h.state
        ]

    def edited(self, *, thoroughly: bool = False) -> list[tuple[dict[str, Any], Trial]]:
        """Return the documents of ended trials that users have changed since.

        `thoroughly`: also in values beside the loss.
        """
        found = [
            h
            for h in self._ended.values()
            if (result := h.document["result"]) is not h.result
            or result.get("loss") is not h.loss
            or result.get("status") is not h.status
            or len(result) != h.n
            or h.document["state"] != h.state
            or (thoroughly and not _same(result.values(), h.values))
        ]
        return [(h.document, h.trial) for h in found]

    def by_hand(self) -> list[dict[str, Any]]:
        """Return the documents that users made."""
        held = [*self._open.values(), *self._ended.values()]
        return [h.document for h in held if h.by_hand]

    def own(self, labels: Sequence[str], exp_key: str | None) -> list[dict[str, Any]]:
        """Return the documents that say more than their trials, by users' hands."""
        held = [*self._open.values(), *self._ended.values()]
        found = [
            h.document
            for h in held
            if h.by_hand or not _alike(h.document, document_of(h.trial, labels, exp_key))
        ]
        return found + list(self._expected.values())

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()
        self._ended.clear()
        self._expected.clear()


def _update(document: dict[str, Any], fresh: Mapping[str, Any]) -> None:
    for key in _MOVING:
        document[key] = fresh[key]
    for key in ("error", "traceback"):
        if key in fresh["misc"]:
            document["misc"][key] = fresh["misc"][key]


def _alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two documents say the same beside their results, which trials hold."""
    return len(a) == len(b) and all(
        key in b and (key == "result" or value == b[key]) for key, value in a.items()
    )


def _same(a: Iterable[object], b: Iterable[object]) -> bool:
    """Whether two results hold the same objects: values may not compare, arrays do not."""
    return all(x is y for x, y in zip(a, b, strict=False))


class DocumentList(list[dict[str, Any]]):
    """What ``trials._dynamic_trials`` is: what is done to the list is done to the trials.

    Parameters
    ----------
    insert, replace
        Called with documents that come in addition, or instead of all.
    """

    def __init__(
        self,
        documents: Iterable[dict[str, Any]],
        insert: Callable[[list[dict[str, Any]]], object],
        replace: Callable[[list[dict[str, Any]]], object],
    ) -> None:
        super().__init__(documents)
        self._insert = insert
        self._replace = replace

    def append(self, document: dict[str, Any]) -> None:
        """Insert a trial document."""
        self._insert([document])
        super().append(document)

    def extend(self, documents: Iterable[dict[str, Any]]) -> None:
        """Insert trial documents."""
        new = list(documents)
        self._insert(new)
        super().extend(new)

    def __iadd__(self, documents: Iterable[dict[str, Any]]) -> Self:  # type: ignore[override,misc]
        self.extend(documents)
        return self

    def insert(self, at: SupportsIndex, document: dict[str, Any]) -> None:
        """Insert a trial document; its place is by its id."""
        super().insert(at, document)
        self._replace(list(self))

    def remove(self, document: dict[str, Any]) -> None:
        """Take a trial out."""
        super().remove(document)
        self._replace(list(self))

    def pop(self, at: SupportsIndex = -1) -> dict[str, Any]:
        """Take a trial out, and return its document."""
        document = super().pop(at)
        self._replace(list(self))
        return document

    def clear(self) -> None:
        """Take all trials out."""
        super().clear()
        self._replace([])

    def __delitem__(self, at: SupportsIndex | slice) -> None:
        super().__delitem__(at)
        self._replace(list(self))

    def __setitem__(self, at: Any, documents: Any) -> None:  # noqa: ANN401 - an index or a slice
        super().__setitem__(at, documents)
        self._replace(list(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
