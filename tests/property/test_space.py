"""Properties of compiled spaces and their codec, over random conditional trees."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, reject, settings, strategies as st
from tests.property.strategies import sample, spaces, trees

from sparktrials import hp, scope
from sparktrials.errors import BadSearchSpace
from sparktrials.space import Integer, Space, Uniform, compile_space
from sparktrials.space.codec import Codec
from sparktrials.space.nodes import (
    Call,
    Constant,
    Draw,
    MappingNode,
    Switch,
    TupleNode,
    as_node,
)

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def evaluated(tree: object, point: dict[str, Any]) -> tuple[Any, set[str]]:
    """The value of a tree and the labels that it needs, by plain recursion."""
    needed: set[str] = set()

    def value(node: Any) -> Any:
        if isinstance(node, Constant):
            return node.value
        if isinstance(node, Draw):
            needed.add(node.label)
            drawn, d = point[node.label], node.distribution
            whole = isinstance(drawn, int) or (isinstance(d, Uniform) and d.integer)
            return int(drawn) if whole else drawn
        if isinstance(node, Switch):
            return value(node.options[value(node.index)])
        if isinstance(node, TupleNode):
            return tuple(value(item) for item in node.items)
        if isinstance(node, MappingNode):
            return {k: value(v) for k, v in zip(node.keys, node.values, strict=True)}
        assert isinstance(node, Call)
        return node.function(*map(value, node.args), **{k: value(v) for k, v in node.kwargs})

    return value(as_node(tree)), needed


def compiled(tree: object) -> Space:
    try:
        return compile_space(tree)
    except BadSearchSpace as error:
        if "decide on each other" not in str(error):
            raise
        reject()


def _index_below_itself() -> Any:
    n = hp.randint("n", 2)
    return hp.choice("o", [scope.switch(n, hp.choice("r", [n + 1, 5]), 7), 0])


def _under_all_branches() -> Any:
    x = hp.uniform("x", 0, 1)
    return hp.choice("a", [[x, 1], hp.choice("b", [{"x": x}, x])]), hp.choice("c", [x, 0])


@settings(max_examples=120, deadline=None)
@given(trees(shared_indices=True), seeds)
@example(_index_below_itself(), 3)
@example(_under_all_branches(), 3)
def test_a_point_has_exactly_the_labels_that_its_tree_needs(tree, seed):
    space = compiled(tree)
    for point in sample(space, 8, seed):
        value, needed = evaluated(tree, point)
        assert space.build(point) == value
        assert set(point) == needed
        assert space.active(point) == list(point)


@few
@given(spaces(), seeds)
def test_labels_that_are_inactive_change_nothing(space, seed):
    for point in sample(space, 4, seed):
        more = dict.fromkeys(space.labels, 0) | point
        assert space.active(more) == list(point)
        assert space.checked(more) == point
        assert repr(space.build(more)) == repr(space.build(point))


@few
@given(spaces(), seeds)
def test_conditions_name_earlier_parameters_only(space, seed):
    for i, parameter in enumerate(space.parameters):
        assert all(k < i for term in parameter.condition for k, _ in term)
        terms = [set(term) for term in parameter.condition]
        assert not any(a < b for a in terms for b in terms)  # none says what another says


@few
@given(spaces(), seeds)
def test_the_arrays_and_the_points_agree_on_what_is_active(space, seed):
    codec = Codec.of(space)
    X = codec.from_unit(np.random.default_rng(seed).random((8, len(codec))))
    points = codec.decode(X)
    active = codec.active(X)
    assert [[label for label in codec.labels if label in p] for p in points] == [
        [label for label, on in zip(codec.labels, row, strict=True) if on] for row in active
    ]
    encoded = codec.encode(points)
    np.testing.assert_array_equal(~np.isnan(encoded), active)
    np.testing.assert_array_equal(codec.active(encoded), active)


def same(space: Space, a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two points are equal, up to the rounding that `Codec.decode` documents."""
    assert list(a) == list(b)
    for label, x in a.items():
        y = b[label]
        d = space.parameters[space.index[label]].distribution
        assert type(x) is type(y)
        if x != y:
            assert d.log
            assert d.q is None or x / d.q > 2**40
            assert abs(x - y) <= (2 + abs(math.log(x))) * 2**-52 * x
    return True


@pytest.mark.parametrize("extreme", [False, True])
@few
@given(st.data(), seeds)
def test_decoding_inverts_encoding(extreme, data, seed):
    space = data.draw(spaces(extreme=extreme))
    codec = Codec.of(space)
    points = sample(space, 8, seed)
    again = codec.decode(codec.encode(points))
    assert all(same(space, p, a) for p, a in zip(points, again, strict=True))


@few
@given(spaces(), seeds)
def test_rows_are_decoded_alike_alone_and_together(space, seed):
    codec = Codec.of(space)
    U = np.random.default_rng(seed).random((9, len(codec)))
    together = codec.decode(codec.from_unit(U))
    alone = [codec.decode(codec.from_unit(u[None]))[0] for u in U]
    assert together == alone


@pytest.mark.parametrize("extreme", [False, True])
@few
@given(st.data())
def test_values_are_finite_and_in_bounds_whatever_is_decoded(extreme, data):
    space = data.draw(spaces(extreme=extreme))
    codec = Codec.of(space)
    numbers = st.one_of(
        st.floats(allow_nan=False), st.sampled_from([0.0, 1.0, -np.inf, np.inf, 0.5])
    )
    latent = np.array([[data.draw(numbers) for _ in codec.labels] for _ in range(3)])
    ends = np.array([[0.0] * len(codec), [1.0] * len(codec), [1 - 2**-53] * len(codec)])
    for X in (latent, codec.from_unit(ends), codec.from_unit(np.clip(latent, 0, 1))):
        for point in codec.decode(X):
            space.build(point)
            for label, value in point.items():
                d = space.parameters[space.index[label]].distribution
                assert math.isfinite(value)
                if isinstance(d, Integer):
                    assert d.low <= value < d.high
                    assert type(value) is int
                elif isinstance(d, Uniform):
                    low, high = (
                        (float(np.exp(d.low)), float(np.exp(d.high))) if d.log else (d.low, d.high)
                    )
                    # Hyperopt's rule: a quantized value may be half a step outside.
                    slack = (d.q or 0) / 2 + 1e-13 * abs(value)
                    assert low - slack <= value <= high + slack
                elif type(d).__name__ == "Categorical":
                    assert X is latent or d.probabilities[value] > 0
                elif d.log and d.q is None:
                    assert value > 0


@few
@given(spaces(), seeds)
def test_unit_coordinates_come_back(space, seed):
    codec = Codec.of(space)
    U = np.random.default_rng(seed).random((8, len(codec)))
    X = codec.from_unit(U)
    again = codec.to_unit(X)
    np.testing.assert_allclose(again[:, ~codec.categorical], U[:, ~codec.categorical], atol=1e-9)
    np.testing.assert_allclose(codec.from_unit(again), X, rtol=1e-6, atol=1e-6)
    assert ((again >= 0) & (again <= 1)).all()


@few
@given(spaces())
def test_nan_stays_nan_in_unit_coordinates(space):
    codec = Codec.of(space)
    assert np.isnan(codec.to_unit(np.full((2, len(codec)), np.nan))).all()


@few
@given(spaces(), seeds)
def test_a_space_survives_pickling(space, seed):
    other = pickle.loads(pickle.dumps(space))
    assert other.fingerprint == space.fingerprint
    assert other.parameters == space.parameters
    for point in sample(space, 2, seed):
        assert repr(other.build(point)) == repr(space.build(point))


@few
@given(trees())
def test_compiling_again_gives_the_same_fingerprint_and_table(tree):
    one, other = compile_space(tree), compile_space(tree)
    assert one.fingerprint == other.fingerprint
    assert one.parameters == other.parameters
