"""Documents as users hold them: one dict per trial, the same at each read, and theirs to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
            or len(result) != h.n
            or h.document["state"] != h.state
            or (thoroughly and not _same(result.values(), h.values))
        ]
        return [(h.document, h.trial) for h in found]

    def by_hand(self) -> list[dict[str, Any]]:
        """Return the documents that users made."""
        held = [*self._open.values(), *self._ended.values()]
        return [h.document for h in held if h.by_hand]

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


def _same(a: Iterable[object], b: Iterable[object]) -> bool:
    """Whether two results hold the same objects: values may not compare, arrays do not."""
    return all(x is y for x, y in zip(a, b, strict=False))


class DocumentList(list[dict[str, Any]]):
    """What ``trials._dynamic_trials`` is: a list to read; what is appended becomes a trial."""

    def __init__(self, documents: Iterable[dict[str, Any]], insert: Any) -> None:  # noqa: ANN401
        super().__init__(documents)
        self._insert = insert

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

    def _refuse(self, *_: object, **__: object) -> Any:  # noqa: ANN401
        msg = (
            "trials cannot be taken out of a history: make another one with "
            "trials_from_docs([d for d in trials.trials if ...])"
        )
        raise NotImplementedError(msg)

    insert = remove = pop = clear = __delitem__ = __setitem__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
