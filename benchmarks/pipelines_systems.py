"""The systems that ``pipelines.py`` compares: each searches, and gives a fitted model.

All but FLAML search the same space, ours, on the same three folds; FLAML has one of its own.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, StratifiedKFold

from sparktrials.dispatch.broadcasting import broadcast
from sparktrials.sklearn import HyperoptEstimator, any_regressor
from sparktrials.sklearn.assembly import Recipe, assemble
from sparktrials.sklearn.evaluation import Data, Judgement, PipelineObjective
from sparktrials.sklearn.spaces import space_of
from sparktrials.space import as_node, compile_space
from sparktrials.space.codec import Codec
from sparktrials.space.distributions import Categorical, Integer, Normal, Uniform

if TYPE_CHECKING:
    from sparktrials.space.compile import Space

SYSTEMS = ("ours", "random", "halving", "optuna", "flaml")
FOLDS = 3
#: Samples from which halving begins with a ninth of them, else with a third.
MANY = 500


@dataclass
class Problem:
    """What a system is given."""

    X: Any
    y: np.ndarray
    classification: bool
    seed: int
    evals: int
    #: Seconds for FLAML: those that ours took.
    seconds: float | None = None

    @property
    def folds(self) -> Any:
        kind = StratifiedKFold if self.classification else KFold
        return kind(n_splits=FOLDS, shuffle=True, random_state=self.seed)

    def estimator(self, **given: Any) -> HyperoptEstimator:
        model = {} if self.classification else {"regressor": any_regressor("model")}
        return HyperoptEstimator(
            max_evals=self.evals, seed=self.seed, cv=self.folds, **model, **given
        )

    def space(self) -> Space:
        return compile_space(as_node(space_of(self.estimator(), self.X)))


def search(name: str, problem: Problem) -> tuple[Any, dict[str, Any]]:
    """Return the model that a system finds, and notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _BY_NAME[name](problem)


def _ours(problem: Problem, **given: Any) -> tuple[Any, dict[str, Any]]:
    found = problem.estimator(**given).fit(problem.X, problem.y)
    history = list(found.trials.history)
    return found, {
        "loss": found.best_loss_,
        "durations": [t.duration_s for t in history],
        "losses": [t.loss for t in history],
        "pruned": sum("pruned_after" in t.result for t in history),
    }


class Candidate(BaseEstimator):
    """A point of our space as one estimator, for scikit-learn's searches."""

    def __init__(self, space: Any = None, point: Any = None, classes: Any = None, seed: int = 0):
        self.space, self.point, self.classes, self.seed = space, point, classes, seed

    def __sklearn_clone__(self) -> Candidate:  # the space is shared
        return Candidate(self.space, self.point, self.classes, self.seed)

    def fit(self, X: Any, y: Any) -> Candidate:
        recipe = Recipe.of(self.space.build(self.point))
        width = (X.shape[1],)
        self.pipeline_ = assemble(recipe, width, seed=self.seed, n_jobs=1, classes=self.classes)
        self.pipeline_.fit(X, y)
        return self

    def score(self, X: Any, y: Any) -> float:
        return float(self.pipeline_.score(X, y))


class Points:
    """Random points of a space, as scikit-learn's searches draw them."""

    def __init__(self, space: Space) -> None:
        self.codec = Codec.of(space)

    def rvs(self, random_state: Any = None) -> Mapping[str, Any]:
        unit = random_state.uniform(size=(1, len(self.codec)))
        return self.codec.decode(self.codec.from_unit(unit))[0]


def _sklearns(problem: Problem, *, halving: bool) -> tuple[Any, dict[str, Any]]:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV

    space = problem.space()
    classes = np.unique(problem.y) if problem.classification else None
    candidate = Candidate(space, None, classes, problem.seed)
    shared: dict[str, Any] = {
        "cv": problem.folds,
        "random_state": problem.seed,
        "error_score": np.nan,
    }
    if not halving:
        found = RandomizedSearchCV(
            candidate, {"point": Points(space)}, n_iter=problem.evals, **shared
        )
        found.fit(problem.X, problem.y)
        return found.best_estimator_, {"loss": 1 - found.best_score_}
    # As many samples are fitted as by `evals` candidates on all of them: with a factor of 3, each
    # of r rungs fits evals / r times all samples.
    n = len(problem.y)
    rungs = 3 if n >= MANY else 2
    found = HalvingRandomSearchCV(
        candidate,
        {"point": Points(space)},
        n_candidates=problem.evals * 3 ** (rungs - 1) // rungs,
        factor=3,
        min_resources=n // 3 ** (rungs - 1),
        **shared,
    )
    found.fit(problem.X, problem.y)
    return found.best_estimator_, {"loss": 1 - found.best_score_}


def _optuna(problem: Problem) -> tuple[Any, dict[str, Any]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = problem.space()
    classes = np.unique(problem.y) if problem.classification else None
    width = (problem.X.shape[1],)
    evaluate = PipelineObjective(
        data=broadcast(
            Data(
                X=problem.X,
                y=problem.y,
                widths=width,
                sample_weight=None,
                parts=list(problem.folds.split(problem.X, problem.y)),
                classes=classes,
            )
        ),
        judgement=Judgement.checked(loss_fn=None, continuous=False, scoring=None),
        seed=problem.seed,
        n_jobs=1,
        use_partial_fit=False,
    )

    def objective(trial: Any) -> float:
        point = suggested(trial, space)
        trial.set_user_attr("point", point)
        return float(evaluate(space.build(point))["loss"])

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=problem.seed))
    study.optimize(objective, n_trials=problem.evals, catch=(Exception,))
    recipe = Recipe.of(space.build(study.best_trial.user_attrs["point"]))
    model = assemble(recipe, width, seed=problem.seed, n_jobs=1, classes=classes)
    return model.fit(problem.X, problem.y), {"loss": study.best_value}


def suggested(trial: Any, space: Space) -> dict[str, Any]:
    """Return a point of a space as an Optuna trial suggests it, parameter after parameter."""
    point: dict[str, Any] = {}
    for parameter in space.parameters:
        label, of = parameter.label, parameter.distribution
        if label not in space.active(point | {label: 0}):
            continue
        if isinstance(of, Categorical):
            point[label] = trial.suggest_categorical(label, range(len(of.probabilities)))
        elif isinstance(of, Integer):
            point[label] = trial.suggest_int(label, of.low, of.high - 1)
        elif isinstance(of, Normal):
            msg = f"{label}: Optuna has no normal distribution"
            raise TypeError(msg)
        else:
            point[label] = _number(trial, label, of)
    return point


def _number(trial: Any, label: str, of: Uniform) -> float:
    low, high = np.exp((of.low, of.high)) if of.log else (of.low, of.high)
    if of.q is None:
        return float(trial.suggest_float(label, low, high, log=of.log))
    if of.q == 1:
        whole = trial.suggest_int(label, int(np.rint(low)), int(np.rint(high)), log=of.log)
        return float(whole)
    return float(np.rint(trial.suggest_float(label, low, high, log=of.log) / of.q) * of.q)


@contextlib.contextmanager
def _cpu_time() -> Iterator[None]:
    """Have the clock run by the CPU that this process gets: others are on the machine, too."""
    clock, start = time.time, time.time()
    time.time = lambda: start + time.process_time()
    try:
        yield
    finally:
        time.time = clock


def _flaml(problem: Problem) -> tuple[Any, dict[str, Any]]:
    from flaml import AutoML

    if problem.seconds is None:
        msg = "FLAML gets the time that ours took: run ours first"
        raise ValueError(msg)
    found = AutoML()
    with _cpu_time():
        found.fit(
            X_train=problem.X,
            y_train=problem.y,
            task="classification" if problem.classification else "regression",
            metric="accuracy" if problem.classification else "r2",
            time_budget=problem.seconds,
            eval_method="cv",
            n_splits=FOLDS,
            n_jobs=1,
            seed=problem.seed,
            verbose=0,
        )
    return found, {"loss": float(found.best_loss)}


_BY_NAME = {
    "ours": _ours,
    # Not among those that are ranked, but by name.
    "ours-prune": lambda problem: _ours(problem, prune=True),
    "ours-bare": lambda problem: _ours(problem, portfolio=False),
    "random": lambda problem: _sklearns(problem, halving=False),
    "halving": lambda problem: _sklearns(problem, halving=True),
    "optuna": _optuna,
    "flaml": _flaml,
}
