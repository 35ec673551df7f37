"""`fmin` with `Trials`: Hyperopt's signature and semantics, without its faults."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import pickle
from collections import Counter

import cloudpickle
import numpy as np
import pytest

import sparktrials
from sparktrials import (
    STATUS_FAIL,
    STATUS_OK,
    Trials,
    fmin,
    hp,
    partial,
    rand,
    space_eval,
    tpe,
)
from sparktrials.errors import AllTrialsFailed, SpaceMismatch, TrialFailed
from sparktrials.study.trial import FailureKind, TrialState

X = hp.uniform("x", -10, 10)


def run(fn, space=X, **keywords):
    """Run a short quiet random search."""
    defaults = {"algo": rand.suggest, "max_evals": 5, "rstate": 0, "verbose": False}
    return fmin(fn, space, **{**defaults, **keywords})


def square(x):
    return x * x


# --------------------------------------------------------------------- signature and results


def test_the_signature_is_hyperopts():
    names = list(inspect.signature(fmin).parameters)
    assert names == [
        "fn", "space", "algo", "max_evals", "timeout", "loss_threshold", "trials", "rstate",
        "allow_trials_fmin", "pass_expr_memo_ctrl", "catch_eval_exceptions", "verbose",
        "return_argmin", "points_to_evaluate", "max_queue_len", "show_progressbar",
        "early_stop_fn", "trials_save_file",
    ]  # fmt: skip


def test_the_published_example_returns_case_2_near_0():
    def objective(args):
        case, val = args
        return val if case == "case 1" else val**2

    space = hp.choice(
        "a", [("case 1", 1 + hp.lognormal("c1", 0, 1)), ("case 2", hp.uniform("c2", -10, 10))]
    )
    best = fmin(objective, space, algo=tpe.suggest, max_evals=100, rstate=1, verbose=False)
    case, value = space_eval(space, best)
    assert set(best) == {"a", "c2"}
    assert case == "case 2"
    assert abs(value) < 0.5


def test_argmin_has_raw_numpy_scalars_and_branch_indices():
    space = {
        "c": hp.choice("c", ["a", "b"]),
        "q": hp.quniform("q", 0, 10, 2),
        "n": hp.randint("n", 5),
        "i": hp.uniformint("i", 1, 5),
        "u": hp.uniform("u", 0, 1),
    }
    best = run(lambda p: p["u"], space)
    assert {k: type(v) for k, v in best.items()} == {
        "c": np.int64, "q": np.float64, "n": np.int64, "i": np.float64, "u": np.float64,
    }  # fmt: skip
    assert best["c"] in {0, 1}


def test_without_return_argmin_the_objectives_argument_is_returned():
    space = {"b": hp.choice("c", ["left", "right"]), "a": [X, 1]}
    seen = []
    found = run(lambda p: seen.append(p) or p["a"][0], space, return_argmin=False)
    assert found in seen
    assert list(found) == ["a", "b"]  # sorted, and lists arrive as tuples
    assert isinstance(found["a"], tuple)


def test_without_return_argmin_and_without_any_loss_none_is_returned():
    failing = {"status": STATUS_FAIL}
    assert run(lambda x: failing, return_argmin=False) is None
    with pytest.raises(AllTrialsFailed):
        run(lambda x: failing)


def test_best_params_has_values_where_argmin_has_indices():
    trials = Trials()
    space = hp.choice("c", [{"kind": "a", "x": hp.uniform("ax", 0, 1)}, {"kind": "b"}])
    best = run(lambda p: p.get("x", -1), space, trials=trials, max_evals=10)
    assert best == trials.argmin == {"c": 1}
    assert trials.best_params == {"c": {"kind": "b"}}


def test_trials_fmin_is_fmin():
    trials = Trials()
    best = trials.fmin(square, X, rand.suggest, 4, rstate=0, verbose=False, allow_trials_fmin=False)
    assert best == run(square, max_evals=4)
    assert len(trials) == 4


def test_algo_defaults_to_tpe():
    trials = Trials()
    fmin(square, X, max_evals=3, trials=trials, rstate=3, verbose=False)
    again = Trials()
    fmin(square, X, algo=tpe.suggest, max_evals=3, trials=again, rstate=3, verbose=False)
    assert trials.vals == again.vals


def test_algorithms_take_settings_by_partial():
    best = run(square, algo=partial(tpe.suggest, n_startup_jobs=3), max_evals=10)
    assert set(best) == {"x"}


# --------------------------------------------------------------------- max_evals, ids, resume


@pytest.mark.parametrize("queue", [1, 3, 10, 100])
def test_ids_have_no_gaps_whatever_is_queued(queue):
    trials = Trials()
    run(square, trials=trials, max_evals=13, max_queue_len=queue)
    assert trials.tids == list(range(13))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_max_evals_is_a_total_over_runs(store, tmp_path):
    calls = []
    trials = Trials() if store == "memory" else Trials(f"sqlite:///{tmp_path}/runs.db")
    run(lambda x: calls.append(x) or x, trials=trials, max_evals=5)
    run(lambda x: calls.append(x) or x, trials=trials, max_evals=12, rstate=None)
    assert len(calls) == len(set(calls)) == 12
    assert trials.tids == list(range(12))
    assert trials.vals["x"] == calls


def test_a_resumed_run_continues_the_stream_of_points():
    whole, parts = Trials(), Trials()
    run(square, trials=whole, max_evals=10, rstate=7)
    run(square, trials=parts, max_evals=4, rstate=7)
    run(square, trials=parts, max_evals=10, rstate=None)
    assert parts.vals == whole.vals


def test_failed_trials_count_and_cancelled_ones_do_not():
    trials = Trials()
    calls = Counter()

    def objective(x):
        calls["n"] += 1
        if calls["n"] == 3:
            raise KeyboardInterrupt
        if calls["n"] == 5:
            return {"status": STATUS_FAIL}
        return x

    with pytest.raises(KeyboardInterrupt):
        run(objective, trials=trials, max_evals=6)
    states = [t.state for t in trials.history]
    assert states == [TrialState.OK, TrialState.OK, TrialState.CANCELLED]
    run(objective, trials=trials, max_evals=6, rstate=None)
    counts = Counter(t.state for t in trials.history)
    assert counts == {TrialState.OK: 5, TrialState.FAILED: 1, TrialState.CANCELLED: 1}
    assert len(trials) == 6  # the cancelled one is hidden, as in Hyperopt


def test_a_complete_experiment_says_so_and_how_to_go_on(capsys, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    run(square, trials=Trials(url, "study"), max_evals=5)
    trials = Trials(url, "study")
    best = run(square, trials=trials, max_evals=5, verbose=True)
    text = capsys.readouterr().err
    assert best == trials.argmin
    assert "is complete" in text
    assert "'study'" in text
    assert "5 of 5" in text
    assert "max_evals=N" in text
    assert f"{min(trials.losses()):.6g}" in text
    run(square, trials=trials, max_evals=3)  # fewer than there are: complete, too
    assert len(trials) == 5


def test_a_complete_experiment_that_only_failed_says_so(capsys):
    trials = Trials()
    run(lambda x: float("nan"), trials=trials, return_argmin=False)
    assert run(square, trials=trials, return_argmin=False, verbose=True) is None
    assert "no trial has a loss" in capsys.readouterr().err


def test_a_resumed_durable_experiment_says_how_far_it_is(capsys, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    run(square, trials=Trials(url), max_evals=3)
    run(square, trials=Trials(url), max_evals=5, verbose=True, show_progressbar=False)
    assert "3 trials are there" in capsys.readouterr().err


def test_another_space_is_refused_with_both_shown(tmp_path):
    trials = Trials(f"sqlite:///{tmp_path}/runs.db", "study")
    run(square, trials=trials)
    with pytest.raises(SpaceMismatch) as caught:
        run(square, hp.uniform("x", -10, 11), trials=trials, max_evals=10)
    text = str(caught.value)
    assert "uniform(-10.0, 10.0)" in text or "uniform(-10, 10)" in text
    assert "11" in text
    assert "stored" in text
    assert "given" in text
    assert "study" in text
    run(square, trials=trials, max_evals=6)  # and nothing was harmed
    assert len(trials) == 6


# --------------------------------------------------------------------- points_to_evaluate


@pytest.mark.parametrize("kind", ["none", "memory", "sqlite"])
def test_points_to_evaluate_come_first_and_on_top(kind, tmp_path):
    calls = []
    trials = {
        "none": lambda: None,
        "memory": Trials,
        "sqlite": lambda: Trials(f"sqlite:///{tmp_path}/runs.db"),
    }[kind]()
    points = [{"x": 1.5}, {"x": -2}]
    best = run(
        lambda x: calls.append(x) or abs(x - 1.5),
        trials=trials,
        points_to_evaluate=points,
        max_evals=4,
    )
    assert calls[:2] == [1.5, -2]
    assert len(calls) == 6
    assert best == {"x": 1.5}


def test_points_take_branch_indices_and_leave_inactive_labels_out():
    space = hp.choice("c", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.randint("b", 5)}])
    seen = []
    trials = Trials()
    run(
        lambda p: seen.append(p) or 0.0,
        space,
        trials=trials,
        points_to_evaluate=[{"c": 1, "b": 3}, {"c": 0, "a": 0.5, "b": 2}],
        max_evals=1,
    )
    assert seen[:2] == [{"b": 3}, {"a": 0.5}]
    assert trials.history[1].point == {"c": 0, "a": 0.5}


def test_points_are_evaluated_once_when_the_same_script_runs_again():
    trials = Trials()
    points = [{"x": 1.0}, {"x": 2.0}]
    run(square, trials=trials, points_to_evaluate=points, max_evals=3)
    run(square, trials=trials, points_to_evaluate=points, max_evals=6)
    xs = trials.vals["x"]
    assert len(xs) == 8
    assert xs.count(1.0) == xs.count(2.0) == 1


def test_new_points_are_evaluated_on_resume():
    trials = Trials()
    run(square, trials=trials, max_evals=3)
    run(square, trials=trials, points_to_evaluate=[{"x": 1.0}], max_evals=5)
    assert trials.vals["x"][3] == 1.0
    assert len(trials) == 6


def test_a_given_point_that_was_interrupted_is_evaluated_on_resume():
    trials = Trials()
    interrupt = [True]

    def objective(x):
        if x == 2.0 and interrupt.pop():
            raise KeyboardInterrupt
        return x

    points = [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}]
    with pytest.raises(KeyboardInterrupt):
        run(objective, trials=trials, points_to_evaluate=points, max_evals=2)
    interrupt.append(False)
    run(objective, trials=trials, points_to_evaluate=points, max_evals=2)
    ok = [t.point["x"] for t in trials.history if t.state is TrialState.OK]
    assert len(ok) == 5
    assert ok[:3] == [1.0, 2.0, 3.0]


def test_as_many_points_as_one_likes_before_a_small_max_evals():
    trials = Trials()
    run(square, trials=trials, points_to_evaluate=[{"x": i} for i in range(9)], max_evals=1)
    assert trials.vals["x"][:9] == list(range(9))
    assert len(trials) == 10


# --------------------------------------------------------------------- rstate


def drawn(rstate, **keywords):
    trials = Trials()
    run(square, trials=trials, rstate=rstate, **keywords)
    return trials.vals["x"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: 5,
        lambda: np.int64(5),
        lambda: 0,
        lambda: 2**63 - 1,
        lambda: 2**80,
        lambda: np.random.default_rng(5),
        lambda: np.random.RandomState(5),
    ],
)
def test_equal_random_states_give_equal_points(make, tmp_path):
    assert drawn(make()) == drawn(make())
    trials = Trials(f"sqlite:///{tmp_path}/runs.db")
    run(square, trials=trials, rstate=make())
    assert trials.vals["x"] == drawn(make())


def test_a_generator_is_advanced():
    generator = np.random.default_rng(5)
    assert drawn(generator) != drawn(generator)


def test_without_a_random_state_runs_differ():
    assert drawn(None) != drawn(None)


def test_the_seed_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", "11")
    assert drawn(None) == drawn(11)
    assert drawn(12) != drawn(11)  # an argument wins
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", "")
    assert drawn(None) != drawn(None)


def test_global_random_state_is_left_alone():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    drawn(3)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


# --------------------------------------------------------------------- objectives that raise


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one)
        self.two = two

    def __str__(self):
        raise RuntimeError("no text")


def test_an_exception_ends_fmin_by_default_and_is_the_objectives_own():
    trials = Trials()
    error = ValueError("boom")

    def objective(x):
        if len(trials.history) == 3:
            raise error
        return x

    with pytest.raises(ValueError, match="boom") as caught:
        run(objective, trials=trials)
    assert caught.value is error
    failed = trials.history[-1]
    assert failed.state is TrialState.FAILED
    assert failed.failure.kind is FailureKind.RAISED
    assert "boom" in failed.failure.traceback
    assert "objective" in failed.failure.traceback
    assert len(trials) == 2  # hidden, as in Hyperopt
    assert trials._dynamic_trials[-1]["state"] == sparktrials.JOB_STATE_ERROR
    assert trials._dynamic_trials[-1]["misc"]["error"] == ("<class 'ValueError'>", "boom")


def test_exceptions_that_are_caught_leave_failed_trials():
    def objective(x):
        if x < 0:
            raise ValueError(x)
        return x

    trials = Trials()
    best = run(objective, trials=trials, catch_eval_exceptions=True, max_evals=20)
    assert best["x"] >= 0
    assert len(trials.history) == 20
    failed = [t for t in trials.history if t.state is TrialState.FAILED]
    assert failed
    assert len(trials) == 20 - len(failed)
    assert trials.count_by_state_unsynced(sparktrials.JOB_STATE_ERROR) == len(failed)


@pytest.mark.parametrize(
    "error",
    [Odd(1, 2), RecursionError("deep"), MemoryError(), StopIteration(), AssertionError()],
    ids=lambda e: type(e).__name__,
)
def test_odd_exceptions_become_failures(error):
    def objective(x):
        raise error

    trials = Trials()
    run(objective, trials=trials, catch_eval_exceptions=True, max_evals=2, return_argmin=False)
    assert [t.failure.type for t in trials.history] == [type(error).__name__] * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_ends_fmin_even_when_exceptions_are_caught(error):
    def objective(x):
        raise error

    trials = Trials()
    with pytest.raises(error):
        run(objective, trials=trials, catch_eval_exceptions=True)
    assert [t.state for t in trials.history] == [TrialState.CANCELLED]


def test_the_first_failure_is_shown_when_it_happens(capsys):
    shown_before_third = []

    def objective(x):
        if len(trials.history) == 3:
            shown_before_third.append(capsys.readouterr().err)
            return 1.0
        raise ValueError("boom")

    trials = Trials()
    run(objective, trials=trials, max_evals=4, catch_eval_exceptions=True, verbose=True,
        show_progressbar=False)  # fmt: skip
    (text,) = shown_before_third
    assert "trial 0 failed" in text
    assert "ValueError: boom" in text
    assert "Traceback" in text
    assert "trial 1 failed" not in text
    assert "3 of 4 trials failed" in capsys.readouterr().err


def test_quiet_runs_log_instead(caplog, capsys):
    def objective(x):
        raise ValueError("boom")

    with caplog.at_level(logging.INFO, "sparktrials"):
        run(objective, catch_eval_exceptions=True, return_argmin=False)
    assert capsys.readouterr().err == ""
    assert "boom" in caplog.text


def test_when_all_failed_the_error_quotes_the_first_traceback():
    def the_objective(x):
        if trials.history[-1].id == 0:
            raise ValueError("the very first")
        raise KeyError("later")

    trials = Trials()
    with pytest.raises(AllTrialsFailed) as caught:
        run(the_objective, trials=trials, catch_eval_exceptions=True)
    text = str(caught.value)
    assert "ValueError: the very first" in text
    assert "in the_objective" in text
    assert "KeyError x 4" in text
    assert "There are no evaluation tasks, cannot return argmin of task losses." in text
    assert "'x':" in text  # the point


# --------------------------------------------------------------------- stopping


def test_loss_threshold_is_strict():
    calls = Counter()

    def constant(x):
        calls["n"] += 1
        return 1.0

    run(constant, loss_threshold=1.0)
    assert calls["n"] == 5
    trials = Trials()
    run(lambda x: float(-len(trials.history)), trials=trials, loss_threshold=-1.5, max_evals=50)
    assert len(trials) == 2


def test_a_threshold_that_is_met_already_starts_nothing():
    trials = Trials()
    run(lambda x: -1.0, trials=trials, max_evals=3)
    run(lambda x: -1.0, trials=trials, max_evals=10, loss_threshold=0.0)
    assert len(trials) == 3


def test_timeout_is_checked_between_trials_and_can_be_resumed():
    trials = Trials()
    run(square, trials=trials, max_evals=None, timeout=0.05)
    n = len(trials)
    assert n >= 1
    run(square, trials=trials, max_evals=n + 2)
    assert len(trials) == n + 2


def test_neither_max_evals_nor_timeout_goes_on_until_something_else_stops_it():
    trials = Trials()
    run(lambda x: -len(trials.history), trials=trials, max_evals=None, loss_threshold=-9.5)
    assert len(trials) == 10


def test_why_it_stopped_is_said(capsys):
    run(square, loss_threshold=1e9, verbose=True, show_progressbar=False)
    assert "loss threshold" in capsys.readouterr().err


def test_early_stop_state_is_passed_from_call_to_call():
    calls = []

    def stop(trials, count=0, *rest):
        calls.append((len(trials.trials), count, rest))
        return count >= 3, [count + 1, "extra"]

    trials = Trials()
    run(square, trials=trials, early_stop_fn=stop, max_evals=50)
    assert calls == [(1, 0, ()), (2, 1, ("extra",)), (3, 2, ("extra",)), (4, 3, ("extra",))]
    assert len(trials) == 4


def test_early_stop_sees_what_trials_have():
    def stop(view, *_):
        last = view.trials[-1]
        assert last["state"] == sparktrials.JOB_STATE_DONE
        assert last["result"]["loss"] == last["misc"]["vals"]["x"][0] ** 2
        assert view.best_trial["result"]["loss"] == min(view.losses())
        assert len(view) == len(view.trials) == len(list(view))
        assert set(view.argmin) == set(view.best_params) == {"x"}
        assert view.trial_attachments(last) == {}
        view.refresh()
        return len(view) == 3, []

    trials = Trials()
    run(square, trials=trials, early_stop_fn=stop)
    assert len(trials) == 3


def no_progress_loss(iteration_stop_count=20, percent_increase=0.0):
    """As published by Hyperopt."""

    def stop_fn(trials, best_loss=None, iteration_no_progress=0):
        new_loss = trials.trials[len(trials.trials) - 1]["result"]["loss"]
        if best_loss is None:
            return False, [new_loss, iteration_no_progress + 1]
        threshold = best_loss - abs(best_loss * (percent_increase / 100.0))
        if new_loss is None or new_loss < threshold:
            best_loss = new_loss
            iteration_no_progress = 0
        else:
            iteration_no_progress += 1
        return (
            iteration_no_progress >= iteration_stop_count,
            [best_loss, iteration_no_progress],
        )

    return stop_fn


@pytest.mark.parametrize("first", ["raises", "fails", "nan"])
def test_hyperopts_no_progress_loss_survives_failures_even_of_the_first_trial(first):
    trials = Trials()

    def objective(x):
        n = len(trials.history)
        if n in {1, 4}:
            if first == "raises":
                raise ValueError
            return {"status": STATUS_FAIL} if first == "fails" else float("nan")
        return float(-n if n < 12 else 0)  # progress until the 12th

    run(
        objective,
        trials=trials,
        max_evals=100,
        early_stop_fn=no_progress_loss(5),
        catch_eval_exceptions=True,
    )
    assert 12 <= len(trials.history) <= 17


def five_failures(trials, n=0):
    n = n + 1 if trials.statuses()[-1] == STATUS_FAIL else 0
    return n >= 5, [n]


def stop_without_loss(trials, *args):
    return trials.best_trial["result"]["loss"] < 0, args


@pytest.mark.parametrize(
    ("early_stop_fn", "n"), [(five_failures, 5), (no_progress_loss(6), 6), (stop_without_loss, 20)]
)
def test_early_stop_is_asked_when_all_trials_fail(early_stop_fn, n):
    trials = Trials()
    with pytest.raises(AllTrialsFailed):
        run(
            lambda _: {"status": STATUS_FAIL},
            trials=trials,
            max_evals=20,
            early_stop_fn=early_stop_fn,
        )
    assert len(trials) == n


def test_where_there_is_a_loss_what_early_stop_raises_is_raised():
    def stop(trials, *_):
        raise AllTrialsFailed

    with pytest.raises(AllTrialsFailed):
        run(square, early_stop_fn=stop)


@pytest.mark.parametrize("at", [1, 3])
def test_an_error_in_early_stop_fn_ends_fmin_with_it(at):
    trials = Trials()

    def stop(view, *_):
        if len(view) == at:
            raise LookupError("in early_stop_fn")
        return False, []

    with pytest.raises(LookupError, match="in early_stop_fn"):
        run(square, trials=trials, early_stop_fn=stop)
    assert len(trials) == at
    run(square, trials=trials, max_evals=5)
    assert len(trials) == 5


@pytest.mark.parametrize("answer", [None, True, (True,), 3])
def test_a_malformed_answer_of_early_stop_fn_ends_fmin(answer):
    trials = Trials()
    with pytest.raises((TypeError, ValueError)):
        run(square, trials=trials, early_stop_fn=lambda *_: answer)
    assert len(trials) == 1


# --------------------------------------------------------------------- progress


class RecordingBar:
    def __init__(self, raise_at=None):
        self.calls, self.postfix, self.opened, self.closed = [], None, None, False
        self.raise_at = raise_at

    @contextlib.contextmanager
    def __call__(self, initial, total):
        self.opened = (initial, total)
        try:
            yield self
        finally:
            self.closed = True

    def update(self, n):
        self.calls.append(n)
        if len(self.calls) == self.raise_at:
            raise OSError("in the bar")


def test_a_progress_callback_gets_hyperopts_protocol():
    bar = RecordingBar()
    trials = Trials()
    run(square, trials=trials, show_progressbar=bar, verbose=True)
    assert bar.opened == (0, 5)
    assert sum(bar.calls) == 5
    assert "best loss" in str(bar.postfix)
    assert bar.closed
    again = RecordingBar()
    run(square, trials=trials, show_progressbar=again, max_evals=7, verbose=True)
    assert again.opened == (5, 7)
    assert sum(again.calls) == 2


def test_an_error_in_the_progress_callback_ends_fmin_with_it():
    trials = Trials()
    with pytest.raises(OSError, match="in the bar"):
        run(square, trials=trials, show_progressbar=RecordingBar(raise_at=2), verbose=True)
    run(square, trials=trials)
    assert [t.state for t in trials.history].count(TrialState.OK) == 5


def test_a_bar_is_shown_unless_one_wants_quiet(capsys):
    run(square, verbose=True)
    shown = capsys.readouterr()
    assert "best loss" in shown.err
    assert shown.out == ""
    run(square, verbose=True, show_progressbar=False)
    run(square, verbose=False, show_progressbar=True)
    assert "best loss" not in capsys.readouterr().err


def test_a_run_without_limit_has_a_bar_without_total(capsys):
    run(lambda x: -1, max_evals=None, loss_threshold=0, verbose=True)
    assert "best loss" in capsys.readouterr().err


# --------------------------------------------------------------------- keeping and pickling


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_trials_can_be_pickled_and_go_on(pickler, kind, tmp_path):
    trials = Trials() if kind == "memory" else Trials(f"sqlite:///{tmp_path}/runs.db")
    run(lambda x: {"loss": x, "status": STATUS_OK, "note": [1]}, trials=trials)
    with contextlib.nullcontext() if kind == "memory" else pytest.warns(match="kept in memory"):
        trials.attachments["mine"] = b"kept"
    copy = pickler.loads(pickler.dumps(trials))
    assert copy.trials == trials.trials
    assert copy.argmin == trials.argmin
    assert copy.attachments == {"mine": b"kept"}
    run(lambda x: x, trials=copy, max_evals=8, rstate=None)
    assert len(copy) == 8
    assert copy.tids == list(range(8))
    if kind == "memory":
        assert len(trials) == 5


def test_trials_are_pickled_from_within_a_run():
    sizes = []

    def stop(view, *_):
        sizes.append(len(pickle.loads(pickle.dumps(trials))))
        return False, []

    trials = Trials()
    run(square, trials=trials, early_stop_fn=stop, max_evals=3)
    assert sizes == [1, 2, 3]


def test_objects_beside_the_loss_stay_objects_in_memory():
    model = object()
    trials = Trials()
    run(lambda x: {"loss": x, "status": STATUS_OK, "model": model}, trials=trials)
    assert all(r["model"] is model for r in trials.results)
    run(lambda x: {"loss": x, "status": STATUS_OK, "model": model}, trials=trials, max_evals=7)
    assert all(r["model"] is model for r in trials.results)


def test_objects_beside_the_loss_become_attachments_in_a_durable_store(tmp_path, capsys):
    trials = Trials(f"sqlite:///{tmp_path}/runs.db")
    run(
        lambda x: {"loss": x, "status": STATUS_OK, "model": {1, 2}, "lock": os.scandir},
        trials=trials,
        verbose=True,
    )
    assert "'model'" in capsys.readouterr().err
    assert trials.results[0]["model"] == {1, 2}
    reopened = Trials(f"sqlite:///{tmp_path}/runs.db")
    assert "model" not in reopened.results[0]
    assert pickle.loads(reopened.trial_attachments(0)["object:model"]) == {1, 2}


def test_attachments():
    trials = Trials()
    run(
        lambda x: {"loss": x, "status": STATUS_OK, "attachments": {"a": b"1", "t": "text"}},
        trials=trials,
    )
    assert "attachments" not in trials.results[0]
    assert trials.trial_attachments(trials.trials[2]) == {"a": b"1", "t": b"text"}


def test_two_experiments_share_a_store(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    run(square, trials=Trials(url, "a"), max_evals=3)
    run(square, hp.normal("y", 0, 1), trials=Trials(url, "b"), max_evals=4)
    assert len(Trials(url, "a")) == 3
    assert len(Trials(url, "b")) == 4
    assert len(Trials(url)) == 0


def test_a_nested_fmin_is_a_run_of_its_own():
    def outer(x):
        return run(lambda y: (x - y) ** 2, hp.uniform("y", -1, 1), rstate=2)["y"]

    assert set(run(outer)) == {"x"}


def test_the_same_trials_cannot_be_run_twice_at_once():
    trials = Trials()

    def objective(x):
        run(square, trials=trials)
        return x

    with pytest.raises(sparktrials.errors.StoreInUse):
        run(objective, trials=trials)


def test_delete_all_starts_anew():
    trials = Trials()
    run(square, trials=trials)
    trials.delete_all()
    assert len(trials) == 0
    run(square, hp.normal("other", 0, 1), trials=trials, max_evals=2)
    assert trials.tids == [0, 1]


def test_trial_failed_is_only_for_failures_elsewhere():
    # In this process the objective's own exception is what users see.
    def objective(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        run(objective)
    assert not isinstance(caught.value, TrialFailed)
