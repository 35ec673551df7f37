"""The simulator that the benchmarks rest on: its time, its workers, both kinds of drivers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.simulator import (
    Durations,
    VirtualClock,
    Workers,
    run_ask_tell,
    run_study,
)

from sparktrials import hp, rand, tpe
from sparktrials.space import compile_space

SPACE = compile_space(hp.uniform("x", -5, 5))


@pytest.mark.parametrize(
    ("text", "median"),
    [
        ("constant:7", 7.0),
        ("lognormal:60:0.5", 60.0),
        ("exponential:10", 10 * math.log(2)),
        ("uniform:5:0.8", 5.0),
    ],
)
def test_durations(text, median) -> None:
    found = Durations.parsed(text).many(4000)
    assert np.median(found) == pytest.approx(median, rel=0.05)
    assert (found > 0).all()
    np.testing.assert_array_equal(found[:9], Durations.parsed(text).many(9))
    if text != "constant:7":
        assert Durations.parsed(text, seed=1).of(0) != found[0]


@pytest.mark.parametrize("text", ["gamma:3", "constant:-1", "uniform:1:2", "lognormal:1:-1"])
def test_durations_that_make_no_sense(text) -> None:
    with pytest.raises(ValueError, match="durations must be"):
        Durations.parsed(text)


def test_workers() -> None:
    clock = VirtualClock()
    workers = Workers(2, Durations("uniform", 10, 0.5), clock)
    workers.start(0, "a")
    workers.start(1, "b")
    with pytest.raises(RuntimeError, match="busy"):
        workers.start(2, "c")
    ends = sorted((workers.durations.of(i), name) for i, name in enumerate("ab"))
    assert workers.wait(1.0) == []
    assert clock.now == 1.0
    assert [what for _, what in workers.wait()] == [ends[0][1]]
    assert clock.now == ends[0][0]
    assert workers.free == 1
    assert workers.abandon(lambda what: what == ends[1][1]) == [ends[1][1]]
    assert workers.free == 2
    assert workers.busy == pytest.approx(2 * ends[0][0])
    assert workers.wait(3.0) == []
    assert clock.now == ends[0][0] + 3


def test_a_study_takes_as_long_as_its_trials_on_so_many_workers() -> None:
    durations = Durations("constant", 60)
    result = run_study(SPACE, lambda x: x * x, rand.suggest.configured(), 4, 10, durations)
    assert result.seconds == 180
    assert result.utilisation == pytest.approx(10 / 12)
    assert [end for end, *_ in result.ends] == [60] * 4 + [120] * 4 + [180] * 2
    assert len(result.per_trial_ms()) == 10
    assert result.best_by(59) == math.inf
    best = min(loss for *_, loss in result.ends)
    assert result.best_by(180) == best
    assert result.seconds_to(best) in {60, 120, 180}
    assert result.seconds_to(-1) == math.inf


def test_a_study_depends_on_its_seed_alone() -> None:
    durations = Durations("lognormal", 60, 1.0)
    algorithm = tpe.suggest.configured()
    runs = [
        run_study(SPACE, lambda x: x * x, algorithm, 8, 60, durations, seed=seed).ends
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_the_drivers_time_passes_if_it_is_charged() -> None:
    durations = Durations("constant", 1.0)
    algorithm = tpe.suggest.configured()
    result = run_study(SPACE, lambda x: x * x, algorithm, 2, 30, durations, charge=True)
    assert 15 < result.seconds <= 15 + result.driver_s


class Halving:
    """Asks for smaller and smaller numbers."""

    def __init__(self) -> None:
        self.x = 1.0
        self.told: list[tuple[float, float]] = []

    def ask(self, n):
        points = [self.x / 2**i for i in range(n)]
        self.x /= 2**n
        return points

    def tell(self, points, losses):
        self.told += zip(points, losses, strict=True)


def test_ask_and_tell() -> None:
    optimizer = Halving()
    result = run_ask_tell(optimizer, lambda x: x, 3, 7, Durations("constant", 2.0))
    assert result.seconds == 6
    assert len(optimizer.told) == len(result.ends) == 7
    assert optimizer.told[0] == (1.0, 1.0)
    assert min(loss for *_, loss in result.ends) == 2.0**-6
