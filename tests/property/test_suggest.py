"""Suggestions lie in the space whatever the history; densities are densities, samplers match."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.property.strategies import histories, sample, spaces, trials

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest import atpe, crowding, parzen, proposal, tpe
from sparktrials.suggest.grouping import groups_of
from sparktrials.suggest.known import Known
from sparktrials.suggest.tried import TriedKeys, number_of_points

EAGER = tpe.suggest.configured(n_startup_jobs=1, n_EI_candidates=8)
ADAPTIVE = atpe.suggest.configured(n_startup_jobs=1, n_EI_candidates=8)
ALGORITHMS = st.sampled_from([EAGER, ADAPTIVE])
CONTINUOUS = ("uniform", "loguniform", "normal", "lognormal", "quniform", "randint", "qlognormal")


def suggest(space, history, n=3, seed=0, algorithm=EAGER):
    ids = list(range(history.next_id, history.next_id + n))
    return algorithm.suggest(space, history, n, SuggestContext(seed=seed, ids=ids))


def check(space, points):
    codec = Codec.of(space)
    for point in points:
        assert space.checked(point) == dict(point)
        row = codec.encode([point])
        again = codec.decode(row)[0]
        assert again == pytest.approx(point, rel=1e-9, abs=1e-300)
        space.build(point)


@settings(max_examples=150)
@given(st.data(), st.booleans())
def test_suggestions_lie_in_the_space(data, extreme):
    space = data.draw(spaces(extreme=extreme))
    history = data.draw(histories(space, max_size=30))
    algorithm = data.draw(ALGORITHMS)
    points = suggest(space, history, seed=data.draw(st.integers(0, 9)), algorithm=algorithm)
    assert len(points) == 3
    check(space, points)


@settings(max_examples=60)
@given(st.data())
def test_losses_of_any_size(data):
    space = data.draw(spaces(depth=1))
    history = History(space, data.draw(trials(space, losses=(-1.7e308, 1.7e308))))
    check(space, suggest(space, history, algorithm=data.draw(ALGORITHMS)))


@settings(max_examples=60)
@given(st.data())
def test_deterministic_and_independent_of_the_order_of_results(data):
    space = data.draw(spaces(depth=2))
    found = data.draw(trials(space))
    straight = History(space, found)
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
    algorithm = data.draw(ALGORITHMS)
    points = suggest(space, straight, algorithm=algorithm)
    assert points == suggest(space, late, algorithm=algorithm)
    assert points == suggest(space, straight, algorithm=algorithm)


@settings(max_examples=60)
@given(st.data())
def test_a_batch_is_a_sequence_with_pending_trials(data):
    space = data.draw(spaces(depth=2))
    history = data.draw(histories(space))
    first = history.next_id
    algorithm = data.draw(ALGORITHMS)
    batch = suggest(space, history, n=3, algorithm=algorithm)
    for i, point in enumerate(batch):
        one = algorithm.suggest(space, history, 1, SuggestContext(seed=0, ids=[first + i]))[0]
        assert one == pytest.approx(point, rel=1e-6, abs=1e-300)
        history.put(Trial(id=first + i, state=TrialState.NEW, point=point))


#: Choices and grids alone: points may repeat.
GRIDS = ("quniform", "randint", "uniformint", "qloguniform")


@settings(max_examples=60)
@given(st.data(), st.integers(1, 5), st.integers(0, 6))
def test_a_long_batch_is_a_sequence_too(data, chunk, window):
    """With few points made together, few pending ones looked at, and few points left untried."""
    grids = data.draw(st.booleans())
    space = data.draw(spaces(depth=2, kinds=GRIDS) if grids else spaces(depth=2))
    history = data.draw(histories(space, max_size=12))
    first = history.next_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proposal, "_CHUNK", chunk)
        patch.setattr(crowding, "MAX_PENDING", window + 1)
        batch = suggest(space, history, n=10)
        check(space, batch)
        for i, point in enumerate(batch):
            one = EAGER.suggest(space, history, 1, SuggestContext(seed=0, ids=[first + i]))[0]
            assert one == pytest.approx(point, rel=1e-6, abs=1e-300)
            history.put(Trial(id=first + i, state=TrialState.NEW, point=point))


@settings(max_examples=40)
@given(st.data())
def test_batches_use_up_finite_spaces(data):
    tree = {
        f"c{i}": hp.choice(f"c{i}", list(range(data.draw(st.integers(1, 4)))))
        for i in range(data.draw(st.integers(1, 3)))
    }
    tree["m"] = hp.choice("m", [0, hp.randint("r", data.draw(st.integers(1, 5)))])
    space = compile_space(tree)
    size = number_of_points(Codec.of(space))
    found = sample(space, data.draw(st.integers(1, 10)), 0)
    distinct = {tuple(sorted(p.items())): p for p in found}.values()
    history = History(
        space,
        [Trial(id=i, state=TrialState.OK, point=p, loss=float(i)) for i, p in enumerate(distinct)],
    )
    n = size - len(history) + 3
    points = [*(t.point for t in history), *suggest(space, history, n=n)]
    keys = [tuple(sorted(p.items())) for p in points]
    assert len(set(keys[:size])) == size


@settings(max_examples=80)
@given(st.data())
def test_what_follows_a_history_is_what_it_would_be_if_it_were_made_now(data):
    space = data.draw(spaces(depth=2))
    found = data.draw(trials(space))
    history = History(space)
    known, tried = history.follow(Known), history.follow(TriedKeys)
    for trial in found:
        history.put(
            dataclasses.replace(trial, state=TrialState.NEW, loss=None, failure=None, result={})
        )
    for trial in data.draw(st.permutations(found)):
        if trial.state is TrialState.RUNNING or trial.state.terminal:
            history.put(trial)
    assert history.follow(Known) is known
    new = Known(history)
    assert known.n_finished == new.n_finished
    assert tried.counts == TriedKeys(history).counts
    for mine, board in zip(known.boards, new.boards, strict=True):
        assert mine.ranking.at(range(len(mine.ranking))).tolist() == (
            board.ranking.at(range(len(board.ranking))).tolist()
        )
        assert mine.ranking.n_failed == board.ranking.n_failed
        assert list(mine.pending) == list(board.pending)
        assert mine.latest(3) == list(mine.pending)[-3:]
        for j in mine.group.switches:
            np.testing.assert_array_equal(mine.taken[j], board.taken[j])
            np.testing.assert_array_equal(mine.owed(j), board.owed(j))


@settings(max_examples=40)
@given(st.data())
def test_ranks_only(data):
    """Any increasing transformation of the losses leaves the points alone."""
    space = data.draw(spaces(depth=1))
    found = data.draw(trials(space, losses=(-5, 5)))
    warped = [
        t
        if t.loss is None
        else dataclasses.replace(t, loss=float(np.float64(t.loss) ** 3 * 1e300), result={})
        for t in found
    ]
    order = np.argsort([t.loss for t in found if t.loss is not None], kind="stable")
    again = np.argsort([t.loss for t in warped if t.loss is not None], kind="stable")
    if np.array_equal(order, again):
        algorithm = data.draw(ALGORITHMS)
        points = suggest(space, History(space, found), algorithm=algorithm)
        assert points == suggest(space, History(space, warped), algorithm=algorithm)


def mixture(group, X, seed):
    rng = np.random.default_rng(seed)
    S, C = group.scaled(X), group.codes(X)
    h = rng.uniform(0.02, 0.5, (len(X), len(group)))
    weights = rng.uniform(0.5, 2, len(X))
    return parzen.mixture_of(group.axes, S, C, h, weights=weights, prior_weight=1.0)


@settings(max_examples=40)
@given(st.data(), st.integers(0, 6))
def test_densities_integrate_to_one(data, n):
    space = data.draw(spaces(depth=1, kinds=CONTINUOUS, switches=False))
    codec = Codec.of(space)
    X = codec.from_unit(np.random.default_rng(n).random((n, len(codec))))
    for group in groups_of(codec):
        mix = mixture(group, X, n)
        # Importance sampling: points of the mixture itself, mixed with the prior's.
        rng = np.random.default_rng(1)
        S, C = group.axes.draws(rng.random((20_000, len(group))))
        empty = parzen.mixture_of(
            group.axes, S[:0], C[:0], np.ones((0, len(group))), weights=np.ones(0), prior_weight=1.0
        )
        ladder = np.cumsum(mix.weights)
        component = np.minimum(np.searchsorted(ladder, rng.random(20_000) * ladder[-1]), n)
        drawn = parzen.sample(mix, rng.random((20_000, len(group))), component)
        S, C = np.concatenate([S, drawn[0]]), np.concatenate([C, drawn[1]])
        points = parzen.Points.of(group.axes, S, C)
        ours = parzen.log_density(mix, points)
        prior = parzen.log_density(empty, points)
        halves = np.logaddexp(ours, prior) - np.log(2)
        # If the sampler draws from the density, and both integrate to 1, both means are 1.
        assert np.exp(ours - halves).mean() == pytest.approx(1, abs=0.03)
        assert np.exp(prior - halves).mean() == pytest.approx(1, abs=0.03)
        single = parzen.log_density(mix, points, np.float32)
        np.testing.assert_allclose(single, ours, atol=5e-3)
