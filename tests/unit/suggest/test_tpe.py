from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.suggest import random as rand, tpe
from sparktrials.suggest.algorithm import suggester_of
from sparktrials.suggest.grouping import groups_of

FAILURE = Failure(kind=FailureKind.RAISED, type="ValueError", message="no")


def run(tree, objective, n, *, seed=0, batch=1, **keywords):
    """Return the history of `n` trials; an objective that returns None fails."""
    space = compile_space(tree)
    history = History(space)
    algorithm = suggester_of(partial(tpe.suggest, **keywords) if keywords else tpe.suggest)
    while len(history) < n:
        ids = range(len(history), min(len(history) + batch, n))
        points = algorithm.suggest(space, history, len(ids), SuggestContext(seed=seed, ids=ids))
        for trial_id, point in zip(ids, points, strict=True):
            loss = objective(space.build(point))
            if loss is None:
                trial = Trial(id=trial_id, state=TrialState.FAILED, point=point, failure=FAILURE)
            else:
                trial = Trial(id=trial_id, state=TrialState.OK, point=point, loss=float(loss))
            history.put(trial)
    return history


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_startup_jobs": -1}, "n_startup_jobs must be an integer >= 0, got -1"),
        ({"n_startup_jobs": True}, "n_startup_jobs"),
        ({"n_EI_candidates": 0}, "n_EI_candidates must be an integer >= 1, got 0"),
        ({"n_EI_candidates": 2.5}, "n_EI_candidates"),
        ({"gamma": 0}, "gamma must be a finite number > 0, got 0"),
        ({"gamma": float("nan")}, "gamma"),
        ({"gamma": "much"}, "gamma"),
        ({"prior_weight": 0.0}, "prior_weight must be a finite number > 0, got 0.0"),
        ({"prior_weight": None}, "prior_weight"),
    ],
)
def test_settings_are_checked(keywords, message):
    with pytest.raises(InvalidArgument, match=message):
        suggester_of(partial(tpe.suggest, **keywords))


def test_unknown_settings_are_refused():
    with pytest.raises(InvalidArgumentType, match=r"tpe\.suggest has no setting 'n_candidates'"):
        suggester_of(partial(tpe.suggest, n_candidates=3))


def test_gamma_means_what_it_does_in_hyperopt():
    n_good = tpe.Settings(gamma=0.25).n_good
    assert [n_good(n) for n in (0, 1, 20, 100, 10**6)] == [0, 1, 2, 3, 25]
    assert [tpe.Settings().n_good(n) for n in (0, 1, 20, 100, 10**6)] == [0, 1, 3, 15, 25]


def test_fewer_continuous_trials_are_good_ones_where_many_run_at_once():
    space = compile_space(
        hp.choice("m", [hp.uniform("x", 0, 1), hp.quniform("k", 0, 4, 1), hp.normal("n", 0, 1)])
    )
    root, x, k, n = groups_of(Codec.of(space))
    shares = {p: tpe.good_share(x, p) for p in (0, 1, 8, 32)}
    assert shares == pytest.approx({0: 0.15, 1: 0.15, 8: 0.0804, 32: 0.0530}, abs=1e-4)
    assert tpe.good_share(n, 8) == shares[8]
    assert tpe.good_share(k, 8) == tpe.good_share(root, 8) == 0.15
    assert tpe.Settings().n_good(64, shares[32]) == 4
    assert tpe.Settings(gamma=1.0).n_good(64, shares[32]) == 8


def test_starts_as_random_search():
    tree = {"x": hp.uniform("x", 0, 1), "m": hp.choice("m", [0, hp.lognormal("y", 0, 1)])}
    space = compile_space(tree)
    context = SuggestContext(seed=7, ids=range(10))
    expected = rand.suggest.configured().suggest(space, History(space), 10, context)
    found = [t.point for t in run(tree, lambda p: p["x"], 10, seed=7)]
    assert found == expected


def test_pending_trials_do_not_end_the_start():
    space = compile_space(hp.uniform("x", 0, 1))
    history = History(
        space, [Trial(id=i, state=TrialState.NEW, point={"x": 0.5}) for i in range(50)]
    )
    context = SuggestContext(seed=7, ids=[50, 51])
    expected = rand.suggest.configured().suggest(space, history, 2, context)
    assert tpe.suggest.configured().suggest(space, history, 2, context) == expected


@pytest.mark.parametrize("seed", range(10))
def test_published_example(seed):
    tree = hp.choice(
        "a", [("case 1", 1 + hp.lognormal("c1", 0, 1)), ("case 2", hp.uniform("c2", -10, 10))]
    )
    best = run(tree, lambda v: v[1] if v[0] == "case 1" else v[1] ** 2, 100, seed=seed).best
    assert best.point["a"] == 1
    assert abs(best.point["c2"]) < 0.3


def test_converges_jointly():
    tree = {f"x{i}": hp.uniform(f"x{i}", -5, 5) for i in range(4)}
    losses = [
        run(tree, lambda p: sum((v - 1) ** 2 for v in p.values()), 100, seed=s).best.loss
        for s in range(5)
    ]
    assert np.median(losses) < 0.5


def test_hard_branch_is_explored():
    tree = hp.choice(
        "m", [hp.uniform("easy", 0, 1), {f"n{i}": hp.uniform(f"n{i}", 0, 1) for i in range(3)}]
    )

    def objective(v):
        return 0.2 + v if isinstance(v, float) else max(abs(x - 0.3) for x in v.values())

    history = run(tree, objective, 100)
    assert 25 <= sum(t.point["m"] for t in history) <= 75
    assert history.best.point["m"] == 1


def test_failures_repel():
    def objective(x):
        return None if x < 0.5 else abs(x - 0.8)

    history = run(hp.uniform("x", 0, 1), objective, 60)
    late = [t.point["x"] for t in history][20:]
    assert sum(x < 0.5 for x in late) < len(late) / 4
    assert history.best.loss < 0.02


def test_cancelled_trials_are_ignored():
    space = compile_space({"x": hp.uniform("x", 0, 1), "y": hp.uniform("y", 0, 1)})
    rng = np.random.default_rng(0)
    trials = [
        Trial(id=i, state=TrialState.OK, point={"x": a, "y": b}, loss=a + b)
        for i, (a, b) in enumerate(rng.random((30, 2)).tolist())
    ]
    extra = [
        Trial(id=i, state=TrialState.CANCELLED, point={"x": 0.01, "y": 0.01}) for i in range(30, 40)
    ]
    context = SuggestContext(seed=1, ids=[40])
    algorithm = tpe.suggest.configured()
    without = algorithm.suggest(space, History(space, trials), 1, context)
    assert algorithm.suggest(space, History(space, trials + extra), 1, context) == without


@pytest.mark.parametrize(
    ("tree", "size"),
    [
        (hp.choice("a", list(range(12))), 12),
        (hp.randint("i", 100), 100),
        ({"a": hp.choice("a", list("xyz")), "q": hp.quniform("q", 0, 1, 0.25)}, 15),
        (
            hp.choice("a", [0, hp.choice("b", [1, hp.quniform("q", 0, 5, 1)]), hp.randint("i", 4)]),
            12,
        ),
        (hp.pchoice("a", [(0.98, 0), (0.01, 1), (0.01, 2)]), 3),
        (hp.quniform("one", 0, 1, 10), 1),
        (hp.choice("only", ["option"]), 1),
        ({"l": hp.qloguniform("l", -3, 3, 1), "u": hp.uniformint("u", 2, 4)}, 63),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [1, 5])
def test_finite_spaces_are_exhausted_before_anything_repeats(tree, size, batch):
    history = run(tree, lambda v: 0.0, size + 3, batch=batch)
    points = [tuple(sorted(t.point.items())) for t in history]
    assert len(set(points[:size])) == size
    assert len(set(points)) == size


def test_exhausted_branches_are_given_up():
    """The constant is best by far, and trying it again would tell nothing."""
    tree = hp.choice("m", ["constant", hp.uniform("x", 0, 1)])
    history = run(tree, lambda v: -1.0 if v == "constant" else v, 40)
    assert sum(t.point["m"] == 0 for t in history) == 1


@pytest.mark.parametrize("losses", ["equal", "failed", "huge", "tiny"])
def test_degenerate_losses(losses):
    def objective(p):
        x = p["x"]
        return {"equal": 1.0, "failed": None, "huge": 1e308 * np.sign(x), "tiny": 5e-324 * (x > 0)}[
            losses
        ]

    tree = {"x": hp.normal("x", 0, 1), "c": hp.choice("c", [1, 2])}
    assert len(run(tree, objective, 40)) == 40


def test_thousands_of_duplicates():
    space = compile_space({"x": hp.uniform("x", 0, 1), "n": hp.normal("n", 0, 1)})
    history = History(
        space,
        [
            Trial(id=i, state=TrialState.OK, point={"x": 0.5, "n": 3.0}, loss=0.0)
            for i in range(3000)
        ],
    )
    context = SuggestContext(seed=0, ids=range(3000, 3032))
    points = tpe.suggest.configured().suggest(space, history, 32, context)
    assert len({p["x"] for p in points}) == 32


def test_batches_spread():
    tree = {f"x{i}": hp.uniform(f"x{i}", 0, 1) for i in range(2)}
    history = run(tree, lambda p: sum((v - 0.5) ** 2 for v in p.values()), 60)
    context = SuggestContext(seed=0, ids=range(60, 92))
    points = tpe.suggest.configured().suggest(history.space, history, 32, context)
    X = np.array([[p["x0"], p["x1"]] for p in points])
    distances = np.linalg.norm(X[:, None] - X[None], axis=-1)[np.triu_indices(32, 1)]
    assert distances.min() > 1e-4
    assert np.linalg.norm(X - 0.5, axis=1).mean() < 0.35
