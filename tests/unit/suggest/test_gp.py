from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
import warnings
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
from sparktrials.suggest import believed, gp
from sparktrials.suggest.algorithm import suggester_of

FAILURE = Failure(kind=FailureKind.RAISED, type="ValueError", message="no")


def suggest(space, history, n=1, *, seed=0, first=None, **keywords):
    first = history.next_id if first is None else first
    context = SuggestContext(seed=seed, ids=range(first, first + n))
    keywords = {"n_startup_jobs": 1, **keywords}
    return gp.suggest.configured(**keywords).suggest(space, history, n, context)


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


def draws(space, n, seed=0):
    codec = Codec.of(space)
    return codec.decode(codec.from_unit(np.random.default_rng(seed).random((n, len(codec)))))


MIXED = {
    "x": hp.uniform("x", -5, 5),
    "l": hp.loguniform("l", -7, 0),
    "n": hp.normal("n", 0, 1),
    "q": hp.quniform("q", 0, 1000, 1),
    "i": hp.randint("i", 10),
    "c": hp.choice("c", ["a", "b", "c"]),
    "m": hp.choice("m", [0, {"u": hp.uniform("u", 0, 1)}, {"r": hp.randint("r", 4)}]),
}


@pytest.mark.parametrize("value", [-1, 1.5, True, "two", None])
def test_settings_are_checked(value):
    with pytest.raises(InvalidArgument, match="n_startup_jobs must be an integer >= 0, got"):
        suggester_of(partial(gp.suggest, n_startup_jobs=value))


def test_an_unknown_setting_is_a_type_error_as_for_any_function():
    with pytest.raises(InvalidArgumentType, match=r"gp.suggest has no setting 'gamma'; it has n_"):
        suggester_of(partial(gp.suggest, gamma=0.1))


def test_it_is_one_object_that_pickles():
    assert pickle.loads(pickle.dumps(gp.suggest)) is gp.suggest
    assert repr(gp.suggest) == "gp.suggest"


def test_needs_a_parameter():
    space = compile_space({"a": 1})
    with pytest.raises(EmptySpace, match=r"gp\.suggest has nothing to choose"):
        suggest(space, History(space))


def test_finds_the_bottom_of_a_bowl_closely():
    tree = {"x": hp.uniform("x", -5, 5), "y": hp.uniform("y", -5, 5)}
    history = run(tree, lambda p: (p["x"] - 3) ** 2 + (p["y"] + 1) ** 2, 25, n_startup_jobs=5)
    assert history.best.loss < 1e-4


def test_finds_what_is_good_among_mixed_parameters():
    def objective(p):
        loss = (p["x"] - 1) ** 2 + (np.log(p["l"]) + 3) ** 2 + (p["n"] - 0.5) ** 2
        loss += abs(p["q"] - 700) / 100 + abs(p["i"] - 7) + 2 * (p["c"] != "b")
        return loss

    tree = {k: v for k, v in MIXED.items() if k != "m"}
    history = run(tree, objective, 50, n_startup_jobs=10)
    assert history.best.loss < 0.5
    assert history.best.point["c"] == 1
    assert history.best.point["i"] == 7


def test_conditional_parameters_are_learnt_from_where_they_are_active():
    tree = hp.choice(
        "m",
        [
            {"a": hp.uniform("a", 0, 1), "b": hp.uniform("b", 0, 1)},
            {"c": hp.uniform("c", 0, 1)},
            {"d": hp.randint("d", 9)},
        ],
    )

    def objective(p):
        if "a" in p:
            return (p["a"] - 0.3) ** 2 + (p["b"] - 0.8) ** 2
        return 0.3 + p["c"] if "c" in p else 0.5 + 0.1 * p["d"]

    history = run(tree, objective, 40, n_startup_jobs=8)
    assert history.best.loss < 1e-3


def test_an_easy_branch_does_not_keep_all_trials():
    tree = hp.choice("m", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.uniform("b", 0, 1)}])

    def objective(p):  # .2 anywhere in one branch; 0 in a narrow basin of the other
        return 0.2 if "a" in p else 1 - np.exp(-((p["b"] - 0.7) ** 2) / 0.005)

    history = run(tree, objective, 30, n_startup_jobs=6)
    assert history.best.loss < 0.01
    assert sum(t.point["m"] for t in history) >= 8


def test_ranges_of_switches_over_integers():
    index = hp.randint("i", 3)
    tree = scope.switch(index, hp.uniform("a", 0, 1), hp.uniform("b", 0, 1), hp.normal("c", 0, 1))
    history = run(tree, lambda x: (x - 0.3) ** 2, 20, n_startup_jobs=5)
    for trial in history:
        assert set(trial.point) == {"i", "abc"[trial.point["i"]]}
    assert history.best.loss < 1e-2


def test_a_region_that_fails_is_left():
    tree = {"x": hp.uniform("x", 0, 1), "y": hp.uniform("y", 0, 1)}
    history = run(tree, lambda p: None if p["x"] < 0.5 else p["x"], 40, n_startup_jobs=6)
    late = [t for t in history if t.id >= 20]
    assert sum(t.state is TrialState.FAILED for t in late) <= 12
    assert history.best.loss < 0.51


@pytest.mark.parametrize(
    "losses",
    [
        [1.0] * 12,
        [None] * 12,
        [1.0],
        [None],
        [None, 2.0],
        [1e308, -1e308] * 6,
        [float(i) * 5e-324 for i in range(12)],
        [1e-300 * i for i in range(12)],
        [1e300 + i for i in range(12)],
        [0.0] * 11 + [1.0],
        [-1e300] + [0.0, 1.0, None] * 4,
        [*(-(10.0 ** (i * 25)) for i in range(12))],
    ],
)
def test_degenerate_losses(losses):
    space = compile_space(MIXED)
    history = finished(space, draws(space, len(losses)), losses)
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        points = suggest(space, history, 3)
    for point in points:
        assert space.checked(point) == dict(point)


def test_thousands_of_duplicates():
    space = compile_space(MIXED)
    point = draws(space, 1)[0]
    history = finished(space, [point] * 10_000, [1.0] * 10_000)
    points = suggest(space, history, 2)
    assert point not in points


def test_narrow_ranges():
    tree = {
        "x": hp.uniform("x", 1.0, np.nextafter(1.0, 2.0)),
        "one": hp.randint("one", 1),
        "c": hp.choice("c", [hp.uniform("u", 0, 5e-324)]),
        "y": hp.uniform("y", 0, 1),
    }
    history = run(tree, lambda p: p["y"], 8)
    assert len(history) == 8


def test_discrete_points_are_not_repeated_until_all_were_tried():
    tree = {"a": hp.randint("a", 5), "b": hp.quniform("b", 0, 3, 1), "c": hp.choice("c", [0, 1])}
    for batch in (1, 7):
        history = run(tree, lambda p: p["a"] + p["b"] - p["c"], 45, batch=batch)
        points = [tuple(sorted(t.point.items())) for t in history]
        assert len(set(points[:40])) == 40


def test_no_duplicates_with_many_pending():
    tree = {"x": hp.uniform("x", -1, 1), "y": hp.uniform("y", -1, 1)}
    space = compile_space(tree)
    before = draws(space, 12)
    # The best place is a corner, where bounds hold points exactly.
    history = finished(space, before, [p["x"] + p["y"] for p in before])
    points = suggest(space, history, 64)
    assert len({(p["x"], p["y"]) for p in points}) == 64


def test_pending_points_are_kept_away_from():
    space = compile_space(hp.uniform("x", 0, 1))
    before = [{"x": x} for x in (0.0, 0.3, 0.6, 1.0)]
    history = finished(space, before, [1.0, 0.2, 0.3, 1.0])
    alone = suggest(space, history)[0]["x"]
    history.put(Trial(id=4, state=TrialState.RUNNING, point={"x": alone}))
    assert abs(suggest(space, history)[0]["x"] - alone) > 0.005


def test_a_batch_does_not_crowd_where_the_first_of_it_is():
    """What a pending point is taken for is the best there is: no improvement on less than that."""
    tree = {label: hp.uniform(label, -5, 5) for label in "xyz"}
    space = compile_space(tree)
    before = draws(space, 30)
    history = finished(space, before, [sum(v * v for v in p.values()) for p in before])
    first, *others = ([p[label] for label in "xyz"] for p in suggest(space, history, 6))
    assert math.hypot(*first) < 1
    assert min(math.dist(first, other) for other in others) > 0.1


def test_many_pending_points_are_a_sequence_too(monkeypatch):
    monkeypatch.setattr(gp, "CROWDED", 2)
    space = compile_space(MIXED)
    points = draws(space, 12)
    history = finished(space, points, list(range(12)))
    batch = suggest(space, history, 5)
    for point in batch:
        assert suggest(space, history) == [point]
        history.put(Trial(id=history.next_id, state=TrialState.NEW, point=point))


def test_cancelled_trials_are_ignored():
    space = compile_space(hp.uniform("x", 0, 1))
    ok = [Trial(id=i, state=TrialState.OK, point={"x": 0.1 * i}, loss=float(i)) for i in range(5)]
    gone = [Trial(id=i, state=TrialState.CANCELLED, point={"x": 0.9}) for i in range(5, 50)]
    without = suggest(space, History(space, ok), first=50)
    assert suggest(space, History(space, ok + gone), first=50) == without


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            [hp.uniform(f"x{i}", 0, 1) for i in range(61)],
            r"the space has 61 parameters that are active together, more than 60; there tpe",
        ),
        (
            {"x": hp.uniform("x", 0, 1), "c": hp.choice("c", list(range(2001)))},
            r"2002 options in all, 2001 of them in 'c', more than 2000; there tpe\.suggest",
        ),
    ],
)
def test_it_says_when_a_space_does_not_suit_it_and_goes_on(tree, message):
    space = compile_space(tree)
    history = History(space)
    with pytest.warns(UserWarning, match=message):
        points = suggest(space, history, 2)
    assert len(points) == 2
    suggest(space, history)  # says it once


def test_what_is_kept_of_a_history_is_what_would_be_found_again():
    """Hyperparameters are kept while trials arrive, late ones too: the points are the same."""
    space = compile_space(MIXED)
    points = draws(space, 45)
    rng = np.random.default_rng(0)
    losses = rng.random(45)
    lived = History(space)
    for i, point in enumerate(points):
        lived.put(Trial(id=i, state=TrialState.NEW, point=point))
    for step, i in enumerate([*range(4, 40), 2, 44, 0, 1, *range(40, 44), 3]):
        lived.put(Trial(id=i, state=TrialState.OK, point=points[i], loss=losses[i]))
        if step % 6 == 0:
            suggest(space, lived, first=50)
    told = History(space, lived.trials)
    assert suggest(space, lived, first=50) == suggest(space, told, first=50)


def test_many_trials_are_thinned(monkeypatch):
    monkeypatch.setattr(believed, "MAX_TRIALS", 30)
    monkeypatch.setattr(believed, "MAX_FITTED", 20)
    tree = {"x": hp.uniform("x", -5, 5), "y": hp.uniform("y", -5, 5)}
    space = compile_space(tree)
    points = draws(space, 200)
    history = finished(space, points, [p["x"] ** 2 + p["y"] ** 2 for p in points])
    found = suggest(space, history)[0]
    assert abs(found["x"]) + abs(found["y"]) < 1


@settings(max_examples=25, deadline=None)
@given(st.data(), st.booleans())
def test_suggestions_lie_in_the_space(data, extreme):
    space = data.draw(spaces(extreme=extreme))
    history = data.draw(histories(space, max_size=12))
    points = suggest(space, history, 2, seed=data.draw(st.integers(0, 9)))
    assert len(points) == 2
    codec = Codec.of(space)
    for point in points:
        assert space.checked(point) == dict(point)
        assert codec.decode(codec.encode([point]))[0] == pytest.approx(point, rel=1e-9, abs=1e-300)
        space.build(point)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_deterministic_independent_of_arrival_and_a_batch_is_a_sequence(data):
    space = data.draw(spaces(depth=2))
    found = data.draw(trials(space, max_size=10))
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
    batch = suggest(space, history, 2)
    assert batch == suggest(space, late, 2)
    for point in batch:
        assert suggest(space, history) == [point]
        history.put(Trial(id=history.next_id, state=TrialState.NEW, point=point))


def test_seeds_and_ids_matter():
    space = compile_space(hp.uniform("x", 0, 1))
    seen = [
        suggest(space, History(space), seed=seed, first=first)[0]["x"]
        for seed, first in itertools.product((0, 1), (5, 6))
    ]
    assert len(set(seen)) == 4
