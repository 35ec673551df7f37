from __future__ import annotations

import math

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest import tpe
from sparktrials.suggest.grouping import groups_of
from sparktrials.suggest.known import Ranking
from sparktrials.suggest.model import Model, good_floor


def group_of(tree):
    codec = Codec.of(compile_space(tree))
    (group,) = groups_of(codec)
    return codec, group


def prior_share(tree, *, n_good=9, prior_weight=1.0):
    """Return the weight of the prior among the good trials, relative to that of all of them."""
    codec, group = group_of(tree)
    X = codec.from_unit(np.random.default_rng(0).random((60, len(codec))))
    ranking = Ranking(np.arange(60), np.arange(60.0))
    model = Model.of(group, X, ranking, good=lambda _: n_good, prior_weight=prior_weight)
    weights = model.good.weights
    return weights[-1] / weights[:-1].sum()


def test_the_prior_counts_as_much_as_the_good_trials_on_a_line_and_as_one_in_many_dimensions():
    uniforms = {f"x{i}": hp.uniform(f"x{i}", 0, 1) for i in range(10)}
    assert prior_share(uniforms["x0"]) == pytest.approx(1)
    assert prior_share(uniforms["x0"], prior_weight=0.5) == pytest.approx(0.5)
    assert prior_share(uniforms["x0"], n_good=1) == pytest.approx(1)
    assert prior_share({k: uniforms[k] for k in ("x0", "x1")}) == pytest.approx(9**-0.75)
    assert prior_share(uniforms) == pytest.approx(1 / 9, rel=0.03)


def test_grids_alone_are_not_explored():
    assert prior_share(hp.quniform("q", 0, 9, 1)) == pytest.approx(1 / 9)
    assert prior_share(hp.choice("c", list(range(5)))) == pytest.approx(1 / 9)


def test_a_narrow_optimum_apart_from_a_wide_one_is_found():
    """Hyperopt's distractor: the wide one is found at once, the narrow one has 5 % of the line."""
    space = compile_space(hp.uniform("x", -15, 15))
    for seed in range(6):
        history = History(space)
        for i in range(100):
            context = SuggestContext(seed=seed, ids=[i])
            point = tpe.suggest.configured().suggest(space, history, 1, context)[0]
            x = point["x"]
            loss = -1 / (1 + math.exp(-x)) - 2 * math.exp(-((x + 10) ** 2))
            history.put(Trial(id=i, state=TrialState.OK, point=point, loss=loss))
        assert history.best.loss < -1.9


@pytest.mark.parametrize(("low", "high"), [(-3.0, 4.0), (-1.0, 4.0)])
def test_settled_coordinates_of_zero_are_those_that_the_codec_gives_it(low, high):
    codec, group = group_of(hp.qloguniform("x", low, high, 1))
    settled = group.settle(np.array([[-0.5]]))
    X = np.empty((1, 1))
    group.fill(X, settled, np.empty((1, 0), dtype=np.intp))
    (point,) = codec.decode(X)
    assert point == {"x": 0.0}
    np.testing.assert_allclose(codec.encode([point]), X, rtol=1e-12)


def test_good_trials_reach_the_next_value_of_a_grid_until_there_are_many():
    _, grids = group_of({f"q{i}": hp.quniform(f"q{i}", 0, 3, 1) for i in range(10)})
    np.testing.assert_allclose(good_floor(grids, 40), 0.125)
    np.testing.assert_allclose(good_floor(grids, 80), 0.0625)
    _, mixed = group_of({"x": hp.uniform("x", 0, 1), "c": hp.choice("c", [0, 1])})
    np.testing.assert_allclose(good_floor(mixed, 40), 0.1)
    np.testing.assert_allclose(good_floor(mixed, 10_000), 0.01)
