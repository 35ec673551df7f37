"""What may be wrong with a store, found by looking at all of it; nothing is changed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparktrials.errors import StoreCorrupt, StoreError, StoreVersionError
from sparktrials.store.contents import PIECE_SIZE
from sparktrials.store.rows import trial_from
from sparktrials.store.spool import files, waiting
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.store.durable import DurableStore
    from sparktrials.study.trial import Trial

__all__ = ["Finding", "examined"]

_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a store.

    Attributes
    ----------
    what
        What it is.
    remedy
        What to do about it; empty where nothing is wrong.
    exp_key
        The experiment, or None.
    repair
        ``"absorb"`` or ``"compact"`` where that helps, and is safe.
    """

    what: str
    remedy: str = ""
    exp_key: str | None = None
    repair: str | None = None

    @property
    def wrong(self) -> bool:
        """Whether something should be done."""
        return bool(self.remedy)


def examined(store: DurableStore) -> Iterator[Finding]:
    """Look at a store, part after part: the first thing that is wrong hides no other."""
    yield from store.condition()
    try:
        keys = [e.key for e in store.experiments()]
    except StoreError as error:
        yield Finding(str(error), "restore a copy")
        return
    for key in keys:
        try:
            yield from _experiment(store, key)
        except StoreError as error:
            yield Finding(str(error), "restore a copy", key)


def _experiment(store: DurableStore, key: str) -> Iterator[Finding]:
    trials: list[Trial] = []
    broken: list[str] = []
    numbers: list[object] = []
    size = 0
    for change in store.records(key):
        numbers.append(change.trial)
        size += len(change.document) if isinstance(change.document, (str, bytes)) else 0
        try:
            trials.append(trial_from(change.trial, change.crc, change.document, key, "restore it"))
        except StoreVersionError as error:
            yield Finding(f"trial {change.trial!r}: {error}", "upgrade sparktrials", key)
        except StoreCorrupt:
            broken.append(repr(change.trial))
    if broken:
        yield Finding(
            f"{len(broken)} trials cannot be read: {_some(broken)}",
            "restore a copy; to save the rest, read it with sparktrials of a copy without them",
            key,
        )
    # By value: MongoDB's client has a class of its own for some integers.
    known = {n for n in numbers if isinstance(n, int) and not isinstance(n, bool)}
    n_missing = max(known, default=-1) + 1 - len(known)
    if n_missing > 0:
        # As many as are shown: of a number that damage made, nobody could list all.
        gaps = (str(i) for i in itertools.count() if i not in known)
        first = itertools.islice(gaps, min(n_missing, _MOST_SHOWN))
        yield Finding(
            f"{n_missing} ids are missing: {_some([*first], n_missing)}",
            "trials were lost, or came with gaps from elsewhere: compare with a copy; to number "
            "them anew is not offered",
            key,
        )
    yield from _attachments(store, key, trials)
    yield from _running(store, key, trials)
    for path in waiting(store.url, key):
        yield Finding(
            f"results that the store would not take wait in {path}",
            "run fmin again on this machine with this store and exp_key, or sparktrials doctor "
            "--repair: it hands them in",
            key,
            repair="absorb",
        )
    for kind in ("refused", "damaged"):
        for path in files(store.url, key, kind):
            yield Finding(
                f"results that are not in the history are in {path}: {kind}",
                "see the lines in it; rename it to end in .spool to try again, or remove it",
                key,
            )
    states = Counter(t.state.value for t in trials)
    texts = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "no trials"
    mean = f", {size / len(trials):,.0f} bytes a trial" if trials else ""
    yield Finding(f"{texts}{mean}", exp_key=key)


def _attachments(store: DurableStore, key: str, trials: list[Trial]) -> Iterator[Finding]:
    wrong: list[str] = []
    for trial in trials:
        for name in trial.attachments:
            try:
                with store.open_attachment(key, trial.id, name) as stream:
                    while stream.read(PIECE_SIZE):
                        pass
            except (KeyError, StoreCorrupt):
                wrong.append(f"{name!r} of trial {trial.id}")
    if wrong:
        yield Finding(
            f"{len(wrong)} attachments are missing or damaged: {_some(wrong)}",
            "restore a copy; the trials themselves are whole",
            key,
        )


def _running(store: DurableStore, key: str, trials: list[Trial]) -> Iterator[Finding]:
    driver = store.driver(key)
    if driver is not None and driver[1]:
        yield Finding(f"driven by {driver[0]}", exp_key=key)
        return
    running = [str(t.id) for t in trials if t.state is TrialState.RUNNING]
    if running:
        who = f"{driver[0]} is gone" if driver else "nobody drives it"
        yield Finding(
            f"{len(running)} trials are running, and {who}: {_some(running)}",
            "run fmin again with this store and exp_key: it takes them up; if a Study asked for "
            "them, tell it what became of them",
            key,
        )


def _some(items: list[str], n: int | None = None) -> str:
    n_more = (len(items) if n is None else n) - _MOST_SHOWN
    more = f" and {n_more} more" if n_more > 0 else ""
    return ", ".join(items[:_MOST_SHOWN]) + more
