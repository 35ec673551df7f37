"""Compiled spaces: values, errors, fingerprints, and sizes that must not matter."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

from sparktrials import hp, scope
from sparktrials.errors import DuplicateLabel, InvalidPoint
from sparktrials.space import Space, compile_space, space_eval
from sparktrials.space.codec import Codec


def published():
    return hp.choice(
        "a", [("case 1", 1 + hp.lognormal("c1", 0, 1)), ("case 2", hp.uniform("c2", -10, 10))]
    )


def test_the_published_example():
    space = compile_space(published())
    assert space.describe() == [
        {"label": "a", "distribution": "choice of 2", "condition": ""},
        {"label": "c1", "distribution": "lognormal(0, 1)", "condition": "a == 0"},
        {"label": "c2", "distribution": "uniform(-10, 10)", "condition": "a == 1"},
    ]
    assert space.build({"a": 0, "c1": 2.0}) == ("case 1", 3.0)
    assert space.build({"a": 1, "c2": -3.0}) == ("case 2", -3.0)
    assert space.active({"a": 1, "c1": 1.0}) == ["a", "c2"]


def test_what_the_objective_receives_has_hyperopts_types():
    space = compile_space(
        {
            "uniform": hp.uniform("a", 0, 1),
            "quniform": hp.quniform("b", 0, 9, 3),
            "uniformint": hp.uniformint("c", 0, 9),
            "randint": hp.randint("d", 9),
            "int": scope.int(hp.quniform("e", 0, 9, 1)),
        }
    )
    built = space.build(dict.fromkeys("abcde", 3.0))
    assert {k: type(v) for k, v in built.items()} == {
        "uniform": float,
        "quniform": float,
        "uniformint": int,
        "randint": int,
        "int": int,
    }
    built = space.build(dict.fromkeys("abcde", np.int64(3)))
    assert type(built["uniform"]) is float
    assert type(built["randint"]) is int


@pytest.mark.parametrize(("tree", "built"), [(None, None), (3, 3), ([], ()), ({}, {}), ("s", "s")])
def test_spaces_without_parameters(tree, built):
    space = compile_space(tree)
    assert space.build({}) == built
    assert space.labels == []
    assert Codec.of(space).decode(np.empty((2, 0))) == [{}, {}]


def test_a_space_that_is_one_parameter():
    assert compile_space(hp.uniform("x", 0, 1)).build({"x": 0.5}) == 0.5


def test_branches_not_taken_are_not_evaluated():
    space = compile_space(hp.choice("c", [1 / hp.uniform("x", 0, 1), "safe"]))
    assert space.build({"c": 1, "x": 0.0}) == "safe"
    with pytest.raises(ZeroDivisionError):
        space.build({"c": 0, "x": 0.0})


def test_shared_nodes_are_evaluated_once():
    calls = []
    node = scope.call(lambda v: calls.append(v) or [v], hp.uniform("x", 0, 1))
    built = compile_space({"a": node, "b": [node]}).build({"x": 0.5})
    assert built["a"] is built["b"][0]
    assert calls == [0.5]


def test_an_index_may_be_an_option_too():
    n = hp.randint("n", 2)
    space = compile_space(scope.switch(n, n, n + 10))
    assert [space.build({"n": i}) for i in (0, 1)] == [0, 11]
    assert space.parameters[0].condition == ()


@pytest.mark.parametrize(
    "tree",
    [
        [hp.uniform("x", 0, 1), hp.uniform("x", 0, 1)],
        hp.choice("c", [hp.uniform("x", 0, 1), hp.uniform("x", 0, 1)]),
        hp.choice("x", [hp.uniform("x", 0, 1)]),
        {"a": hp.choice("x", [1, 2]), "b": hp.choice("x", [3, 4])},
        hp.uniform("x", 0, 1) + hp.uniform("x", 0, 1),
    ],
)
def test_one_label_for_two_nodes(tree):
    with pytest.raises(DuplicateLabel, match=r"'x' names two parameters \('x': .* and 'x': "):
        compile_space(tree)


def test_one_node_in_two_branches():
    x = hp.uniform("x", 0, 1)
    space = compile_space(hp.choice("c", [{"a": x}, {"b": x}, 0]))
    assert space.describe()[1]["condition"] == "c == 0 or c == 1"
    assert space.build({"c": 1, "x": 0.5}) == {"b": 0.5}
    assert space.active({"c": 2}) == ["c"]


POINT_ERRORS = [
    ({"a": 1}, r"lacks 'c2', which is active in it: \{'a': 1\}"),
    ({"c2": 1.0}, "lacks 'a'"),
    ({"a": 1, "c2": 1, "c3": 2}, "has the label 'c3', which the space has not; it has a, c1, c2"),
    ({"a": 2, "c2": 1}, "'a': the branch index must be one of 0 to 1, got 2"),
    ({"a": -1}, "'a': the branch index must be one of 0 to 1, got -1"),
    ({"a": 0.5}, "'a': the branch index must be"),
    ({"a": "case 2", "c2": 1}, "'a' must be the index of an option, 0 to .*got 'case 2'"),
    ({"a": True, "c2": 1}, "'a' must be the index of an option.*got True"),
    ({"a": [1], "c2": [0.5]}, r"'a' must be the index of an option.*got \[1\]"),
    ({"a": 1, "c2": "0.5"}, r"'c2' must be a finite number \(uniform\(-10, 10\)\), got '0.5'"),
    ({"a": 1, "c2": None}, "'c2' must be a finite number"),
    ({"a": 1, "c2": math.nan}, "'c2' must be a finite number"),
    ({"a": 1, "c2": math.inf}, "'c2' must be a finite number"),
    ({"a": 1, "c2": 1j}, "'c2' must be a finite number"),
    ({"a": 1, "c2": 10**400}, "'c2' must be a finite number"),
    ({"a": 0, "c1": -1.0}, "'c1' must not be negative"),
    ([("a", 1)], "must be a dict of label: value, got"),
    (None, "must be a dict"),
]


@pytest.mark.parametrize(("point", "message"), POINT_ERRORS)
def test_points_that_do_not_fit(point, message):
    with pytest.raises(InvalidPoint, match=f"the assignment:? ?{message}"):
        space_eval(published(), point)


def test_whole_numbers_are_whole():
    space = compile_space([hp.randint("r", 5), hp.uniformint("u", 0, 5), hp.quniform("q", 0, 5, 1)])
    for label in "ru":
        with pytest.raises(InvalidPoint, match=f"'{label}' must be an integer"):
            space.checked({"r": 1, "u": 1, "q": 1} | {label: 1.5})
    point = space.checked({"r": 1.0, "u": np.int64(2), "q": 1.5})
    assert point == {"r": 1, "u": 2.0, "q": 1.5}
    assert [type(v) for v in point.values()] == [int, float, float]


def test_a_row_of_a_table_is_a_point():
    """Inactive labels may hold anything: NaN and None are what tables put there."""
    for nothing in (math.nan, None, "", []):
        assert space_eval(published(), {"a": np.int64(1), "c1": nothing, "c2": np.array(3.0)}) == (
            "case 2",
            3.0,
        )


def test_a_compiled_space_may_be_evaluated():
    assert space_eval(compile_space(published()), {"a": 1, "c2": 1}) == ("case 2", 1.0)


def test_build_names_what_is_missing():
    with pytest.raises(InvalidPoint, match="the point lacks 'c2'"):
        compile_space(published()).build({"a": 1})


def test_values_are_options_not_indices():
    tree = {
        "model": hp.choice("model", ["svm", {"depth": hp.uniformint("depth", 1, 9)}]),
        "n": hp.randint("n", 2),
        "s": scope.switch(hp.randint("i", 2), "left", hp.uniform("right", 0, 1)),
    }
    space = compile_space(tree)
    assert space.values({"model": 1, "depth": 3.0, "n": 1, "i": 0}) == {
        "model": {"depth": 3},
        "depth": 3,
        "n": 1,
        "i": 0,
    }
    assert space.values({"model": 0, "n": 0, "i": 1, "right": 0.5})["model"] == "svm"


# Sizes ------------------------------------------------------------------------------------------


def built_first(space: Space):
    codec = Codec.of(space)
    (point,) = codec.decode(codec.from_unit(np.zeros((1, len(codec)))))
    return space.build(point)


def test_three_thousand_nested_choices():
    node = hp.uniform("x", 0, 1)
    for i in range(3000):
        node = hp.choice(f"c{i}", [node, 0])
    space = compile_space(node)
    assert built_first(space) == 0.0
    assert len(space.parameters) == 3001
    for dumps in (pickle.dumps, cloudpickle.dumps):
        assert built_first(pickle.loads(dumps(space))) == 0.0


def test_long_expressions():
    node = hp.uniform("x", 0, 1)
    for _ in range(20_000):
        node = node + 1
    assert built_first(compile_space(node)) == 20_000.0


def test_deep_containers():
    tree = hp.uniform("x", 0, 1)
    for i in range(5000):
        tree = [tree] if i % 2 else {"k": tree}
    built = built_first(compile_space(tree))
    for i in reversed(range(5000)):
        built = built[0] if i % 2 else built["k"]
    assert built == 0.0


@pytest.mark.parametrize("kind", ["dict", "choice", "switch", "sum", "list of lists"])
def test_shared_subtrees_do_not_blow_up(kind):
    """Each level holds the one below twice: a walk that forgets would take 2**40 steps."""
    node = hp.uniform("x", 0, 1)
    for i in range(40):
        node = {
            "dict": lambda n, i: {"a": n, "b": n},
            "choice": lambda n, i: hp.choice(f"c{i}", [n, {"n": n}, 0]),
            "switch": lambda n, i: scope.switch(hp.randint(f"c{i}", 3), n, [n], 0),
            "sum": lambda n, i: n + n,
            "list of lists": lambda n, i: [n, n],
        }[kind](node, i)
    space = compile_space(node)
    assert max((len(p.condition) for p in space.parameters), default=0) <= 2
    if kind == "sum":
        assert built_first(space) == 0.0


def test_ten_thousand_parameters():
    tree = [hp.choice(f"c{i}", [0, hp.uniform(f"p{i}", 0, 1)]) for i in range(5000)]
    space = compile_space(tree)
    assert len(space.parameters) == 10_000
    assert space.parameters[-1].condition == (((4999, 1),),)


def test_one_node_under_thousands_of_branches():
    x = hp.uniform("x", 0, 1)
    space = compile_space(hp.choice("c", [[x, i] for i in range(3000)] + [None]))
    assert len(space.parameters[1].condition) == 3000
    everywhere = compile_space(hp.choice("c", [[x, i] for i in range(3000)]))
    assert everywhere.parameters[1].condition == ()


# Fingerprints -----------------------------------------------------------------------------------

FINGERPRINT = """
from sparktrials import hp, scope
from sparktrials.space import compile_space
class Model: pass
x = hp.loguniform("läb\\u00ebl", -5, 0)
y = hp.qnormal("y", 0, 1, 0.1)
tree = {"m": hp.choice("m", [{"x": x, "k": Model}, {"x": x, "y": y}, set("abc")]),
        "p": hp.pchoice("p", [(0.1, len), (0.9, hp.uniformint("u", 0, 5))]),
        "s": scope.switch(hp.randint("i", 2), object(), hp.lognormal("z", 0, 1))}
print(compile_space(tree).fingerprint)
"""


def test_the_fingerprint_is_the_same_in_every_process():
    found = set()
    for seed in ("0", "1", "random"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        found.add(
            subprocess.run(
                [sys.executable, "-c", FINGERPRINT],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    (fingerprint,) = found
    # What stores hold: a change here makes every existing history refuse to go on.
    assert fingerprint.strip() == "bc7191d96f35423f09f17d1602804052"


def fingerprint(tree):
    return compile_space(tree).fingerprint


def test_the_fingerprint_covers_what_is_drawn_and_when():
    def tree(label="x", low=0, high=1, options=2, under=0, make=hp.uniform):
        branches = list(range(options))
        branches[under] = make(label, low, high)
        return hp.choice("c", branches)

    variants = [
        tree(),
        tree(label="z"),
        tree(low=0.5),
        tree(high=1.0000001),
        tree(options=3),
        tree(under=1),
        tree(make=hp.normal, low=0),
        tree(make=hp.loguniform),
        tree(make=hp.uniformint),
        {"c": tree(), "d": hp.uniform("d", 0, 1)},
        [hp.choice("c", [0, 1]), hp.uniform("x", 0, 1)],
    ]
    assert len({fingerprint(v) for v in variants}) == len(variants)
    texts = [json.dumps(compile_space(v).describe()) for v in variants]
    assert len(set(texts)) == len(variants)  # what SpaceMismatch shows differs, too


def test_the_fingerprint_leaves_out_constants_and_places():
    def tree(constant, name, *, listed):
        x, y = hp.uniform("x", 0, 1), hp.uniform("y", 0, 1)
        c = hp.choice("c", [constant, {name: x}])
        return [y, c] if listed else {"c": c + 1, "y": scope.int(y)}

    variants = [
        tree(1, "k", listed=True),
        tree(object(), "k", listed=True),
        tree(1, "other", listed=True),
        tree(1, "k", listed=False),
    ]
    assert len({fingerprint(v) for v in variants}) == 1


def test_equal_bounds_in_other_types_have_one_fingerprint():
    assert fingerprint(hp.uniform("x", 0, 1)) == fingerprint(hp.uniform("x", -0.0, np.float64(1)))
    assert fingerprint(hp.randint("x", 5)) == fingerprint(hp.randint("x", 0, np.int8(5)))
