"""Trials without a chance are spared their later folds; folds are shared by a trial's tasks."""

from __future__ import annotations

import contextlib
import inspect
import math
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import zero_one_loss
from sklearn.preprocessing import StandardScaler

from sparktrials import Trials, hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    SparkTrialsSearchCV,
    k_neighbors_classifier,
    splitting,
)
from sparktrials.sklearn.racing import Race, race_of
from sparktrials.sklearn.ranks import Ranks, ranks_here
from sparktrials.sklearn.splitting import rows_of

#: Losses by one, two and three folds; the comparison with the best turns by 0.01 or less.
JUDGED = [(0.1 + 0.01 * i, 0.11 + 0.01 * i, 0.105 + 0.011 * i) for i in range(8)]


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def test_far_behind_on_the_same_folds_is_hopeless():
    race = Race(JUDGED)
    assert race.hopeless((0.5, 0.5)) == pytest.approx(0.105 + 0.39)
    assert race.hopeless((0.5, 0.3)) == pytest.approx(0.105 + 0.19)
    assert race.hopeless((0.1005, 0.1105)) is None
    assert race.hopeless((0.09, 0.09)) is None


def test_nobody_is_hopeless_by_one_fold():
    race = Race(JUDGED)
    assert race.hopeless((0.9,)) is None
    assert race.hopeless((0.9, 0.9)) is not None


def test_nobody_is_hopeless_before_there_is_something_to_compare_with():
    race = Race(JUDGED[1:])
    assert race.hopeless((0.9, 0.9)) is None
    race.ended((math.nan, 0.1, 0.1))  # of a trial that failed
    assert race.hopeless((0.9, 0.9)) is None
    race.ended(JUDGED[0])
    assert race.hopeless((0.9, 0.9)) is not None
    assert race.hopeless((0.9, math.nan)) is None


def test_the_estimate_is_never_the_best():
    rng = np.random.default_rng(0)
    race = Race()
    best = math.inf
    for quality in rng.uniform(0, 1, 200):
        folds = quality + rng.normal(0, 0.1, 5)
        losses = [float(folds[: k + 1].mean()) for k in range(5)]
        for k in range(1, 5):
            estimate = race.hopeless(losses[:k])
            if estimate is not None:
                assert estimate > best
                break
        else:
            race.ended(losses)
            best = min(best, losses[-1])


def test_it_travels_without_what_it_learnt():
    race = Race(JUDGED)
    race.ended((0.01, 0.01, 0.01))
    there = pickle.loads(pickle.dumps(race))
    assert there.hopeless((0.5, 0.5)) == pytest.approx(0.495)
    assert race.hopeless((0.5, 0.5)) == pytest.approx(0.5)


def test_it_begins_with_earlier_trials_of_as_many_folds():
    results = [*({"losses": list(losses)} for losses in JUDGED), {"losses": [0.0] * 4}, {}, None]
    assert race_of(results, 3).hopeless((0.5, 0.5)) == pytest.approx(0.495)
    assert race_of(results, 4).hopeless((0.5, 0.5)) is None


@pytest.mark.parametrize("n_folds", [1, 2, 21, 150])
def test_there_is_none_where_none_or_next_to_nothing_can_be_spared(n_folds):
    assert race_of([], n_folds) is None


def neighbors(**given):
    return HyperoptEstimator(
        classifier=k_neighbors_classifier(
            "knn", n_neighbors=hp.choice("n", [1, 3, 5, 9, 95]), weights="uniform"
        ),
        preprocessing=[],
        max_evals=30,
        seed=0,
        **given,
    )


@pytest.mark.parametrize("kind", [HyperoptEstimator, SparkTrialsSearchCV])
def test_pruning_is_off_unless_it_is_asked_for(kind):
    assert inspect.signature(kind).parameters["prune"].default is False


def test_a_search_prunes(iris):
    found = neighbors(prune=True).fit(*iris, n_folds=5)
    history = found.trials.history
    pruned = [t for t in history if "pruned_after" in t.result]
    assert pruned
    assert min(t.result["pruned_after"] for t in pruned) >= 2
    assert all(len(t.reports) == t.result["pruned_after"] for t in pruned)
    assert all(t.loss > found.best_loss_ for t in pruned)
    whole = [t for t in history if "losses" in t.result]
    assert len(pruned) + len(whole) == 30
    assert all(t.result["losses"][-1] == t.loss for t in whole)
    table = found.leaderboard().set_index("trial")
    assert {int(t.id) for t in pruned} == set(table.index[table.folds < 5])


def test_a_search_goes_on_with_what_is_known(iris):
    trials = Trials()
    neighbors(prune=True, trials=trials, scoring="accuracy").fit(*iris, n_folds=5)
    again = neighbors(prune=True, trials=trials, scoring="accuracy")
    again.max_evals = 40
    again.fit(*iris, n_folds=5)
    assert any("pruned_after" in t.result for t in list(again.trials.history)[30:])


def test_a_loss_of_ones_own_gets_all_samples(iris):
    sizes = []

    def loss(target, predicted):
        sizes.append(len(target))
        return zero_one_loss(target, predicted)

    neighbors(loss_fn=loss).fit(*iris, n_folds=5)
    assert set(sizes) == {150}


def test_results_of_pruned_trials(iris):
    search = SparkTrialsSearchCV(
        LogisticRegression(max_iter=5_000),
        {"C": hp.loguniform("C", -9, 2)},
        max_evals=30,
        cv=4,
        scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss",
        random_state=0,
        prune=True,
    ).fit(*iris)
    results = search.cv_results_
    gaps = np.isnan(results["split3_test_accuracy"])
    assert 0 < gaps.sum() < 22
    assert np.isfinite(results["split0_test_neg_log_loss"]).all()
    assert results["rank_test_neg_log_loss"][search.best_index_] == 1
    assert np.isnan(results["mean_test_accuracy"][gaps]).all()


def test_rows_of_large_data_that_follow_one_another_are_not_copied(monkeypatch):
    monkeypatch.setattr(splitting, "_LARGE", 1_600)
    X = np.random.default_rng(0).random((100, 2))
    part = rows_of(X, np.arange(5, 90))
    assert np.shares_memory(part, X)
    assert not part.flags.writeable
    assert X.flags.writeable
    assert len(part) == 85
    assert not np.shares_memory(rows_of(X, np.array([0, 2])), X)
    assert not np.shares_memory(rows_of(X[:99], np.arange(3)), X)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(np.random.default_rng(0).random((100, 4)), range(7, 107), list("abcd")),
        pd.DataFrame({0: np.arange(100.0), 1: np.arange(1, 101.0)}).copy(),
    ],
)
def test_rows_of_a_large_frame_cannot_be_written_to(frame, monkeypatch):
    monkeypatch.setattr(splitting, "_LARGE", 1)
    before = frame.copy(deep=True)
    part = rows_of(frame, np.arange(5, 90))
    pd.testing.assert_frame_equal(part, frame.iloc[5:90])
    assert np.shares_memory(part.to_numpy(), frame.to_numpy())
    with pytest.raises(ValueError, match="read-only"):
        part.iloc[0, 0] = 99.0
    with pytest.raises(ValueError, match="read-only"):
        part.to_numpy()[0] = 99.0
    with contextlib.suppress(ValueError):  # scikit-learn 1.4 refuses, later ones copy
        StandardScaler(copy=False).fit_transform(part)
    part *= 2
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": np.arange(100.0), "b": range(100)}),
        pd.DataFrame({"a": pd.array(range(100), dtype="Int64")}),
        pd.DataFrame({"a": pd.date_range("2020-01-01", periods=100)}),
    ],
)
def test_rows_of_any_other_large_frame_are_a_copy(frame, monkeypatch):
    monkeypatch.setattr(splitting, "_LARGE", 1)
    before = frame.copy(deep=True)
    part = rows_of(frame, np.arange(5, 90))
    for column in part:
        part.loc[:, column] = part[column].iloc[0]
    pd.testing.assert_frame_equal(frame, before)


class Barrier:
    """Tasks of one trial, as threads."""

    def __init__(self, n):
        self.n, self.texts, self.meeting = n, [""] * n, threading.Barrier(n)

    def of(self, rank):
        return Task(self, rank)


class Task:
    def __init__(self, barrier, rank):
        self.barrier, self.rank = barrier, rank

    def partitionId(self):
        return self.rank

    def getTaskInfos(self):
        return [None] * self.barrier.n

    def allGather(self, text):
        self.barrier.texts[self.rank] = text
        self.barrier.meeting.wait(30)
        return list(self.barrier.texts)


@pytest.mark.parametrize(("n", "folds"), [(1, 5), (2, 5), (3, 3), (4, 2)])
def test_tasks_share_folds(n, folds):
    barrier = Barrier(n)
    found = [None] * n

    def task(rank):
        ranks = Ranks(barrier.of(rank))
        mine = [fold * 10 for fold in ranks.mine(range(folds))]
        found[rank] = (len(mine), ranks.gathered(mine))

    threads = [threading.Thread(target=task, args=(rank,)) for rank in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(count for count, _ in found) == folds
    assert all(gathered == [10 * fold for fold in range(folds)] for _, gathered in found)


def test_a_trial_has_one_task_where_spark_is_not():
    assert ranks_here().number == 1
    assert ranks_here().gathered([1, 2]) == [1, 2]
