"""What a search is once it has found its best pipeline: that pipeline, with its methods."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sparktrials.api.view import best_of
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.assembly import Recipe, assemble, joined, parts_of
from sparktrials.sklearn.evaluation import Data, Judgement, fit_pipeline
from sparktrials.sklearn.partial_fit import RETRAIN
from sparktrials.sklearn.spaces import all_learners_have, is_classification
from sparktrials.sklearn.validation import checked_features
from sparktrials.sklearn.writing import as_code

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from sparktrials.api.trials import Trials
    from sparktrials.space import Space

__all__ = ["BestPipeline"]


def _best_has(method: str) -> Callable[[Any], bool]:
    """Return a check: whether the best pipeline has a method; before a fit, whether it may."""

    def check(self: Any) -> bool:  # noqa: ANN401 - the estimator
        best = getattr(self, "best_pipeline_", None)
        return all_learners_have(self, method) if best is None else hasattr(best, method)

    return check


class BestPipeline:
    """The best pipeline and its methods; the search sets the other attributes."""

    scoring: Any
    n_jobs: int
    trials_: Trials
    best_pipeline_: Pipeline
    _seed: int
    _compiled: Space
    #: Whether it was fitted on all data.
    _is_fitted: bool
    #: How many columns the features and each exogenous data set have.
    _widths: tuple[int, ...]

    def _ready(self, X: Any, EX_list: Sequence[Any] | None) -> Any:  # noqa: ANN401
        check_is_fitted(self, "best_pipeline_")
        if not self._is_fitted:
            try:
                check_is_fitted(self.best_pipeline_)  # which the user may have done
            except NotFittedError:
                msg = (
                    "the best pipeline is not fitted: refit=False, or fit_iter; call "
                    "best_pipeline_.fit(X, y)"
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
        X = self._ready(X, EX_list)
        if not fit_preproc:
            return getattr(self.best_pipeline_, method)(X)
        front = self.best_pipeline_[:-1]
        X = front.fit_transform(X) if len(front) else X
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
        """
        predicted = self._called("predict", X, EX_list, fit_preproc=fit_preproc)
        if predicted.ndim == 2 and predicted.shape[1] == 1:  # noqa: PLR2004 - CatBoost makes columns
            return predicted.ravel()
        return predicted

    @available_if(_best_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, EX_list: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Return the probability of each of ``classes_``, if the best pipeline has any."""
        return self._called("predict_proba", X, EX_list)

    @available_if(_best_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, EX_list: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Return the logarithms of `predict_proba`."""
        return self._called("predict_log_proba", X, EX_list)

    @available_if(_best_has("decision_function"))  # type: ignore[untyped-decorator]
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
        """Return the accuracy or R² of the best pipeline, or what `scoring` says."""
        if self.scoring is not None and not fit_preproc:
            judgement = Judgement.checked(loss_fn=None, continuous=False, scoring=self.scoring)
            if judgement.scorer is not None:
                X = self._ready(X, EX_list)
                return judgement.score(self.best_pipeline_, X, y, sample_weight)
        predicted = self.predict(X, EX_list, fit_preproc=fit_preproc)
        metric = accuracy_score if is_classification(self) else r2_score
        return float(metric(y, predicted, sample_weight=sample_weight))

    def best_model(self) -> dict[str, Any]:
        """Return the parts of the best pipeline: ``learner``, ``preprocs``, ``ex_preprocs``."""
        check_is_fitted(self, "best_pipeline_")
        return parts_of(self.best_pipeline_)

    def to_code(self) -> str:
        """Return Python code that makes the best pipeline, not fitted, with scikit-learn alone."""
        check_is_fitted(self, "best_pipeline_")
        return as_code(self.best_pipeline_)

    # ------------------------------------------------------------------ which it is

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
