"""A warning where trials run so many at once that little is learnt between them."""

from __future__ import annotations

import warnings

import pytest

from sparktrials import Trials, fmin, hp, rand, tpe


def searched(max_evals, trials, algo=tpe.suggest):
    """Return what `fmin` warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fmin(abs, hp.uniform("x", -1, 1), algo, max_evals, trials=trials, verbose=False)
    return [str(w.message) for w in caught if "learns little" in str(w.message)]


def test_few_rounds_are_warned_of():
    (said,) = searched(6, Trials(n_jobs=2, threads=True))
    assert said.startswith("6 trials on 2 slots are 3.0 rounds")
    assert "Run 1 at a time" in said


@pytest.mark.parametrize(("max_evals", "algo"), [(8, tpe.suggest), (2, rand.suggest)])
def test_enough_are_not(max_evals, algo):
    assert searched(max_evals, Trials(n_jobs=2, threads=True), algo) == []


def test_nor_is_a_study_that_goes_on_for_some_more():
    trials = Trials(n_jobs=2, threads=True)
    assert searched(12, trials) == []
    assert searched(14, trials) == []
    assert len(trials) == 14
