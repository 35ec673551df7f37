"""Counting and using up finite spaces."""

from __future__ import annotations

import pytest

from sparktrials import Trials, fmin, hp, tpe
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec
from sparktrials.suggest.tried import number_of_points

NESTED = hp.choice(
    "a",
    [
        hp.randint("r", 3),
        {"b": hp.choice("b", [1, hp.quniform("q", 0, 4, 1)]), "c": hp.choice("c", ["xy"])},
        None,
    ],
)


@pytest.mark.parametrize(
    ("tree", "n"),
    [
        (hp.randint("r", 7), 7),
        ([hp.randint("r", 7), hp.choice("c", [0, 1])], 14),
        (hp.pchoice("c", [(0.5, 0), (0.5, 1), (0.0, 2)]), 2),
        (NESTED, 3 + (1 + 5) * 1 + 1),
        (hp.uniform("x", 0, 1), None),
        (hp.qnormal("x", 0, 1, 1), None),
        (hp.choice("c", [0, hp.uniform("x", 0, 1)]), None),
        ([hp.randint(f"r{i}", 1000) for i in range(9)], 1000**9),
    ],
)
def test_number_of_points(tree, n) -> None:
    assert number_of_points(Codec.of(compile_space(tree))) == n


def test_a_finite_space_is_used_up_before_a_point_is_repeated_and_then_goes_on() -> None:
    trials = Trials()
    fmin(lambda x: hash(str(x)) % 7, NESTED, algo=tpe.suggest, max_evals=40, trials=trials,
         rstate=0, verbose=False)  # fmt: skip
    points = [tuple(sorted(t.point.items())) for t in trials.history]
    assert len(set(points[:10])) == 10
    assert len(points) == 40
