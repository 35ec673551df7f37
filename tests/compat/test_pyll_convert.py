"""Expressions as nodes and back: what is built equals what ``rec_eval`` gives."""

from __future__ import annotations

import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.property.strategies import points, trees

from sparktrials import hp as native, scope as native_scope
from sparktrials.compat import hp
from sparktrials.compat.pyll import Literal, as_apply, dfs, rec_eval, scope, stochastic
from sparktrials.compat.pyll.base import Lambda, apply, p0
from sparktrials.compat.pyll.convert import Operation, graph_of, is_graph, node_of
from sparktrials.errors import (
    BadSearchSpace,
    DuplicateLabel,
    InvalidBounds,
    InvalidLabel,
    InvalidProbabilities,
)
from sparktrials.space import Categorical, Integer, Normal, Uniform, compile_space
from sparktrials.space.nodes import Call, Constant, Draw, MappingNode, Switch, TupleNode


def memo_of(graph, point):
    """Return what Hyperopt evaluates an expression with."""
    return {
        node: point[node.arg["label"].obj]
        for node in dfs(graph)
        if node.name == "hyperopt_param" and node.arg["label"].obj in point
    }


def shown(value):
    """Return a value with its types, by which values are compared."""
    if isinstance(value, dict):
        return [dict, [(k, shown(v)) for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value), [shown(v) for v in value]]
    return [type(value), repr(value)]


def distribution(node):
    ((parameter),) = compile_space(node_of(node)).parameters
    return parameter.distribution


def built(tree, point):
    return compile_space(node_of(tree)).build(point)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_built_equals_what_rec_eval_gives(data):
    tree = data.draw(trees())
    graph = as_apply(tree)
    space = compile_space(node_of(graph))
    native_space = compile_space(tree)
    assert space.fingerprint == native_space.fingerprint
    for point in data.draw(points(native_space, n=3)):
        expected = shown(rec_eval(graph, memo=memo_of(graph, point)))
        assert shown(space.build(point)) == expected
        assert shown(native_space.build(point)) == expected
        assert sorted(space.active(point)) == sorted(native_space.active(point))


@settings(max_examples=60, deadline=None)
@given(trees())
def test_there_and_back_is_the_same_space(tree):
    once = node_of(as_apply(tree))
    twice = node_of(graph_of(once))
    assert compile_space(twice).fingerprint == compile_space(once).fingerprint


@settings(max_examples=40, deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_samples_are_values_of_the_space(tree, seed):
    graph = as_apply(tree)
    draws = {}

    def note(label, obj):
        draws[label] = float(np.ravel(obj)[0])
        return obj

    original = scope._impls["hyperopt_param"]
    scope._impls["hyperopt_param"] = note
    try:
        value = stochastic.sample(graph, np.random.default_rng(seed))
    finally:
        scope._impls["hyperopt_param"] = original
    assert shown(compile_space(node_of(graph)).build(draws)) == shown(value)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (hp.uniform("x", 0, 1), Uniform(0.0, 1.0)),
        (hp.quniform("x", 0, 9, 2), Uniform(0.0, 9.0, q=2.0)),
        (hp.loguniform("x", -1, 1), Uniform(-1.0, 1.0, log=True)),
        (hp.qloguniform("x", -1, 1, 0.5), Uniform(-1.0, 1.0, log=True, q=0.5)),
        (hp.normal("x", 1, 2), Normal(1.0, 2.0)),
        (hp.qnormal("x", 1, 2, 3), Normal(1.0, 2.0, q=3.0)),
        (hp.lognormal("x", 1, sigma=2), Normal(1.0, 2.0, log=True)),
        (hp.qlognormal("x", 1, 2, q=3), Normal(1.0, 2.0, log=True, q=3.0)),
        (hp.randint("x", 5), Integer(0, 5)),
        (hp.randint("x", high=5, low=2), Integer(2, 5)),
        (hp.uniformint("x", 0, 9), Uniform(0.0, 9.0, q=1.0, integer=True)),
        (hp.uniformint("x", 0, 9, q=3), Uniform(0.0, 9.0, q=3.0, integer=True)),
        (hp.uniformint("x", 0, 9, 3), Uniform(0.0, 9.0, q=3.0, integer=True)),
        (scope.int(hp.quniform("x", 0, 9, 1)), Uniform(0.0, 9.0, q=1.0, integer=True)),
        (scope.int(hp.quniform("x", 0, 9, 0.5)), Uniform(0.0, 9.0, q=0.5)),
        (hp.choice("x", [1, 2, 3, 4]), Categorical((0.25,) * 4)),
        (hp.pchoice("x", [(0.25, 1), (0.75, 2)]), Categorical((0.25, 0.75))),
        (scope.hyperopt_param("x", scope.randint(4)), Integer(0, 4)),
        (scope.hyperopt_param("x", scope.categorical(np.full(2, 0.5))), Categorical((0.5, 0.5))),
        (scope.hyperopt_param("x", scope.uniform(as_apply(1) * 2, scope.exp(2.0))),
         Uniform(2.0, float(np.exp(2)))),
        (scope.hyperopt_param("x", scope.uniform(0, 1, rng=None, size=())), Uniform(0.0, 1.0)),
        (scope.hyperopt_param(obj=scope.uniform(0, 1), label="x"), Uniform(0.0, 1.0)),
    ],
)  # fmt: skip
def test_distributions(made, expected):
    assert distribution(made) == expected


def test_kinds_of_nodes():
    assert isinstance(node_of(hp.uniform("x", 0, 1)), Draw)
    assert isinstance(node_of(hp.randint("x", 3)), Draw)
    assert isinstance(node_of(hp.choice("x", [1, 2])), Switch)
    assert isinstance(node_of([1, hp.randint("x", 3)]), TupleNode)
    assert isinstance(node_of({"a": hp.randint("x", 3)}), MappingNode)
    assert isinstance(node_of(hp.randint("x", 3) + 1), Call)
    assert node_of([1, (2, as_apply(3))]).value == (1, (2, 3))
    assert node_of(3).value == 3


def test_constants_keep_their_identity():
    thing, rows = object(), np.arange(3)
    a, b, c = built(as_apply([thing, rows, {"k": thing}]), {})
    assert a is thing
    assert b is rows
    assert c["k"] is thing
    assert built(Literal([1, 2]), {}) == [1, 2]


def test_sharing_is_kept():
    x = hp.uniform("x", 0, 1)
    shared = scope.exp(x)
    node = node_of({"a": shared, "b": [shared, x]})
    a, (b, draw) = node.values[0], node.values[1].items
    assert a is b
    assert a.args[0] is draw


def test_a_draw_that_is_read_as_int_and_as_float_stays_a_float():
    x = hp.quniform("x", 0, 9, 1)
    assert shown(built([x, scope.int(x)], {"x": 3.0})) == shown((3.0, 3))
    n = hp.uniformint("n", 0, 9)
    assert shown(built([n, scope.float(n)], {"n": 3.0})) == shown((3, 3.0))
    bare = scope.hyperopt_param("b", scope.quniform(0, 9, 1))
    assert shown(built([bare, scope.int(scope.float(bare))], {"b": 3.0})) == shown((3.0, 3))


def test_conditions_of_a_switch_over_an_integer():
    index = hp.uniformint("n", 0, 1)
    space = compile_space(node_of(scope.switch(index, hp.uniform("x", 0, 1), hp.normal("y", 0, 1))))
    assert space.active({"n": 0.0}) == ["n", "x"]
    assert space.active({"n": 1.0}) == ["n", "y"]
    index = hp.randint("n", 2)
    space = compile_space(node_of([scope.switch(index, hp.uniform("x", 0, 1), 1), index]))
    assert space.active({"n": 1}) == ["n"]


def test_a_computed_index_leaves_every_option_active():
    index = hp.randint("n", 2) + 0
    space = compile_space(node_of(scope.switch(index, hp.uniform("x", 0, 1), 1)))
    assert space.active({"n": 1}) == ["n", "x"]


def test_nodes_expressions_and_containers_mix():
    inner = native.uniform("u", 0, 1)
    tree = {
        "a": hp.choice("c", [inner, {"k": [native_scope.int(inner)]}]),
        "b": native.choice("d", [hp.uniform("x", 0, 1) + 1, [1, (hp.randint("r", 3),)]]),
        "c": native_scope.call(max, inner, {"k": hp.normal("n", 0, 1)}["k"]),
    }
    value = built(tree, {"c": 1, "u": 0.5, "d": 1, "r": 2, "n": 0.75})
    assert value == {"a": {"k": (0,)}, "b": (1, (2,)), "c": 0.75}


def test_nodes_without_expressions_are_left_as_they_are():
    node = native.choice("c", [native.uniform("x", 0, 1), [1, 2]])
    assert node_of(node) is node
    assert node_of(Literal(node)) is node


def test_is_graph():
    x = hp.uniform("x", 0, 1)
    loop = [1]
    loop.append(loop)
    for tree in (x, [x], {"a": (1, [x])}, native.choice("c", [x, 1]), native_scope.call(max, [x])):
        assert is_graph(tree)
    for tree in (1, None, loop, {"a": native.uniform("x", 0, 1)}, {x}, "text", np.arange(3)):
        assert not is_graph(tree)


@pytest.mark.parametrize(
    ("tree", "error", "match"),
    [
        (lambda: [hp.uniform("x", 0, 1), hp.uniform("x", 0, 1)], DuplicateLabel, "'x'"),
        (lambda: scope.uniform(0, 1), BadSearchSpace, r"hp\.uniform\(label"),
        (lambda: scope.choice([1, 2]), BadSearchSpace, r"randint without a label"),
        (lambda: hp.uniform("x", 0, hp.uniform("y", 1, 2)), InvalidBounds, "'x': high must be"),
        (lambda: hp.normal("x", hp.uniform("y", 1, 2) + 1, 2), InvalidBounds, "'x': mu must be"),
        (lambda: scope.hyperopt_param("x", scope.uniform(1, 0)), InvalidBounds, "low should be"),
        (lambda: scope.hyperopt_param("x", scope.normal(1, 0)), InvalidBounds, "sigma > 0"),
        (lambda: scope.hyperopt_param("x", scope.categorical((1, 2))), InvalidProbabilities, "sum"),
        (lambda: scope.hyperopt_param("x", scope.categorical(1)), BadSearchSpace, "be a list"),
        (lambda: scope.hyperopt_param("x", 3), BadSearchSpace, "'x': a parameter must be drawn"),
        (lambda: scope.hyperopt_param("x", scope.uniform(0, 1) + 1), BadSearchSpace, "a label"),
        (lambda: scope.hyperopt_param("x", scope.exp(1)), BadSearchSpace, "not from 'exp'"),
        (lambda: scope.hyperopt_param("x", scope.uniform(0, 1, size=3)), BadSearchSpace, "size=3"),
        (lambda: scope.hyperopt_param("x", scope.uniform(0)), BadSearchSpace, "lacks high"),
        (lambda: scope.hyperopt_param("x", scope.uniform(0, low=1)), BadSearchSpace, "takes low"),
        (lambda: scope.hyperopt_param(3, scope.uniform(0, 1)), InvalidLabel, "got 3"),
        (lambda: scope.hyperopt_param("x"), BadSearchSpace, "a label and a distribution"),
        (lambda: apply("nowhere", hp.uniform("x", 0, 1)), BadSearchSpace, "'nowhere'"),
        (lambda: [{hp.uniform("x", 0, 1)}], BadSearchSpace, "element of a set"),
        (lambda: {hp.uniform("x", 0, 1): 1}, BadSearchSpace, "dict's key"),
        (lambda: np.array([hp.uniform("x", 0, 1)], dtype=object), BadSearchSpace, "ndarray"),
        (lambda: scope.switch(scope.hyperopt_param("x", scope.randint(3)), 1), InvalidBounds, "2"),
    ],
)  # fmt: skip
def test_what_no_search_can_do_is_refused(tree, error, match):
    with pytest.raises(error, match=match):
        compile_space(node_of(tree()))


def test_loops_are_refused():
    loop = [hp.uniform("x", 0, 1)]
    loop.append(loop)
    node = as_apply(1) + 2
    node.pos_args[0] = scope.exp(node)
    for tree in (loop, node):
        with pytest.raises(BadSearchSpace, match="contains itself"):
            node_of(tree)


def test_draws_with_a_generator_of_their_own_are_calls():
    value = built(scope.uniform(0, 1, rng=scope.rng_from_seed(3)), {})
    assert value == np.random.default_rng(3).uniform()


def test_depth_is_free():
    tree = hp.uniform("x", 0, 1)
    for i in range(2000):
        tree = [tree + 1, i]
        tree = scope.getitem(tree, 0)
    assert built(tree, {"x": 0.5}) == 2000.5
    assert is_graph(tree)
    assert len(dfs(graph_of(node_of(tree)))) == len(dfs(tree))


def test_bytes_labels_are_text():
    assert compile_space(node_of(hp.uniform(b"x", 0, 1))).labels == ["x"]


FOREIGN = """
import operator
class Apply:
    def __init__(self, name, pos_args=(), named_args=(), o_len=None, pure=False):
        self.name, self.o_len, self.pure = name, o_len, pure
        self.pos_args, self.named_args = list(pos_args), [list(pair) for pair in named_args]
    def inputs(self):
        return self.pos_args + [arg for _, arg in self.named_args]
    def eval(self):
        raise NotImplementedError
class Literal(Apply):
    def __init__(self, obj):
        super().__init__("literal")
        self.obj = obj
class scope:
    pass
implicit_stochastic_symbols = {"uniform", "theirs"}
def uniform(low, high, rng=None):
    raise NotImplementedError
def theirs():
    raise NotImplementedError
def lazily(x):
    return Literal(x)
def rec_eval(expr):
    return ("evaluated", expr.obj)
scope._impls = {"uniform": uniform, "theirs": theirs, "add": operator.add, "lazily": lazily,
                "hyperopt_param": None}
"""


@pytest.fixture
def foreign():
    """A package that makes expressions as Hyperopt's does; it can be installed or not."""
    module = {"__name__": "hyperopt.pyll.base"}
    exec(FOREIGN, module)
    # A user's operation is not the package's own.
    module["lazily"].__module__ = "somewhere"
    yield module
    if "lazily" in scope._impls:
        scope.undefine("lazily")


def test_expressions_of_another_package_are_taken(foreign):
    make, constant = foreign["Apply"], foreign["Literal"]
    bounds = [["high", constant(2)], ["low", constant(1)]]
    x = make("hyperopt_param", [constant("x"), make("uniform", [], bounds)])
    tree = {"a": make("add", [x, make("float", [x])]), "b": [make("lazily", [x])]}
    assert is_graph(tree)
    value = built(tree, {"x": 1.5})
    assert value == {"a": 3.0, "b": (("evaluated", 1.5),)}
    adopted = as_apply(tree["a"])
    assert adopted.pos_args[0] is adopted.pos_args[1].pos_args[0]
    assert built(adopted, {"x": 1.5}) == 3.0
    assert as_apply(make("lazily", [constant(3)])).name == "lazily"
    assert scope._impls["lazily"] is foreign["lazily"]


def test_draws_of_another_package_need_labels_too(foreign):
    make = foreign["Apply"]
    with pytest.raises(BadSearchSpace, match="theirs without a label"):
        node_of(make("theirs"))
    with pytest.raises(BadSearchSpace, match="'nowhere'"):
        node_of(make("nowhere"))


ELSEWHERE = """
import pickle, sys
print(pickle.load(sys.stdin.buffer).build({"x": 0.5, "n": 2}))
"""


def test_users_operations_travel_by_value():
    factor = 3

    def scaled(x):
        return x * factor

    def lazily(x):
        return as_apply(x) + 1

    count = Lambda("count", [("n", p0)], scope.switch(p0 > 0, 5, apply("count", p0 - 1)))
    functions = [scaled, lazily, count]
    for f in functions:
        scope.define(f)
    try:
        x = hp.uniform("x", 0, 1)
        node = node_of([scope.scaled(x), scope.lazily(x), scope.count(hp.randint("n", 4))])
        operation = node.items[0].function
        assert operation == Operation("scaled", scaled)
        assert str(node.items[0]) == "scaled('x')"
        assert graph_of(node).pos_args[0].name == "scaled"
        data = cloudpickle.dumps(compile_space(node))
    finally:
        for f in functions:
            scope.undefine(f)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=data,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "(1.5, 1.5, 5)"


def test_operations_from_the_start_are_plain_functions():
    node = node_of(scope.exp(hp.uniform("x", 0, 1)))
    assert not isinstance(node.function, Operation)
    assert isinstance(node_of(hp.choice("c", [max, min])(1, 2)).function, Operation)


def test_graph_of_names_what_the_scope_knows():
    x = native.uniform("x", 0, 1)
    assert graph_of(x + 1).name == "add"
    assert graph_of(native_scope.int(x)).name == "int"
    called = graph_of(native_scope.call(divmod, x, 2))
    assert called.name == "call"
    assert rec_eval(called, memo=memo_of(called, {"x": 3.0})) == (1.0, 1.0)
    keyword = graph_of(native_scope.call(sorted, [x, 0], reverse=True))
    assert rec_eval(keyword, memo=memo_of(keyword, {"x": 3.0})) == [3.0, 0]
    index = native.choice("c", [1, 2])
    assert graph_of(index).pos_args[0].name == "hyperopt_param"
    assert isinstance(graph_of(Constant(3)), Literal)
    index = native_scope.switch(native.randint("r", 2), 1, 2)
    assert graph_of(index).pos_args[0].name == "int"


def test_two_expressions_of_one_node_are_one_parameter():
    x = native.uniform("x", 0, 1)
    first, second = as_apply(x), as_apply(x)
    assert first is not second
    assert built([first, second, x], {"x": 0.5}) == (0.5, 0.5, 0.5)
    first.pos_args[0].arg["obj"].pos_args[0] = as_apply(-1)
    with pytest.raises(DuplicateLabel):
        node_of([first, second])
    a, b = as_apply([x, x]).pos_args
    assert a is b
