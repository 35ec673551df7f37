"""The attachments of one trial: what the objective returned, and what was added to it later."""

from __future__ import annotations

import warnings
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from sparktrials.study.protocols import Store

__all__ = ["AllAttachments", "TrialAttachments", "attachment_name"]

_PREFIX = "ATTACH::"


def attachment_name(trial_id: int, name: str) -> str:
    """Return the name of a trial's attachment among those of all trials, as in Hyperopt."""
    return f"{_PREFIX}{trial_id}::{name}"


def _tell_where(name: str, url: str | None) -> None:
    if url is not None:
        warnings.warn(
            f"attachment {name!r} is kept in memory and in pickles, not in {url}: what an "
            "objective returns under 'attachments' is",
            stacklevel=3,
        )


class AllAttachments(MutableMapping[str, Any]):
    """``trials.attachments``: those of all trials, under `attachment_name`, and others.

    Parameters
    ----------
    added
        What was set by hand.
    url
        The durable store that does not keep those; None where there is none.
    stored
        Returns ``(trial id, names)`` of those that the store has.
    fetch
        Returns one of them, given the trial's id and the name.
    """

    def __init__(
        self,
        added: MutableMapping[str, Any],
        url: str | None,
        stored: Callable[[], Iterable[tuple[int, Collection[str]]]],
        fetch: Callable[[int, str], bytes],
    ) -> None:
        self._added = added
        self._url = url
        self._stored = stored
        self._fetch = fetch

    def _names(self) -> dict[str, tuple[int, str]]:
        return {attachment_name(i, n): (i, n) for i, names in self._stored() for n in names}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever was attached
        if name in self._added:
            return self._added[name]
        number, _, own = name.removeprefix(_PREFIX).partition("::")
        if not (name.startswith(_PREFIX) and number.isdigit() and own):
            raise KeyError(name)
        return self._fetch(int(number), own)

    def __setitem__(self, name: str, content: Any) -> None:  # noqa: ANN401
        _tell_where(name, self._url)
        self._added[name] = content

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def copy(self) -> dict[str, Any]:
        """Return them as a dict."""
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._names(), *self._added]))

    def __len__(self) -> int:
        return len(self._names().keys() | self._added.keys())

    def __repr__(self) -> str:
        return f"<attachments {', '.join(self)}>"


class TrialAttachments(MutableMapping[str, Any]):
    """``name -> content``; what is set here is kept in memory, and in pickles.

    Parameters
    ----------
    added
        Attachments of all trials that were set by hand, see `attachment_name`.
    stored
        Returns the names of those that the store has, as far as these trials know.
    store, key
        The store, and the experiment's name in it.
    noted
        Called with the names, when there is another one.
    """

    def __init__(  # noqa: PLR0917 - its maker is one
        self,
        trial_id: int,
        added: MutableMapping[str, Any],
        stored: Callable[[], Collection[str]],
        store: Store,
        key: str,
        noted: Callable[[Sequence[str]], None],
    ) -> None:
        self._trial_id = trial_id
        self._added = added
        self._stored = stored
        self._store = store
        self._key = key
        self._noted = noted

    def _name(self, name: str) -> str:
        return attachment_name(self._trial_id, name)

    def attach(self, name: str, content: bytes | BinaryIO) -> None:
        """Keep a content in the store, beside the trial: bytes, or a file opened with ``"rb"``.

        A file is read piece by piece: it may be larger than the memory. One of that name is
        replaced.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            If the content is neither.
        StoreInUse
            If another driver has the experiment.
        """
        self._store.attach(self._key, self._trial_id, name, content)
        self._noted(tuple(dict.fromkeys([*self._stored(), name])))

    def open(self, name: str) -> BinaryIO:
        """Return one that is in the store as a file to read from; KeyError if there is none."""
        return self._store.open_attachment(self._key, self._trial_id, name)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever was attached
        if self._name(name) in self._added:
            return self._added[self._name(name)]
        return self._store.attachment(self._key, self._trial_id, name)

    def __setitem__(self, name: str, content: Any) -> None:  # noqa: ANN401
        _tell_where(name, self._store.url if self._store.durable else None)
        self._added[self._name(name)] = content

    def __delitem__(self, name: str) -> None:
        if self._name(name) in self._added:
            del self._added[self._name(name)]
        elif name in self._stored():
            msg = f"attachment {name!r} of trial {self._trial_id} came with its result and stays"
            raise TypeError(msg)
        else:
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return self._name(str(name)) in self._added or name in self._stored()

    def __iter__(self) -> Iterator[str]:
        prefix = self._name("")
        own = [n.removeprefix(prefix) for n in self._added if n.startswith(prefix)]
        return iter(dict.fromkeys([*self._stored(), *own]))

    def __len__(self) -> int:
        return sum(1 for _ in self)
