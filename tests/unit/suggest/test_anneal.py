from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.property.strategies import histories, spaces, trials

from sparktrials import hp, scope
from sparktrials.errors import EmptySpace, InvalidArgument, InvalidArgumentType
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.suggest import anneal, random as rand
from sparktrials.suggest.algorithm import suggester_of

FAILURE = Failure(kind=FailureKind.RAISED, type="ValueError", message="no")


def suggest(space, history, n=1, *, seed=0, first=None, **keywords):
    first = history.next_id if first is None else first
    context = SuggestContext(seed=seed, ids=range(first, first + n))
    return anneal.suggest.configured(**keywords).suggest(space, history, n, context)


def run(tree, objective, n, *, seed=0, batch=1, **keywords):
    """Return the history of `n` trials; an objective that returns None fails."""
    space = compile_space(tree)
    history = History(space)
    while len(history) < n:
        for point in suggest(space, history, min(batch, n - len(history)), seed=seed, **keywords):
            loss = objective(space.build(point))
            trial = Trial(id=history.next_id, state=TrialState.FAILED, point=point, failure=FAILURE)
            if loss is not None:
                trial = dataclasses.replace(
                    trial, state=TrialState.OK, loss=float(loss), failure=None
                )
            history.put(trial)
    return history


def finished(space, points, losses):
    """Return a history of given points; a loss of None is a failure."""
    found = []
    for i, (point, loss) in enumerate(zip(points, losses, strict=True)):
        if loss is None:
            trial = Trial(id=i, state=TrialState.FAILED, point=point, failure=FAILURE)
        else:
            trial = Trial(id=i, state=TrialState.OK, point=point, loss=loss)
        found.append(trial)
    return History(space, found)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"avg_best_idx": 0.5}, "avg_best_idx must be a finite number >= 1, got 0.5"),
        ({"avg_best_idx": "two"}, "avg_best_idx"),
        ({"avg_best_idx": float("inf")}, "avg_best_idx"),
        ({"avg_best_idx": True}, "avg_best_idx"),
        ({"shrink_coef": -0.1}, "shrink_coef must be a finite number >= 0, got -0.1"),
        ({"shrink_coef": None}, "shrink_coef"),
    ],
)
def test_settings_are_checked(keywords, message):
    with pytest.raises(InvalidArgument, match=message):
        suggester_of(partial(anneal.suggest, **keywords))


def test_an_unknown_setting_is_a_type_error_as_for_any_function():
    message = r"anneal.suggest has no setting 'gamma'; it has avg_best_idx, shrink"
    with pytest.raises(InvalidArgumentType, match=message):
        suggester_of(partial(anneal.suggest, gamma=0.1))


def test_needs_a_parameter():
    space = compile_space({"a": 1})
    with pytest.raises(EmptySpace, match=r"anneal\.suggest has nothing to choose"):
        suggest(space, History(space))


def test_without_results_it_draws_from_the_prior():
    space = compile_space({"x": hp.normal("x", 3, 2), "n": hp.randint("n", 4)})
    failed = finished(space, [{"x": 0.0, "n": 1}] * 5, [None] * 5)
    for history in (History(space), failed):
        points = suggest(space, history, 400, first=10)
        x = np.array([p["x"] for p in points])
        assert abs(x.mean() - 3) < 0.4
        assert abs(x.std() - 2) < 0.3
        assert {p["n"] for p in points} == {0, 1, 2, 3}


@pytest.mark.parametrize("n", [1, 10, 90])
def test_uniform_neighbourhoods_shrink_as_in_hyperopt_and_stay_inside(n):
    space = compile_space(hp.uniform("x", 0, 10))
    width = 10 / (1 + 0.1 * n)
    for best, low in ((5.0, 5 - width / 2), (9.9, 10 - width)):
        history = finished(space, [{"x": best}] * n, [1.0] * n)
        x = np.array([p["x"] for p in suggest(space, history, 500)])
        assert low - 1e-9 <= x.min() < low + 0.05 * width
        assert low + 0.95 * width < x.max() <= low + width + 1e-9


def test_log_and_normal_neighbourhoods():
    tree = {"a": hp.loguniform("a", -4, 4), "b": hp.lognormal("b", 0, 2), "c": hp.normal("c", 1, 3)}
    space = compile_space(tree)
    history = finished(space, [{"a": np.exp(1.0), "b": np.exp(5.0), "c": -7.0}] * 30, [0.0] * 30)
    points = suggest(space, history, 800)
    a, b, c = (np.array([p[k] for p in points]) for k in "abc")
    assert 0 <= np.log(a).min() < 0.1  # 8 / 4 wide around 1
    assert 1.9 < np.log(a).max() <= 2
    assert np.log(b).mean() == pytest.approx(5, abs=0.1)
    assert np.log(b).std() == pytest.approx(0.5, abs=0.06)
    assert c.mean() == pytest.approx(-7, abs=0.15)
    assert c.std() == pytest.approx(0.75, abs=0.08)


def test_choices_keep_their_branch_or_come_from_the_prior():
    tree = {
        "x": hp.uniform("x", 0, 1),
        "k": hp.pchoice("k", [(0.2, 0), (0.3, 1), (0.5, 2), (0, 3)]),
    }
    space = compile_space(tree)
    history = finished(space, [{"x": 0.5, "k": 0}] * 10, [0.0] * 10)
    counts = np.bincount([p["k"] for p in suggest(space, history, 1500)], minlength=4)
    # Half of them are prior draws.
    np.testing.assert_allclose(counts / 1500, [0.6, 0.15, 0.25, 0], atol=0.04)


def test_which_trial_is_geometric_with_the_given_mean():
    space = compile_space(hp.uniform("x", 0, 1000))
    values = np.random.default_rng(0).permutation(200) * 5.0
    history = finished(space, [{"x": x} for x in values], values.tolist())
    for mean in (1, 2, 5):
        points = suggest(space, history, 1500, avg_best_idx=mean, shrink_coef=1e9)
        ranks = np.rint([p["x"] / 5 for p in points]) + 1
        assert ranks.mean() == pytest.approx(mean, rel=0.1)
        assert (ranks == 1).mean() == pytest.approx(1 / mean, abs=0.05)


def test_zero_shrink_coef_never_shrinks():
    space = compile_space(hp.uniform("x", 0, 1))
    history = finished(space, [{"x": 0.5}] * 50, [0.0] * 50)
    x = [p["x"] for p in suggest(space, history, 300, shrink_coef=0)]
    assert min(x) < 0.05
    assert max(x) > 0.95


def test_parameters_of_a_branch_come_from_trials_that_had_them():
    tree = hp.choice("m", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.uniform("b", 0, 1)}])
    space = compile_space(tree)
    good = [{"m": 0, "a": 0.2}] * 50
    other = [{"m": 1, "b": 0.8}] * 50
    history = finished(space, good + other, [0.0] * 50 + [1.0] * 50)
    points = suggest(space, history, 600, shrink_coef=1.0)
    assert all(abs(p["a"] - 0.2) < 0.011 for p in points if p["m"] == 0)
    # The best trials have no b: its neighbourhood is that of the best among those that have one.
    strays = [p["b"] for p in points if p["m"] == 1]
    assert strays
    assert all(abs(b - 0.8) < 0.011 for b in strays)


def test_switches_over_integers():
    index = hp.randint("i", 3)
    tree = scope.switch(index, hp.uniform("a", 0, 1), hp.uniform("b", 0, 1), hp.normal("c", 0, 1))
    history = run(tree, lambda x: (x - 0.3) ** 2, 80)
    for trial in history:
        assert set(trial.point) == {"i", "abc"[trial.point["i"]]}
    assert history.best.loss < 1e-3


def test_grids_are_left_now_and_then_even_by_narrow_neighbourhoods():
    tree = {"x": hp.uniform("x", 0, 1), "n": hp.quniform("n", 0, 10, 5)}
    space = compile_space(tree)
    history = finished(space, [{"x": 0.5, "n": 5.0}] * 100, [0.0] * 100)  # 10 / 11 wide
    counts = dict.fromkeys((0.0, 5.0, 10.0), 0)
    for point in suggest(space, history, 1500):
        counts[point["n"]] += 1
    assert counts[5.0] > 1450
    assert counts[0.0] > 0
    assert counts[10.0] > 0


def test_discrete_points_are_not_repeated_until_all_were_tried():
    tree = {"a": hp.randint("a", 5), "b": hp.quniform("b", 0, 3, 1), "c": hp.choice("c", [0, 1])}
    for batch in (1, 7):
        history = run(tree, lambda p: p["a"] + p["b"] - p["c"], 45, batch=batch)
        points = [tuple(sorted(t.point.items())) for t in history]
        assert len(set(points[:40])) == 40


def test_pending_points_are_not_suggested_again():
    space = compile_space({"a": hp.randint("a", 10), "b": hp.randint("b", 10)})
    pending = [
        Trial(id=i, state=TrialState.RUNNING, point={"a": i // 10, "b": i % 10}) for i in range(95)
    ]
    points = suggest(space, History(space, pending), 5)
    assert {(p["a"], p["b"]) for p in points} == {(9, b) for b in range(5, 10)}


def test_cancelled_trials_are_ignored():
    space = compile_space(hp.uniform("x", 0, 1))
    ok = [Trial(id=i, state=TrialState.OK, point={"x": 0.1 * i}, loss=float(i)) for i in range(5)]
    gone = [Trial(id=i, state=TrialState.CANCELLED, point={"x": 0.9}) for i in range(5, 50)]
    context = SuggestContext(seed=1, ids=[50])
    algorithm = anneal.suggest.configured()
    without = algorithm.suggest(space, History(space, ok), 1, context)
    assert algorithm.suggest(space, History(space, ok + gone), 1, context) == without


def test_better_than_random_search():
    tree = {"x": hp.uniform("x", -5, 5), "y": hp.uniform("y", -5, 5)}

    def objective(p):
        return (p["x"] - 3) ** 2 + (p["y"] + 1) ** 2

    space = compile_space(tree)
    context = SuggestContext(seed=0, ids=range(100))
    points = rand.suggest.configured().suggest(space, History(space), 100, context)
    by_chance = min(objective(p) for p in points)
    assert run(tree, objective, 100).best.loss < by_chance / 3


@settings(max_examples=100)
@given(st.data(), st.booleans())
def test_suggestions_lie_in_the_space(data, extreme):
    space = data.draw(spaces(extreme=extreme))
    history = data.draw(histories(space, max_size=30))
    points = suggest(space, history, 3, seed=data.draw(st.integers(0, 9)))
    assert len(points) == 3
    codec = Codec.of(space)
    for point in points:
        assert space.checked(point) == dict(point)
        assert codec.decode(codec.encode([point]))[0] == pytest.approx(point, rel=1e-9, abs=1e-300)
        space.build(point)


@settings(max_examples=60)
@given(st.data())
def test_deterministic_independent_of_arrival_and_a_batch_is_a_sequence(data):
    space = data.draw(spaces(depth=2))
    found = data.draw(trials(space))
    history = History(space, found)
    late = History(
        space,
        [
            dataclasses.replace(t, state=TrialState.NEW, loss=None, failure=None, result={})
            for t in found
        ],
    )
    for trial in reversed(found):
        if trial.state is not TrialState.NEW:
            late.put(trial)
    batch = suggest(space, history, 3)
    assert batch == suggest(space, late, 3)
    for point in batch:
        assert suggest(space, history) == [point]
        history.put(Trial(id=history.next_id, state=TrialState.NEW, point=point))
