"""Time-outs of a search, and those of the trials that it is given."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from sparktrials import Trials, hp, rand
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import HyperoptEstimator, SparkTrialsSearchCV, decision_tree_classifier
from sparktrials.sklearn.where import TimedTrials, kept_to, trials_for


@pytest.mark.parametrize(
    ("theirs", "given", "kept"), [(None, 5, 5), (3, 5, 3), (9, 5, 5), (3, None, 3)]
)
def test_the_shorter_one_holds_while_trials_run(theirs, given, kept):
    trials = trials_for(Trials(n_jobs=2, trial_timeout=theirs), given)
    with kept_to(trials, given):
        assert trials.trial_timeout == kept
    assert trials.trial_timeout == theirs


def test_an_own_process_takes_the_new_one():
    trials = trials_for(None, 5)
    assert isinstance(trials, TimedTrials)
    with kept_to(trials, 9):
        assert trials.trial_timeout == 9


@pytest.mark.newest
def test_given_trials_keep_theirs():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] > 0
    trials = Trials(n_jobs=2)
    model = decision_tree_classifier("m")
    HyperoptEstimator(
        classifier=model,
        preprocessing=[],
        trials=trials,
        trial_timeout=60,
        max_evals=2,
        seed=0,
        algo=rand.suggest,
    ).fit(X, y)
    assert (len(trials), trials.trial_timeout) == (2, None)
    trials = Trials(n_jobs=2)
    space = {"max_depth": hp.uniformint("d", 1, 4)}
    tree = DecisionTreeClassifier()
    SparkTrialsSearchCV(
        tree, space, 2, cv=2, trials=trials, trial_timeout=60, algo=rand.suggest
    ).fit(X, y)
    assert (len(trials), trials.trial_timeout) == (2, None)


@pytest.mark.parametrize("given", ["file.pkl", "runs", "./runs.db"])
def test_a_text_that_is_no_url_of_a_store_is_refused(given):
    """It would be the name of an experiment in memory, which nobody finds again."""
    with pytest.raises(InvalidArgument, match=f"for a file write sqlite:///{re.escape(given)}"):
        trials_for(given, None)


class Sleeper(DecisionTreeClassifier):
    """Takes longer than any trial may."""

    def fit(self, X, y):
        threading.Event().wait(60)


def test_an_end_by_the_time_out_is_said():
    space = {"max_depth": hp.uniformint("depth", 1, 9)}
    search = SparkTrialsSearchCV(Sleeper(), space, 2, cv=3, trial_timeout=0.2, random_state=0)
    X = np.arange(30.0).reshape(-1, 1)
    match = r"All the 6 fits failed, for these reasons:\n2 of 2 trials: TrialTimeout: .*0\.2 s"
    with pytest.raises(ValueError, match=match) as caught:
        search.fit(X, X[:, 0] > 14)
    assert "misconfigured" not in str(caught.value)
