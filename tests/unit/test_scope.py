"""Functions on nodes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparktrials import hp, scope
from sparktrials.errors import EmptyChoice, InvalidArgumentType, InvalidBounds, InvalidPoint
from sparktrials.space import compile_space

X = 2.4


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (scope.int, 2),
        (scope.float, 2.4),
        (scope.str, "2.4"),
        (scope.abs, 2.4),
        (scope.round, 2),
        (lambda x: scope.round(x * 1.11, 1), 2.7),
        (scope.floor, 2),
        (scope.ceil, 3),
        (scope.exp, np.exp(X)),
        (scope.log, np.log(X)),
        (scope.log10, np.log10(X)),
        (scope.sqrt, np.sqrt(X)),
        (scope.sin, np.sin(X)),
        (scope.cos, np.cos(X)),
        (scope.tan, np.tan(X)),
        (scope.tanh, np.tanh(X)),
        (lambda x: scope.pow(x, 2), X**2),
        (lambda x: scope.min(x, 1), 1),
        (lambda x: scope.max(x, 1), X),
        (lambda x: scope.max([x, 1, 7]), 7),
        (lambda x: scope.minimum(x, 1), 1),
        (lambda x: scope.maximum(x, [1, 3])[1], 3),
        (lambda x: scope.sum([x, 1, 2]), 5.4),
        (lambda x: scope.sum([[x], [1.0]], axis=1)[0], X),
        (lambda x: scope.len([x, 1]), 2),
        (lambda x: scope.list((x, 1)), [X, 1]),
        (lambda x: scope.range(scope.int(x)), range(2)),
        (lambda x: scope.getattr(x, "imag"), 0.0),
        (lambda x: scope.asarray([x, x])[1], X),
        (lambda x: scope.eq(x, 2.4), True),
        (lambda x: scope.ne(x, 2.4), False),
        (lambda x: scope.call(math.hypot, x, 3), math.hypot(X, 3)),
        (lambda x: scope.call(dict, a=x, function=1), {"a": X, "function": 1}),
        (lambda x: scope.call(hp.choice("f", [math.sqrt, math.exp]), x), math.sqrt(X)),
    ],
)
def test_computed_once_the_point_is_known(function, expected):
    space = compile_space(function(hp.uniform("x", 0, 5)))
    value = space.build({"x": X} | {label: 0 for label in space.labels if label != "x"})
    assert value == expected
    assert type(value) is type(expected) or isinstance(value, np.generic)


def test_plain_values_are_taken_too():
    assert compile_space(scope.int(2.7)).build({}) == 2


def test_every_function_is_listed_and_named():
    for name in scope.__all__:
        assert getattr(scope, name).__name__ == name
        assert getattr(scope, name).__doc__


def test_what_cannot_be_called_is_refused():
    with pytest.raises(InvalidArgumentType, match=r"takes a function .* got 3"):
        scope.call(3, hp.uniform("x", 0, 1))


@pytest.mark.parametrize(
    "index",
    [hp.randint("n", 2), hp.uniformint("n", 0, 1), hp.randint("n", 1, 3)],
    ids=["randint", "uniformint", "randint from 1"],
)
def test_options_of_a_switch_over_a_parameter_are_conditional(index):
    space = compile_space(
        scope.switch(index, hp.uniform("a", 0, 1), hp.uniform("b", 0, 1), hp.uniform("c", 0, 1))
    )
    assert space.active({"n": 1}) == ["n", "b"]
    assert space.build({"n": 1, "b": 0.5}) == 0.5
    assert [p.condition for p in space.parameters] == [(), (((0, 0),),), (((0, 1),),), (((0, 2),),)]


def test_options_of_a_switch_over_an_expression_are_all_active():
    n = hp.randint("n", 4)
    space = compile_space(scope.switch(n % 2, hp.uniform("a", 0, 1), hp.uniform("b", 0, 1)))
    assert space.active({"n": 1}) == ["n", "a", "b"]
    assert space.build({"n": 3, "a": 0.1, "b": 0.2}) == 0.2


def test_a_switch_over_a_choice_of_numbers():
    space = compile_space(scope.switch(hp.choice("c", [1, 0]), "a", "b"))
    assert space.build({"c": 0}) == "b"


def test_a_switch_needs_options():
    with pytest.raises(EmptyChoice, match="at least one option"):
        scope.switch(hp.randint("n", 2))


@pytest.mark.parametrize(
    "index", [hp.randint("n", 3), hp.randint("n", -1, 2), hp.uniformint("n", 1, 2)]
)
def test_a_switch_has_an_option_for_each_value_of_its_index(index):
    with pytest.raises(InvalidBounds, match=r"options 0 to 1, but its index can be .*'n'"):
        scope.switch(index, "a", "b")


@pytest.mark.parametrize("value", [2, -1, 0.5, "a", None, math.nan, math.inf, [1, 2]])
def test_a_computed_index_without_an_option_is_named(value):
    space = compile_space(scope.switch(scope.call(lambda: value), "a", "b"))
    with pytest.raises(InvalidPoint, match="must be one of 0 to 1, got"):
        space.build({})
