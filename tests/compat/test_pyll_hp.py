"""The parameters of ``hp``, and the tools that read their conditions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from sparktrials.compat import graph_viz, hp, pyll_utils
from sparktrials.compat.pyll import Literal, as_apply, scope, stochastic
from sparktrials.compat.pyll.convert import node_of
from sparktrials.compat.pyll_utils import EQ, Cond, expr_to_config
from sparktrials.errors import (
    DuplicateLabel,
    EmptyChoice,
    InvalidArgumentType,
    InvalidBounds,
    InvalidLabel,
    InvalidProbabilities,
)


def names(node):
    found = []
    while node.pos_args:
        found.append(node.name)
        node = node.pos_args[-1]
    return found


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (hp.uniform("x", 0, 1), "float hyperopt_param uniform"),
        (hp.quniform("x", 0, 1, 0.5), "float hyperopt_param quniform"),
        (hp.randint("x", 5), "int hyperopt_param randint"),
        (hp.lognormal("x", 0, 1), "float hyperopt_param lognormal"),
    ],
)
def test_shapes(made, expected):
    assert names(made) == expected.split()


def test_choices_are_switches():
    made = hp.choice("c", ["a", "b"])
    assert [made.name, made.pos_args[0].name] == ["switch", "hyperopt_param"]
    assert made.pos_args[0].arg["obj"].name == "randint"
    assert [n.obj for n in made.pos_args[1:]] == ["a", "b"]
    made = hp.pchoice("c", [(0.25, "a"), (0.75, "b")])
    p = made.pos_args[0].arg["obj"].arg["p"]
    assert [n.obj for n in p.pos_args] == [0.25, 0.75]


def test_uniformint_is_an_int_of_a_float():
    made = hp.uniformint("x", 0, 5)
    assert [made.name, made.pos_args[0].name] == ["int", "float"]
    assert made.pos_args[0].pos_args[0].arg["obj"].arg["q"].obj == 1.0
    assert hp.uniformint("x", 0, 9, q=3).pos_args[0].pos_args[0].arg["obj"].arg["q"].obj == 3


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: hp.uniform("x", 1, 0), InvalidBounds, "low should be less than high"),
        (lambda: hp.uniform("x", 0, 0), InvalidBounds, "low should be less than high"),
        (lambda: hp.uniform("x", low=3, high=2), InvalidBounds, "'x': low should be"),
        (lambda: hp.uniform("x", 0, float("inf")), InvalidBounds, "finite"),
        (lambda: hp.uniform("x", 0, float("nan")), InvalidBounds, "low should be less"),
        (lambda: hp.uniform("x", "0", 1), InvalidBounds, "must be a number"),
        (lambda: hp.quniform("x", 0, 1, 0), InvalidBounds, "q > 0"),
        (lambda: hp.uniformint("x", 5, 1), InvalidBounds, "low should be"),
        (lambda: hp.loguniform("x", 0, 1000), InvalidBounds, "natural logarithms"),
        (lambda: hp.normal("x", 0, 0), InvalidBounds, "sigma > 0"),
        (lambda: hp.randint("x", 0), InvalidBounds, "must be positive"),
        (lambda: hp.randint("x", 5, 5), InvalidBounds, "low should be"),
        (lambda: hp.choice("x", 3), InvalidArgumentType, "must be a list"),
        (lambda: hp.choice("x", hp.uniform("y", 0, 1)), InvalidArgumentType, "unknown length"),
        (lambda: hp.pchoice("x", []), EmptyChoice, "at least one"),
        (lambda: hp.pchoice("x", 3), InvalidArgumentType, "must be a list"),
        (lambda: hp.pchoice("x", [1, 2]), InvalidProbabilities, "pairs"),
        (lambda: hp.pchoice("x", [(0.5, 1)]), InvalidProbabilities, "sum to 1"),
        (lambda: hp.pchoice("x", [(-1, 1), (2, 3)]), InvalidProbabilities, "negative"),
        (lambda: hp.uniform(3, 0, 1), InvalidLabel, "require string label"),
        (lambda: hp.choice(None, [1]), InvalidLabel, "require string label"),
        (lambda: hp.pchoice(None, [(1, 1)]), InvalidLabel, "require string label"),
        (lambda: hp.normal(3, as_apply(0) + 1, 1), InvalidLabel, "require string label"),
        (lambda: hp.uniform("x", 0), TypeError, "missing"),
        (lambda: hp.uniform("x", 0, 1, size=3), TypeError, "size"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_what_is_no_list_is_taken_with_a_warning():
    for options, kind in (({1, 2}, "a set"), ("abc", "a str"), ({"a": 1}, "a dict")):
        with pytest.warns(UserWarning, match=f"options is {kind}, taken for"):
            node = hp.choice("x", options)
        assert len(node.pos_args) == 1 + len(options)


def test_choices_without_options_are_refused_where_they_are_used():
    """Packages make some, and leave them out."""
    empty = hp.choice("x", [])
    assert len(hp.choice("y", [1]).pos_args) == 2
    with pytest.raises(EmptyChoice, match="at least one option"):
        node_of({"x": empty})


def test_what_is_a_list_in_all_but_name_is_taken():
    for options in (range(3), np.arange(3), (i for i in range(3)), as_apply((0, 1, 2))):
        assert len(hp.choice("x", options).pos_args) == 4
    assert len(hp.pchoice("x", ([0.5, i] for i in range(2))).pos_args) == 3
    assert hp.uniform(Literal("x"), Literal(0), 1).name == "float"


def test_expressions_as_bounds_can_be_sampled():
    made = hp.uniform("x", 0, hp.uniform("y", 5, 6))
    assert 0 <= stochastic.sample(made, 0) < 6


def test_probabilities_that_nearly_sum_to_one_are_rescaled():
    with pytest.warns(UserWarning, match="rescaled"):
        made = hp.pchoice("x", [(0.3333, 1), (0.3333, 2), (0.3333, 3)])
    assert stochastic.sample(made, 0) in {1, 2, 3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hp.pchoice("x", [(0.1, i) for i in range(10)])


def test_decorators_for_own_parameters():
    @pyll_utils.validate_label
    @pyll_utils.validate_distribution_range
    def own(label, low, high):
        return label, low, high

    assert own("x", 0, high=1) == ("x", 0, 1)
    assert own("x", "no", "number") == ("x", "no", "number")
    with pytest.raises(TypeError, match="require string label"):
        own(1, 0, 1)
    with pytest.raises(ValueError, match="2 is not smaller than 1"):
        own("x", 2, high=1)


def conditions(tree, start=()):
    found = {}
    expr_to_config(tree, start, found)
    return {label: hyper["conditions"] for label, hyper in found.items()}


def test_conditions_are_paths():
    x = hp.uniform("x", 0, 1)
    tree = hp.choice("a", [x, hp.choice("b", [hp.normal("y", 0, 1), x]), 3])
    assert conditions(tree) == {
        "a": {()},
        "x": {(EQ("a", 0),), (EQ("a", 1), EQ("b", 1))},
        "b": {(EQ("a", 1),)},
        "y": {(EQ("a", 1), EQ("b", 0))},
    }


def test_all_branches_are_no_condition():
    x = hp.uniform("x", 0, 1)
    assert conditions(hp.choice("a", [x, [x]]))["x"] == {()}
    assert conditions(hp.pchoice("a", [(0.5, x), (0.5, [x])]))["x"] == {()}
    assert conditions(scope.switch(hp.randint("a", 2), x, x + 1))["x"] == {()}
    start = (EQ("outside", 1),)
    assert conditions([x], start)["x"] == {start}


def test_options_of_a_computed_index_have_no_condition():
    x = hp.uniform("x", 0, 1)
    assert conditions(scope.switch(hp.randint("a", 2) + 0, x, 1))["x"] == {()}


def test_one_label_for_two_distributions_is_refused():
    with pytest.raises(DuplicateLabel, match="'x'"):
        conditions([hp.uniform("x", 0, 1), hp.uniform("x", 0, 1)])


def test_shared_parts_are_walked_once():
    node = hp.uniform("x", 0, 1)
    for _ in range(60):
        node = node + node
    assert conditions(node) == {"x": {()}}


def test_conditions_compare_by_content():
    assert Cond("a", 1, "=") == EQ("a", 1)
    assert EQ("a", 1) != EQ("a", 2)
    assert EQ("a", 1) != "a"
    assert repr(EQ("a", 1)) == "Cond{a = 1}"


def test_dot():
    tree = hp.choice("a", [hp.uniform("x", 0, 1), hp.choice("b", [hp.normal("y", 0, 1), 1])])
    assert graph_viz.dot_hyperparameters(tree).splitlines() == [
        "digraph {",
        '"a" [ shape=box];',
        '"x" [ shape=box];',
        '"a" -> "a=0";',
        '"a=0" [ shape=ellipse];',
        '"a=0" -> "x";',
        '"b" [ shape=box];',
        '"a" -> "a=1";',
        '"a=1" [ shape=ellipse];',
        '"a=1" -> "b";',
        '"y" [ shape=box];',
        '"a=1 & b=0" [ shape=ellipse];',
        '"a=1 & b=0" -> "y";',
        '"a=1" [ shape=ellipse];',
        '"a=1" -> "a=1 & b=0";',
        '"b=0" [ shape=ellipse];',
        '"b" -> "b=0";',
        '"b=0" -> "a=1 & b=0";',
        "}",
    ]
