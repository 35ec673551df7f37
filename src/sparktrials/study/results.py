"""A result in the two forms that it is kept in: as a store has it, and as this process shows it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparktrials.study.values import OBJECT_PREFIX, VALUE_LIMIT, split

if TYPE_CHECKING:
    from sparktrials.study.loop import Change
    from sparktrials.study.trial import Outcome, Trial

__all__ = ["Results"]


@dataclass(frozen=True, slots=True)
class Results:
    """Makes the two forms.

    Parameters
    ----------
    dumps
        Pickles values that are no plain data, for durable stores.
    tell
        Called with what is told once, under a name, and its text.
    durable
        Whether the store outlives this process: plain data and bytes only.
    """

    dumps: Callable[[object], bytes]
    tell: Callable[[str, str], None]
    durable: bool

    def forms(self, change: Change) -> tuple[Trial, Trial, dict[str, bytes]]:
        """Return the trial as stored and as kept in memory, and its attachments."""
        trial, outcome = change.trial, change.outcome
        if outcome is None or _is_bare(outcome):
            return trial, trial, {}
        for name, reason in outcome.dropped.items():
            self.tell(f"dropped:{name}", f"the result's {name!r} was dropped: {reason}")
        attached = dict(outcome.attachments)
        in_memory = {k: self._loaded(k, v) for k, v in outcome.objects.items()}
        shown = replace(trial, result={**outcome.result, **in_memory}, attachments=tuple(attached))
        if not self.durable:
            return shown, shown, attached
        plain, local_objects = split(outcome.result)
        pickles = {**outcome.objects, **self._pickled(local_objects)}
        for name in pickles:
            self.tell(
                f"object:{name}",
                f"the result's {name!r} is not plain data: the history keeps it as the pickled "
                f"attachment {OBJECT_PREFIX + name!r}, which is loaded only on request",
            )
        attached.update({OBJECT_PREFIX + name: content for name, content in pickles.items()})
        stored = replace(trial, result=plain, attachments=tuple(attached))
        return stored, replace(shown, attachments=tuple(attached)), attached

    def _pickled(self, objects: Mapping[str, Any]) -> dict[str, bytes]:
        pickles = {}
        for name, value in objects.items():
            try:
                content = self.dumps(value)
            except Exception as error:  # noqa: BLE001 - somebody else's __reduce__
                reason = f"it cannot be pickled ({type(error).__name__}: {error})"
            else:
                if len(content) <= VALUE_LIMIT:
                    pickles[name] = content
                    continue
                reason = f"it takes {len(content):,} bytes, the limit is {VALUE_LIMIT:,}"
            self.tell(f"memory:{name}", f"the result's {name!r} stays in memory only: {reason}")
        return pickles

    def _loaded(self, name: str, content: bytes) -> Any:  # noqa: ANN401 - a user's object
        try:
            return pickle.loads(content)  # noqa: S301 - from the user's own executors, never a store
        except Exception as error:  # noqa: BLE001 - a class that the driver has not
            self.tell(
                f"opaque:{name}",
                f"the result's {name!r} stays pickled: it does not load here "
                f"({type(error).__name__}: {error})",
            )
            return content


def _is_bare(outcome: Outcome) -> bool:
    """Whether an outcome's result has no more than loss and status, as most have."""
    return not (outcome.attachments or outcome.objects or outcome.dropped) and (
        outcome.result.keys() <= {"loss", "status"}
    )
