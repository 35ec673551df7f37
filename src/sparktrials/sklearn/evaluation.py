"""One trial: a pipeline is fitted on each part of the data and judged by the rest of it."""

from __future__ import annotations

import collections
import contextlib
import inspect
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, get_scorer, r2_score
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils.validation import _check_sample_weight

from sparktrials.dispatch.evaluation import STATUS_OK
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.assembly import Recipe, assemble
from sparktrials.sklearn.partial_fit import learn_in_rounds

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Broadcast

__all__ = ["Data", "Judgement", "PipelineObjective", "fit_pipeline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What all trials of a search share; it goes to each executor once.

    Attributes
    ----------
    X, y
        Features, those of exogenous data sets beside them, and the target.
    widths
        How many columns the features and each exogenous data set have.
    sample_weight
        For each sample, or None.
    parts
        Pairs of index arrays: to fit by, to judge by.
    classes
        The labels, or None.
    """

    X: Any
    y: Any
    widths: tuple[int, ...]
    sample_weight: Any
    parts: Sequence[tuple[Any, Any]]
    classes: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How pipelines are compared.

    Attributes
    ----------
    loss_fn
        ``loss_fn(target, predicted)`` over all validation samples, or None.
    continuous
        Whether `loss_fn` gets what ``predict_proba`` returns.
    scorer
        ``scorer(pipeline, X, y)``, the more the better; its mean over the parts is the score.
    """

    loss_fn: Callable[[Any, Any], Any] | None
    continuous: bool
    scorer: Callable[..., Any] | None

    @classmethod
    def checked(cls, *, loss_fn: object, continuous: bool, scoring: object) -> Judgement:
        """Check the arguments.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            If they are of the wrong kind, or there are two ways to judge.
        ValueError
            If scikit-learn has no scorer of that name.
        """
        if loss_fn is not None and not callable(loss_fn):
            msg = f"loss_fn must be callable with target and prediction, got {loss_fn!r}"
            raise InvalidArgumentType(msg)
        if continuous and loss_fn is None:
            msg = "continuous_loss_fn=True needs loss_fn, which gets the probabilities"
            raise InvalidArgument(msg)
        if loss_fn is not None and scoring is not None:
            msg = f"loss_fn and scoring both say how to compare: give one, not {scoring!r}, too"
            raise InvalidArgument(msg)
        if scoring is None or callable(scoring):
            scorer: Callable[..., Any] | None = scoring
        elif isinstance(scoring, str):
            scorer = get_scorer(scoring)
        else:
            msg = f"scoring must be the name of a scorer, a callable or None, got {scoring!r}"
            raise InvalidArgumentType(msg)
        return cls(loss_fn=loss_fn, continuous=continuous, scorer=scorer)

    def weights(self, given: Any, X: Any) -> Any:  # noqa: ANN401 - arrays
        """Return the weights of samples as an array, None if there are none.

        Raises
        ------
        ValueError
            As scikit-learn's estimators do.
        """
        if given is None:
            return None
        if self.scorer is not None and not _takes_weights(self.scorer):
            msg = (
                f"the scoring {self.scorer} does not support sample_weight: pipelines are fitted "
                "with the weights and compared without them"
            )
            warnings.warn(msg, stacklevel=4)
        elif self.loss_fn is not None:
            msg = (
                "loss_fn gets no sample_weight: pipelines are fitted with the weights and compared "
                "without them; scoring= takes them"
            )
            warnings.warn(msg, stacklevel=4)
        return _check_sample_weight(given, X)

    def score(self, pipeline: Any, X: Any, y: Any, weight: Any) -> float:  # noqa: ANN401 - arrays
        """Return what the scorer says, with weights if there are any and it takes them."""
        if self.scorer is None:
            msg = "there is no scorer"
            raise TypeError(msg)
        weighted = weight is not None and _takes_weights(self.scorer)
        return float(self.scorer(pipeline, X, y, **({"sample_weight": weight} if weighted else {})))


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    function = getattr(scorer, "_score_func", scorer)  # of what make_scorer has made
    return "sample_weight" in inspect.signature(function).parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineObjective:
    """The objective of a search; it is what travels to where trials run."""

    data: Broadcast[Data]
    judgement: Judgement
    seed: int
    n_jobs: int
    use_partial_fit: bool

    def __call__(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss and details of what a point of the space describes."""
        data = self.data.value
        recipe = Recipe.of(described)
        pipeline = assemble(
            recipe, data.widths, seed=self.seed, n_jobs=self.n_jobs, classes=data.classes
        )
        result: dict[str, Any] = {
            "status": STATUS_OK,
            "learner": recipe.learner_name,
            "preprocessing": recipe.preprocessing_names,
        }
        with _counted_warnings() as counted:
            result |= self._judged(pipeline, data, classification=recipe.classification)
        if counted:
            result["warnings"] = dict(counted)
        return result

    def _judged(self, pipeline: Any, data: Data, *, classification: bool) -> dict[str, Any]:  # noqa: ANN401
        scores, targets, predictions, weights, rounds = [], [], [], [], []
        fit_s = score_s = 0.0
        for fit_by, judge_by in data.parts:
            start = time.perf_counter()
            X_val, y_val = rows_of(data.X, judge_by), data.y[judge_by]
            weight, judge_weight = (
                None if data.sample_weight is None else data.sample_weight[part]
                for part in (fit_by, judge_by)
            )
            fitted, n_rounds = fit_pipeline(
                clone(pipeline),
                rows_of(data.X, fit_by),
                data.y[fit_by],
                sample_weight=weight,
                classes=data.classes if classification else None,
                validation=(X_val, y_val) if self.use_partial_fit else None,
                in_rounds=self.use_partial_fit,
                seed=self.seed,
            )
            fit_s, start = fit_s + time.perf_counter() - start, time.perf_counter()
            if n_rounds is not None:
                rounds.append(n_rounds)
            if self.judgement.scorer is not None:
                scores.append(self.judgement.score(fitted, X_val, y_val, judge_weight))
            else:
                wanted = fitted.predict_proba if self.judgement.continuous else fitted.predict
                predictions.append(np.asarray(wanted(X_val)))
                targets.append(y_val)
                if judge_weight is not None:
                    weights.append(judge_weight)
            score_s += time.perf_counter() - start
        if self.judgement.scorer is not None:
            found: dict[str, Any] = {"loss": -float(np.mean(scores)), "scores": scores}
        else:
            found = self._loss(
                np.concatenate(targets),
                _stacked(predictions),
                np.concatenate(weights) if weights else None,
                classification=classification,
            )
        if rounds:
            found["iterations"] = max(rounds)
        return {**found, "fit_s": fit_s, "score_s": score_s}

    def _loss(
        self,
        target: Any,  # noqa: ANN401 - arrays
        predicted: Any,  # noqa: ANN401
        weight: Any,  # noqa: ANN401
        *,
        classification: bool,
    ) -> dict[str, Any]:
        if self.judgement.loss_fn is not None:
            return {"loss": self.judgement.loss_fn(target, predicted)}
        if classification:
            loss = 1 - float(accuracy_score(target, predicted, sample_weight=weight))
            # The squared standard error of a share.
            return {"loss": loss, "loss_variance": loss * (1 - loss) / max(1, len(target) - 1)}
        return {"loss": 1 - float(r2_score(target, predicted, sample_weight=weight))}


def _stacked(predictions: list[Any]) -> Any:  # noqa: ANN401 - an array
    """Return predictions one after the other; some regressors make a column of them."""
    flat = [p.ravel() if p.ndim == 2 and p.shape[1] == 1 else p for p in predictions]  # noqa: PLR2004
    return np.concatenate(flat)


def fit_pipeline(
    pipeline: Any,  # noqa: ANN401 - scikit-learn has no types
    X: Any,  # noqa: ANN401
    y: Any,  # noqa: ANN401
    *,
    sample_weight: Any = None,  # noqa: ANN401
    classes: Any = None,  # noqa: ANN401
    validation: tuple[Any, Any] | None = None,
    in_rounds: bool = False,
    rounds: int | None = None,
    seed: int = 0,
) -> tuple[Any, int | None]:
    """Fit a pipeline, its learner in rounds where that is wanted and possible.

    Returns
    -------
    tuple
        The fitted pipeline, and how many rounds its learner took, None if it was fitted at once.
    """
    learner = pipeline[-1]
    if not (in_rounds and hasattr(learner, "partial_fit")):
        weight = {}
        if sample_weight is not None:
            weight[f"{pipeline.steps[-1][0]}__sample_weight"] = sample_weight
        return pipeline.fit(X, y, **weight), None
    front = pipeline[:-1]
    if len(front):
        X = front.fit_transform(X, y)
        if validation is not None:
            validation = (front.transform(validation[0]), validation[1])
    limit = {} if rounds is None else {"rounds": rounds}
    learner, done = learn_in_rounds(
        learner,
        X,
        y,
        classes=classes,
        sample_weight=sample_weight,
        validation=validation,
        seed=seed,
        **limit,
    )
    # The steps are fitted where they stand; a learner that was copied takes its place.
    pipeline.steps[-1] = (pipeline.steps[-1][0], learner)
    return pipeline, done


@contextlib.contextmanager
def _counted_warnings() -> Iterator[collections.Counter[str]]:
    """Count warnings by category instead of showing them, however many there are."""
    counted: collections.Counter[str] = collections.Counter()

    def count(  # noqa: PLR0917 - the standard library's signature
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del message, filename, lineno, file, line
        counted[category.__name__] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = count
        yield counted
