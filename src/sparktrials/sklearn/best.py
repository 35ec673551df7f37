"""What a search is once it has found its best pipeline: that pipeline, with its methods."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from sparktrials.api.view import best_of
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.assembly import Recipe, assemble, joined, parts_of
from sparktrials.sklearn.evaluation import Data, Judgement, fit_pipeline
from sparktrials.sklearn.partial_fit import RETRAIN
from sparktrials.sklearn.remembered import Remembered, unlike_is_said
from sparktrials.sklearn.sameness import digest_of
from sparktrials.sklearn.spaces import all_learners_have, is_classification
from sparktrials.sklearn.validation import (
    checked_exogenous,
    checked_features,
    checked_target,
    note_features,
)
from sparktrials.sklearn.writing import as_code

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from sparktrials.api.trials import Trials
    from sparktrials.space import Space

__all__ = ["BestPipeline"]


class _OfTheBest:
    """A method that there is if the best pipeline has it; before a fit, if it may have it."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, search: Any, owner: type) -> Any:  # noqa: ANN401 - Python's protocol
        if search is None:
            return self._method
        name = self._method.__name__
        best = getattr(search, "best_pipeline_", None)
        if not (all_learners_have(search, name) if best is None else hasattr(best, name)):
            msg = f"this {owner.__name__} has no {name!r}: "
            if best is None:
                msg += "it is not fitted, and not all models that it chooses among have it"
            else:
                steps = " -> ".join(type(step).__name__ for _, step in best.steps)
                msg += (
                    f"its best pipeline, {steps}, has none. Where a scoring needs it, such as "
                    "'neg_log_loss' needs probabilities, only models that have it are tried"
                )
            raise AttributeError(msg)
        return self._method.__get__(search, owner)


class BestPipeline:
    """The best pipeline and its methods; the search sets the other attributes."""

    classes_: Any
    loss_fn: Any
    scoring: Any
    n_jobs: int
    trials_: Trials
    best_pipeline_: Pipeline
    _seed: int
    _compiled: Space
    _data: Data
    #: Whether it was fitted on all data.
    _is_fitted: bool
    #: How many columns the features and each exogenous data set have.
    _widths: tuple[int, ...]
    #: Those that a search was given which has fitted nothing yet, and its data's digest.
    _weights: tuple[str, Any] | None
    #: What is known of the frame that was searched with, None if it was none.
    _frame: Remembered | None

    def _ready(self, X: Any, EX_list: Sequence[Any] | None) -> Any:  # noqa: ANN401
        check_is_fitted(self, "best_pipeline_")
        if not self._is_fitted:
            try:
                check_is_fitted(self.best_pipeline_)  # which the user may have done
            except NotFittedError:
                msg = (
                    "the best pipeline is not fitted: refit=False, or fit_iter; call "
                    "retrain_best_model_on_full_data(X, y)"
                )
                raise NotFittedError(msg) from None
        X = checked_features(self, X, reset=False)
        exogenous = EX_list or ()
        if len(exogenous) != len(self._widths) - 1:
            msg = (
                f"EX_list has {len(exogenous)} data sets; there were {len(self._widths) - 1} in fit"
            )
            raise InvalidArgument(msg)
        return joined(X, exogenous)[0]

    def _called(self, method: str, X: Any, EX_list: Any, *, fit_preproc: bool = False) -> Any:  # noqa: ANN401
        ready = self._ready(X, EX_list)
        with unlike_is_said(getattr(self, "_frame", None), X):
            return self._answer(method, ready, fit_preproc=fit_preproc)

    def _answer(self, method: str, X: Any, *, fit_preproc: bool) -> Any:  # noqa: ANN401
        if not fit_preproc:
            return getattr(self.best_pipeline_, method)(X)
        front = self.best_pipeline_[:-1]
        if len(front):
            by_target = [v for v in front.get_params().values() if isinstance(v, TargetEncoder)]
            if by_target:
                msg = (
                    "fit_preproc=True fits the preprocessing anew without a target, but the best "
                    "pipeline has a TargetEncoder, which learns from it: predict without "
                    "fit_preproc, or retrain_best_model_on_full_data(X, y)"
                )
                raise InvalidArgument(msg)
            X = front.fit_transform(X)
        return getattr(self.best_pipeline_[-1], method)(X)

    def predict(
        self,
        X: Any,  # noqa: ANN401
        EX_list: Sequence[Any] | None = None,
        fit_preproc: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401 - an array
        """Return what the best pipeline predicts.

        Parameters
        ----------
        X
            Features.
        EX_list
            As many exogenous data sets as in `fit`.
        fit_preproc
            Whether its preprocessing is fitted anew, to these features.

        Raises
        ------
        NotFittedError
            Before a fit, or if the best pipeline was not refitted.
        InvalidArgument
            If `EX_list` has more or fewer data sets than in `fit`, or with `fit_preproc` the
            preprocessing learns from the target.
        """
        predicted = self._called("predict", X, EX_list, fit_preproc=fit_preproc)
        if predicted.ndim == 2 and predicted.shape[1] == 1:  # noqa: PLR2004 - CatBoost makes columns
            return predicted.ravel()
        return predicted

    @_OfTheBest
    def predict_proba(self, X: Any, EX_list: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Return the probability of each of ``classes_``, if the best pipeline has any."""
        return self._called("predict_proba", X, EX_list)

    @_OfTheBest
    def predict_log_proba(self, X: Any, EX_list: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Return the logarithms of `predict_proba`."""
        return self._called("predict_log_proba", X, EX_list)

    @_OfTheBest
    def decision_function(self, X: Any, EX_list: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Return what the best pipeline decides by, if it has that."""
        return self._called("decision_function", X, EX_list)

    def score(
        self,
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        EX_list: Sequence[Any] | None = None,
        fit_preproc: bool = False,  # noqa: FBT001, FBT002
        sample_weight: Any = None,  # noqa: ANN401
    ) -> float:
        """Return the accuracy or R² of the best pipeline, or what `scoring` says.

        Parameters
        ----------
        X, y, EX_list, fit_preproc
            As in `predict`, and the target; with `fit_preproc` it is accuracy or R² in any case.
        sample_weight
            The weight of each sample; a scorer that takes none goes without.
        """
        if self.scoring is not None and not fit_preproc:
            judgement = Judgement.checked(loss_fn=None, continuous=False, scoring=self.scoring)
            if judgement.scorer is not None:
                ready = self._ready(X, EX_list)
                with unlike_is_said(getattr(self, "_frame", None), X):
                    return judgement.score(self.best_pipeline_, ready, y, sample_weight)
        predicted = self.predict(X, EX_list, fit_preproc=fit_preproc)
        metric = accuracy_score if is_classification(self) else r2_score
        return float(metric(y, predicted, sample_weight=sample_weight))

    def best_model(self) -> dict[str, Any]:
        """Return the parts of the best pipeline: ``learner``, ``preprocs``, ``ex_preprocs``."""
        check_is_fitted(self, "best_pipeline_")
        return parts_of(self.best_pipeline_)

    def retrain_best_model_on_full_data(
        self,
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        EX_list: Sequence[Any] | None = None,
        weights: Any = None,  # noqa: ANN401
        *,
        sample_weight: Any = None,  # noqa: ANN401
    ) -> None:
        """Fit the best pipeline anew, as ``refit=True`` does: after `fit_iter`, or on other data.

        Parameters
        ----------
        X, y, EX_list
            As in `fit`.
        weights, sample_weight
            Two names of one argument: the weight of each sample. Without it, after ``refit=False``
            or `fit_iter`, those that the search was given, if it was given any.

        Raises
        ------
        NotFittedError
            If there is no best pipeline.
        InvalidArgument
            If the search was given weights, has fitted nothing yet, and these are other samples.
        """
        if weights is not None and sample_weight is not None:
            msg = "weights and sample_weight are two names of one argument: give one"
            raise InvalidArgument(msg)
        check_is_fitted(self, "best_pipeline_")
        classification = is_classification(self)
        X = checked_features(self, X, reset=False)
        y = checked_target(self, X, y, classification=classification)
        beside, widths = joined(X, checked_exogenous(EX_list or (), y))
        weights = self._weights_of(X, y, weights if sample_weight is None else sample_weight)
        data = Data(
            X=beside,
            y=y,
            widths=widths,
            sample_weight=None if weights is None else _check_sample_weight(weights, beside),
            parts=(),
            classes=np.unique(y) if classification else None,
        )
        earlier = self.__dict__.copy()
        try:
            if classification:
                self.classes_ = data.classes
            self._take_best()  # what was fitted in rounds would go on from there
            with unlike_is_said(getattr(self, "_frame", None), X):
                self._refit(data)
        except BaseException:
            self.__dict__.update(earlier)
            raise
        self._frame = Remembered.of(X)

    #: Its name in Hyperopt-Sklearn 1.
    _retrain_best_model_on_full_data = retrain_best_model_on_full_data

    def _weights_of(self, X: Any, y: Any, given: Any) -> Any:  # noqa: ANN401
        kept = getattr(self, "_weights", None)
        if given is not None or kept is None:
            return given
        digest, weights = kept
        if digest_of(X, y) != digest:
            msg = (
                "the search was given the sample_weight of its samples, and these are others: give "
                f"theirs, sample_weight=np.ones({len(y)}) if all count alike"
            )
            raise InvalidArgument(msg)
        return weights

    def to_code(self) -> str:
        """Return Python code that makes the best pipeline, not fitted, without this package."""
        check_is_fitted(self, "best_pipeline_")
        return as_code(self.best_pipeline_)

    # ------------------------------------------------------------------ which it is

    def _begin(
        self,
        data: Data,
        X: Any,  # noqa: ANN401
        trials: Trials,
        *,
        seed: int,
        space: Space,
        goes_on: bool,
    ) -> None:
        """Take up a search: nothing of an earlier one remains, unless this one goes on with it."""
        if not (goes_on and np.array_equal(self.__dict__.get("classes_"), data.classes)):  # type: ignore[arg-type]
            for name in ("best_pipeline_", "best_loss_", "best_params_", "classes_"):
                self.__dict__.pop(name, None)
        note_features(self, X)
        if data.classes is not None:
            self.classes_ = data.classes
        self._data, self._widths = data, data.widths
        weights = data.sample_weight
        self._weights = None if weights is None else (digest_of(X, data.y), weights)
        self._frame = Remembered.of(X)
        self.trials_, self._seed, self._compiled = trials, seed, space

    def _take_best(self) -> None:
        best = best_of(self.trials_.history)
        if best is None:
            self.__dict__.pop("best_pipeline_", None)  # of an earlier fit
            return
        recipe = Recipe.of(self._compiled.build(best.point))
        self.best_loss_ = best.loss
        self.best_params_ = self._compiled.values(best.point)
        self.best_pipeline_ = assemble(
            recipe,
            self._widths,
            seed=self._seed,
            n_jobs=self.n_jobs,
            classes=getattr(self, "classes_", None),
        )
        self._best_rounds = best.result.get("iterations")
        self._is_fitted = False

    def _score_of(self, loss: float) -> float | None:
        if self.scoring is not None:
            return 0.0 - loss
        return None if self.loss_fn is not None else 1.0 - loss

    def _best_as_text(self) -> str:
        return str(self.best_pipeline_.__repr__(N_CHAR_MAX=10_000))  # not cut short

    def _refit(self, data: Data) -> None:
        rounds = self._best_rounds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its trial has counted them
            self.best_pipeline_, _ = fit_pipeline(
                self.best_pipeline_,
                data.X,
                data.y,
                sample_weight=data.sample_weight,
                classes=data.classes,
                in_rounds=rounds is not None,
                rounds=None if rounds is None else max(1, int(rounds * RETRAIN)),
                seed=self._seed,
            )
        self._is_fitted = True
