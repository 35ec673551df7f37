"""What is given as ``scoring``, and whether the labels and parts of this data can be scored by it.

That is asked of scikit-learn itself, with a model that predicts without learning: what its scorer
raises for that model it raises for all.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer, get_scorer_names, r2_score
from sklearn.utils.multiclass import type_of_target

from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from sparktrials.sklearn.evaluation import Judgement

__all__ = [
    "check_judged",
    "check_labels",
    "check_scorable",
    "check_scorer",
    "check_scoring",
    "named_scorer",
]

#: Parts that are looked at: there may be as many as samples.
_PARTS = 100
#: What is said of a score that is not a number.
_NO_AREA = "the area is not defined"
#: What is said for short.
_SHORT = {
    "auc": "roc_auc",
    "logloss": "neg_log_loss",
    "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
    "mse": "neg_mean_squared_error",
    "rmse": "neg_root_mean_squared_error",
}
#: What a metric's name ends with if less is better.
_LESS = ("_error", "_loss", "_deviance")


def named_scorer(name: str) -> Callable[..., Any]:
    """Return scikit-learn's scorer of a name.

    Raises
    ------
    InvalidArgument
        If there is none, with the one that was meant.
    """
    names = get_scorer_names()
    if name in names:
        found: Callable[..., Any] = get_scorer(name)
        return found
    meant = _SHORT.get(name.lower()) or next(
        iter(difflib.get_close_matches(name.lower().replace(" ", "_"), names, n=1)), None
    )
    msg = (
        f"The 'scoring' parameter must be the name of a scorer, but {name!r} is not a valid "
        "scoring value"
        + (f": did you mean {meant!r}?" if meant else "")
        + " sklearn.metrics.get_scorer_names() has all"
    )
    raise InvalidArgument(msg)


def check_scorer(given: object) -> None:
    """Refuse a metric, which gets targets and predictions, where a scorer is needed.

    Raises
    ------
    InvalidArgument
        If it is one, with what to write.
    """
    if not inspect.isfunction(given):
        return
    name, module = given.__name__, str(given.__module__)
    by_sklearn = (
        module.startswith("sklearn.metrics.")
        and not module.endswith("_scorer")
        and getattr(sys.modules.get(module), name, None) is given
    )
    # A scorer that wraps a metric has the metric's name, and not its parameters.
    parameters = list(inspect.signature(given, follow_wrapped=False).parameters)
    if not by_sklearn and parameters[:2] != ["y_true", "y_pred"]:
        return
    less = ", greater_is_better=False" if name.endswith(_LESS) else ""
    same = [
        scorer
        for scorer in get_scorer_names()
        if getattr(get_scorer(scorer), "_score_func", None) is given
    ]
    also = f", or scoring={min(same, key=len)!r}" if same else ""
    msg = (
        f"scoring={name} looks like it is a metric function rather than a scorer, which is called "
        f"with a model, X and y: write scoring=make_scorer({name}{less}){also}"
    )
    raise InvalidArgument(msg)


def check_scoring(scoring: object) -> None:
    """Refuse metrics that are no scorers, and names that are none, alone or in a list or a dict.

    Raises
    ------
    InvalidArgument
        If there is one, with what to write.
    """
    several = isinstance(scoring, (list, tuple, set, dict))
    values = scoring.values() if isinstance(scoring, dict) else scoring if several else [scoring]
    for one in values:  # type: ignore[attr-defined]
        check_scorer(one)
        if isinstance(one, str):
            named_scorer(one)


def check_labels(y: Any, judgement: Judgement) -> None:  # noqa: ANN401 - an array
    """Refuse a target of one class, and one that accuracy, where that is the loss, does not score.

    Raises
    ------
    InvalidArgument
        If it is one.
    """
    by_accuracy = judgement.scorer is None and judgement.loss_fn is None
    if by_accuracy and y.ndim > 1 and type_of_target(y) == "multiclass-multioutput":
        msg = (
            f"y has {y.shape[1]} columns of more than two classes, which accuracy does not score: "
            "search for each column by itself, or give a loss_fn"
        )
        raise InvalidArgument(msg)
    if y.ndim == 1 and len(y) > 1 and len(np.unique(y)) == 1:
        msg = (
            f"y has one class only, {_plain(y[0])!r}, in all {len(y)} samples: there is nothing to "
            "tell apart"
        )
        raise InvalidArgument(msg)


def check_judged(
    judgement: Judgement,
    y: Any,  # noqa: ANN401 - an array
    parts: Sequence[tuple[Any, Any]],
    *,
    classification: bool,
) -> None:
    """Refuse a way to judge pipelines that says nothing of this target, by these parts.

    Raises
    ------
    InvalidArgument
        If it is such a one: a scorer that cannot score, or R² of one sample.
    """
    if classification:
        check_scorable(judgement.scorer, y, parts)
    elif judgement.scorer is not None:
        if getattr(judgement.scorer, "_score_func", None) is r2_score:  # one NaN: the mean is NaN
            _check_r2(min((len(by) for _, by in parts), default=0), "a part to judge by")
    elif judgement.loss_fn is None:
        _check_r2(sum(len(judge_by) for _, judge_by in parts), "all that is judged by")


def _check_r2(n: int, of: str) -> None:
    if n == 1:
        msg = (
            f"R² of one sample is not defined, and {of} has one sample only: give more samples or "
            "fewer folds, or a loss of each sample, as scoring='neg_mean_absolute_error' is"
        )
        raise InvalidArgument(msg)


def check_scorable(
    scorer: Any,  # noqa: ANN401 - a callable, or None
    y: Any,  # noqa: ANN401
    parts: Sequence[tuple[Any, Any]],
    *,
    errors: bool = True,
) -> None:
    """Refuse a scorer that cannot score any classifier of this target, by these parts.

    Parameters
    ----------
    scorer, y, parts
        The scorer, the target and the places of each part's samples to fit and to judge by.
    errors
        Whether what the scorer raises is refused, as a score of NaN is.

    Raises
    ------
    InvalidArgument
        With what scikit-learn says, of which part, and what to do.
    """
    metric = getattr(scorer, "_score_func", None)
    if metric is None or not metric.__module__.startswith("sklearn.metrics"):
        return
    y = np.asarray(y)
    if y.ndim != 1:
        return
    try:
        labels, codes = np.unique(y, return_inverse=True)
    except TypeError:  # of several types: the trials will say
        return
    seen: set[tuple[bytes, bytes]] = set()
    for i, (fit_by, judge_by) in enumerate(parts[:_PARTS]):
        if not len(fit_by) or not len(judge_by):
            return
        counts = [np.minimum(np.bincount(codes[by]), 2) for by in (fit_by, judge_by)]
        alike = (counts[0].tobytes(), counts[1].tobytes())
        if alike in seen:
            continue
        seen.add(alike)
        # What is raised depends on which labels there are: a few samples of each will do.
        few = [labels[: len(n)].repeat(n) for n in counts]
        said = _said(scorer, metric.__name__, *few)
        said = said and _said(scorer, metric.__name__, y[fit_by], y[judge_by])
        if said and (errors or said == _NO_AREA):
            where = "" if len(parts) == 1 else f" of fold {i + 1} of {len(parts)}"
            by_all = "pos_label" not in inspect.signature(metric).parameters
            rare = by_all and "multi_class" not in said and _few(y, y[fit_by], y[judge_by], parts)
            remedy = rare or _remedy(scorer, metric.__name__, y, y[judge_by])
            msg = f"scoring by {metric.__name__} fails for the samples{where}: {said}. {remedy}"
            raise InvalidArgument(msg)


def _said(scorer: Any, name: str, y_fit: Any, y_judge: Any) -> str:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            guess = DummyClassifier(strategy="prior").fit(np.zeros((len(y_fit), 1)), y_fit)
            score = scorer(guess, np.zeros((len(y_judge), 1)), y_judge)
    except ValueError as error:
        return str(error).rstrip(".")
    except Exception:  # noqa: BLE001 - what this model has not others may have
        return ""
    if name == "roc_auc_score" and np.isnan(score):
        return _NO_AREA
    return ""


def _few(y: Any, y_fit: Any, y_judge: Any, parts: Sequence[Any]) -> str:  # noqa: ANN401 - arrays
    """Return what to say of labels that no split of so many folds has on both sides."""
    labels, counts = np.unique(y, return_counts=True)
    both = np.intersect1d(y_fit, y_judge)
    few = {_plain(a): n for a, n in zip(labels, counts.tolist(), strict=True) if a not in both}
    folds = max(2, len(parts))
    if not few or max(few.values()) >= folds:
        return ""
    each = ", ".join(f"{label!r} ({n})" for label, n in few.items())
    return (
        f"Labels with fewer samples than there are folds: {each}. Leave their samples out, give "
        "more of them, or take fewer folds"
    )


def _remedy(scorer: Any, name: str, y: Any, y_judge: Any) -> str:  # noqa: ANN401
    labels, counts = np.unique(y, return_counts=True)
    here = np.unique(y_judge)
    plain = name.removesuffix("_score")
    if len(here) == 1 and len(labels) > 1:
        return (
            f"They all have the label {_plain(here[0])!r}: split by cv=StratifiedKFold(5, "
            "shuffle=True), or shuffle the samples"
        )
    if name == "roc_auc_score" and len(here) == len(labels):
        return f"For {len(labels)} labels there is scoring='roc_auc_ovr'"
    if len(labels) == 2 and "pos_label" in inspect.signature(scorer._score_func).parameters:  # noqa: PLR2004, SLF001
        rare = _plain(labels[np.argmin(counts)])
        method = getattr(scorer, "_response_method", "predict")
        how = "" if method == "predict" else f", response_method={method!r}"
        return (
            f"Say which label counts: scoring=make_scorer({name}{how}, pos_label={rare!r}), or "
            "make y 0 and 1"
        )
    if plain in {"f1", "precision", "recall", "jaccard"}:
        return f"For {len(labels)} labels there are scoring='{plain}_macro' and '{plain}_weighted'"
    if len(here) < len(labels):
        return (
            f"They have {len(here)} of {len(labels)} labels: split by cv=StratifiedKFold(5, "
            "shuffle=True), or give more samples"
        )
    return "Give another scoring="


def _plain(label: Any) -> Any:  # noqa: ANN401 - a cell
    return label.item() if isinstance(label, np.generic) else label
