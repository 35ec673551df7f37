"""From what a point of the space describes to a plain scikit-learn pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import TargetEncoder

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.component import SKLEARN

__all__ = ["Recipe", "array_of", "assemble", "joined", "parts_of"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a point of the space describes.

    Attributes
    ----------
    learner
        The estimator at the end.
    classification
        Whether it was given as a classifier.
    preprocessing
        Transformers in front of it.
    ex_preprocs
        For each exogenous data set the transformers of its own.
    """

    learner: Any
    classification: bool
    preprocessing: tuple[Any, ...]
    ex_preprocs: tuple[tuple[Any, ...], ...]

    @property
    def learner_name(self) -> str:
        """The class of the learner."""
        return type(self.learner).__name__

    @property
    def preprocessing_names(self) -> list[str]:
        """The classes in front of it."""
        return [type(step).__name__ for step in self.preprocessing]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Recipe:
        """Take what a space describes, in Hyperopt-Sklearn's form.

        Raises
        ------
        InvalidArgument
            If it names neither a classifier nor a regressor, or both; if `ex_preprocs` is no list.
        """
        if "classifier" not in described and isinstance(described.get("model"), Mapping):
            described = described["model"]
        classifier, regressor = described.get("classifier"), described.get("regressor")
        if (classifier is None) == (regressor is None):
            msg = (
                "a point of the space must describe a 'classifier' or a 'regressor', the other "
                f"being None; got {', '.join(map(repr, described)) or 'nothing'}"
            )
            raise InvalidArgument(msg)
        exogenous = described.get("ex_preprocs") or ()
        if not isinstance(exogenous, (list, tuple)):
            msg = (
                f"ex_preprocs must be a list, for each exogenous data set a list of transformers; "
                f"got {exogenous!r}"
            )
            raise InvalidArgument(msg)
        return cls(
            learner=regressor if classifier is None else classifier,
            classification=classifier is not None,
            preprocessing=_steps(described.get("preprocessing")),
            ex_preprocs=tuple(map(_steps, exogenous)),
        )


def _steps(described: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an estimator, several, or none
    if described is None:
        return ()
    if isinstance(described, (list, tuple)):
        return tuple(step for step in described if step is not None)
    return (described,)


def assemble(
    recipe: Recipe,
    widths: Sequence[int],
    *,
    seed: int,
    n_jobs: int,
    classes: Any = None,  # noqa: ANN401 - an array
    whole: bool = True,
) -> Pipeline:
    """Return the pipeline, not fitted.

    Parameters
    ----------
    recipe
        What to make it of; its estimators are copied.
    widths
        How many columns the features and each exogenous data set have, where there are such sets:
        the pipeline takes all of them side by side.
    seed
        What estimators draw by that were given no ``random_state``.
    n_jobs
        How many threads the learner may use.
    classes
        The labels, of a classification.
    whole
        Whether it is fitted by samples of all labels.
    """
    if len(widths) > 1:
        steps = [_side_by_side(recipe, widths)]
    else:
        steps = [clone(step, safe=False) for step in recipe.preprocessing]
    learner = clone(recipe.learner, safe=False)
    _threaded(learner, n_jobs)
    if recipe.classification:
        learner = _labelled(learner, classes, whole=whole)
    pipeline = make_pipeline(*steps, learner)
    _seeded(pipeline, seed, StratifiedKFold if recipe.classification else KFold)
    return pipeline


def _labelled(learner: Any, classes: Any, *, whole: bool) -> Any:  # noqa: ANN401 - an estimator, an array
    """Return a classifier that takes labels of all kinds.

    XGBoost's takes 0, 1, ... alone, without a gap. A vote of one classifier numbers the labels, and
    gives them back: of scikit-learn's classes none else does that for a classifier, and one of this
    package's could not be unpickled without it.
    """
    numbers_alone = type(learner).__module__.partition(".")[0] == "xgboost"
    if not numbers_alone or classes is None:
        return learner
    numbers = classes.dtype.kind in "iuf"  # old numpy warns where texts meet numbers
    if whole and numbers and np.array_equal(classes, np.arange(len(classes))):
        return learner
    return VotingClassifier([("model", learner)], voting="soft")


def _side_by_side(recipe: Recipe, widths: Sequence[int]) -> ColumnTransformer:
    each = (recipe.preprocessing, *recipe.ex_preprocs)
    if len(recipe.ex_preprocs) not in (0, len(widths) - 1):
        msg = (
            f"ex_preprocs has steps for {len(recipe.ex_preprocs)} exogenous data sets, but EX_list "
            f"has {len(widths) - 1}"
        )
        raise InvalidArgument(msg)
    transformers, start = [], 0
    for i, width in enumerate(widths):
        steps = [clone(step, safe=False) for step in (each[i] if i < len(each) else ())]
        name = "features" if i == 0 else f"exogenous{i}"
        columns = slice(start, start + width)
        transformers.append((name, make_pipeline(*steps) if steps else "passthrough", columns))
        start += width
    return ColumnTransformer(transformers)


def _seeded(pipeline: Pipeline, seed: int, folds: type[KFold | StratifiedKFold]) -> None:
    """Give a seed to what draws at random and was given none: the same one, to all."""
    parameters = pipeline.get_params(deep=True)
    unset = {
        name: seed
        for name, value in parameters.items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    # Since scikit-learn 1.9 this one takes no seed, but folds.
    encoders = [name for name, value in parameters.items() if isinstance(value, TargetEncoder)]
    for name in encoders:
        cv = parameters[f"{name}__cv"]
        if parameters[f"{name}__random_state"] == "deprecated" and isinstance(cv, int):
            unset[f"{name}__cv"] = folds(cv, shuffle=True, random_state=seed)
    if unset:
        pipeline.set_params(**unset)


def _threaded(learner: Any, n_jobs: int) -> None:  # noqa: ANN401 - an estimator
    if n_jobs == 1:  # which is what they do by default
        return
    parameters = learner.get_params(deep=False) if hasattr(learner, "get_params") else {}
    deprecated = SKLEARN >= (1, 8) and type(learner).__name__ == "LogisticRegression"
    for name in ("n_jobs", "thread_count"):  # the latter is CatBoost's
        if name in parameters and not deprecated:
            learner.set_params(**{name: n_jobs})


def joined(X: Any, exogenous: Sequence[Any]) -> tuple[Any, tuple[int, ...]]:  # noqa: ANN401
    """Return features and exogenous data side by side, and how many columns each has."""
    if not exogenous:
        return X, (X.shape[1] if hasattr(X, "shape") and len(X.shape) > 1 else 1,)
    arrays = [part if hasattr(part, "toarray") else array_of(part) for part in (X, *exogenous)]
    arrays = [a.reshape(-1, 1) if len(a.shape) == 1 else a for a in arrays]
    widths = tuple(int(a.shape[1]) for a in arrays)
    if any(hasattr(a, "toarray") for a in arrays):
        from scipy.sparse import hstack  # noqa: PLC0415 - where data is sparse

        return hstack(arrays, format="csr"), widths
    return np.hstack(arrays), widths


def array_of(part: Any) -> Any:  # noqa: ANN401 - any data
    """Return data as an array; pandas' NA among numbers is NaN, which models and imputers take."""
    dtypes = list(part.dtypes) if hasattr(part, "iloc") and hasattr(part, "columns") else []
    of_numbers = all(getattr(dtype, "kind", "O") in "iufb" for dtype in dtypes)
    if of_numbers and any(not isinstance(dtype, np.dtype) for dtype in dtypes):
        return part.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(part)


def parts_of(pipeline: Pipeline) -> dict[str, Any]:
    """Return a pipeline as Hyperopt-Sklearn's ``best_model()`` does."""
    steps = [step for _, step in pipeline.steps]
    front = steps[:-1]
    exogenous: tuple[Any, ...] = ()
    if len(front) == 1 and isinstance(front[0], ColumnTransformer):
        named = getattr(front[0], "transformers_", front[0].transformers)
        if named and named[0][0] == "features":
            each = [_inside(made) for name, made, _ in named if name != "remainder"]
            front, exogenous = list(each[0]), tuple(each[1:])
    return {"learner": steps[-1], "preprocs": tuple(front), "ex_preprocs": exogenous}


def _inside(made: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a pipeline, or a word
    return tuple(step for _, step in made.steps) if isinstance(made, Pipeline) else ()
