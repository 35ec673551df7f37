"""The distributions of ``rdists``, against what the parameters draw and against scipy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats

from sparktrials.compat import hp, rdists
from sparktrials.compat.pyll import stochastic
from sparktrials.compat.rdists import (
    lognorm_gen,
    loguniform_gen,
    qlognormal_gen,
    qloguniform_gen,
    qnormal_gen,
    quniform_gen,
)

TABLES = [
    (quniform_gen(0, 10, 3), hp.quniform("x", 0, 10, 3)),
    (quniform_gen(0.2, 0.9, 0.5), hp.quniform("x", 0.2, 0.9, 0.5)),
    (quniform_gen(1, 1.1, 1), hp.quniform("x", 1, 1.1, 1)),
    (qloguniform_gen(0, 3, 2), hp.qloguniform("x", 0, 3, 2)),
    (qloguniform_gen(-3, -2, 1), hp.qloguniform("x", -3, -2, 1)),
    (qnormal_gen(1, 2, 1), hp.qnormal("x", 1, 2, 1)),
    (qlognormal_gen(0, 1, 0.5), hp.qlognormal("x", 0, 1, 0.5)),
]


def draws(made, n=3000):
    rng = np.random.default_rng(0)
    return np.array([stochastic.sample(made, rng) for _ in range(n)])


@pytest.mark.parametrize(("distribution", "made"), TABLES)
def test_probabilities_are_those_of_the_parameters(distribution, made):
    drawn = draws(made)
    values = np.unique(drawn)
    p = distribution.pmf(values)
    assert np.all(p > 0)
    assert p.sum() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(p, [(drawn == v).mean() for v in values], atol=0.03)
    np.testing.assert_allclose(distribution.logpmf(values), np.log(p))
    assert distribution.pmf(float(values[0])) == p[0]
    assert distribution.logpmf(float(values[0])) == pytest.approx(np.log(p[0]))
    assert distribution.pmf(values[0] + 0.1 * distribution.q) == 0
    assert distribution.logpmf(float(values[0]) + 0.1 * distribution.q) == -np.inf
    own = distribution.rvs(size=500, random_state=np.random.RandomState(0))
    assert np.all(distribution.pmf(own) > 0)
    assert distribution.rvs() in own


def test_tails_keep_their_digits():
    far = qnormal_gen(0, 1, 1)
    assert far.logpmf(np.array([30.0, -30.0])) == pytest.approx([-439.3, -439.3], abs=0.2)


def test_continuous_ones_are_scipys():
    drawn = draws(hp.loguniform("x", -1, 2), 500)
    assert stats.kstest(drawn, loguniform_gen(-1, 2).cdf).pvalue > 0.01
    drawn = draws(hp.lognormal("x", 1, 2), 500)
    assert stats.kstest(drawn, lognorm_gen(1, 2).cdf).pvalue > 0.01
    assert lognorm_gen(1, 2).mean() == pytest.approx(np.exp(3))
    for made in (loguniform_gen(-1, 2), lognorm_gen(0, 1)):
        sample = made.rvs(size=500, random_state=0)
        assert stats.kstest(sample, made.cdf).pvalue > 0.01
        np.testing.assert_allclose(made.ppf(made.cdf(sample)), sample)
        np.testing.assert_allclose(np.exp(made.logpdf(sample)), made.pdf(sample))


def test_they_are_classes_that_pickle():
    assert isinstance(loguniform_gen(0, 1), stats.rv_continuous)
    assert rdists.loguniform_gen is loguniform_gen
    assert pickle.loads(pickle.dumps(loguniform_gen))(0, 1).cdf(1.0) == 0
    assert pickle.loads(pickle.dumps(quniform_gen(0, 3, 1))).pmf(1) == pytest.approx(1 / 3)
    with pytest.raises(AttributeError, match="nothing"):
        _ = rdists.nothing


def test_safe_int_cast():
    assert rdists.safe_int_cast(2.0) == 2
    assert rdists.safe_int_cast([1.0, 2.0]) == [1, 2]
    assert rdists.safe_int_cast(np.array([1.0])).dtype == int
