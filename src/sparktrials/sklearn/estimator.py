"""``HyperoptEstimator``: an estimator that searches preprocessing, model and hyperparameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sparktrials.api.keeping import new_seed
from sparktrials.api.options import positive_int, seed_of
from sparktrials.api.run import fmin
from sparktrials.dispatch.broadcasting import broadcast
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.assembly import joined
from sparktrials.sklearn.best import BestPipeline
from sparktrials.sklearn.demands import Demands
from sparktrials.sklearn.described import searched
from sparktrials.sklearn.evaluation import Data, Judgement, PipelineObjective
from sparktrials.sklearn.failures import nothing_found
from sparktrials.sklearn.leaderboard import Entry, Leaderboard, ended, entry_of
from sparktrials.sklearn.racing import race_of
from sparktrials.sklearn.sameness import check_same, check_space, digest_of
from sparktrials.sklearn.scorers import check_judged, check_labels
from sparktrials.sklearn.spaces import is_classification
from sparktrials.sklearn.splitting import Splitting, all_have
from sparktrials.sklearn.starting import starting_points, untried
from sparktrials.sklearn.tags import PipelineTags
from sparktrials.sklearn.validation import checked_exogenous, checked_features, checked_target
from sparktrials.sklearn.where import kept_to, trials_for, write_trials
from sparktrials.space import Point, compile_space

__all__ = ["HyperoptEstimator"]


class HyperoptEstimator(BestPipeline, Leaderboard, PipelineTags, BaseEstimator):  # type: ignore[misc]
    """Searches for a pipeline, and is the best one that it found.

    Parameters
    ----------
    preprocessing
        A node that becomes a transformer, a list of them or None. None: what fits the data, which
        is a ``ColumnTransformer`` for frames with more than numbers, else `any_preprocessing`,
        `any_sparse_preprocessing` or `any_text_preprocessing`; missing numbers are filled in.
    ex_preprocs
        For each exogenous data set a list of transformers, or of nodes that become them; or a node
        that becomes all that.
    classifier, regressor
        A node that becomes the model; with neither, `any_classifier`, for texts and sparse data
        `any_sparse_classifier`.
    space
        A node or a dict with all of these, instead of them.
    algo
        As in ``fmin``; None: TPE. It is asked after the `portfolio`, and so not at all where
        `max_evals` is not more than that has.
    max_evals
        How many pipelines are tried.
    loss_fn
        ``loss_fn(target, predicted)``, to be minimized, over all validation samples. Without it and
        `scoring`: 1 - accuracy, or 1 - R².
    continuous_loss_fn
        Whether `loss_fn` gets what ``predict_proba`` returns.
    verbose
        Whether to show a progress bar and messages.
    trial_timeout
        Seconds for one trial; one that takes longer is ended. Without `trials` they then run in a
        process of their own; ``Trials()`` are refused, for they cannot be ended.
    fit_increment
        After how many trials, 1 or more, the file is written, and ``fit_iter`` yields.
    fit_increment_dump_filename
        A file that the trials are pickled to meanwhile.
    seed
        Of all that is random: an int, ``numpy.random.Generator`` or ``RandomState``; None: another
        one for each fit.
    use_partial_fit
        Whether models that can learn in rounds do, until their score stops rising.
    refit
        Whether the best pipeline is fitted on all data in the end.
    n_jobs
        How many threads a model may use.
    scoring
        A scorer of scikit-learn's, by name or as a callable: the more the better.
    cv
        A splitter of scikit-learn's, a number of folds, or pairs of indices; ``fit`` is then given
        neither `n_folds` nor `valid_size` nor `cv_shuffle`.
    trials
        Where trials run and are kept: `Trials`, `SparkTrials` or the URL of a history; with one
        that has trials already the search goes on, `max_evals` being the trials in all.
    prune
        Whether a trial that is far behind the best one after two folds or more is spared the
        others; it may have been a better one. Not with `loss_fn`, which judges all samples
        together.
    portfolio
        Whether a choice among models begins with configurations of them that are good on most data
        (`sklearn.starts`: up to 15 for `any_classifier`, 14 for `any_regressor`), each as near to
        that as the space has it; not with a `space`, and no ``SVC`` or ``SVR`` for more than 5,000
        samples.

    Attributes
    ----------
    best_pipeline_
        A plain scikit-learn ``Pipeline``, which unpickles without this package.
    best_loss_
        The loss of its trial.
    best_params_
        ``label -> value`` of its trial.
    trials
        All trials.
    classes_, n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    def __init__(  # noqa: PLR0917 - Hyperopt-Sklearn's signature
        self,
        preprocessing: Any = None,  # noqa: ANN401 - a node
        ex_preprocs: Any = None,  # noqa: ANN401
        classifier: Any = None,  # noqa: ANN401
        regressor: Any = None,  # noqa: ANN401
        space: Any = None,  # noqa: ANN401
        algo: Any = None,  # noqa: ANN401
        max_evals: int = 10,
        loss_fn: Callable[[Any, Any], Any] | None = None,
        continuous_loss_fn: bool = False,  # noqa: FBT001, FBT002
        verbose: bool = False,  # noqa: FBT001, FBT002
        trial_timeout: float | None = None,
        fit_increment: int = 1,
        fit_increment_dump_filename: str | os.PathLike[str] | None = None,
        seed: Any = None,  # noqa: ANN401
        use_partial_fit: bool = False,  # noqa: FBT001, FBT002
        refit: bool = True,  # noqa: FBT001, FBT002
        n_jobs: int = 1,
        *,
        scoring: Any = None,  # noqa: ANN401
        cv: Any = None,  # noqa: ANN401
        trials: Any = None,  # noqa: ANN401
        prune: bool = False,
        portfolio: bool = True,
    ) -> None:
        self.preprocessing = preprocessing
        self.ex_preprocs = ex_preprocs
        self.classifier = classifier
        self.regressor = regressor
        self.space = space
        self.algo = algo
        self.max_evals = max_evals
        self.loss_fn = loss_fn
        self.continuous_loss_fn = continuous_loss_fn
        self.verbose = verbose
        self.trial_timeout = trial_timeout
        self.fit_increment = fit_increment
        self.fit_increment_dump_filename = fit_increment_dump_filename
        self.seed = seed
        self.use_partial_fit = use_partial_fit
        self.refit = refit
        self.n_jobs = n_jobs
        self.scoring = scoring
        self.cv = cv
        self.trials = trials
        self.prune = prune
        self.portfolio = portfolio

    # ------------------------------------------------------------------ parameters

    @property
    def trials(self) -> Any:  # noqa: ANN401 - Trials
        """The trials: after a fit those of the search, before it what was given."""
        return self.__dict__.get("trials_", self.__dict__.get("trials"))

    @trials.setter
    def trials(self, given: Any) -> None:  # noqa: ANN401
        self.__dict__["trials"] = given

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """Return the parameters that this was made with."""
        found: dict[str, Any] = super().get_params(deep=deep)
        found["trials"] = self.__dict__.get("trials")
        return found

    # ------------------------------------------------------------------ fitting

    def fit(  # noqa: PLR0917 - Hyperopt-Sklearn's signature
        self,
        X: Any,  # noqa: ANN401 - any data
        y: Any,  # noqa: ANN401
        EX_list: Sequence[Any] | None = None,
        valid_size: float = 0.2,
        n_folds: int | None = None,
        kfolds_group: Any = None,  # noqa: ANN401
        cv_shuffle: bool = False,  # noqa: FBT001, FBT002
        warm_start: bool = False,  # noqa: FBT001, FBT002
        random_state: Any = None,  # noqa: ANN401
        *,
        groups: Any = None,  # noqa: ANN401
        sample_weight: Any = None,  # noqa: ANN401
    ) -> HyperoptEstimator:
        """Search, and fit the best pipeline on all data.

        Parameters
        ----------
        X, y
            Features (an array, a sparse matrix, a frame, a list of texts) and target.
        EX_list
            Exogenous data sets of as many samples, each with its own preprocessing.
        valid_size
            The share of samples that pipelines are judged by, without folds: the last ones, unless
            there is `cv_shuffle` or `groups`.
        n_folds
            The number of folds instead; -1: each sample once.
        kfolds_group, groups
            The group of each sample: groups are not torn apart, but by a `cv` that knows none, or
            ``n_folds=-1``.
        cv_shuffle
            Whether samples are shuffled before they are split; not with `cv`.
        warm_start
            Whether the trials of the last fit are kept, and `max_evals` more are made.
        random_state
            Of shuffling, as `seed`, which it is without.
        sample_weight
            The weight of each sample, for fitting, for the loss without `loss_fn`, and for scorers
            that take weights. Models that take none are left out of choices.

        Returns
        -------
        HyperoptEstimator
            Itself.

        Raises
        ------
        NoPipelineFound
            If all trials failed: with the causes, the commonest first.
        InvalidArgument, InvalidArgumentType, ValueError
            If an argument makes no sense, or results of before were judged by another scoring,
            loss or number of folds, or, without `warm_start`, are of other data.
        AttributeError
            If the only model has not what the scorer needs, such as probabilities.
        SpaceMismatch, InvalidPoint
            If `trials`, or with `warm_start` the last fit's, are of another space.
        """
        search = self.fit_iter(
            X,
            y,
            EX_list=EX_list,
            valid_size=valid_size,
            n_folds=n_folds,
            kfolds_group=kfolds_group,
            cv_shuffle=cv_shuffle,
            warm_start=warm_start,
            random_state=random_state,
            groups=groups,
            sample_weight=sample_weight,
        )
        max_evals = positive_int("max_evals", self.max_evals)
        earlier = self.__dict__.copy()
        trials = next(search)
        known = len(trials.history)
        total = max_evals + (known if warm_start else 0)
        file, increment = self.fit_increment_dump_filename, int(self.fit_increment)
        interrupt: KeyboardInterrupt | None = None
        try:
            while True:  # once where all are there, too: are they of this space?
                done = len(trials.history)
                left = max(0, total - done)
                search.send(left if file is None else min(increment, left))
                if file is not None:
                    write_trials(trials, file)
                more = done < len(trials.history) < total
                if trials.fmin_cancelled_reason or not more:
                    break  # also by a limit of the trials' own, or because all points were tried
        except KeyboardInterrupt as error:
            interrupt = error
        except BaseException:
            if len(trials.history) == known:  # refused: the algorithm, say, or trials of others
                self.__dict__.clear()
                self.__dict__.update(earlier)
            raise
        finally:
            search.close()
            data = self.__dict__.pop("_data", None)
        self._take_best()
        if not hasattr(self, "best_pipeline_"):
            raise interrupt or nothing_found(trials.history)
        if self.refit:  # after an interrupt, too: what was found by then is what is used
            self._refit(data)
            self._weights = None  # each pickle would have them
        return self

    def fit_iter(  # noqa: PLR0917 - Hyperopt-Sklearn's signature
        self,
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        EX_list: Sequence[Any] | None = None,
        valid_size: float = 0.2,
        n_folds: int | None = None,
        kfolds_group: Any = None,  # noqa: ANN401
        cv_shuffle: bool = False,  # noqa: FBT001, FBT002
        warm_start: bool = False,  # noqa: FBT001, FBT002
        random_state: Any = None,  # noqa: ANN401
        *,
        groups: Any = None,  # noqa: ANN401
        sample_weight: Any = None,  # noqa: ANN401
    ) -> Generator[Any, int | None, None]:
        """Yield the trials, before the first and after each ``fit_increment`` more of them.

        It goes on for as long as it is asked; a number sent to it by ``send`` is how many are next.
        Nothing is refitted. The arguments are those of `fit`.
        """
        if groups is not None and kfolds_group is not None:
            msg = "groups and kfolds_group are two names of one argument: give one"
            raise InvalidArgument(msg)
        increment = positive_int("fit_increment", self.fit_increment)
        judgement = Judgement.checked(
            loss_fn=self.loss_fn, continuous=self.continuous_loss_fn, scoring=self.scoring
        )
        classification = is_classification(self)
        if self.continuous_loss_fn and not classification:
            msg = "continuous_loss_fn=True is for classifiers: they have probabilities"
            raise InvalidArgument(msg)
        X = checked_features(self, X, reset=True)
        y = checked_target(self, X, y, classification=classification)
        demands = Demands.of(judgement, sample_weight, in_rounds=self.use_partial_fit)
        tree = searched(self, X, y, judgement, demands, exogenous=EX_list or ())
        compiled = compile_space(tree)
        classes = np.unique(y) if classification else None
        if classes is not None:
            check_labels(y, judgement)
        goes_on = warm_start and hasattr(self, "trials_")
        if goes_on:
            seed, trials = self._seed, self.trials_
        else:
            drawn = seed_of(self.seed, "seed")
            seed = int((new_seed() if drawn is None else drawn) % 2**32)
            trials = trials_for(self.__dict__.get("trials"), self.trial_timeout)
        given = seed_of(random_state, "random_state")
        parts = Splitting(
            cv=self.cv,
            n_folds=n_folds,
            valid_size=valid_size,
            shuffle=cv_shuffle,
            groups=kfolds_group if groups is None else groups,
        ).parts(
            X,
            y,
            classification=classification,
            seed=seed if given is None else given % 2**32,
        )
        check_judged(judgement, y, parts, classification=classification)
        digest = digest_of(X, y, self.scoring, self.loss_fn, self.continuous_loss_fn, len(parts))
        check_same(trials.history, digest, any_data=goes_on)
        if not trials.store.durable:  # which knows its space, and says so
            check_space(trials.history, compiled)
        exogenous = checked_exogenous(EX_list or (), y)
        beside, widths = joined(X, exogenous)
        data = Data(
            X=beside,
            y=y,
            widths=widths,
            sample_weight=judgement.weights(sample_weight, beside),
            parts=parts,
            classes=classes,
            whole=classes is None or all_have(classes, y, parts),
        )
        results = (trial.result for trial in trials.history)
        objective = PipelineObjective(
            data=broadcast(data),
            judgement=judgement,
            seed=seed,
            n_jobs=self.n_jobs,
            use_partial_fit=self.use_partial_fit,
            digest=digest,
            # What loss_fn is made for are all samples: some may lack a label, say.
            race=race_of(results, len(parts)) if self.prune and not self.loss_fn else None,
        )
        by_portfolio = self.portfolio and self.space is None
        starts = starting_points(tree, compiled, samples=len(y)) if by_portfolio else []
        self._begin(data, X, trials, seed=seed, space=compiled, goes_on=goes_on)
        while True:
            sent = yield self.trials_
            if sent is not None:
                increment = sent and positive_int("the number sent to fit_iter", sent)
            if starts:  # what is tried stays tried
                starts = untried(starts, self.trials_.history)
            self._search(objective, tree, starts[:increment], increment)
            self._take_best()

    def _search(
        self,
        objective: PipelineObjective,
        tree: Any,  # noqa: ANN401
        points: list[Point],
        increment: int,
    ) -> None:
        with kept_to(self.trials_, self.trial_timeout):
            fmin(
                objective,
                tree,
                algo=self.algo,
                max_evals=len(self.trials_.history) + increment - len(points),  # these are on top
                points_to_evaluate=points,
                trials=self.trials_,
                rstate=self._seed,
                catch_eval_exceptions=True,
                verbose=bool(self.verbose),
                show_progressbar=bool(self.verbose),
                return_argmin=False,
            )

    def _entries(self) -> list[Entry]:
        return [entry_of(self._compiled, trial) for trial in ended(self.trials_.history)]
