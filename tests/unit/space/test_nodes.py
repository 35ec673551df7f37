"""Nodes: expressions that build, and every use that a node refuses."""

from __future__ import annotations

import collections
import math
import operator

import numpy as np
import pandas as pd
import pytest

from sparktrials import hp, scope
from sparktrials.errors import BadSearchSpace, NodeNotEvaluated
from sparktrials.space import as_node, compile_space
from sparktrials.space.nodes import Constant, Node


def x():
    return hp.uniform("x", 0, 10)


def value(tree, **point):
    return compile_space(tree).build(point)


@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
     operator.pow, operator.lt, operator.le, operator.gt, operator.ge],
)  # fmt: skip
@pytest.mark.parametrize("other", [2, 2.5, np.float64(2.5), np.int64(2)])
def test_binary_operators_from_both_sides(function, other):
    assert value(function(x(), other), x=3.5) == function(3.5, other)
    assert value(function(other, x()), x=3.5) == function(other, 3.5)
    node = x()
    assert value(function(node, node), x=3.5) == function(3.5, 3.5)


@pytest.mark.parametrize("function", [operator.neg, operator.pos, operator.abs, round])
def test_unary_operators(function):
    assert value(function(x()), x=3.7) == function(3.7)


def test_rounding_to_digits():
    assert value(round(x(), 1), x=3.77) == 3.8


def test_indexing_and_calling():
    pair = hp.choice("c", [("a", 1), ("b", 2)])
    assert value(pair[1], c=1) == 2
    assert value(hp.choice("c", [{"k": 5}])["k"], c=0) == 5
    assert value(as_node([10, 20, 30])[scope.int(x())], x=2.5) == 30
    kind = hp.choice("c", [dict, collections.OrderedDict])
    assert value(kind(a=x()), c=1, x=2.0) == collections.OrderedDict(a=2.0)
    assert value(hp.choice("c", ["text"])[0:2], c=0) == "te"


def test_arrays_on_the_left():
    built = value(np.array([1.0, 2.0]) * x(), x=3.0)
    np.testing.assert_array_equal(built, [3.0, 6.0])


def test_equality_is_identity():
    node = x()
    assert node == node  # noqa: PLR0124
    assert node != x()
    assert (node == 3) is False
    assert (np.float64(3) == node) is False
    assert (np.float64(3) != node) is True
    assert {node: 1}[node] == 1


REFUSED = {
    "bool": (bool, "truth value", "hp.choice"),
    "and": (lambda n: n and 1, "truth value", "hp.choice"),
    "chained": (lambda n: 1 < n < 2, "truth value", "hp.choice"),
    "int": (int, "an int", "scope.int"),
    "float": (float, "a float", "scope.float"),
    "math.exp": (math.exp, "a float", "scope.exp"),
    "index": (lambda n: [1, 2][n], "an index", "hp.choice"),
    "range": (range, "an index", "hp.choice"),
    "iter": (iter, "an iterable", "index it"),
    "unpack": (lambda n: print(*n), "an iterable", "index it"),
    "list": (list, "an iterable", "index it"),
    "len": (len, "a sized container", "scope.len"),
    "in": (lambda n: 3 in n, "a container", "inside the objective"),
    "np.exp": (np.exp, "numpy.exp", r"scope.exp\(...\)"),
    "np.log10": (np.log10, "numpy.log10", r"scope.log10\(...\)"),
    "np.hypot": (lambda n: np.hypot(n, 2), "numpy.hypot", r"scope.call\(numpy.hypot"),
    "np.add.reduce": (np.add.reduce, "numpy.add", "scope"),
    "np.sum": (np.sum, "numpy.add", "scope"),
    "np.array": (np.array, "an array", "scope.call"),
    "np.array of": (lambda n: np.array([1, n]), "an array", "scope.call"),
    "np.where": (lambda n: np.where(n, 1, 2), "an array", "scope.call"),
    "array out": (lambda n: np.add(1, n, where=True), "numpy.add", "scope"),
}


@pytest.mark.parametrize("use", REFUSED)
@pytest.mark.parametrize("node", [x(), x() + 1, hp.choice("c", [1, 2])], ids=str)
def test_a_node_is_no_value(use, node):
    function, named, remedy = REFUSED[use]
    with pytest.raises(NodeNotEvaluated, match=f"{named}.*{remedy}") as e:
        function(node)
    assert isinstance(e.value, TypeError)
    assert use == "chained" or str(node) in str(e.value)
    if "..." not in str(e.value):
        assert "'x'" in str(e.value) or "'c'" in str(e.value)  # the label


def test_constants_keep_their_identity():
    def function():
        pass

    frame, array = pd.DataFrame({"a": [1]}), np.arange(3)
    values = [frame, array, function, dict, None, {1, 2}, frozenset((3,)), ..., b"bytes", 10**30]
    tree = {str(i): v for i, v in enumerate(values)}
    for built in (value(tree), {str(i): v for i, v in enumerate(value(values))}):
        assert all(built[str(i)] is v for i, v in enumerate(values))
    assert value(hp.choice("c", values), c=0) is frame


def test_lists_arrive_as_tuples_and_keys_sorted():
    built = value({"b": [1, [2, {"z": 1, "y": [x()]}]], "a": ()}, x=1.0)
    assert built == {"a": (), "b": (1, (2, {"y": (1.0,), "z": 1}))}
    assert list(built) == ["a", "b"]
    assert list(built["b"][1][1]) == ["y", "z"]


def test_keys_that_do_not_compare_are_sorted_by_their_text():
    assert list(value({"b": 1, 3: 2, None: 3})) == [3, None, "b"]
    assert list(value({10: 1, 9: 2})) == [9, 10]


def test_dicts_are_made_anew_for_each_point():
    space = compile_space({"a": {"b": 1}, "l": [{"c": 2}]})
    first = space.build({})
    first["a"]["b"] = first["l"][0]["c"] = 5
    assert space.build({}) == {"a": {"b": 1}, "l": ({"c": 2},)}


def test_the_tree_is_read_once():
    options = [1, 2]
    tree = {"c": hp.choice("c", options), "l": [1]}
    space = compile_space(tree)
    options.append(3)
    tree["l"].append(2)
    assert space.build({"c": 1}) == {"c": 2, "l": (1,)}


def test_a_container_that_stands_in_two_places_is_no_cycle():
    shared = [x()]
    assert value({"a": shared, "b": {"c": shared}}, x=1.0) == {"a": (1.0,), "b": {"c": (1.0,)}}


def loop_of_lists():
    a = [1]
    a.append({"a": [a]})
    return a


def loop_of_dicts():
    a = {}
    a["a"] = a
    return a


@pytest.mark.parametrize("loop", [loop_of_lists(), loop_of_dicts()], ids=["list", "dict"])
def test_a_space_that_contains_itself(loop):
    with pytest.raises(BadSearchSpace, match="contains itself"):
        compile_space(loop)
    with pytest.raises(BadSearchSpace, match="contains itself"):
        hp.choice("c", [0, loop])


@pytest.mark.parametrize(
    "tree", [{x()}, frozenset({x()}), {x(): 1}, {(x(), 1): 1}, [{"a": {x(): 1, "b": 2}}]]
)
def test_a_node_where_it_would_stay_without_a_value(tree):
    with pytest.raises(BadSearchSpace, match="a search-space node cannot be"):
        compile_space(tree)


def test_hyperopts_own_nodes_are_named():
    apply = type("Apply", (), {"__module__": "hyperopt.pyll.base"})
    with pytest.raises(BadSearchSpace, match=r"node of Hyperopt's; .*from sparktrials import hp"):
        compile_space({"a": [apply()]})
    with pytest.raises(BadSearchSpace, match="node of Hyperopt's"):
        hp.choice("c", [apply()])
    assert value([apply]) == (apply,)  # a class is a constant


def test_dict_subclasses_with_items_of_their_own():
    class Doubling(dict):
        def __getitem__(self, key):
            return [super().__getitem__(key)] * 2

    assert value(Doubling(a=1, b=2)) == {"a": (1, 1), "b": (2, 2)}


def test_nodes_are_made_once_and_pass_through():
    node = x()
    assert as_node(node) is node
    assert isinstance(as_node([1, 2]), Constant)
    assert isinstance(as_node(node + 1), Node)


def test_expressions_name_their_labels_briefly():
    node = x()
    assert str(node + 1) == "add('x', 1)"
    assert str(scope.call(dict, a=node, b=node * 2)) == "dict(a='x', b=...)"
    assert str(hp.choice("c", [dict])(a=1)) == "choice 'c' of 1 options(...)"
    assert str(scope.int(node)) == "int('x')"


def test_a_long_constant_is_shortened_in_messages():
    assert len(repr(Constant("x" * 1000))) <= 60
