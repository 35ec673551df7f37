from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparktrials.suggest import parzen
from sparktrials.suggest.bandwidths import bandwidths, neighbour_bandwidths

BOUNDED = parzen.Axes(np.array([True]), (), (), ())
NORMAL = parzen.Axes(np.array([False]), (), (), ())
NO_CODES = np.empty((0, 0), dtype=np.intp)


def codes(n):
    return np.empty((n, 0), dtype=np.intp)


def log_density(mix, S, C, dtype=np.float64):
    return parzen.log_density(mix, parzen.Points.of(mix.axes, S, C), dtype)


def test_truncated_normal_kernels_agree_with_scipy():
    S, h = np.array([[-0.4], [0.2]]), np.array([[0.3], [0.1]])
    mix = parzen.mixture_of(BOUNDED, S, codes(2), h, weights=np.array([1.0, 2.0]), prior_weight=0.5)
    x = np.linspace(-0.5, 0.5, 11)[:, None]
    expected = 0.5 / 3.5
    for (c,), (s,), w in zip(S, h, (1, 2), strict=True):
        a, b = (-0.5 - c) / s, (0.5 - c) / s
        expected = expected + w / 3.5 * stats.truncnorm.pdf(x[:, 0], a, b, loc=c, scale=s)
    np.testing.assert_allclose(np.exp(log_density(mix, x, codes(11))), expected, rtol=1e-12)


def test_normal_columns_have_a_normal_prior():
    mix = parzen.mixture_of(
        NORMAL,
        np.array([[1.0]]),
        codes(1),
        np.array([[0.2]]),
        weights=np.ones(1),
        prior_weight=1.0,
    )
    x = np.linspace(-2, 2, 9)[:, None]
    expected = stats.norm.pdf(x[:, 0], 0, 12**-0.5) / 2 + stats.norm.pdf(x[:, 0], 1, 0.2) / 2
    np.testing.assert_allclose(np.exp(log_density(mix, x, codes(9))), expected, rtol=1e-9)


def test_ordinal_cells_are_integrated():
    edges = np.array([-0.5, -0.3, 0.1, 0.5])
    axes = parzen.Axes(
        np.empty(0, dtype=bool), (edges,), (np.array([-0.4, -0.1, 0.3]),), (np.diff(edges),)
    )
    mix = parzen.mixture_of(
        axes,
        np.empty((1, 0)),
        np.array([[1]]),
        np.array([[0.2]]),
        weights=np.ones(1),
        prior_weight=1.0,
    )
    every = np.arange(3)[:, None]
    mass = np.exp(log_density(mix, np.empty((3, 0)), every))
    kernel = np.diff(stats.truncnorm.cdf(edges, -2, 3, loc=-0.1, scale=0.2))
    np.testing.assert_allclose(mass, kernel / 2 + np.diff(edges) / 2, rtol=1e-9)


def test_nominal_kernels_sum_to_one_and_match_their_sampler():
    prior = np.array([0.5, 0.0, 0.3, 0.2])
    axes = parzen.Axes(np.empty(0, dtype=bool), (None,), (None,), (prior,))
    mix = parzen.mixture_of(
        axes,
        np.empty((2, 0)),
        np.array([[2], [3]]),
        np.ones((2, 1)),
        weights=np.array([3.0, 1.0]),
        prior_weight=1.0,
    )
    mass = np.exp(log_density(mix, np.empty((4, 0)), np.arange(4)[:, None]))
    assert mass.sum() == pytest.approx(1)
    rng = np.random.default_rng(0)
    component = rng.choice(3, p=mix.weights, size=40_000)
    _, C = parzen.sample(mix, rng.random((40_000, 1)), component)
    np.testing.assert_allclose(np.bincount(C[:, 0], minlength=4) / 40_000, mass, atol=0.01)


def test_component_weights_condition_on_codes():
    prior = np.array([0.5, 0.5])
    axes = parzen.Axes(np.array([True]), (None,), (None,), (prior,))
    mix = parzen.mixture_of(
        axes,
        np.array([[-0.3], [0.3]]),
        np.array([[0], [1]]),
        np.full((2, 2), 0.1),
        weights=np.ones(2),
        prior_weight=1.0,
    )
    weights = parzen.component_weights(mix, {0: 1})
    assert weights[1] > 2 * weights[0]
    # p(x | c) p(c) = p(x, c)
    x = np.array([[0.25]])
    joint = np.exp(log_density(mix, x, np.array([[1]])))[0]
    alone = [
        stats.truncnorm.pdf(0.25, (-0.5 - c) / 0.1, (0.5 - c) / 0.1, loc=c, scale=0.1)
        for c in (-0.3, 0.3)
    ]
    assert weights @ [*alone, 1.0] == pytest.approx(joint)


def test_neighbour_bandwidths():
    x = np.array([[0.3], [-0.5], [-0.4]])
    h = neighbour_bandwidths(x, 0.05)
    np.testing.assert_allclose(h, [[0.7], [0.1], [0.7]])
    assert neighbour_bandwidths(x[:1], 0.05) == pytest.approx(0.8)
    np.testing.assert_array_equal(neighbour_bandwidths(np.zeros((5, 1)), 0.05), 0.05)


def test_columns_without_order_leave_the_other_bandwidths_alone():
    axes = parzen.Axes(np.array([True]), (None,), (None,), (np.full(3, 1 / 3),))
    S, C = np.array([[0.3], [-0.5], [-0.4]]), np.array([[2], [0], [1]])
    h = bandwidths(axes, S, C, np.array([0.2, 0.5]))
    np.testing.assert_allclose(h[:, 0], [0.7, 0.2, 0.7])


def test_kernels_that_are_repeated_are_those_that_stand_alone():
    edges = np.linspace(-0.5, 0.5, 5)
    axes = parzen.Axes(
        np.array([True]), (edges,), ((edges[1:] + edges[:-1]) / 2,), (np.full(4, 0.25),)
    )
    rng = np.random.default_rng(0)
    S, C = rng.uniform(-0.5, 0.5, (60, 1)), rng.integers(4, size=(60, 1))
    h = np.stack([rng.uniform(0.01, 1, 60), rng.choice([0.1, 0.25], 60)], axis=1)
    together = parzen.mixture_of(axes, S, C, h, weights=np.ones(60), prior_weight=1.0)
    for i in range(60):
        here = slice(i, i + 1)
        alone = parzen.mixture_of(
            axes, S[here], C[here], h[here], weights=np.ones(1), prior_weight=1.0
        )
        np.testing.assert_array_equal(together.masses[0][here], alone.masses[0])
        np.testing.assert_array_equal(together.inside[here], alone.inside)
    ends = [stats.norm.cdf(end, S[:, 0], h[:, 0]) for end in (0.5, -0.5)]
    np.testing.assert_allclose(together.inside[:, 0], ends[0] - ends[1], rtol=1e-14)


def test_without_observations_the_mixture_is_the_prior():
    mix = parzen.mixture_of(
        BOUNDED, np.empty((0, 1)), codes(0), np.empty((0, 1)), weights=np.ones(0), prior_weight=2.0
    )
    S, C = parzen.sample(mix, np.array([[0.0], [0.75]]), np.zeros(2, dtype=np.intp))
    np.testing.assert_allclose(S, [[-0.5], [0.25]])
    np.testing.assert_allclose(log_density(mix, S, C), 0, atol=1e-12)
