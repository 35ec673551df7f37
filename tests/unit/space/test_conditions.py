"""Conditions: what is simplified, what is kept, what is refused."""

from __future__ import annotations

import pytest

from sparktrials import hp, scope
from sparktrials.errors import BadSearchSpace
from sparktrials.space import compile_space


def conditions(tree):
    return {row["label"]: row["condition"] for row in compile_space(tree).describe()}


def u(label):
    return hp.uniform(label, 0, 1)


def test_a_nested_choice_names_the_nearest_branch_only():
    tree = hp.choice("a", [0, hp.choice("b", [u("x"), 0])])
    assert conditions(tree) == {"a": "", "b": "a == 1", "x": "b == 0"}


def test_what_stands_at_the_root_too_is_always_active():
    x = u("x")
    assert conditions([hp.choice("a", [x, 0]), x])["x"] == ""
    assert conditions([x, hp.choice("a", [x, 0])])["x"] == ""


def test_all_branches_of_a_choice_are_the_choice():
    x = u("x")
    tree = hp.choice("a", [0, hp.choice("b", [{"x": x}, hp.choice("c", [x, [x]])])])
    assert conditions(tree) == {"a": "", "b": "a == 1", "c": "b == 1", "x": "a == 1"}


def test_parameters_come_after_those_that_their_conditions_name():
    """A shared parameter under a later parent: insertion order would put it first."""
    x = u("x")
    tree = {"first": hp.choice("a", [x, 0]), "then": hp.choice("b", [hp.choice("c", [x, 1]), 2])}
    space = compile_space(tree)
    assert space.labels == ["a", "b", "c", "x"]
    assert conditions(tree)["x"] == "a == 0 or c == 0"


def test_an_index_that_is_used_elsewhere_keeps_the_whole_path():
    n = hp.randint("n", 3)
    tree = {"n": hp.choice("a", [n, 0]), "s": hp.choice("b", [scope.switch(n, u("x"), 0, 0), 1])}
    assert conditions(tree)["x"] == "b == 0 and n == 0"
    assert conditions(tree)["n"] == "a == 0 or b == 0"


def test_an_index_below_its_own_switch():
    n = hp.randint("n", 2)
    tree = hp.choice("o", [scope.switch(n, hp.choice("r", [n + 1, 5]), 7), 0])
    assert conditions(tree) == {"o": "", "n": "o == 0", "r": "o == 0 and n == 0"}


def test_one_index_for_two_switches():
    n = hp.uniformint("n", 0, 1)
    tree = [scope.switch(n, u("x"), u("y")), scope.switch(n, 0, u("z"))]
    assert conditions(tree) == {"n": "", "x": "n == 0", "y": "n == 1", "z": "n == 1"}


def test_the_index_of_a_choice_may_be_used_on_its_own():
    choice = hp.choice("c", [u("x"), 0])
    tree = hp.choice("o", [choice, scope.switch(choice.index, u("y"), 0), 1])
    assert conditions(tree)["x"] == "o == 0 and c == 0"
    assert conditions(tree)["y"] == "o == 1 and c == 0"
    assert conditions(tree)["c"] == "o == 0 or o == 1"


def test_parameters_that_decide_on_each_other_are_refused():
    x, y = hp.randint("x", 2), hp.randint("y", 2)
    tree = [
        hp.choice("o", [scope.switch(x, y, 0), 0]),
        hp.choice("p", [scope.switch(y, x, 0), 0]),
    ]
    with pytest.raises(BadSearchSpace, match="the parameters 'x', 'y' decide on each other"):
        compile_space(tree)


def test_too_many_combinations_are_refused_and_not_waited_for():
    x = u("x")
    tree = x
    indices = [hp.randint(f"n{i}", 3) for i in range(40)]
    for i, n in enumerate(indices):
        tree = scope.switch(n, tree, [tree], 0)
        tree = hp.choice(f"c{i}", [tree, n])
    tree = [tree, *(hp.choice(f"d{i}", [n, 0]) for i, n in enumerate(indices))]
    # Each level starts anew at a choice: forty levels stay short.
    assert max(len(p.condition) for p in compile_space(tree).parameters) <= 5

    tree = x
    for n in indices:
        tree = scope.switch(n, tree, [tree], 0)
    tree = [hp.choice("o", [tree, 0]), hp.choice("p", [indices, 0])]
    with pytest.raises(BadSearchSpace, match="more than 10000 combinations"):
        compile_space(tree)


def test_a_wide_integer_index_costs_nothing():
    n = hp.uniformint("n", 0, 1e300)
    with pytest.raises(BadSearchSpace, match="options 0 to 1, but its index can be 0 to 1000"):
        scope.switch(n, 1, 2)
