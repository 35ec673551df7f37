"""``SparkTrialsSearchCV``: a search over an estimator's parameters, as scikit-learn's own."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_method_params, _num_samples

from sparktrials.api.arguments import tree_of
from sparktrials.api.options import seed_of
from sparktrials.api.run import fmin
from sparktrials.api.trials import Trials
from sparktrials.dispatch.broadcasting import broadcast
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.folds import (
    CrossValidation,
    FoldsObjective,
    check_judged_alike,
    rows_of_trials,
    with_cause,
)
from sparktrials.sklearn.grids import check_no_grid, with_lists
from sparktrials.sklearn.leaderboard import Entry, Leaderboard, ended
from sparktrials.sklearn.parameters import check_parameters
from sparktrials.sklearn.racing import race_of
from sparktrials.sklearn.sameness import check_same, digest_of
from sparktrials.sklearn.scorers import check_scorable, check_scoring
from sparktrials.sklearn.splitting import parts_of_pairs
from sparktrials.sklearn.validation import check_is_there, check_weights
from sparktrials.sklearn.where import kept_to, trials_for
from sparktrials.space import compile_space

if TYPE_CHECKING:
    from sparktrials.space import Point, Space

__all__ = ["HyperoptSearchCV", "SparkTrialsSearchCV"]


def _candidate(space: Space, point: Point) -> dict[str, Any]:
    """Return a trial's parameters; none of one that cannot be built, which has failed for that."""
    try:
        found = space.build(point)
    except Exception:  # noqa: BLE001 - a function of the user's: the trial says what it raised
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _is_gap(error_score: Any) -> bool:  # noqa: ANN401 - a number or "raise"
    """Whether a fold that cannot be scored leaves nothing to compare its trial by."""
    return bool(error_score == "raise" or np.isnan(error_score))


def _without(search: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 - a class
    """Return what scikit-learn's protocol says of a search's parameters, but of some."""
    constraints = search._parameter_constraints  # noqa: SLF001 - the protocol
    return {key: value for key, value in constraints.items() if key not in names}


class SparkTrialsSearchCV(Leaderboard, BaseSearchCV):  # type: ignore[misc]
    """Searches an estimator's parameters by cross-validation, and is the best one that it found.

    Parameters
    ----------
    estimator
        Of scikit-learn's kind.
    space
        A node, or a dict with nodes, that becomes a dict of parameters: ``{"svc__C": ...}``.
    max_evals
        How many sets of parameters are tried, those in `trials` included.
    algo
        As in ``fmin``; None: TPE.
    trials
        Where trials run and are kept: `Trials`, `SparkTrials` or the URL of a history; None: in
        this process, and each fit begins anew.
    warm_start
        Whether the trials of the last fit are kept: the search goes on up to `max_evals`.
    trial_timeout
        Seconds for one set of parameters, all folds together; see `HyperoptEstimator`.
    prune
        Whether parameters that are far behind the best ones after two folds or more are spared the
        others, whose scores are NaN then in ``cv_results_``; they may have been better ones.
    scoring, cv, error_score, return_train_score
        As in ``GridSearchCV``.
    refit
        As there. With several scores it names the one to search by; if it is False or a function
        the first one is.
    n_jobs
        How many trials run at a time, in processes of this machine, where there are no `trials`,
        beside which it must be None or 1.
    verbose
        Whether to show a progress bar.
    random_state
        The seed: an int, ``numpy.random.Generator`` or ``RandomState``; None: another one
        each time.

    Attributes
    ----------
    trials_
        All trials.
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, scorer_, n_splits_,
    refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in ``GridSearchCV``; a row of ``cv_results_`` for each trial that ended.
    """

    _required_parameters = ("estimator", "space")
    _parameter_constraints: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            **_without(BaseSearchCV, "pre_dispatch"),
            "scoring": [str, callable, list, tuple, dict, None],  # names are looked up by fit
            "space": "no_validation",  # by the space itself
            "max_evals": [Interval(Integral, 1, None, closed="left")],
            "algo": "no_validation",  # by fmin
            "trials": "no_validation",  # by trials_for
            "warm_start": ["boolean"],
            "trial_timeout": "no_validation",
            "prune": ["boolean"],
            "random_state": "no_validation",  # by seed_of
        }
    )

    def __init__(
        self,
        estimator: Any,  # noqa: ANN401 - scikit-learn has no types
        space: Any,  # noqa: ANN401 - a tree
        max_evals: int = 50,
        *,
        algo: Any = None,  # noqa: ANN401
        trials: Any = None,  # noqa: ANN401
        warm_start: bool = False,
        trial_timeout: float | None = None,
        prune: bool = False,
        scoring: Any = None,  # noqa: ANN401
        n_jobs: int | None = None,
        refit: bool | str | Callable[[Mapping[str, Any]], int] = True,
        cv: Any = None,  # noqa: ANN401
        verbose: int = 0,
        random_state: Any = None,  # noqa: ANN401
        error_score: Any = np.nan,  # noqa: ANN401
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.max_evals = max_evals
        self.algo = algo
        self.trials = trials
        self.warm_start = warm_start
        self.trial_timeout = trial_timeout
        self.prune = prune
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> SparkTrialsSearchCV:  # noqa: ANN401
        """Search, and fit the best estimator on all data.

        Parameters
        ----------
        X, y
            Features and target.
        params
            What goes to the estimator's ``fit``, the splitter (`groups`) and the scorers, by
            scikit-learn's metadata routing; what has a value for each sample is split as X is.

        Returns
        -------
        SparkTrialsSearchCV
            Itself.

        Raises
        ------
        ValueError
            If all fits failed, with the reasons; and as scikit-learn's searches do.
        InvalidArgument, InvalidArgumentType
            If an argument of this package's own makes no sense, or trials of before were judged in
            another way.
        SpaceMismatch, InvalidPoint
            If `trials` are of another space.
        """
        if isinstance(self.estimator, type):
            name = self.estimator.__name__
            msg = f"estimator is the class {name}: give an estimator, {name}()"
            raise InvalidArgumentType(msg)
        check_no_grid(self.space, self.estimator)
        check_is_there(X, y)
        tree = tree_of(with_lists(self.space, self.estimator))
        space = compile_space(tree)
        check_parameters(tree, self.estimator)
        check_scoring(self.scoring)
        scorers, refit_metric = self._scorers()
        X, y = indexable(X, y)
        check_weights(params, _num_samples(X))
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = parts_of_pairs(cv.split(X, y, **routed.splitter.split), _num_samples(X))
        several = getattr(scorers, "_scorers", None)
        names = None if several is None else list(several)
        metric = self.refit if isinstance(self.refit, str) else (names or [None])[0]
        if y is not None and is_classifier(self.estimator):
            scorer = scorers if several is None else several.get(metric)
            check_scorable(scorer, y, splits, errors=_is_gap(self.error_score))
        shared = CrossValidation(
            estimator=clone(self.estimator),
            X=X,
            y=y,
            splits=splits,
            scorer=scorers,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            return_train_score=self.return_train_score,
            error_score=self.error_score,
        )
        digest = digest_of(X, y, self.scoring, len(splits), self.estimator)
        goes_on = self.warm_start and hasattr(self, "trials_")
        trials = self.trials_ if goes_on else self._new_trials()
        check_same(trials.history, digest, any_data=goes_on)
        sizes = [len(test) for _, test in splits]
        check_judged_alike(  # before the first trial: what was tried stays in the history
            ended(trials.history),
            sizes,
            names=names,
            by_function=callable(self.scoring),
            with_train_scores=self.return_train_score,
        )
        earlier = (trial.result for trial in trials.history)
        self.trials_: Trials = trials  # nothing is refused any more
        with kept_to(self.trials_, self.trial_timeout):
            fmin(
                FoldsObjective(
                    shared=broadcast(shared),
                    metric=metric,
                    digest=digest,
                    race=race_of(earlier, len(splits)) if self.prune else None,
                ),
                tree,
                algo=self.algo,
                max_evals=self.max_evals,
                trials=self.trials_,
                rstate=seed_of(self.random_state, "random_state"),
                catch_eval_exceptions=self.error_score != "raise",
                verbose=bool(self.verbose),
                show_progressbar=bool(self.verbose),
                return_argmin=False,
            )
        finished = ended(self.trials_.history)
        rows = rows_of_trials(
            finished,
            sizes,
            names=names,
            by_function=callable(self.scoring),
            with_train_scores=self.return_train_score,
            error_score=self.error_score,
        )
        self.n_splits_ = len(splits)
        self.multimetric_ = isinstance(rows[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(rows[0]["test_scores"])
            refit_metric = self.refit
        candidates = [_candidate(space, trial.point) for trial in finished]
        with warnings.catch_warnings():
            if self.prune:  # a pruned trial has folds without a score: no reason to warn
                warnings.filterwarnings("ignore", ".* scores are non-finite", UserWarning)
            results = self._format_results(candidates, len(splits), rows)
        self.scorer_ = scorers if several is None else several
        self._take_best(results, refit_metric)
        if self.refit:
            self._refit(X, y, routed.estimator.fit)
        self.cv_results_ = results
        return self

    def _scorers(self) -> tuple[Any, Any]:
        if getattr(self, "_skl_callbacks", None):
            msg = f"{type(self).__name__} calls no callbacks: set them on the estimator"
            raise InvalidArgument(msg)
        if "convert_multimetric" in inspect.signature(self._get_scorers).parameters:  # until 1.4
            scorers, refit_metric = self._get_scorers(convert_multimetric=True)
        else:
            scorers, refit_metric = self._get_scorers()
        return scorers, refit_metric

    def _new_trials(self) -> Trials:
        if self.n_jobs in (None, 1):
            return trials_for(self.trials, self.trial_timeout)
        if self.trials is not None:
            msg = (
                f"n_jobs={self.n_jobs!r} says how many processes there are where trials=None; "
                "with trials these say it: Trials(n_jobs=4), SparkTrials(parallelism=4)"
            )
            raise InvalidArgument(msg)
        return trials_for(Trials(n_jobs=self.n_jobs), self.trial_timeout)

    def _entries(self) -> list[Entry]:
        learner = type(self.estimator).__name__
        if hasattr(self.estimator, "steps"):
            learner = type(self.estimator.steps[-1][1]).__name__
        return [Entry(with_cause(trial), learner) for trial in ended(self.trials_.history)]

    def _score_of(self, loss: float) -> float:
        return 0.0 - loss

    def _best_as_text(self) -> str:
        return repr(getattr(self, "best_params_", None))

    def _take_best(self, results: Mapping[str, Any], refit_metric: Any) -> None:  # noqa: ANN401
        if not self.refit and self.multimetric_:
            return
        self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:  # noqa: ANN401
        # Parameters may be estimators themselves: those of the space stay as they are.
        chosen = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(clone(self.estimator).set_params(**chosen))
        start = time.perf_counter()
        if y is None:
            self.best_estimator_.fit(X, **fit_params)
        else:
            self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


class HyperoptSearchCV(SparkTrialsSearchCV):
    """The same with the signature of ``hyperopt.sklearn.HyperoptSearchCV``.

    Trials may run anywhere, several scores are allowed, and `trials` are used with and without
    `warm_start`. `pre_dispatch` has no effect: a trial is started when there is a place for it.
    """

    _parameter_constraints: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            **_without(SparkTrialsSearchCV, "trial_timeout", "prune"),
            "pre_dispatch": [Integral, str],
        }
    )

    def __init__(  # noqa: PLR0917 - Hyperopt's signature
        self,
        estimator: Any,  # noqa: ANN401
        space: Any,  # noqa: ANN401
        max_evals: int,
        trials: Any = None,  # noqa: ANN401
        algo: Any = None,  # noqa: ANN401
        warm_start: bool = False,  # noqa: FBT001, FBT002
        scoring: Any = None,  # noqa: ANN401
        n_jobs: int | None = None,
        refit: bool | str | Callable[[Mapping[str, Any]], int] = True,  # noqa: FBT001, FBT002
        cv: Any = None,  # noqa: ANN401
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,  # noqa: ANN401
        error_score: Any = np.nan,  # noqa: ANN401
        return_train_score: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(
            estimator,
            space,
            max_evals,
            algo=algo,
            trials=trials,
            warm_start=warm_start,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.pre_dispatch = pre_dispatch
