"""Whether the trials that a search is given are of its data, and judged as it judges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from sparktrials.study.trial import Trial

__all__ = ["DATA", "check_same", "digest_of"]

#: What says in a trial's result by which data it was judged, and how.
DATA = "data"
#: Rows of features that are looked at, at most.
_ROWS = 1_000


def digest_of(X: Any, y: Any, *judged_by: object) -> str:  # noqa: ANN401 - any data
    """Return what tells data from other data: of the target, and of shape and rows of features.

    Frames, whose columns may be kept in several ways, are told by their shape and the target.

    Parameters
    ----------
    X, y
        Features and target.
    judged_by
        Scorers, their names, numbers of folds: what else makes losses comparable.
    """
    names = [_named(one) for one in judged_by]
    found = hashlib.sha256(repr((np.shape(X), names)).encode())
    if sparse.issparse(X):
        found.update(repr(X.nnz).encode())
    elif isinstance(X, np.ndarray) and X.dtype != object:
        _add(found, X[:: max(1, len(X) // _ROWS)])
    if y is not None:
        _add(found, np.asarray(y))
    return found.hexdigest()[:32]


def _named(judge: object) -> str:
    """Return a name of it that is the same in the next process."""
    if isinstance(judge, (str, int, list, tuple, type(None))):
        return repr(judge)
    if isinstance(judge, Mapping):
        return repr([(key, _named(one)) for key, one in judge.items()])
    scorer = getattr(judge, "_score_func", None)  # of what make_scorer has made
    return str(getattr(scorer or judge, "__qualname__", type(judge).__qualname__))


def _add(found: Any, values: np.ndarray) -> None:  # noqa: ANN401 - of hashlib
    found.update(repr((values.shape, values.dtype.str)).encode())
    if values.dtype == object:
        found.update(repr(values.tolist()).encode())
    else:
        found.update(values.tobytes())


def check_same(history: Iterable[Trial], digest: str) -> None:
    """Refuse results of other data: they would be taken for results of this one.

    Raises
    ------
    InvalidArgument
        If there are any.
    """
    known = [found for trial in history if (found := trial.result.get(DATA)) is not None]
    others = sum(found != digest for found in known)
    if others:
        msg = (
            f"trials has {others} results of other data than this fit is given, or judged by "
            "another scoring, loss or number of folds: give each search trials of its own (no "
            "trials= where an estimator is cloned, as in cross_val_score), or go on with them by "
            "warm_start=True"
        )
        raise InvalidArgument(msg)
