"""Users' own algorithms, and ours called as Hyperopt's are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sparktrials import Trials, fmin, hp, rand, tpe
from sparktrials.compat import Domain, anneal, atpe, mix, pyll, rand as compat_rand
from sparktrials.compat.algobase import ExprEvaluator, SuggestAlgo
from sparktrials.compat.base import miscs_update_idxs_vals
from sparktrials.errors import AllTrialsFailed, InvalidArgument, InvalidPoint, InvalidTrial

SPACE = {
    "x": hp.uniform("x", -5, 5),
    "k": hp.choice("k", ["a", {"z": hp.quniform("z", 0, 9, 3), "w": hp.randint("w", 2, 6)}]),
    "p": hp.pchoice("p", [(0.2, 1), (0.8, [hp.lognormal("l", 0, 1)])]),
}


def objective(point):
    return (point["x"] - 1) ** 2


def minimize(algo, n=20, trials=None, **others):
    trials = Trials() if trials is None else trials
    fmin(objective, SPACE, algo=algo, max_evals=n, trials=trials, rstate=0, verbose=False, **others)
    return trials


def textbook(new_ids, domain, trials, seed):
    """Random search, as Hyperopt's own source does it."""
    rng = np.random.default_rng(seed)
    documents = []
    for new_id in new_ids:
        memo = {domain.s_new_ids: [new_id], domain.s_rng: rng}
        idxs, vals = pyll.rec_eval(domain.s_idxs_vals, memo=memo)
        assert all(isinstance(column, np.ndarray) for column in [*idxs.values(), *vals.values()])
        misc = {"tid": new_id, "cmd": domain.cmd, "workdir": domain.workdir}
        miscs_update_idxs_vals([misc], idxs, vals)
        documents += trials.new_trial_docs([new_id], [None], [domain.new_result()], [misc])
    return documents


# ---------------------------------------------------------------------- users' own


def test_an_algorithm_from_scratch():
    trials = minimize(textbook, 30)
    assert len(trials) == 30
    assert set(trials.vals) == {"x", "k", "z", "w", "p", "l"}
    for misc in trials.miscs:
        assert bool(misc["vals"]["z"]) == (misc["vals"]["k"] == [1])
        assert misc["idxs"]["x"] == [misc["tid"]]
    assert trials.vals == minimize(textbook, 30).vals, "seeded"


def test_an_algorithm_that_wraps_ours():
    seen = []

    def wrapped(new_ids, domain, trials, seed):
        seen.append((list(new_ids), len(trials), type(seed)))
        documents = tpe.suggest(new_ids, domain, trials, seed, n_startup_jobs=5)
        for document in documents:
            document["misc"]["by"] = "me"
            document["misc"]["vals"]["x"] = [abs(document["misc"]["vals"]["x"][0])]
        return documents

    trials = minimize(wrapped)
    assert [m["by"] for m in trials.miscs] == ["me"] * 20
    assert min(trials.vals["x"]) >= 0
    assert seen[3] == ([3], 3, int)


def test_what_an_algorithm_sees_of_the_run():
    def nosy(new_ids, domain, trials, seed):
        if len(trials) == 5:
            assert trials.statuses() == ["ok"] * 5
            assert trials.best_trial["result"]["loss"] == min(trials.losses())
            assert len(trials.idxs_vals[1]["x"]) == 5
            assert trials.argmin["x"] in trials.vals["x"]
            assert domain.loss(trials.results[0]) == trials.losses()[0]
        return rand.suggest(new_ids, domain, trials, seed)

    assert len(minimize(nosy, 8)) == 8


def test_an_algorithm_that_ends_the_search():
    def tired(new_ids, domain, trials, seed):
        return [] if len(trials) == 4 else rand.suggest(new_ids, domain, trials, seed)

    trials = minimize(tired)
    assert len(trials) == 4


def test_batches_are_asked_for_with_max_queue_len():
    asked = []

    def batched(new_ids, domain, trials, seed):
        asked.append(len(new_ids))
        return textbook(new_ids[:3], domain, trials, seed)

    trials = minimize(batched, 10, max_queue_len=5)
    assert trials.tids == list(range(10))
    assert asked[0] == 5


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (None, InvalidArgument, "list of at most 1"),
        ([{}], InvalidTrial, "misc.vals"),
        ([{"tid": 0, "misc": {"vals": {"x": [1.0]}}}], InvalidPoint, "lacks"),
        ([{"tid": 0, "misc": {"vals": {"y": [1.0]}}}], InvalidPoint, "lacks"),
    ],
)
def test_answers_that_are_none(answer, error, text):
    with pytest.raises(error, match=text):
        minimize(lambda new_ids, domain, trials, seed: answer)


def test_an_algorithm_with_settings_of_its_own():
    def settled(new_ids, domain, trials, seed, least=0.0):
        documents = rand.suggest(new_ids, domain, trials, seed)
        for document in documents:
            document["misc"]["vals"]["x"] = [least]
        return documents

    trials = minimize(partial(settled, least=2.0), 3)
    assert trials.vals["x"] == [2.0] * 3


# ---------------------------------------------------------------------- algobase


class Coordinates(SuggestAlgo):
    """Repeats the best value of each parameter, or draws from the prior."""

    def on_node_hyperparameter(self, memo, node, label):
        values = ExprEvaluator.on_node(self, memo, node)
        if len(self.trials) and self.rng.random() < 0.5 and len(values):
            best = self.trials.best_trial["misc"]["vals"][label]
            if best:
                return np.array([best[0]] * len(values))
        return values


def test_an_algorithm_of_algobase():
    def coordinates(new_ids, domain, trials, seed):
        algo = Coordinates(domain, trials, seed)
        return [document for i in new_ids for document in algo(i)]

    trials = minimize(coordinates, 30)
    assert len(trials) == 30
    assert len(set(trials.vals["x"])) < 30, "some were repeated"
    domain = Domain(objective, SPACE)
    idxs, vals = Coordinates(domain, Trials(), 3).batch(range(50))
    assert idxs["x"].tolist() == list(range(50))
    assert idxs["z"].tolist() == [i for i, k in zip(idxs["k"], vals["k"], strict=True) if k == 1]
    assert set(np.asarray(vals["w"])) <= {2, 3, 4, 5}
    assert set(np.asarray(vals["z"])) <= {0.0, 3.0, 6.0, 9.0}


# ---------------------------------------------------------------------- ours, called directly


@pytest.mark.parametrize("algo", [rand.suggest, tpe.suggest, atpe.suggest, anneal.suggest])
def test_ours_may_be_called(algo):
    domain, trials = Domain(objective, SPACE), minimize(rand.suggest, 15)
    documents = algo([15, 16], domain, trials, 7)
    assert [d["tid"] for d in documents] == [15, 16]
    assert all(d["state"] == 0 and d["result"] == {"status": "new"} for d in documents)
    again = algo([15, 16], domain, trials, np.int64(7))
    assert [d["misc"] for d in again] == [d["misc"] for d in documents]
    trials.insert_trial_docs(documents)
    assert len(trials) == 17


def test_settings_are_checked_when_called():
    domain = Domain(objective, SPACE)
    with pytest.raises(InvalidArgument, match="gamma"):
        tpe.suggest([0], domain, Trials(), 0, gamma=-1)
    with pytest.raises(TypeError, match="Domain"):
        tpe.suggest([0], "domain", Trials(), 0)
    with pytest.raises(InvalidArgument, match="seed"):
        tpe.suggest([0], domain, Trials(), "seed")


@pytest.mark.parametrize("batch", [compat_rand.suggest_batch, anneal.suggest_batch])
def test_batches_of_columns(batch):
    idxs, vals = batch([3, 4, 5], Domain(objective, SPACE), Trials(), 0)
    assert all(isinstance(column, np.ndarray) for column in [*idxs.values(), *vals.values()])
    assert idxs["x"].tolist() == [3, 4, 5]
    assert vals["x"].shape == (3,)
    assert set(idxs) == set(vals) == {"x", "k", "z", "w", "p", "l"}


def test_keywords_of_hyperopt():
    algo = partial(
        tpe.suggest,
        prior_weight=0.5,
        n_startup_jobs=3,
        n_EI_candidates=10,
        gamma=0.4,
        verbose=False,
    )
    assert len(minimize(algo)) == 20
    assert len(minimize(partial(anneal.suggest, avg_best_idx=1.5, shrink_coef=0.2))) == 20
    with pytest.raises(TypeError, match="gama"):
        minimize(partial(tpe.suggest, gama=0.4))


# ---------------------------------------------------------------------- mixtures


def test_mixtures_of_ours_and_users():
    asked = []

    def mine(new_ids, domain, trials, seed):
        asked.append(new_ids)
        return textbook(new_ids, domain, trials, seed)

    ours = [(0.3, rand.suggest), (0.3, anneal.suggest), (0.4, partial(tpe.suggest, gamma=0.3))]
    assert len(minimize(partial(mix.suggest, p_suggest=ours), 30)) == 30
    both = [(0.5, mine), (0.5, rand.suggest)]
    assert len(minimize(partial(mix.suggest, p_suggest=both), 30)) == 30
    assert 5 < len(asked) < 25
    with pytest.raises(ValueError, match="sum to 1"):
        minimize(partial(mix.suggest, p_suggest=[(0.5, mine), (0.1, rand.suggest)]))
    with pytest.raises(ValueError, match="sum to 1"):
        minimize(partial(mix.suggest, p_suggest=[(0.5, rand.suggest)]))


def test_a_search_that_ends_before_it_begins():
    with pytest.raises(AllTrialsFailed, match="no evaluation tasks"):
        minimize(lambda new_ids, domain, trials, seed: [])
