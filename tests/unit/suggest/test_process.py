from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.suggest import process, search
from sparktrials.suggest.acquisition import log_expected, log_expected_at, log_improvement
from sparktrials.suggest.embedding import Embedding
from sparktrials.suggest.process import Hyperparameters, Posterior, Prior
from sparktrials.suggest.warping import half_rank

TREE = {
    "x": hp.uniform("x", -5, 5),
    "n": hp.normal("n", 0, 1),
    "i": hp.randint("i", 10),
    "c": hp.choice("c", ["a", "b", "c"]),
    "m": hp.choice(
        "m",
        [0, {"u": hp.uniform("u", 0, 1), "r": hp.randint("r", 4)}, {"v": hp.uniform("v", 0, 1)}],
    ),
}


@pytest.fixture(scope="module")
def embedding():
    return Embedding.of(Codec.of(compile_space(TREE)))


def coordinates(embedding, n, seed=0):
    return embedding.draws(np.random.default_rng(seed).random((n, len(embedding))))


def hyper(embedding, seed=0, noise=1e-3):
    rng = np.random.default_rng(seed)
    return Hyperparameters(np.exp(rng.normal(0, 1, len(embedding))), 1.3, noise)


def numeric_gradient(function, x, h=1e-6):
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))])


def test_latent_rows_and_coordinates_are_inverse(embedding):
    Z = coordinates(embedding, 50)
    np.testing.assert_allclose(embedding.coordinates(embedding.latent(Z)), Z, atol=1e-12)


def test_distances_count_what_both_have_and_are_euclidean(embedding):
    labels = embedding.codec.labels
    Z = coordinates(embedding, 200)
    F = embedding.features(Z)
    D = ((F[:, None] - F[None]) ** 2).astype(float)

    def of(label):
        return D[:, :, embedding.owner == labels.index(label)].sum(axis=2)

    u = Z[:, labels.index("u")]
    on = ~np.isnan(u)
    both = on[:, None] & on
    gaps = np.abs(u[:, None] - u)
    np.testing.assert_allclose(of("u")[both], 4 * np.sin(gaps[both] / 2) ** 2, atol=1e-12)
    assert (of("u")[~on[:, None] & ~on] == 0).all()
    np.testing.assert_allclose(of("u")[on[:, None] ^ on], 1)
    x = Z[:, labels.index("x")]
    np.testing.assert_allclose(of("x"), (x[:, None] - x) ** 2, atol=1e-12)
    c = Z[:, labels.index("c")]
    np.testing.assert_allclose(of("c"), c[:, None] != c, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_kernels_are_positive_whatever_the_branches(embedding, seed):
    A = embedding.features(coordinates(embedding, 120, seed)) * np.sqrt(
        np.exp(np.random.default_rng(seed).normal(0, 3, len(embedding)))[embedding.owner]
    )
    K = process.matern(process.squared_distances(A, A))[0]
    assert np.linalg.eigvalsh(K).min() > -1e-6


def test_matern_is_the_published_function_with_its_slope():
    r2 = np.linspace(0.01, 9, 50)
    r = np.sqrt(r2)
    value, slope = process.matern(r2)
    np.testing.assert_allclose(value, (1 + 5**0.5 * r + 5 * r2 / 3) * np.exp(-(5**0.5) * r))
    h = 1e-6
    numeric = (process.matern(r2 + h)[0] - process.matern(r2 - h)[0]) / (2 * h)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_gradient_of_the_likelihood(embedding, seed):
    rng = np.random.default_rng(seed)
    Z = coordinates(embedding, 25, seed)
    F, y = embedding.features(Z), rng.normal(size=25)
    prior = Prior.of(embedding.nominal, 5.0)
    theta = prior.mean + rng.normal(0, 0.7, len(prior.mean))
    theta[-1] = rng.uniform(-5, -1)

    def value(t):
        return process.negative_log_posterior(t, F, embedding.owner, y, prior)[0]

    gradient = process.negative_log_posterior(theta, F, embedding.owner, y, prior)[1]
    numeric = numeric_gradient(value, theta, 1e-5)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


def test_likelihood_is_that_of_a_normal_distribution(embedding):
    Z = coordinates(embedding, 15)
    F, y = embedding.features(Z), np.random.default_rng(0).normal(size=15)
    prior = Prior.of(embedding.nominal, 5.0)
    theta = prior.mean.copy()
    found = process.negative_log_posterior(theta, F, embedding.owner, y, prior)[0]
    h = Hyperparameters.of(theta)
    A = F * np.sqrt(h.weights)[embedding.owner]
    K = h.amplitude * process.matern(process.squared_distances(A, A))[0] + process.OFFSET
    K += h.noise * np.eye(15)
    expected = 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]
    assert found == pytest.approx(expected, rel=1e-9)


def test_posterior_is_that_of_the_textbook(embedding):
    h = hyper(embedding)
    Z, new = coordinates(embedding, 30), coordinates(embedding, 7, seed=1)
    F, G, y = (
        embedding.features(Z),
        embedding.features(new),
        np.random.default_rng(0).normal(size=30),
    )
    root = np.sqrt(h.weights)[embedding.owner]

    def kernel(P, Q):
        r2 = process.squared_distances(P * root, Q * root)
        return h.amplitude * process.matern(r2)[0] + process.OFFSET

    K = kernel(F, F) + h.noise * np.eye(30)
    mean, variance = Posterior(h, F, embedding.owner, y).at(G)
    np.testing.assert_allclose(mean, kernel(G, F) @ np.linalg.solve(K, y), rtol=1e-8)
    expected = kernel(G, G) - kernel(G, F) @ np.linalg.solve(K, kernel(F, G))
    np.testing.assert_allclose(variance, np.diagonal(expected), rtol=1e-7)


def test_pending_points_that_come_out_as_expected_change_variances_alone(embedding):
    h = hyper(embedding)
    Z, pending = coordinates(embedding, 20), coordinates(embedding, 150, seed=2)
    F, P = embedding.features(Z), embedding.features(pending)
    y = np.random.default_rng(0).normal(size=20)
    G = embedding.features(coordinates(embedding, 9, seed=1))
    posterior = Posterior(h, F, embedding.owner, y)
    before = posterior.at(G)
    expected = posterior.at(P)[0]
    posterior.add(P)
    mean, variance = posterior.at(G)
    np.testing.assert_allclose(mean, before[0])
    assert (variance <= before[1] + 1e-9).all()
    whole = Posterior(h, np.concatenate([F, P]), embedding.owner, np.concatenate([y, expected]))
    np.testing.assert_allclose(mean, whole.at(G)[0], atol=1e-6)
    np.testing.assert_allclose(variance, whole.at(G)[1], atol=1e-6)


@pytest.mark.parametrize("pending", [0, 5])
def test_gradient_of_the_posterior_and_of_expected_improvement(embedding, pending):
    h = hyper(embedding)
    F = embedding.features(coordinates(embedding, 20))
    posterior = Posterior(h, F, embedding.owner, np.random.default_rng(0).normal(size=20))
    posterior.add(embedding.features(coordinates(embedding, pending, seed=4)))
    climber = search.Climber(embedding, posterior, best=-1.0, iterations=5)
    for x in embedding.features(coordinates(embedding, 6, seed=3)):
        mean, variance, d_mean, d_variance = posterior.slopes(x)
        m, v = posterior.at(x[None])
        assert (mean, variance) == pytest.approx((m[0], v[0]), rel=1e-8)
        for found, function in (
            (d_mean, lambda p: posterior.at(p[None])[0][0]),
            (d_variance, lambda p: posterior.at(p[None])[1][0]),
            (climber.slopes(x)[1], lambda p: climber.slopes(p)[0]),
        ):
            np.testing.assert_allclose(found, numeric_gradient(function, x), rtol=1e-4, atol=1e-5)


def test_logarithm_of_expected_improvement_for_any_distance():
    z = np.array([-1e9, -1e5, -1e4 - 1, -1e4 + 1, -50, -5, -1.0001, -0.9999, 0, 3, 40])
    value, slope = log_expected(z)
    moderate = np.abs(z) <= 5
    exact = norm.pdf(z[moderate]) + z[moderate] * norm.cdf(z[moderate])
    np.testing.assert_allclose(value[moderate], np.log(exact), rtol=1e-9)
    np.testing.assert_allclose(value[:3], -0.5 * z[:3] ** 2 - 2 * np.log(-z[:3]), rtol=1e-6)
    assert np.all(np.diff(value) > 0)
    single = np.array([log_expected_at(float(x)) for x in z])
    np.testing.assert_allclose(single, np.stack([value, slope], axis=1), rtol=1e-6)
    h = 1e-5
    inner = np.array([-200.0, -30.0, -3.0, -1.0, -0.5, 0.7, 4.0])
    numeric = (log_expected(inner + h)[0] - log_expected(inner - h)[0]) / (2 * h)
    np.testing.assert_allclose(log_expected(inner)[1], numeric, rtol=1e-5)
    np.testing.assert_allclose(slope[:2], -z[:2], rtol=1e-6)


def test_expected_improvement_scales_with_the_deviation():
    found = log_improvement(np.array([0.0, 1.0]), np.array([4.0, 1e-12]), 0.0)
    assert found[0] == pytest.approx(np.log(2 * norm.pdf(0)))
    assert np.isfinite(found).all()


def test_climbing_never_loses_and_stays_within(embedding):
    h = hyper(embedding)
    F = embedding.features(coordinates(embedding, 20))
    posterior = Posterior(h, F, embedding.owner, np.random.default_rng(0).normal(size=20))
    climber = search.Climber(embedding, posterior, best=-1.0, iterations=20)
    Z = coordinates(embedding, 12, seed=5)
    for z, before in zip(Z, climber.values(Z), strict=True):
        end, value = climber.climb(z)
        assert value >= before
        assert np.array_equal(np.isnan(end), np.isnan(z))
        np.testing.assert_allclose(embedding.coordinates(embedding.latent(end[None]))[0], end)


def test_warped_losses_keep_the_order_and_have_unit_size():
    losses = np.random.default_rng(0).standard_cauchy(101) ** 3
    losses[7] = np.nan
    y = half_rank(losses)
    order = np.argsort(losses)  # NaN last
    assert np.all(np.diff(y[order]) > 0)
    assert y.mean() == pytest.approx(0, abs=1e-9)
    assert y.std() == pytest.approx(1)
    assert y.max() < 4
    better = np.sort(losses)[:50]
    ratio = (y[order][:50] - y[order][0])[1:] / (better - better[0])[1:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)  # the better half keeps its shape


@pytest.mark.parametrize("losses", [[1.0], [np.nan], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_nothing_to_warp(losses):
    assert (half_rank(np.array(losses)) == 0).all()
