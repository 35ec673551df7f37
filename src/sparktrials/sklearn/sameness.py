"""Whether the trials that a search is given are of its data, and judged as it judges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from sparktrials.api.view import best_of
from sparktrials.errors import InvalidArgument, InvalidPoint

if TYPE_CHECKING:
    from sparktrials.space import Space
    from sparktrials.study.trial import Trial

__all__ = ["DATA", "check_same", "check_space", "digest_of"]

#: What says in a trial's result by which data it was judged, and how.
DATA = "data"
#: Rows of features that are looked at, at most.
_ROWS = 1_000
#: Parameters of estimators that change no result.
_ASIDE = frozenset({"n_jobs", "verbose"})


def digest_of(X: Any, y: Any, *judged_by: object) -> str:  # noqa: ANN401 - any data
    """Return what tells data from other data, and one way to judge from another.

    The former is of the target, and of shape and rows of features; a dash divides the two.
    Frames, whose columns may be kept in several ways, are told by their shape and the target.

    Parameters
    ----------
    X, y
        Features and target.
    judged_by
        Scorers, their names, numbers of folds, estimators: what else makes losses comparable.
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
    """Return a name of it that is the same in the next process, without any address."""
    if isinstance(judge, (str, int, float, type(None))):
        return repr(judge)
    if isinstance(judge, (list, tuple)):
        parts: Iterable[object] = judge
    elif isinstance(judge, Mapping):
        parts = judge.items()
    elif hasattr(judge, "_score_func"):  # what make_scorer has made
        parts = [getattr(judge, name, None) for name in ("_score_func", "_sign", "_kwargs")]
    elif hasattr(judge, "get_params") and not isinstance(judge, type):
        settings = sorted(judge.get_params(deep=False).items())
        parts = [type(judge).__qualname__, *(pair for pair in settings if pair[0] not in _ASIDE)]
    else:
        return _named_function(judge)
    return repr([_named(part) for part in parts])


def _named_function(judge: object) -> str:
    """Return its name; a function that has none of its own is told by what it says, too."""
    name = str(getattr(judge, "__qualname__", type(judge).__qualname__))
    code = getattr(judge, "__code__", None)
    if code is None or not ("<lambda>" in name or "<locals>" in name):
        return name
    constants = [c for c in code.co_consts if isinstance(c, (str, float, int))]
    return repr([name, code.co_names, constants])


def _add(found: Any, values: np.ndarray) -> None:  # noqa: ANN401 - of hashlib
    found.update(repr((values.shape, values.dtype.str)).encode())
    if values.dtype == object:
        found.update(repr(values.tolist()).encode())
    else:
        found.update(values.tobytes())


def check_space(history: Sequence[Trial], space: Space) -> None:
    """Refuse results of another space: the best one of these could not be built.

    Parameters
    ----------
    history
        The trials that a search would go on with.
    space
        Of this search.

    Raises
    ------
    InvalidPoint
        If the best one is of another space.
    """
    best = best_of(history)
    if best is None:
        return
    try:
        space.checked(best.point, name=f"trial {best.id}, the best one,")
    except InvalidPoint as error:
        msg = (
            f"trials has results of another space: {error}. Fit without warm_start, and with "
            "trials of its own"
        )
        raise InvalidPoint(msg) from None


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
            "of folds, or are of another estimator, than this fit's, with which their losses "
            "cannot be compared: fit without warm_start, and with trials of its own"
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
