"""One trial of a search over an estimator's parameters: each fold is fitted and scored.

scikit-learn's own search classes do this with the same functions, which are private to it; this is
the one place that calls them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)

from sparktrials.dispatch.current import current_trial
from sparktrials.dispatch.evaluation import STATUS_OK
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.failures import causes_of
from sparktrials.sklearn.ranks import ranks_here
from sparktrials.sklearn.sameness import DATA
from sparktrials.study.trial import Failure, FailureKind, Trial

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Broadcast
    from sparktrials.sklearn.racing import Race

__all__ = [
    "CrossValidation",
    "FoldsObjective",
    "check_judged_alike",
    "rows_of_trials",
    "with_cause",
]

#: Causes that an error shows.
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """What all trials of a search share; it goes to each executor once.

    Attributes
    ----------
    estimator
        Is copied for each fit.
    X, y
        All data; y may be None.
    splits
        Pairs of index arrays: to fit by, to score by.
    scorer
        As scikit-learn's searches have it: one scorer, several, or a function.
    fit_params, score_params
        What is passed on to ``fit`` and to the scorers; what has a value for each sample is split.
    return_train_score
        Whether the samples fitted by are scored, too.
    error_score
        The score of a fit that fails, or ``"raise"``.
    """

    estimator: Any
    X: Any
    y: Any
    splits: Sequence[tuple[Any, Any]]
    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    return_train_score: bool
    error_score: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldsObjective:
    """The objective of a search; it is what travels to where trials run.

    Attributes
    ----------
    shared
        What all trials share.
    metric
        The score that the search goes by; None: the only one, or the first.
    digest
        Of the data, see `sameness`; results have it.
    race
        Says which trials are ended after their first folds; None: none.
    """

    shared: Broadcast[CrossValidation]
    metric: str | None
    digest: str
    race: Race | None = None

    def __call__(self, parameters: object) -> dict[str, Any]:
        """Return the loss of parameters, minus the mean score, and what each fold said.

        Raises
        ------
        InvalidArgumentType
            If a point of the space is no dict of parameters.
        """
        if not isinstance(parameters, Mapping):
            msg = (
                "each point of the space must be a dict of the estimator's parameters, "
                f"{{name: value}}; got {parameters!r}"
            )
            raise InvalidArgumentType(msg)
        shared = self.shared.value
        ranks = ranks_here()
        race = self.race if ranks.number == 1 else None  # which has no fold to wait for
        folds: list[dict[str, Any]] = []
        losses: list[float] = []
        found: dict[str, Any] = {}
        for split in ranks.mine(shared.splits):
            folds.append(_fitted_and_scored(shared, parameters, split))
            if race is not None and len(folds) < len(shared.splits):
                losses.append(self._loss(folds))
                current_trial().report(len(folds) - 1, losses[-1])
                estimate = race.hopeless(losses)
                if estimate is not None:
                    found = {"loss": estimate, "pruned_after": len(folds)}
                    break
        else:
            folds = ranks.gathered(folds)
            found = {"loss": self._loss(folds)}
            if race is not None:
                found["losses"] = [*losses, found["loss"]]
                race.ended(found["losses"])
        fit_s, score_s = (float(sum(f[k] for f in folds)) for k in ("fit_time", "score_time"))
        return {
            "status": STATUS_OK,
            **found,
            DATA: self.digest,
            "folds": folds,
            "n_folds": len(folds),
            "fit_s": fit_s,
            "score_s": score_s,
        }

    def _loss(self, folds: Sequence[Mapping[str, Any]]) -> float:
        return -float(np.mean([_score_of(fold["test_scores"], self.metric) for fold in folds]))


def _fitted_and_scored(
    shared: CrossValidation, parameters: Mapping[Any, Any], split: tuple[Any, Any]
) -> dict[str, Any]:
    train, test = split
    return _plain(
        _fit_and_score(
            clone(shared.estimator),
            shared.X,
            shared.y,
            scorer=shared.scorer,
            train=train,
            test=test,
            verbose=0,
            parameters=dict(parameters),
            fit_params=shared.fit_params,
            score_params=shared.score_params,
            return_train_score=shared.return_train_score,
            return_n_test_samples=True,
            return_times=True,
            error_score=shared.error_score,
        )
    )


def _plain(fold: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a fold said with Python's own numbers, which every store keeps as they are."""
    found = dict(fold)
    for key in ("test_scores", "train_scores"):
        if key in found:
            scores = found[key]
            several = isinstance(scores, Mapping)
            found[key] = {k: float(v) for k, v in scores.items()} if several else float(scores)
    return found


def _score_of(scores: Any, metric: str | None) -> float:  # noqa: ANN401 - one number, or a dict
    if not isinstance(scores, Mapping):
        return float(scores)
    if metric is None:
        return float(next(iter(scores.values())))
    if metric not in scores:
        msg = f"refit={metric!r} is none of the scores {', '.join(map(repr, scores))}"
        raise InvalidArgument(msg)
    return float(scores[metric])


def rows_of_trials(
    trials: Sequence[Trial],
    n_test_samples: Sequence[int],
    *,
    names: Sequence[str] | None,
    by_function: bool,
    with_train_scores: bool,
    error_score: Any,  # noqa: ANN401 - a number, or "raise"
) -> list[dict[str, Any]]:
    """Return what each fold of each trial said, in the form of scikit-learn's searches.

    Parameters
    ----------
    trials
        That have ended.
    n_test_samples
        The samples of each fold that are scored.
    names
        Of several scores; None if there is one.
    by_function
        Whether a function of the user's scores, which may return several.
    with_train_scores
        Whether there are scores of the samples fitted by.
    error_score
        The score of a fit that failed.

    Raises
    ------
    InvalidArgument
        If a trial, of an earlier search, has other folds or scores.
    ValueError
        If all fits failed: with the reasons.
    """
    score = np.nan if error_score == "raise" else float(error_score)
    missing = score if names is None else dict.fromkeys(names, score)
    check_judged_alike(  # others may write to the history meanwhile
        trials,
        n_test_samples,
        names=names,
        by_function=by_function,
        with_train_scores=with_train_scores,
    )
    if trials and all(_was_ended(trial) for trial in trials):  # no fault of the model's
        msg = f"All the {len(trials) * len(n_test_samples)} fits failed, for these reasons:"
        causes = causes_of(trials)[:_SHOWN]
        each = [f"{len(c.trials)} of {len(trials)} trials: {c.type}: {c.message}" for c in causes]
        raise ValueError("\n".join([msg, *each]))
    rows: list[dict[str, Any]] = []
    for trial in trials:
        folds = (trial.result or {}).get("folds")
        if folds is None:  # it was lost, timed out, or its parameters are none of the estimator's
            reason = trial.failure
            why = "" if reason is None else reason.traceback or f"{reason.type}: {reason.message}"
            why = why or "the trial has no result"
            folds = [_not_done(missing, n, with_train_scores, why) for n in n_test_samples]
        elif trial.result.get("pruned_after") == len(folds):
            scores = folds[0]["test_scores"]  # as a function of the user's has them
            gap = dict.fromkeys(scores, np.nan) if isinstance(scores, Mapping) else np.nan
            rest = n_test_samples[len(folds) :]
            folds = [*folds, *(_not_done(gap, n, with_train_scores, None) for n in rest)]
        rows.extend(dict(fold) for fold in folds)
    if not rows:
        msg = "No fits were performed: no trial has ended"
        raise ValueError(msg)
    _warn_or_raise_about_fit_failures(rows, score)
    if by_function:
        _insert_error_scores(rows, score)
    return rows


def _was_ended(trial: Trial) -> bool:
    """Whether a trial ended from without: by its time-out, or with its process."""
    without = {FailureKind.TIMEOUT, FailureKind.WORKER_LOST}
    return trial.failure is not None and trial.failure.kind in without


def _not_done(
    scores: Any,  # noqa: ANN401 - a number, or several by name
    n_test_samples: int,
    with_train_scores: bool,  # noqa: FBT001
    why: str | None,
) -> dict[str, Any]:
    return {
        "fit_error": why,
        "test_scores": scores,
        "n_test_samples": n_test_samples,
        "fit_time": np.nan,
        "score_time": np.nan,
        **({"train_scores": scores} if with_train_scores else {}),
    }


def check_judged_alike(
    trials: Sequence[Trial],
    n_test_samples: Sequence[int],
    *,
    names: Sequence[str] | None,
    by_function: bool,
    with_train_scores: bool,
) -> None:
    """Refuse trials of an earlier search that were judged in another way.

    The parameters are those of `rows_of_trials`.

    Raises
    ------
    InvalidArgument
        If a trial has other folds or scores.
    """
    expected = None if names is None else set(names)
    for trial in trials:
        folds = (trial.result or {}).get("folds")
        if folds is None:
            continue
        sizes = list(n_test_samples)
        if trial.result.get("pruned_after") == len(folds):
            sizes = sizes[: len(folds)]
        problem = ""
        if [fold["n_test_samples"] for fold in folds] != sizes:
            problem = f"{len(folds)} folds of other data or another cv"
        elif not by_function and any(_names(fold["test_scores"]) != expected for fold in folds):
            problem = "other scores"
        elif with_train_scores and any("train_scores" not in fold for fold in folds):
            problem = "no train scores"
        if problem:
            msg = (
                f"trial {trial.id} of the history has {problem}: give trials= a new one, or "
                "another exp_key, and fit without warm_start"
            )
            raise InvalidArgument(msg)


def _names(scores: object) -> set[str] | None:
    return set(scores) if isinstance(scores, Mapping) else None


def with_cause(trial: Trial) -> Trial:
    """Return a trial that failed for a fit's reasons with these, not with its loss being NaN."""
    if trial.failure is None:
        return trial
    errors = (fold["fit_error"] for fold in trial.result.get("folds", ()))
    text = next((error for error in errors if error), None)
    if text is None:
        return trial
    lines = text.rstrip().splitlines()
    # The exception is what follows the frames: the first line after the last of them at the margin.
    last = max((i for i, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    start = next(i for i, line in enumerate(lines) if i > last and not line.startswith("  "))
    name, _, message = "\n".join(lines[start:]).partition(": ")
    failure = Failure(
        kind=trial.failure.kind, type=name.rpartition(".")[2], message=message, traceback=text
    )
    return dataclasses.replace(trial, failure=failure)
