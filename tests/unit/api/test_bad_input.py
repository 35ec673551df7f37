"""Bad arguments: refused at the call, by an exception that names argument, value and rule."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from sparktrials import SparkTrials, Trials, fmin, hp, rand, tpe
from sparktrials.errors import (
    BadSearchSpace,
    EmptySpace,
    InvalidArgument,
    InvalidArgumentType,
    InvalidPoint,
    SparkTrialsError,
    StoreCorrupt,
    StoreError,
)


def never(x):
    pytest.fail("the objective was called")


def call(fn=never, space=None, **keywords):
    space = hp.uniform("x", 0, 1) if space is None else space
    return fmin(fn, space, **{"algo": rand.suggest, "max_evals": 2, "verbose": False, **keywords})


BAD = [
    ("max_evals", -1, ValueError),
    ("max_evals", 1.5, ValueError),
    ("max_evals", True, ValueError),
    ("max_evals", "10", ValueError),
    ("max_evals", math.nan, ValueError),
    ("max_evals", -math.inf, ValueError),
    ("timeout", 0, ValueError),
    ("timeout", -1, ValueError),
    ("timeout", True, ValueError),
    ("timeout", "10", ValueError),
    ("timeout", math.nan, ValueError),
    ("loss_threshold", True, ValueError),
    ("loss_threshold", "0.1", ValueError),
    ("loss_threshold", math.nan, ValueError),
    ("rstate", -1, ValueError),
    ("rstate", 1.5, ValueError),
    ("rstate", "seed", ValueError),
    ("rstate", True, ValueError),
    ("fn", 3, TypeError),
    ("fn", None, TypeError),
    ("early_stop_fn", 3, TypeError),
    ("show_progressbar", "yes", TypeError),
    ("max_queue_len", 0, ValueError),
    ("max_queue_len", 1.5, ValueError),
    ("points_to_evaluate", {"x": 1}, ValueError),
    ("points_to_evaluate", [1.0], ValueError),
    ("points_to_evaluate", "x", ValueError),
    ("trials", "sqlite:///runs.db", TypeError),
    ("trials", [], TypeError),
    ("trials", Trials, TypeError),
    ("algo", "tpe", TypeError),
    ("algo", 3, TypeError),
    ("algo", tpe, TypeError),
    ("trials_save_file", 3, TypeError),
    ("trials_save_file", "no/such/folder/trials.pkl", OSError),
    ("space", "annotations", ValueError),
]


@pytest.mark.parametrize(("name", "value", "kind"), BAD, ids=lambda v: str(v)[:24])
def test_arguments(name, value, kind):
    with pytest.raises(kind) as caught:
        call(**{name: value})
    assert isinstance(caught.value, SparkTrialsError)
    assert name in str(caught.value)
    if name not in {"trials", "algo"}:
        assert repr(value).strip("[]") in str(caught.value)


def test_whole_numbers_of_other_types_will_do():
    trials = Trials()
    call(lambda x: x, max_evals=np.int64(2), max_queue_len=2.0, trials=trials)
    call(lambda x: x, max_evals=3.0, timeout=np.float32(60), trials=trials)
    call(lambda x: x, max_evals=math.inf, timeout=math.inf, loss_threshold=math.inf)
    assert len(trials) == 3


@pytest.mark.parametrize("seed", ["x", "1.5", "-3"])
def test_a_bad_seed_in_the_environment_is_named(monkeypatch, seed):
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", seed)
    with pytest.raises(InvalidArgument, match="HYPEROPT_FMIN_SEED"):
        call()


@pytest.mark.parametrize("space", [{}, [], 3, None, np.zeros(3)])
def test_a_space_without_parameters(space):
    with pytest.raises(EmptySpace) as caught:
        fmin(never, space, algo=rand.suggest, max_evals=1, verbose=False)
    assert isinstance(caught.value, IndexError)  # what Hyperopt raises
    assert "parameter" in str(caught.value)


def test_a_label_for_two_things():
    with pytest.raises(BadSearchSpace, match="x"):
        call(space=[hp.uniform("x", 0, 1), hp.uniform("x", 0, 2)])


@pytest.mark.parametrize(
    "point",
    [
        {"x": "a"},
        {"x": math.nan},
        {"x": None},
        {},
    ],
)
def test_points_that_do_not_fit(point):
    with pytest.raises(InvalidPoint, match=r"points_to_evaluate\[1\]"):
        call(points_to_evaluate=[{"x": 0.5}, point])


def test_labels_that_the_space_has_not_are_ignored_aloud():
    trials = Trials()
    with pytest.warns(UserWarning, match=r"points_to_evaluate\[0\] has 'nonsense'") as caught:
        call(lambda x: x, points_to_evaluate=[{"x": 0.5, "nonsense": 1}], trials=trials)
    assert trials.losses()[0] == 0.5
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (call, "max_eval", "max_evals"),
        (SparkTrials, "parallelizm", "parallelism"),
        (SparkTrials, "trials_timeout", "trial_timeout"),
        (Trials, "njobs", "n_jobs"),
    ],
)
def test_a_misspelt_keyword(make, wrong, right):
    with pytest.raises(TypeError, match=f"keyword argument '{wrong}'.*[Dd]id you mean '{right}'"):
        make(**{wrong: 1})


def test_a_keyword_that_is_like_none():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'zzz'$"):
        Trials(zzz=1)


def test_what_an_objective_calls_wrongly_is_its_own_affair():
    def takes(max_evals):
        return max_evals

    with pytest.raises(TypeError, match="unexpected keyword argument 'max_eval'") as caught:
        call(lambda x: takes(max_eval=x))
    assert caught.traceback[-1].name == "<lambda>"


def test_a_space_in_which_all_is_fixed():
    trials = Trials()
    with pytest.warns(UserWarning, match="all trials are of the same point"):
        best = call(lambda p: p["a"], space={"a": 1.5}, max_evals=3, trials=trials)
    assert (best, trials.losses()) == ({}, [1.5] * 3)


@pytest.mark.parametrize("branch", [2, -1, "a", 0.5, None])
def test_branches_that_are_not_there(branch):
    with pytest.raises(InvalidPoint, match=r"points_to_evaluate\[0\].*'c'"):
        call(space=hp.choice("c", ["a", "b"]), points_to_evaluate=[{"c": branch}])


@pytest.mark.parametrize("algorithm", [rand, tpe])
def test_settings_that_an_algorithm_has_not(algorithm):
    with pytest.raises(InvalidArgumentType, match="gama"):
        call(algo=partial(algorithm.suggest, gama=0.25))


def test_positional_settings_of_algorithms():
    with pytest.raises(InvalidArgument, match="keyword"):
        call(algo=partial(tpe.suggest, 3))


def test_calling_an_algorithm_directly_says_how_it_is_meant():
    with pytest.raises(InvalidArgumentType, match="partial"):
        tpe.suggest([0], None, Trials(), 1)


# --------------------------------------------------------------------- Trials


@pytest.mark.parametrize("key", ["", 3, b"x", ["a"]])
def test_experiment_keys(key):
    with pytest.raises((InvalidArgumentType, InvalidArgument), match="exp_key"):
        Trials(exp_key=key)


@pytest.mark.parametrize(
    "url", ["nosuch://x", "sqlite:/x", "://", 3, "mysql://u:secret@h/d", "u:secret@h/d"]
)
def test_store_urls(url):
    with pytest.raises((InvalidArgument, InvalidArgumentType, StoreError)) as caught:
        Trials(url)
    assert "secret" not in str(caught.value)


def test_a_name_without_scheme_is_an_experiments_name():
    trials = Trials("mine")
    assert trials.exp_key == "mine"
    call(lambda x: x, trials=trials)
    assert trials.trials[0]["exp_key"] == "mine"
    with pytest.raises(InvalidArgument, match=r"sqlite:///runs\.db"):
        Trials("runs", exp_key="mine")


def test_a_name_is_no_store():
    with pytest.raises(InvalidArgument, match="for a file write sqlite:///runs"):
        SparkTrials(store="runs")


def test_a_file_that_is_no_history(tmp_path):
    path = tmp_path / "runs.db"
    path.write_bytes(b"nothing like a database, but long enough to have a header" * 100)
    with pytest.raises(StoreCorrupt, match=r"runs\.db"):
        Trials(f"sqlite:///{path}")


# --------------------------------------------------------------------- SparkTrials


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parallelism", 1.5),
        ("parallelism", True),
        ("parallelism", "4"),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", "x"),
        ("loss_threshold", math.nan),
        ("loss_threshold", True),
        ("trial_timeout", 0),
        ("trial_timeout", -1),
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("max_retries", True),
        ("max_retries", None),
    ],
)
def test_arguments_of_spark_trials_are_checked_before_spark_is_looked_for(name, value):
    with pytest.raises(InvalidArgument, match=name) as caught:
        SparkTrials(**{name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"), [("n_trials", "max_evals"), ("seed", "rstate"), ("objective", "fn")]
)
def test_what_other_packages_call_it(given, meant):
    with pytest.raises(TypeError, match=rf"argument '{given}'; did you mean '{meant}'\?$"):
        fmin(lambda x: x, hp.uniform("x", 0, 1), **{given: 3})


def test_a_session_where_a_number_of_trials_belongs():
    session = type("SparkSession", (), {"__module__": "pyspark.sql.session"})()
    with pytest.raises(ValueError, match=r"for a session: SparkTrials\(spark_session=spark\)"):
        SparkTrials(session)
