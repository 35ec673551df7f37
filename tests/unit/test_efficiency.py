"""What the efficiency benchmark says of runs; its problems have the optima that they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parents[2] / "benchmarks"
RUN = {"steps": [[1, 60.0, 3.0], [4, 200.0, 1.0], [9, 500.0, 0.5]], "trials": 10}


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def test_regrets_and_expected_trials():
    import efficiency_report as report

    assert [report.regret_after(RUN, n) for n in (1, 3, 4, 100)] == [3.0, 3.0, 1.0, 0.5]
    assert report.reached(RUN, 1.0) == (4, 200.0)
    assert report.reached(RUN, 0.1) is None
    never = {"steps": [[1, 60.0, 3.0]], "trials": 10}
    assert report.expected_trials([RUN, never], 1.0) == 14
    assert report.expected_trials([never], 1.0) == float("inf")


def test_trees_end_at_zero():
    import efficiency_trees as trees
    from efficiency_systems import tree_of

    from sparktrials import hp
    from sparktrials.space import compile_space
    from sparktrials.space.codec import Codec

    for name in trees.names((1, 2)):
        tree = trees.tree(name)
        assert tree.loss(tree.best) == pytest.approx(0, abs=1e-12), name
        codec = Codec.of(compile_space(tree_of(tree.space, hp)))
        U = np.random.default_rng(0).random((300, len(codec)))
        losses = np.array([tree.loss(p) for p in codec.decode(codec.from_unit(U))])
        assert losses.min() > 0
        assert np.isfinite(losses).all()


def test_the_surrogate_needs_numpy_alone():
    import efficiency_surrogate as made

    surrogate = made.Surrogate()
    rng = np.random.default_rng(1)
    for branch in made.BRANCHES:
        errors = [surrogate.error(branch, made.draw(branch, rng)) for _ in range(20)]
        assert min(errors) >= surrogate.optima[branch] - 1e-9
    assert min(surrogate.optima, key=surrogate.optima.get) == "svm"


def test_a_run_of_ours():
    request = {"algo": "tpe:n_startup_jobs=3", "workers": 4, "clock": True, "trials": 12}
    cells = [["trees", "nested i1", 0]]
    done = subprocess.run(
        [sys.executable, str(HERE / "efficiency_run.py")],
        input=json.dumps({**request, "cells": cells}),
        capture_output=True,
        text=True,
        check=True,
    )
    version, run = map(json.loads, done.stdout.splitlines())
    assert version["version"].startswith("sparktrials")
    assert run["cell"] == cells[0]
    numbers, seconds, regrets = zip(*run["steps"], strict=True)
    assert numbers[0] == 1
    assert list(seconds) == sorted(seconds)
    assert list(regrets) == sorted(regrets, reverse=True)
