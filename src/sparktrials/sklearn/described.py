"""What a space of pipelines describes is looked at before the first trial.

Only what is sure to fail in each trial is refused: all of some points must be wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import _safe_indexing

from sparktrials.api.arguments import tree_of
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.assembly import Recipe
from sparktrials.sklearn.demands import Demands, suited
from sparktrials.sklearn.draws import Draws
from sparktrials.sklearn.kinds import not_numbers
from sparktrials.sklearn.known import is_known
from sparktrials.sklearn.parameters import check_values
from sparktrials.sklearn.spaces import space_of, with_class
from sparktrials.sklearn.validation import is_frame, listed

if TYPE_CHECKING:
    from sparktrials.sklearn.evaluation import Judgement

__all__ = ["searched"]

#: Rows that what takes the features first is fitted by.
_ROWS = 50
#: What those say that take numbers alone.
_NO_NUMBERS = ("could not convert string", "must be real", "float()", "DType", "cannot be cast")


def searched(
    estimator: Any,  # noqa: ANN401 - a HyperoptEstimator
    X: Any,  # noqa: ANN401 - any data
    y: Any,  # noqa: ANN401
    judgement: Judgement,
    demands: Demands,
    *,
    exogenous: Sequence[Any],
) -> Any:  # noqa: ANN401 - a tree
    """Return the space that an estimator searches.

    Raises
    ------
    InvalidArgument, InvalidArgumentType
        If it describes no models and transformers, or none takes the features.
    InvalidParameterError
        If the models never have parameters that they take.
    AttributeError
        If none has what the scorer needs.
    """
    tree = tree_of(space_of(estimator, X, exogenous))
    given = estimator.preprocessing is not None or estimator.space is not None
    kinds = judgement.loss_fn is None  # which may compare what it likes
    takes = given and not exogenous
    draws = Draws()
    draws.check(lambda n: _check(draws.of(tree, n), X, y, kinds=kinds, takes=takes))
    return suited(tree, demands, draws)


def _check(drawn: Any, X: Any, y: Any, *, kinds: bool, takes: bool) -> None:  # noqa: ANN401
    made, errors = drawn
    if errors and not made:
        if all(isinstance(e, TypeError) and "argument" in str(e) for e in errors):
            msg = f"the space makes nothing: {errors[0]}. See the arguments of its scope.call(...)"
            raise InvalidArgumentType(msg) from errors[0]
        return
    recipes: list[Recipe] = []
    wrong: list[InvalidArgument | InvalidArgumentType] = []
    for _, one in made:
        try:
            recipes.append(_recipe_of(one))
        except (InvalidArgument, InvalidArgumentType) as error:
            wrong.append(error)
    if wrong and not recipes:
        raise wrong[0]
    if not recipes:
        return
    check_values([(r.learner, *r.preprocessing) for r in recipes], of="the space")
    if kinds:
        _check_kinds(recipes)
    if takes and is_frame(X) and not (errors or wrong):
        _check_takes(recipes, X, y)


def _recipe_of(described: Any) -> Recipe:  # noqa: ANN401
    if not isinstance(described, Mapping):
        msg = (
            f"space becomes a {type(described).__name__}, not a description of a pipeline: write "
            "{'classifier': svc('model'), 'regressor': None, 'preprocessing': [...]}"
        )
        raise InvalidArgumentType(msg)
    recipe = Recipe.of(described)
    what = "classifier" if recipe.classification else "regressor"
    _check_made(what, recipe.learner, ("fit", "predict"))
    for step in recipe.preprocessing:
        _check_made("preprocessing", step, ("fit", "transform"))
    for steps in recipe.ex_preprocs:
        for step in steps:
            _check_made("ex_preprocs", step, ("fit", "transform"))
    return recipe


def _check_made(what: str, made: Any, methods: tuple[str, ...]) -> None:  # noqa: ANN401
    if isinstance(made, type):
        msg = (
            f"{what} is, or has, the class {made.__name__}: give an estimator, {made.__name__}(), "
            f"or a node, as scope.call({made.__name__}, ...) is"
        )
        raise InvalidArgumentType(msg)
    is_step = what.endswith("preprocs") or what == "preprocessing"
    if is_step and isinstance(made, str) and made == "passthrough":
        return
    is_made = all(hasattr(made, method) for method in methods)
    if is_made or (
        hasattr(made, "fit") and hasattr(made, "fit_predict" if not is_step else "fit_transform")
    ):
        return
    needed = " and ".join(methods)
    shown = getattr(made, "__name__", None) or repr(made)
    if callable(made) and not hasattr(made, "fit"):
        msg = f"{what} is, or has, {shown}, which was not called: {shown}('label') makes its space"
    elif isinstance(made, (tuple, list)) and made and isinstance(made[0], type):
        msg = f"{what} is, or has, {with_class(made)}"
    else:
        instead = (
            "[standard_scaler('label')] or [StandardScaler()]"
            if is_step
            else "a node, as hp.choice('label', [...]) of models is, or an estimator"
        )
        msg = f"{what} is, or has, {shown}, which has no {needed}: give {instead}"
    raise InvalidArgumentType(msg)


def _check_kinds(recipes: list[Recipe]) -> None:
    for classification, is_other, right in (
        (True, is_regressor, "regressor"),
        (False, is_classifier, "classifier"),
    ):
        if all(r.classification is classification and _says(is_other, r) for r in recipes):
            wrong = "classifier" if classification else "regressor"
            msg = f"{recipes[0].learner_name} is a {right}: give it as {right}=, not as {wrong}="
            raise InvalidArgument(msg)


def _says(is_kind: Any, recipe: Recipe) -> bool:  # noqa: ANN401
    try:
        return bool(is_kind(recipe.learner)) and is_known(recipe.learner)
    except Exception:  # noqa: BLE001 - not scikit-learn's
        return False


def _check_takes(recipes: list[Recipe], X: Any, y: Any) -> None:  # noqa: ANN401
    some, target = _safe_indexing(X, slice(0, _ROWS)), y[:_ROWS]
    others = not_numbers(some)
    if not others or not all(_takes_numbers_alone(recipe, some, target) for recipe in recipes):
        return
    msg = (
        f"X has columns that are not numbers, {listed(others)}, which nothing in the space takes: "
        "leave out preprocessing=, so that it is made for these columns, or give a "
        "ColumnTransformer"
    )
    raise InvalidArgument(msg)


def _takes_numbers_alone(recipe: Recipe, X: Any, y: Any) -> bool:  # noqa: ANN401
    steps = [step for step in recipe.preprocessing if step != "passthrough"]
    first = clone(steps[0] if steps else recipe.learner, safe=False)
    if not is_known(first):  # it may leave columns out that have more values, say
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first.fit(X, y)
    except (TypeError, ValueError) as error:
        return any(words in str(error) for words in _NO_NUMBERS)
    except Exception:  # noqa: BLE001 - the trials will say
        return False
    return False
