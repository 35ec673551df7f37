"""``FMinIter``, files, marked objectives: Hyperopt's other ways to run."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

from sparktrials import Trials, fmin, hp, rand, tpe
from sparktrials.compat import Ctrl, Domain, FMinIter, partial
from sparktrials.compat.early_stop import no_progress_loss
from sparktrials.compat.fmin import fmin_pass_expr_memo_ctrl, generate_trial
from sparktrials.compat.pyll import rec_eval
from sparktrials.errors import (
    InvalidAnnotatedParameter,
    InvalidArgument,
    InvalidLoss,
    InvalidResultStatus,
    StoreError,
)

SPACE = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", ["a", "b"])}


def objective(point):
    return (point["x"] - 1) ** 2


def iterator(domain=None, algo=rand.suggest, **settings):
    domain = domain or Domain(objective, SPACE)
    return FMinIter(algo, domain, Trials(), np.random.default_rng(0), **settings)


# ---------------------------------------------------------------------- FMinIter


def test_one_trial_at_a_step():
    steps = iterator(max_evals=5)
    assert [len(trials) for trials in steps] == [1, 2, 3, 4]
    assert len(steps.trials) == 5, "the step that reaches max_evals ends the iteration"


def test_steps_are_the_trials_of_one_run():
    stepped = iterator(algo=tpe.suggest, max_evals=25)
    list(stepped)
    whole = iterator(algo=tpe.suggest, max_evals=25)
    assert whole.exhaust() is whole
    assert stepped.trials.vals == whole.trials.vals


def test_run_and_serial_evaluate():
    steps = iterator()
    steps.run(3)
    assert len(steps.trials) == 3
    steps.trials.insert_trial_docs([generate_trial(i, {"x": i, "k": 0}) for i in (3, 4, 5)])
    steps.trials.refresh()
    steps.serial_evaluate(N=1)
    assert steps.trials.statuses() == ["ok"] * 4 + ["new"] * 2
    steps.block_until_done()
    assert steps.trials.losses()[3:] == [4.0, 9.0, 16.0]
    steps.run(1, block_until_done=False)
    assert len(steps.trials) == 7


def test_serial_evaluate_keeps_what_went_wrong():
    def failing(point):
        raise ValueError(point["x"])

    steps = iterator(Domain(failing, SPACE))
    steps.trials.insert_trial_docs([generate_trial(i, {"x": i, "k": 0}) for i in range(2)])
    with pytest.raises(ValueError, match="0"):
        steps.serial_evaluate()
    assert [d["state"] for d in steps.trials._dynamic_trials] == [3, 0]
    steps.catch_eval_exceptions = True
    steps.serial_evaluate()
    assert len(steps.trials) == 0
    assert steps.trials.history[1].failure.message == "1.0"


def test_limits_hold_over_steps():
    steps = iterator(loss_threshold=4.0)
    for _ in steps:
        if steps.is_cancelled:
            break
    assert min(steps.trials.losses()) < 4.0
    count = len(steps.trials)
    steps.run(5)
    assert len(steps.trials) == count

    steps = iterator(max_evals=200, early_stop_fn=no_progress_loss(5))
    list(steps)
    losses = steps.trials.losses()
    assert len(losses) < 200
    assert int(np.argmin(losses)) < len(losses) - 5

    steps = iterator(timeout=1e-9)
    steps.run(5)
    assert len(steps.trials) == 0


def test_early_stopping_over_steps_starts_anew_with_the_first_loss():
    seen = []

    def stop(trials, best=None, *_):
        loss = trials.trials[-1]["result"]["loss"]  # NaN of a failed one
        seen.append((best, loss))
        return False, [loss if best is None or loss < best else best]

    def fails_first(point):
        n = len(seen)
        return {"status": "fail"} if n < 2 else float(10 - n)

    steps = iterator(Domain(fails_first, SPACE), max_evals=5, early_stop_fn=stop)
    list(steps)
    assert [best for best, _ in seen[2:]] == [None, 8.0, 7.0]


def test_a_domain_that_evaluates_its_own_way():
    class Noted(Domain):
        def evaluate(self, config, ctrl, attach_attachments=True):
            ctrl.attachments["config"] = repr(sorted(config)).encode()
            return {"status": "ok", "loss": config["x"] ** 2, "noted": True}

    steps = iterator(Noted(None, SPACE), max_evals=3)
    steps.exhaust()
    assert all(r["noted"] for r in steps.trials.results)
    assert steps.trials.trial_attachments(0)["config"] == b"['k', 'x']"


# ---------------------------------------------------------------------- Domain and Ctrl


def test_a_domain_evaluates():
    domain = Domain(lambda p: {"loss": p["x"], "status": "ok", "attachments": {"a": b"1"}}, SPACE)
    trials = Trials()
    trials.insert_trial_doc(generate_trial(0, {"x": 2, "k": 1}))
    ctrl = Ctrl(trials, current_trial=trials._dynamic_trials[0])
    assert domain.evaluate({"x": 2.0, "k": 1}, ctrl) == {"loss": 2.0, "status": "ok"}
    assert ctrl.attachments["a"] == b"1"
    function, argument = domain.evaluate_async({"x": 3.0, "k": 0}, ctrl)
    assert argument == {"x": 3.0, "k": "a"}
    assert domain.evaluate_async2(function(argument), ctrl)["loss"] == 3.0
    assert set(domain.params) == {"x", "k"}
    assert domain.params["x"].name == "uniform"
    assert domain.new_result() == {"status": "new"}
    with pytest.raises(InvalidResultStatus):
        Domain(lambda p: {"status": "good"}, SPACE).evaluate({"x": 1.0, "k": 0}, ctrl)
    with pytest.raises(InvalidLoss):
        Domain(lambda p: None, SPACE).evaluate({"x": 1.0, "k": 0}, ctrl)


def test_results_that_are_injected():
    @fmin_pass_expr_memo_ctrl
    def two_for_one(expr, memo, ctrl):
        x = rec_eval(expr, memo=memo)["x"]
        tid = ctrl.current_trial["tid"]
        (new,) = ctrl.trials.new_trial_ids(1)
        misc = {"idxs": {"x": [new], "k": [new]}, "vals": {"x": [-x], "k": [0]}}
        ctrl.inject_results([None], [{"status": "ok", "loss": (x + 1) ** 2}], [misc], [new])
        ctrl.checkpoint({"status": "running", "step": 1})
        ctrl.attachments["tid"] = str(tid).encode()
        return (x - 1) ** 2

    trials = Trials()
    fmin(two_for_one, SPACE, algo=rand.suggest, max_evals=6, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 6
    assert trials.tids == list(range(6))
    injected = [m["from_tid"] for m in trials.miscs if "from_tid" in m]
    assert injected == [0, 2, 4]
    assert trials.trial_attachments(2)["tid"] == b"2"
    assert trials.vals["x"][1] == -trials.vals["x"][0]


def test_partial_keeps_the_mark():
    @fmin_pass_expr_memo_ctrl
    def marked(expr, memo, ctrl, power):
        return abs(rec_eval(expr, memo=memo)["x"]) ** power

    best = fmin(partial(marked, power=3), SPACE, rand.suggest, 10, rstate=0, verbose=False)
    assert set(best) == {"x", "k"}


def test_marked_by_argument(tmp_path):
    trials = Trials(f"sqlite:///{tmp_path / 'runs.db'}")

    def raw(expr, memo, ctrl):
        ctrl.attachments["b"] = b"2"
        return {"loss": rec_eval(expr, memo=memo)["x"], "status": "ok", "attachments": {"a": b"1"}}

    fmin(raw, SPACE, rand.suggest, 3, trials=trials, pass_expr_memo_ctrl=True, verbose=False)
    assert dict(Trials(trials.store.url).trial_attachments(1)) == {"a": b"1", "b": b"2"}


# ---------------------------------------------------------------------- annotated


def test_annotated():
    def annotated(x: hp.uniform("x", 0, 1), k: hp.choice("k", [1, 2])) -> float:
        return x + k

    best = fmin(annotated, "annotated", rand.suggest, 20, rstate=0, verbose=False)
    assert best["k"] == 0

    def wrong(x: float) -> float:
        return x

    with pytest.raises(InvalidAnnotatedParameter, match=r"parameter 'x'.*float"):
        fmin(wrong, "annotated", rand.suggest, 3)
    with pytest.raises(IndexError, match="no annotated parameter"):
        fmin(lambda: 0, "annotated", rand.suggest, 3)


# ---------------------------------------------------------------------- the file


def saved(path):
    return pickle.loads(path.read_bytes())


def test_a_run_goes_on_from_its_file(tmp_path):
    path = tmp_path / "trials.pkl"
    settings = {"algo": tpe.suggest, "rstate": 3, "verbose": False, "trials_save_file": str(path)}
    fmin(objective, SPACE, max_evals=12, **settings)
    assert len(saved(path)) == 12
    fmin(objective, SPACE, max_evals=20, **settings)
    whole = Trials()
    fmin(objective, SPACE, max_evals=20, trials=whole, **{**settings, "trials_save_file": ""})
    assert saved(path).vals == whole.vals, "as if it had never been interrupted"
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"


def test_the_file_has_what_was_evaluated_when_a_run_fails(tmp_path):
    path = tmp_path / "trials.pkl"
    calls = []

    def failing(point):
        calls.append(point)
        if len(calls) == 4:
            raise RuntimeError("no more")
        return objective(point)

    with pytest.raises(RuntimeError, match="no more"):
        fmin(failing, SPACE, rand.suggest, 9, verbose=False, trials_save_file=str(path))
    assert len(saved(path)) == 3
    assert saved(path).history[3].failure.message == "no more"


def test_given_trials_and_a_file(tmp_path):
    path = tmp_path / "trials.pkl"
    settings = {"algo": rand.suggest, "verbose": False, "trials_save_file": str(path), "rstate": 0}
    trials = Trials()
    fmin(objective, SPACE, max_evals=3, trials=trials, **settings)
    fmin(objective, SPACE, max_evals=5, trials=trials, **settings)
    assert len(saved(path)) == 5
    empty = Trials(f"sqlite:///{tmp_path / 'runs.db'}")
    fmin(objective, SPACE, max_evals=8, trials=empty, **settings)
    assert len(empty) == 8
    assert empty.losses()[:5] == trials.losses()
    other = Trials()
    fmin(objective, SPACE, algo=rand.suggest, max_evals=1, trials=other, rstate=9, verbose=False)
    with pytest.raises(InvalidArgument, match="would be overwritten"):
        fmin(objective, SPACE, max_evals=9, trials=other, **settings)
    assert len(saved(path)) == 8


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        fmin(objective, SPACE, rand.suggest, 3, trials_save_file=str(tmp_path / "no" / "f.pkl"))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(StoreError, match="does not load as trials"):
        fmin(objective, SPACE, rand.suggest, 3, trials_save_file=str(tmp_path / "text"))

    def unpicklable(point):
        return {"loss": point["x"], "status": "ok", "log": (x for x in [1])}

    with pytest.raises(StoreError, match="cannot be pickled"):
        fmin(
            unpicklable, SPACE, rand.suggest, 3, trials_save_file=str(tmp_path / "f"), verbose=False
        )


def test_early_stopping_as_hyperopt_logs_it(caplog):
    caplog.set_level(logging.INFO, logger="sparktrials")
    fmin(objective, SPACE, rand.suggest, 50, early_stop_fn=no_progress_loss(3), verbose=False)
    assert "early_stop_fn stopped the run" in caplog.text
