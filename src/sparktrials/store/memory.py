"""Experiments in memory: the same rules, gone with the process."""

from __future__ import annotations

import io
import operator
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

from sparktrials.errors import StoreError, StoreInUse
from sparktrials.store.contents import checked_content, pieces
from sparktrials.store.lease import Holder, refusal
from sparktrials.store.requests import attached, checked_key, checked_name, named
from sparktrials.store.url import MEMORY
from sparktrials.study.trial import TERMINAL

if TYPE_CHECKING:
    from typing_extensions import Self

    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Content:
    """An experiment's trials in the order of their last change, and its attachments."""

    experiment: Experiment
    trials: dict[int, tuple[int, Trial]] = field(default_factory=dict)
    attachments: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def picklable(self) -> _Content:
        """Return a copy whose trials hold dicts: views of dicts cannot be pickled."""
        trials = {
            number: (position, replace(trial, point=dict(trial.point), result=dict(trial.result)))
            for number, (position, trial) in self.trials.items()
        }
        return _Content(self.experiment, trials, dict(self.attachments))


class MemoryStore:
    """A store that lasts as long as the object; safe for threads.

    A pickled one takes its content along, as a copy that is driven by nobody.

    Notes
    -----
    Trials are kept as they are, values that are not plain data included.
    """

    durable: bool = False

    def __init__(self) -> None:
        self._contents: dict[str, _Content] = {}
        self._position = 0
        self._start()

    def _start(self) -> None:
        self._closed = False
        self._holders: dict[str, Holder] = {}
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        """``memory:``."""
        return MEMORY

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def experiments(self) -> list[Experiment]:
        """Return all experiments, by key."""
        with self._lock:
            self._check_open()
            return [content.experiment for _, content in sorted(self._contents.items())]

    def experiment(self, key: str) -> Experiment | None:
        """Return one, or None."""
        with self._lock:
            self._check_open()
            content = self._contents.get(checked_key(key))
            return None if content is None else content.experiment

    def create(self, experiment: Experiment) -> Experiment:
        """Add it unless its key is there; return the one that is stored.

        Raises
        ------
        InvalidArgument
            If its key is not valid text.
        """
        with self._lock:
            self._check_open()
            key = checked_key(experiment.key)
            return self._contents.setdefault(key, _Content(experiment)).experiment

    def bind(self, experiment: Experiment, *, replace: bool = False) -> Experiment:
        """Give an experiment whose space is not known yet its space; return the one stored.

        `replace`: also if it has one.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        with self._lock:
            content = self._known(experiment.key)
            if replace or not content.experiment.fingerprint:
                content.experiment = experiment
            return content.experiment

    def acquire(self, key: str) -> None:
        """Become the experiment's one driver.

        Raises
        ------
        StoreInUse
            If it was acquired and not released.
        StoreError
            If there is no such experiment.
        """
        with self._lock:
            self._known(key)
            here = Holder.here(uuid.uuid4().hex)
            holder = self._holders.get(key)
            if holder is not None and holder.pid == here.pid:  # else this is a fork's own copy
                raise StoreInUse(refusal(key, self.url, holder, here))
            self._holders[key] = here

    def release(self, key: str) -> None:
        """Stop being the driver; idempotent."""
        with self._lock:
            self._holders.pop(key, None)

    def append(
        self,
        key: str,
        trials: Sequence[Trial],
        attachments: Mapping[int, Mapping[str, bytes | BinaryIO]] | None = None,
    ) -> None:
        """Write the trials' present states, and attachments by trial id.

        A state that is already there, or comes too late (the stored trial is terminal, or of a
        later attempt), changes nothing, and neither do its attachments. The names of attachments
        are added to their trial's.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            If the attachments are not bytes, or files of them that can be read twice, by name of
            trials that are given, too.
        StoreError
            If there is no such experiment.
        """
        contents = attached(trials, attachments)
        with self._lock:
            content = self._known(key)
            position = self._position + 1
            for trial in trials:
                new = named(trial, contents)
                _, old = content.trials.get(new.id, (0, None))
                if old is not None and (old.state in TERMINAL or old.attempt > new.attempt):
                    continue
                for name, data in contents.get(new.id, {}).items():
                    content.attachments[new.id, name] = b"".join(pieces(data))
                if old is None or not _equal(old, new):
                    content.trials.pop(new.id, None)  # to the end: the last change
                    content.trials[new.id] = (position, new)
                    self._position = position

    def read(self, key: str, since: int = 0) -> tuple[list[Trial], int]:
        """Return the trials that changed after position `since`, by id, and the new position.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        start = operator.index(since)
        with self._lock:
            changed: list[Trial] = []
            last = start
            for position, trial in reversed(self._known(key).trials.values()):
                if position <= start:
                    break
                changed.append(trial)
                last = max(last, position)
        return sorted(changed, key=lambda t: t.id), last

    def attach(self, key: str, trial_id: int, name: str, content: bytes | BinaryIO) -> None:
        """Attach a content to a trial that is there; one of that name is replaced.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            If the name is no text, or the content neither bytes nor a file of them.
        StoreError
            If there is no such experiment or trial.
        """
        number, own_name = operator.index(trial_id), checked_name(trial_id, name)
        data = b"".join(pieces(checked_content(number, own_name, content)))
        with self._lock:
            kept = self._known(key)
            if number not in kept.trials:
                msg = f"experiment {key!r} in {self.url} has no trial {number}"
                raise StoreError(msg)
            kept.attachments[number, own_name] = data
            trial = kept.trials[number][1]
            if own_name not in trial.attachments:
                del kept.trials[number]  # the last change comes last
                self._position += 1
                trial = replace(trial, attachments=(*trial.attachments, own_name))
                kept.trials[number] = (self._position, trial)

    def open_attachment(self, key: str, trial_id: int, name: str) -> BinaryIO:
        """Return one attachment as a file to read from; KeyError if there is none."""
        return io.BytesIO(self.attachment(key, trial_id, name))

    def attachment(self, key: str, trial_id: int, name: str) -> bytes:
        """Return one attachment; KeyError if there is none.

        Raises
        ------
        StoreError
            If there is no such experiment.
        """
        with self._lock:
            try:
                return self._known(key).attachments[operator.index(trial_id), name]
            except KeyError:
                msg = f"trial {trial_id} of experiment {key!r} has no attachment {name!r}"
                raise KeyError(msg) from None

    def delete(self, key: str) -> None:
        """Remove an experiment with all its trials and attachments; nothing if it is not there."""
        with self._lock:
            self._check_open()
            self._contents.pop(key, None)
            self._holders.pop(key, None)

    def compact(self) -> tuple[int, int]:
        """Return the number of trials, twice: nothing is kept of what is no more."""
        with self._lock:
            self._check_open()
            n = sum(len(content.trials) for content in self._contents.values())
        return n, n

    def close(self) -> None:
        """Free everything; idempotent."""
        with self._lock:
            self._contents.clear()
            self._holders.clear()
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> tuple[dict[str, _Content], int]:
        with self._lock:
            self._check_open()
            return {k: c.picklable() for k, c in self._contents.items()}, self._position

    def __setstate__(self, state: tuple[dict[str, _Content], int]) -> None:
        self._contents, self._position = state
        self._start()

    def _check_open(self) -> None:
        if self._closed:
            msg = "this memory store is closed, and its content gone: open another one"
            raise StoreError(msg)

    def _known(self, key: str) -> _Content:
        self._check_open()
        content = self._contents.get(checked_key(key))
        if content is None:
            msg = f"{self.url} has no experiment {key!r}"
            raise StoreError(msg)
        return content


def _equal(a: Trial, b: Trial) -> bool:
    try:
        return a == b
    except Exception:  # noqa: BLE001 - whatever objects do: results hold any, arrays say ValueError
        return False
