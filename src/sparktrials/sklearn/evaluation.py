"""One trial: a pipeline is fitted on each part of the data and judged by the rest of it."""

from __future__ import annotations

import collections
import contextlib
import inspect
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import _check_sample_weight

from sparktrials.dispatch.current import current_trial
from sparktrials.dispatch.evaluation import STATUS_OK
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.assembly import Recipe, assemble
from sparktrials.sklearn.partial_fit import learn_in_rounds
from sparktrials.sklearn.ranks import ranks_here
from sparktrials.sklearn.sameness import DATA
from sparktrials.sklearn.scorers import check_scorer, named_scorer
from sparktrials.sklearn.splitting import rows_of

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Broadcast
    from sparktrials.sklearn.racing import Race

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
    whole
        Whether all labels are in each part that is fitted by.
    """

    X: Any
    y: Any
    widths: tuple[int, ...]
    sample_weight: Any
    parts: Sequence[tuple[Any, Any]]
    classes: Any
    whole: bool = True


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
        check_scorer(scoring)
        if scoring is None or callable(scoring):
            scorer: Callable[..., Any] | None = scoring
        elif isinstance(scoring, str):
            scorer = named_scorer(scoring)
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
class _Fold:
    """What one part of the data said of a pipeline: a score, or predictions to be compared."""

    score: float | None = None
    target: Any = None
    predicted: Any = None
    weight: Any = None
    rounds: int | None = None
    fit_s: float
    score_s: float
    warnings: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineObjective:
    """The objective of a search; it is what travels to where trials run.

    Attributes
    ----------
    data, judgement, seed, n_jobs, use_partial_fit
        What is the same for all trials.
    digest
        Of the data, see `sameness`; results have it.
    race
        Says which trials are ended after their first folds; None: none.
    """

    data: Broadcast[Data]
    judgement: Judgement
    seed: int
    n_jobs: int
    use_partial_fit: bool
    digest: str | None = None
    race: Race | None = None

    def __call__(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss and details of what a point of the space describes."""
        data = self.data.value
        recipe = Recipe.of(described)
        pipeline = assemble(
            recipe,
            data.widths,
            seed=self.seed,
            n_jobs=self.n_jobs,
            classes=data.classes,
            whole=data.whole,
        )
        result: dict[str, Any] = {
            "status": STATUS_OK,
            "learner": recipe.learner_name,
            "preprocessing": recipe.preprocessing_names,
        }
        if self.digest is not None:
            result[DATA] = self.digest
        ranks = ranks_here()
        race = self.race if ranks.number == 1 else None  # which has no fold to wait for
        folds: list[_Fold] = []
        losses: list[float] = []
        with _counted_warnings() as counted:  # of scores; those of fits are counted with them
            for part in ranks.mine(data.parts):
                folds.append(self._fold(pipeline, data, part, classification=recipe.classification))
                if race is not None and len(folds) < len(data.parts):
                    losses.append(float(self._found(folds, recipe)["loss"]))
                    current_trial().report(len(folds) - 1, losses[-1])
                    estimate = race.hopeless(losses)
                    if estimate is not None:
                        result |= {"loss": estimate, "pruned_after": len(folds)}
                        break
            else:
                folds = ranks.gathered(folds)
                result |= self._found(folds, recipe)
                if race is not None:
                    result["losses"] = [*losses, float(result["loss"])]
                    race.ended(result["losses"])
        result["n_folds"] = len(folds)
        rounds = [fold.rounds for fold in folds if fold.rounds is not None]
        if rounds:
            result["iterations"] = max(rounds)
        for fold in folds:
            counted.update(fold.warnings)
        if counted:
            result["warnings"] = dict(counted)
        return result | {key: sum(getattr(f, key) for f in folds) for key in ("fit_s", "score_s")}

    def _fold(
        self,
        pipeline: Any,  # noqa: ANN401
        data: Data,
        part: tuple[Any, Any],
        *,
        classification: bool,
    ) -> _Fold:
        fit_by, judge_by = part
        X_val, y_val = rows_of(data.X, judge_by), data.y[judge_by]
        weight, judge_weight = (
            None if data.sample_weight is None else data.sample_weight[of] for of in part
        )
        with _counted_warnings() as counted:
            start = time.perf_counter()
            fitted, rounds = fit_pipeline(
                clone(pipeline),
                rows_of(data.X, fit_by),
                data.y[fit_by],
                sample_weight=weight,
                classes=data.classes if classification else None,
                validation=(X_val, y_val) if self.use_partial_fit else None,
                in_rounds=self.use_partial_fit,
                seed=self.seed,
            )
            fit_s, start = time.perf_counter() - start, time.perf_counter()
            score = predicted = None
            if self.judgement.scorer is not None:
                score = self.judgement.score(fitted, X_val, y_val, judge_weight)
            else:
                predicted = self._predicted(fitted, X_val)
            score_s = time.perf_counter() - start
        return _Fold(
            score=score,
            target=y_val,
            predicted=predicted,
            weight=judge_weight,
            rounds=rounds,
            fit_s=fit_s,
            score_s=score_s,
            warnings=dict(counted),
        )

    def _predicted(self, fitted: Any, X: Any) -> np.ndarray:  # noqa: ANN401
        """Return labels, numbers, or probabilities of all labels, those of absent ones being 0."""
        if not self.judgement.continuous:
            return np.asarray(fitted.predict(X))
        found = np.asarray(fitted.predict_proba(X))
        classes = self.data.value.classes
        if classes is None or found.shape[1] == len(classes):
            return found
        every = np.zeros((len(found), len(classes)))
        every[:, np.searchsorted(classes, fitted.classes_)] = found
        return every

    def _found(self, folds: Sequence[_Fold], recipe: Recipe) -> dict[str, Any]:
        """Return the loss by some folds, and what it is made of."""
        if self.judgement.scorer is not None:
            scores = [fold.score for fold in folds if fold.score is not None]
            return {"loss": -float(np.mean(scores)), "scores": scores}
        target = np.concatenate([fold.target for fold in folds])
        predicted = _stacked([fold.predicted for fold in folds])
        weights = [fold.weight for fold in folds if fold.weight is not None]
        weight = np.concatenate(weights) if weights else None
        if self.judgement.loss_fn is not None:
            return {"loss": self.judgement.loss_fn(target, predicted)}
        if recipe.classification:
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
        with _weights_go_by_step(weight):
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


def _weights_go_by_step(weight: Mapping[str, Any]) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which ``step__sample_weight`` is taken, however scikit-learn is set."""
    return config_context(enable_metadata_routing=False) if weight else contextlib.nullcontext()


@contextlib.contextmanager
def _counted_warnings() -> Iterator[collections.Counter[str]]:
    """Count warnings by category instead of showing them, however many there are.

    In the main thread only: who shows them is the whole process's affair.
    """
    counted: collections.Counter[str] = collections.Counter()
    if threading.current_thread() is not threading.main_thread():
        yield counted
        return

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
