"""How a data set is split to judge a pipeline: once, so that all trials have the same parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)
from sklearn.utils import _safe_indexing

from sparktrials.errors import InvalidArgument

__all__ = ["Splitting", "all_have", "parts_of_pairs", "rows_of"]

#: Bytes from which rows that follow one another are not copied.
_LARGE = 1 << 25
#: The share of samples to judge by that `fit` has by default.
_VALID_SIZE = 0.2
#: Letters of numpy's kinds.
_NUMBERS = frozenset("iufb")


def rows_of(X: Any, places: Any) -> Any:  # noqa: ANN401 - any data, an array
    """Return some rows; of large data those that follow one another as they stand there.

    Such rows cannot be written to: they are a part of what all trials share.
    """
    n = len(places)
    in_a_row = n > 0 and places[-1] - places[0] == n - 1 and bool((np.diff(places) == 1).all())
    if not in_a_row or not _is_of_numbers(X) or _n_bytes(X) < _LARGE:
        return _safe_indexing(X, places)
    part = _safe_indexing(X, slice(int(places[0]), int(places[-1]) + 1))
    return _read_only(part) if isinstance(part, np.ndarray) else _read_only_frame(part)


def _is_of_numbers(X: Any) -> bool:  # noqa: ANN401
    """Whether `X` is an array, or a frame of pandas' that is one, of numbers or booleans."""
    if isinstance(X, np.ndarray):
        return X.dtype.kind in _NUMBERS
    if type(X).__module__.partition(".")[0] != "pandas" or not hasattr(X, "columns"):
        return False
    dtypes = set(X.dtypes)
    return len(dtypes) == 1 and all(isinstance(d, np.dtype) and d.kind in _NUMBERS for d in dtypes)


def _read_only(part: Any) -> Any:  # noqa: ANN401 - an array
    # Through a buffer: of an array alone scikit-learn makes a frame's writable again.
    return np.asarray(memoryview(part).toreadonly())


def _read_only_frame(part: Any) -> Any:  # noqa: ANN401 - a frame
    return type(part)(_read_only(part.to_numpy()), part.index, part.columns, copy=False)


def parts_of_pairs(pairs: Iterable[tuple[Any, Any]], n: int) -> list[tuple[Any, Any]]:
    """Return what a splitter said as pairs of index arrays; it may say masks of all samples.

    Raises
    ------
    InvalidArgument
        If a place is none of the `n` samples.
    """
    parts = [(_places_of(fit_by), _places_of(judge_by)) for fit_by, judge_by in pairs]
    for i, pair in enumerate(parts):
        for places in pair:
            if places.dtype.kind in "iu" and len(places) and not -n <= _furthest(places) < n:
                msg = (
                    f"cv has the place {_furthest(places)} in fold {i + 1} of {len(parts)}, but "
                    f"there are {n} samples: places are from 0 to {n - 1}"
                )
                raise InvalidArgument(msg)
    return parts


def _places_of(part: Any) -> Any:  # noqa: ANN401 - an array, or what becomes one
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part


def _furthest(places: Any) -> int:  # noqa: ANN401 - an array
    last, first = int(places.max()), int(places.min())
    return last if last >= -first else first


def all_have(labels: Any, y: Any, parts: Sequence[tuple[Any, Any]]) -> bool:  # noqa: ANN401 - arrays
    """Whether each part that is fitted by has samples of all labels."""
    codes = np.unique(y, return_inverse=True)[1].reshape(y.shape)
    n = len(labels)
    return all(np.bincount(codes[fit_by].ravel(), minlength=n).all() for fit_by, _ in parts)


def _n_bytes(X: Any) -> int:  # noqa: ANN401
    return int(X.nbytes if isinstance(X, np.ndarray) else X.memory_usage(index=False).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitting:
    """What ``fit`` was asked for.

    Attributes
    ----------
    cv
        A splitter, a number of folds or pairs of indices; the others are not given then.
    n_folds
        A number of folds; -1: each sample once.
    valid_size
        The share of samples to judge by, where there are no folds.
    shuffle
        Whether samples are shuffled first; without, the last ones are those to judge by.
    groups
        Samples of a group are not torn apart.
    """

    cv: Any = None
    n_folds: int | None = None
    valid_size: float = _VALID_SIZE
    shuffle: bool = False
    groups: Any = None

    def parts(
        self,
        X: Any,  # noqa: ANN401 - any data
        y: Any,  # noqa: ANN401
        *,
        classification: bool,
        seed: int,
    ) -> list[tuple[Any, Any]]:
        """Return pairs of index arrays: to fit by, to judge by.

        Raises
        ------
        InvalidArgument
            If a number makes no sense, a part would be empty, or there are two ways to split.
        ValueError
            As scikit-learn's splitters do.
        """
        if self.cv is not None:
            self._check_alone()
            splitter = check_cv(self.cv, y, classifier=classification)
            return parts_of_pairs(splitter.split(X, y, self.groups), len(y))
        n = len(y)
        if self.n_folds is not None:
            splitter = self._folds(classification=classification, seed=seed)
        elif not self.shuffle and self.groups is None:
            return [self._last(n)]
        else:
            splitter = self._shuffled(classification=classification, seed=seed)
        # What is split are places: neither the features' kind nor their values matter.
        return list(splitter.split(np.zeros((n, 1)), y, self.groups))

    def _check_alone(self) -> None:
        others = {
            "n_folds": self.n_folds is not None,
            "valid_size": self.valid_size != _VALID_SIZE,
            "cv_shuffle": self.shuffle,
        }
        if also := [name for name, given in others.items() if given]:
            msg = (
                f"cv={self.cv!r} says how to split, and so does {also[0]}= of fit: give one. A "
                "splitter that shuffles is, for instance, KFold(5, shuffle=True)"
            )
            raise InvalidArgument(msg)

    def _last(self, n: int) -> tuple[Any, Any]:
        n_train = int(n * (1 - self._checked_size()))
        if not 0 < n_train < n:
            msg = (
                f"valid_size={self.valid_size!r} of n_samples={n} leaves no sample to fit or none "
                "to judge by: give more samples"
            )
            raise InvalidArgument(msg)
        places = np.arange(n)
        return places[:n_train], places[n_train:]

    def _checked_size(self) -> float:
        if not 0 < self.valid_size < 1:
            msg = f"valid_size must be a share between 0 and 1, got {self.valid_size!r}"
            raise InvalidArgument(msg)
        return self.valid_size

    def _folds(self, *, classification: bool, seed: int) -> Any:  # noqa: ANN401 - a splitter
        n = self.n_folds
        if n == -1:
            return LeaveOneOut()
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:  # noqa: PLR2004
            msg = f"n_folds must be a whole number of 2 or more, or -1 for each sample once: {n!r}"
            raise InvalidArgument(msg)
        shuffled = {"shuffle": True, "random_state": seed} if self.shuffle else {}
        if self.groups is not None:
            if classification:
                return StratifiedGroupKFold(n_splits=n, **shuffled)
            return GroupKFold(n_splits=n)
        kind = StratifiedKFold if classification else KFold
        return kind(n_splits=n, **shuffled)

    def _shuffled(self, *, classification: bool, seed: int) -> Any:  # noqa: ANN401 - a splitter
        size = self._checked_size()
        if self.groups is not None:
            kind = GroupShuffleSplit
        else:
            kind = StratifiedShuffleSplit if classification else ShuffleSplit
        return kind(n_splits=1, test_size=size, random_state=seed)
