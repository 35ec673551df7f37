"""Documents as users hold them: one dict per trial, the same at each read, and theirs to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    by_hand: bool = False


class Shelf:
    """Keeps the documents that were read, and those that users made.

    Hyperopt's documents are its truth: programs set their ``state`` and ``result``. Here they show
    trials; `changed` finds those that say something else by now.
    """

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._expected: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def document(self, trial: Trial, labels: Sequence[str], exp_key: str | None) -> dict[str, Any]:
        """Return the document of a trial: made at the first read, brought up to date later."""
        held = self._held.get(trial.id)
        if held is None:
            fresh = document_of(trial, labels, exp_key)
            own = self._expected.pop(trial.id, None)
            if own is None:
                self._held[trial.id] = _held(fresh, trial)
                return fresh
            _update(own, fresh)
            self._held[trial.id] = _held(own, trial, by_hand=True)
            return own
        if held.trial is not trial:
            _update(held.document, document_of(trial, labels, exp_key))
            self._held[trial.id] = _held(held.document, trial, by_hand=held.by_hand)
        return held.document

    def hold(self, document: dict[str, Any], trial: Trial) -> None:
        """Keep a user's own document of a trial."""
        self._held[trial.id] = _held(document, trial, by_hand=True)

    def expect(self, document: dict[str, Any]) -> None:
        """Keep a document for a trial that is about to be made."""
        self._expected[document["tid"]] = document

    def changed(self) -> list[tuple[dict[str, Any], Trial]]:
        """Return the documents that users changed, each with the trial that it showed.

        Of a trial that has not ended only a new state counts: a result without one is a note.
        """
        return [
            (held.document, held.trial)
            for held in self._held.values()
            if held.document["state"] != held.state
            or (held.trial.state.terminal and not _same(held.document["result"], held.result))
        ]

    def by_hand(self) -> list[dict[str, Any]]:
        """Return the documents that users made."""
        return [held.document for held in self._held.values() if held.by_hand]

    def shown(self, trial_id: int) -> Trial | None:
        """Return the trial as its document shows it, if it was read."""
        held = self._held.get(trial_id)
        return None if held is None else held.trial

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()
        self._expected.clear()


def _held(document: dict[str, Any], trial: Trial, *, by_hand: bool = False) -> _Held:
    return _Held(document, trial, document["state"], dict(document["result"]), by_hand)


def _update(document: dict[str, Any], fresh: Mapping[str, Any]) -> None:
    for key in _MOVING:
        document[key] = fresh[key]
    for key in ("error", "traceback"):
        if key in fresh["misc"]:
            document["misc"][key] = fresh["misc"][key]


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two results hold the same objects: values may not compare, arrays do not."""
    return len(a) == len(b) and all(
        key in b and (value is b[key] or _equal(value, b[key])) for key, value in a.items()
    )


def _equal(a: object, b: object) -> bool:
    return type(a) is type(b) and isinstance(a, (int, float, str, bytes)) and (a == b or a != a)  # noqa: PLR0124 - NaN


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
