"""The codec: distributions against their definitions, ends, extremes."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from sparktrials import hp, scope
from sparktrials.errors import InvalidPoint
from sparktrials.space import Node, compile_space
from sparktrials.space.codec import Codec

N = 20_000


def named(value):
    """A node's text; the same in every worker of pytest-xdist, unlike an object's."""
    return str(value) if isinstance(value, Node) else ""


def codec_of(tree):
    return Codec.of(compile_space(tree))


def drawn(node, n=N, seed=0):
    """`n` values of a parameter with label x."""
    codec = codec_of(node)
    U = np.random.default_rng(seed).random((n, len(codec)))
    return np.array([p["x"] for p in codec.decode(codec.from_unit(U))])


@pytest.mark.parametrize(
    ("node", "distribution"),
    [
        (hp.uniform("x", -3, 5), stats.uniform(-3, 8)),
        (hp.loguniform("x", -5, 2), stats.loguniform(math.exp(-5), math.exp(2))),
        (hp.normal("x", 2, 3), stats.norm(2, 3)),
        (hp.lognormal("x", 1, 0.5), stats.lognorm(0.5, scale=math.e)),
    ],
    ids=named,
)
def test_continuous_kinds_follow_their_distribution(node, distribution):
    assert stats.kstest(drawn(node), distribution.cdf).pvalue > 0.01


def chi_square(values, expected):
    """P-value of the counts of `values`, given their probabilities."""
    found, counts = np.unique(values, return_counts=True)
    assert set(found) <= set(expected)
    wanted = np.array([expected[v] for v in found])
    assert len(found) == len([p for p in expected.values() if p * len(values) > 5])
    return stats.chisquare(counts, wanted / wanted.sum() * len(values)).pvalue


def masses(latent, log, q, low, high):
    """Probabilities of ``round(value / q) * q`` for a continuous latent distribution."""

    def cdf(value):
        if log and value <= 0:
            return 0.0
        return float(latent.cdf(math.log(value) if log else value))

    k = np.arange(low, high + 1)
    return {float(i * q): cdf((i + 0.5) * q) - cdf((i - 0.5) * q) for i in k}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        # Half a cell at both ends, as Hyperopt has it.
        (hp.quniform("x", 0, 10, 1), masses(stats.uniform(0, 10), False, 1, 0, 10)),
        (hp.quniform("x", 1, 10, 4), masses(stats.uniform(1, 9), False, 4, 0, 2)),
        (hp.quniform("x", -1, 1, 0.25), masses(stats.uniform(-1, 2), False, 0.25, -4, 4)),
        (hp.uniformint("x", 0, 5), masses(stats.uniform(0, 5), False, 1, 0, 5)),
        (hp.qloguniform("x", -2, 2, 0.5), masses(stats.uniform(-2, 4), True, 0.5, 0, 15)),
        (hp.qnormal("x", 0, 1, 1), masses(stats.norm(0, 1), False, 1, -6, 6)),
        (hp.qlognormal("x", 0, 0.5, 1), masses(stats.norm(0, 0.5), True, 1, 0, 12)),
        (hp.randint("x", 7), dict.fromkeys(range(7), 1 / 7)),
        (hp.randint("x", -2, 3), dict.fromkeys(range(-2, 3), 1 / 5)),
        (hp.choice("x", ["a", "b", "c"]), dict.fromkeys(range(3), 1 / 3)),
        (hp.choice("x", list(range(40))), dict.fromkeys(range(40), 1 / 40)),
        (hp.pchoice("x", [(0.1, 0), (0.0, 1), (0.6, 2), (0.3, 3), (0.0, 4)]),
         {0: 0.1, 1: 0.0, 2: 0.6, 3: 0.3, 4: 0.0}),
    ],
    ids=named,
)  # fmt: skip
def test_discrete_kinds_follow_their_distribution(node, expected):
    values = drawn(node)
    # Cells too rare to count are left to those beside them.
    rare = {v for v, p in expected.items() if p * N <= 5}
    assert sum(v in rare for v in values) <= 5 * len(rare) + 10
    kept = np.array([v for v in values if v not in rare])
    assert chi_square(kept, {v: p for v, p in expected.items() if v not in rare}) > 0.01


def test_raw_draws_have_hyperopts_types():
    codec = codec_of(
        [
            hp.uniformint("u", 0, 5),
            hp.quniform("q", 0, 5, 1),
            hp.randint("r", 5),
            hp.choice("c", [1, 2]),
        ]
    )
    (point,) = codec.decode(codec.from_unit(np.full((1, 4), 0.5)))
    assert {k: type(v) for k, v in point.items()} == {"u": float, "q": float, "r": int, "c": int}


@pytest.mark.parametrize("u", [0.0, 2**-54, 2**-53, 0.5, 1 - 2**-53, 1.0])
def test_branches_of_no_probability_are_never_drawn(u):
    tenths = [(0.0, "first"), *((0.1, i) for i in range(10)), (0.0, "last"), (0.0, "very last")]
    for pairs in (tenths, [(0.0, 0), (1.0, 1), (0.0, 2)], tenths + [(0.0, i) for i in range(40)]):
        codec = codec_of(hp.pchoice("x", pairs))
        (point,) = codec.decode(codec.from_unit(np.array([[u]])))
        assert pairs[point["x"]][0] > 0


def test_the_largest_integers_are_exact():
    top = 2**53
    codec = codec_of(
        [hp.randint("a", top), hp.randint("b", -top, 1 - top), hp.randint("c", top - 1, top)]
    )
    for u in (0.0, 0.5, 1 - 2**-53, 1.0):
        (point,) = codec.decode(codec.from_unit(np.full((1, 3), u)))
        assert 0 <= point["a"] < top
        assert point["b"] == -top
        assert point["c"] == top - 1
        assert codec.decode(codec.encode([point])) == [point]
    assert codec.decode(codec.encode([{"a": top - 1, "b": -top, "c": top - 1}]))[0]["a"] == top - 1


@pytest.mark.parametrize(
    "node",
    [
        hp.uniform("x", -1e307, 1e307),
        hp.uniform("x", 9e306, 1e307),
        hp.uniform("x", 0, 5e-324),
        hp.uniform("x", 1, math.nextafter(1, 2)),
        hp.quniform("x", 0, 1e307, 1e307),
        hp.quniform("x", 0, 1e300, 1e-300),
        hp.quniform("x", 0, 1, 5e-324),
        hp.loguniform("x", -1e300, 709),
        hp.loguniform("x", 708, 709),
        hp.qloguniform("x", -10, 709, 1e-300),
        hp.qloguniform("x", -10, 709, 1e307),
        hp.normal("x", 1e307, 1e307),
        hp.normal("x", 0, 1e-300),
        hp.normal("x", 5, 1e-12),
        hp.qnormal("x", 1e300, 1e6, 1e-12),
        hp.lognormal("x", 1e300, 1),
        hp.lognormal("x", -1e300, 1),
        hp.lognormal("x", 0, 1e6),
        hp.qlognormal("x", 0, 1e6, 1e307),
        hp.qlognormal("x", 0, 1e6, 1e-300),
    ],
    ids=named,
)
def test_extreme_parameters_give_finite_values_and_points_that_come_back(node):
    codec = codec_of(node)
    U = np.array([[0.0], [1e-300], [0.25], [0.5], [0.75], [1 - 2**-53], [1.0]])
    X = codec.from_unit(U)
    points = codec.decode(X)
    assert all(math.isfinite(p["x"]) for p in points)
    assert np.isfinite(codec.encode(points)).all()
    again = codec.decode(codec.encode(points))
    for p, a in zip(points, again, strict=True):
        assert math.isclose(p["x"], a["x"], rel_tol=3e-13)
    unit = codec.to_unit(codec.encode(points))
    assert ((unit >= 0) & (unit <= 1)).all()
    assert np.isfinite([codec.mu, codec.sigma]).all()
    assert (codec.sigma > 0).all()


@pytest.mark.parametrize("far", [-np.inf, np.inf, 1e308, -1e308])
def test_latent_coordinates_far_outside_are_brought_back(far):
    codec = codec_of(
        [
            hp.normal("n", 0, 1),
            hp.lognormal("l", 0, 1),
            hp.uniform("u", 0, 1),
            hp.randint("r", 5),
            hp.choice("c", [1, 2]),
            hp.qnormal("q", 0, 1, 1e307),
        ]
    )
    (point,) = codec.decode(np.full((1, 6), far))
    assert all(math.isfinite(v) for v in point.values())
    assert 0 <= point["r"] < 5
    assert point["c"] in (0, 1)


@pytest.mark.parametrize("q", [0.5, 1.0, 1e-300])
def test_a_value_of_zero_of_a_quantized_log_kind_comes_back(q):
    for node in (hp.qlognormal("x", 0, 1, q), hp.qloguniform("x", math.log(q) - 5, 3, q)):
        codec = codec_of(node)
        X = codec.encode([{"x": 0.0}])
        assert codec.low[0] <= X[0, 0] <= codec.high[0]
        assert codec.decode(X) == [{"x": 0.0}]


def test_no_negative_zero():
    codec = codec_of(hp.quniform("x", -1, 1, 1))
    assert math.copysign(1, codec.decode(np.array([[-0.2]]))[0]["x"]) == 1


def test_points_outside_their_bounds_are_encoded_as_they_are():
    codec = codec_of([hp.uniform("u", 0, 1), hp.randint("r", 5), hp.choice("c", [1, 2])])
    X = codec.encode([{"u": 3.0, "r": -2, "c": 7}])
    assert X.tolist() == [[3.0, -2.0, 7.0]]
    assert codec.to_unit(X).tolist() == [[1.0, 0.0, 0.75]]


def test_switches_over_integers_are_decided_by_the_whole_number():
    tree = scope.switch(hp.randint("n", 3), 0, hp.uniform("a", 0, 1), hp.uniform("b", 0, 1))
    codec = codec_of(tree)
    X = np.array([[-0.4, 0, 0], [0.6, 0, 0], [1.4, 0, 0], [2.3, 0, 0], [99.0, 0, 0]])
    assert codec.active(X).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, False],
        [True, False, True],
        [True, False, True],
    ]
    assert [list(p) for p in codec.decode(X)] == [
        ["n"],
        ["n", "a"],
        ["n", "a"],
        ["n", "b"],
        ["n", "b"],
    ]
    assert X[1, 0] == 0.6  # the caller's array is left alone


def test_an_active_coordinate_is_a_number():
    codec = codec_of(hp.choice("c", [0, hp.uniform("x", 0, 1)]))
    assert codec.decode(np.array([[0, np.nan]])) == [{"c": 0}]
    for row, label in (([1, np.nan], "x"), ([np.nan, 0.5], "c")):
        with pytest.raises(InvalidPoint, match=f"'{label}' is active, but its coordinate is NaN"):
            codec.decode(np.array([row]))


def test_columns_are_described():
    codec = codec_of(
        [
            hp.loguniform("a", -2, 0),
            hp.normal("b", 1, 2),
            hp.randint("c", 2, 5),
            hp.choice("d", [1, 2]),
            hp.quniform("e", 0, 8, 2),
        ]
    )
    assert codec.labels == ("a", "b", "c", "d", "e")
    assert codec.numeric.tolist() == [True, False, True, False, True]
    assert codec.normal.tolist() == [False, True, False, False, False]
    assert codec.integer.tolist() == [False, False, True, False, False]
    assert codec.categorical.tolist() == [False, False, False, True, False]
    assert codec.log.tolist() == [True, False, False, False, False]
    assert codec.step.tolist() == [0, 0, 1, 1, 2]
    assert codec.low.tolist() == [-2, -np.inf, 1.5, 0, 0]
    assert codec.high.tolist() == [0, np.inf, 4.5, 1, 8]
    assert codec.mu.tolist() == [-1, 1, 3, 0.5, 4]
    np.testing.assert_allclose(
        codec.sigma, np.array([2, 2 * math.sqrt(12), 3, 1, 8]) / math.sqrt(12)
    )
    assert [len(p) for p in codec.probabilities] == [0, 0, 0, 2, 0]


def test_scipy_is_not_needed_to_build_or_decode():
    script = """
import sys
sys.modules["scipy"] = None
import numpy as np
from sparktrials import hp
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
space = compile_space([hp.uniform("x", 0, 1), hp.choice("c", [1, hp.lognormal("y", 0, 1)])])
codec = Codec.of(space)
point = codec.decode(np.zeros((1, 3)))[0]
space.build(point)
codec.encode([point])
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
