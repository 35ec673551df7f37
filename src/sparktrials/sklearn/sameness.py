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
    """Return what tells data from other data, and one way to judge from another.

    The former is of the target, and of shape and rows of features; a dash divides the two.
    Frames, whose columns may be kept in several ways, are told by their shape and the target.

    Parameters
    ----------
    X, y
        Features and target.
    judged_by
        Scorers, their names, numbers of folds: what else makes losses comparable.
    """
    judges = hashlib.sha256(repr([_named(one) for one in judged_by]).encode())
    found = hashlib.sha256(repr(np.shape(X)).encode())
    if sparse.issparse(X):
        found.update(repr(X.nnz).encode())
    elif isinstance(X, np.ndarray) and X.dtype != object:
        _add(found, X[:: max(1, len(X) // _ROWS)])
    if y is not None:
        _add(found, np.asarray(y))
    return f"{found.hexdigest()[:32]}-{judges.hexdigest()[:16]}"


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


def check_same(history: Iterable[Trial], digest: str, *, any_data: bool = False) -> None:
    """Refuse results of other data or judged in another way: their losses say nothing here.

    Parameters
    ----------
    history
        The trials that a search would go on with.
    digest
        Of this search, by `digest_of`.
    any_data
        Whether results of other data are taken: ``warm_start=True`` says so.

    Raises
    ------
    InvalidArgument
        If there are any.
    """
    known = [str(found) for trial in history if (found := trial.result.get(DATA)) is not None]
    judged = digest.partition("-")[2]
    otherwise = sum(found.partition("-")[2] != judged for found in known)
    if otherwise:
        msg = (
            f"trials has {otherwise} results that were judged by another scoring, loss or number "
            "of folds than this fit's, with which their losses cannot be compared: fit without "
            "warm_start, and with trials of its own"
        )
        raise InvalidArgument(msg)
    others = 0 if any_data else sum(found != digest for found in known)
    if others:
        msg = (
            f"trials has {others} results of other data than this fit is given: give each search "
            "trials of its own (no trials= where an estimator is cloned, as in cross_val_score), "
            "or go on with them by warm_start=True"
        )
        raise InvalidArgument(msg)
